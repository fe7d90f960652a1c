"""The desk's five tools, as an MCP server offers them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jsonschema_rs import Draft202012Validator
from mcp.server import Server, ServerRequestContext
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
    ToolAnnotations,
)

from examples.refund_desk.orders import NoEffect, Order, OrderDesk, euros

ORDER_ID = {
    "type": "string",
    "pattern": "^o-[0-9]{1,8}$",
    "description": "The order's number, such as o-1001.",
}
CENTS = {"type": "integer", "minimum": 1, "maximum": 10_000_000, "description": "An amount in euro cents."}


def _arguments(**properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


TOOLS = (
    Tool(
        name="get_order",
        description="One order: what was bought, where it is, what was paid and refunded, and its notes.",
        input_schema=_arguments(order_id=ORDER_ID),
        annotations=ToolAnnotations(read_only_hint=True),
    ),
    Tool(
        name="list_orders_of_customer",
        description="A customer's orders, the newest first.",
        input_schema=_arguments(
            customer={
                "type": "string",
                "pattern": "^c-[0-9]{1,8}$",
                "description": "The customer's number, such as c-17.",
            }
        ),
        annotations=ToolAnnotations(read_only_hint=True),
    ),
    Tool(
        name="check_refund",
        description="What a refund would do, without doing it.",
        input_schema=_arguments(order_id=ORDER_ID, amount_cents=CENTS),
        annotations=ToolAnnotations(read_only_hint=True),
    ),
    Tool(
        name="refund_order",
        description="Give money back for an order. It leaves at once and cannot be called back.",
        input_schema=_arguments(
            order_id=ORDER_ID,
            amount_cents=CENTS,
            reason={
                "type": "string",
                "minLength": 1,
                "maxLength": 500,
                "description": "Why, in one sentence that the customer may read.",
            },
        ),
        annotations=ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=False),
    ),
    Tool(
        name="add_order_note",
        description="Add a note to an order's file, for colleagues.",
        input_schema=_arguments(
            order_id=ORDER_ID, note={"type": "string", "minLength": 1, "maxLength": 2000}
        ),
        annotations=ToolAnnotations(read_only_hint=False, destructive_hint=False),
    ),
)


@dataclass(frozen=True, slots=True)
class Said:
    """An answer twice: a text that people and models read and quote, and the same as data."""

    text: str
    data: dict[str, Any]


def serve(desk: OrderDesk) -> Server[Any]:
    """The MCP server over a desk."""
    answers: Mapping[str, Callable[[dict[str, Any]], Said]] = {
        "get_order": lambda given: _told(desk.order(given["order_id"])),
        "list_orders_of_customer": lambda given: _listed(desk.orders_of(given["customer"])),
        "check_refund": lambda given: _checked(desk.order(given["order_id"]), given["amount_cents"]),
        "refund_order": lambda given: _refunded(desk.refund(**given), given["amount_cents"]),
        "add_order_note": lambda given: _told(desk.add_note(**given)),
    }
    validators = {tool.name: Draft202012Validator(tool.input_schema) for tool in TOOLS}

    async def list_tools(
        ctx: ServerRequestContext[Any], params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        return ListToolsResult(tools=list(TOOLS))

    async def call_tool(ctx: ServerRequestContext[Any], params: CallToolRequestParams) -> CallToolResult:
        given = params.arguments or {}
        if params.name not in validators:
            return _error(f"no effect: there is no tool {params.name}")
        wrong = next(validators[params.name].iter_errors(given), None)
        if wrong is not None:
            return _error(f"no effect: {wrong.message}")
        try:
            said = answers[params.name](given)
        except NoEffect as error:
            return _error(f"no effect: {error}")
        return CallToolResult(content=[TextContent(text=said.text)], structured_content=said.data)

    return Server(
        "refund-desk",
        version="1",
        instructions="Orders and refunds of a small shop. Amounts are in euro cents.",
        get_tool_input_schema={tool.name: tool.input_schema for tool in TOOLS}.get,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def _error(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=text)], is_error=True)


def _told(order: Order) -> Said:
    where = f"delivered on {order.delivered_on}" if order.delivered_on else order.status
    whose = f"{order.customer_name} ({order.customer})"
    text = [f"Order {order.id} of {whose}, placed on {order.placed_on}, {where}."]
    text += [f"- {line.quantity} × {line.item}: {euros(line.unit_cents)} each" for line in order.lines]
    text += [f"Paid {euros(order.total_cents)}, refunded {euros(order.refunded_cents)}."]
    text += [f"Note: {note}" for note in order.notes]
    return Said("\n".join(text), _data(order))


def _listed(orders: tuple[Order, ...]) -> Said:
    lines = [f"- {o.id}, {o.status}, placed on {o.placed_on}, paid {euros(o.total_cents)}" for o in orders]
    return Said("\n".join(lines) or "No orders.", {"orders": [_data(order) for order in orders]})


def _checked(order: Order, amount_cents: int) -> Said:
    amount = euros(amount_cents)
    data: dict[str, Any] = {"amount_cents": amount_cents, "refundable_cents": order.refundable_cents}
    try:
        order.check_refund(amount_cents)
    except NoEffect as error:
        return Said(f"A refund of {amount} would be refused: {error}.", {**data, "possible": False})
    left = order.refundable_cents - amount_cents
    text = f"A refund of {amount} for order {order.id} is possible; {euros(left)} would be left to refund."
    return Said(text, {**data, "possible": True, "left_cents": left})


def _refunded(order: Order, amount_cents: int) -> Said:
    left = euros(order.refundable_cents)
    text = f"Refunded {euros(amount_cents)} for order {order.id}; {left} left to refund."
    return Said(text, _data(order))


def _data(order: Order) -> dict[str, Any]:
    return {
        "order_id": order.id,
        "customer": order.customer,
        "status": order.status,
        "placed_on": order.placed_on,
        "delivered_on": order.delivered_on,
        "lines": [
            {"item": line.item, "quantity": line.quantity, "unit_cents": line.unit_cents}
            for line in order.lines
        ],
        "total_cents": order.total_cents,
        "refunded_cents": order.refunded_cents,
        "refundable_cents": order.refundable_cents,
    }
