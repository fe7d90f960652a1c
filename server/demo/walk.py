"""The governed run of the demo: a scripted agent walks one refund through the five steps, and everything is
looked at.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from anyio import to_thread

from server.demo.agent import Connection, Said, connected
from server.demo.commands import Commands
from server.demo.observed import Observed
from server.demo.orders import difference, everything
from server.demo.stage import WORKFLOW, Stage
from server.demo.telling import Teller

ORDER = "o-1001"
REQUEST = (
    "The lid of my new kettle was cracked when it arrived. I have sent you two photos. "
    "I would like to have the money for the damaged kettle back."
)
AMOUNT_CENTS = 6450
REASON = "The kettle arrived with a cracked lid."
REFUND = "desk__refund_order"


@dataclass(frozen=True, slots=True)
class Part:
    """What the script does in one step: the tool it uses, the words it looks for, and what it concludes."""

    step: str
    tool: str | None
    arguments: Mapping[str, Any]
    quote_with: str
    reason: str
    state: Mapping[str, Any]
    proposes: bool = False


SCRIPT = (
    Part(
        "read",
        "desk__get_order",
        {},
        "damaged",
        "The kettle of this order arrived with a cracked lid.",
        {
            "customer": "c-17",
            "paid_cents": 8450,
            "problem": "The kettle arrived damaged, with a cracked lid.",
        },
    ),
    Part(
        "classify",
        "desk__list_orders_of_customer",
        {},
        "damaged",
        "Goods that arrived damaged, from a customer without earlier refunds.",
        {"case": "damaged", "repeated": False},
    ),
    Part(
        "plan",
        "desk__check_refund",
        {"amount_cents": AMOUNT_CENTS},
        "price of that item",
        "Only one item is damaged, so its price is refunded.",
        {
            "amount_cents": AMOUNT_CENTS,
            "basis": "Only one item of the order is damaged: the price of that item.",
        },
    ),
    Part(
        "draft",
        None,
        {},
        "first sentence",
        "The answer names the amount first, as our tone asks for.",
        {"message": "We refund 64.50 euros for your kettle. Sorry that it arrived with a cracked lid."},
        proposes=True,
    ),
    Part("execute", None, {}, "", "The refund was paid once.", {"refunded_cents": AMOUNT_CENTS}),
)


@dataclass(slots=True)
class Walk:
    """One walk over the stage at `url`. `desk` is the agent's own connection."""

    stage: Stage
    url: str
    commands: Commands
    observed: Observed
    tell: Teller
    desk: Connection
    run: str = ""
    order_quote: dict[str, str] = field(default_factory=dict[str, str])

    async def open(self, key: str) -> str:
        """Open the run twice with one idempotency key."""
        asked = {
            "workflow": WORKFLOW,
            "input": {"order_id": ORDER, "request": REQUEST},
            "idempotency_key": key,
        }
        first, second = await self.desk.call("open_run", **asked), await self.desk.call("open_run", **asked)
        self.run = str(first.body.get("run", ""))
        self.observed.note("same_run", bool(self.run) and first.body == second.body, run=self.run)
        self.tell.opened(self.run, key, REQUEST)
        return self.run

    async def up_to_execute(self) -> list[list[str]]:
        """Walk read, classify, plan and draft; the tools that each step had."""
        return [await self._step(part) for part in SCRIPT[:-1]]

    async def execute(self) -> list[str]:
        """Walk execute: refused in every way but the right one. Gives the step's tools."""
        part = SCRIPT[-1]
        step, tools, connection = await self._enter(part)
        async with connection as within:
            bundle = await self._bundle(part)
            before = everything(self.stage.orders)
            call = partial(within.call, REFUND, reason=REASON)
            refused = await call(amount_cents=AMOUNT_CENTS)
            self._expect("approval_required", refused, "without an approval")
            approval = refused.body.get("approval", {})
            token, request = str(approval.get("approval_token", "")), str(approval.get("request", ""))
            await self._approve(request)
            other = await call(amount_cents=AMOUNT_CENTS + 100, approval_token=token)
            self._expect("approval_mismatch", other, "the approved call, but with another amount")
            done = await call(amount_cents=AMOUNT_CENTS, approval_token=token)
            self._expect("done", done, "exactly the call that was approved")
            again = await call(amount_cents=AMOUNT_CENTS, approval_token=token)
            told = again.body.get("execution") == done.body.get("execution")
            self._expect("approval_spent", again, "the same call once more", also=told)
            self._changed_once(difference(before, everything(self.stage.orders)))
            await self._submit(within, part, step, bundle)
        return tools

    async def _step(self, part: Part) -> list[str]:
        step, tools, connection = await self._enter(part)
        async with connection as within:
            bundle = await self._bundle(part)
            if part.tool is not None:
                await self._observe(within, part)
            if part.step == "plan":
                await self._look_for_the_refund(within)
            await self._submit(within, part, step, bundle)
        return tools

    async def _enter(self, part: Part) -> tuple[dict[str, Any], list[str], Any]:
        """The step as the desk describes it, its tools, and a connection with a pass for it alone."""
        step = (await self.desk.call("current_step", run_id=self.run, with_pass=True)).body
        here = step.get("step") == part.step
        self.observed.note("five_steps", here)
        own = [str(tool["name"]) for tool in step.get("tools", [])]
        connection = connected(self.url, str(step.get("step_pass", "")))
        async with connected(self.url, str(step.get("step_pass", ""))) as looking:
            listed = await looking.tools()
        beside = [name for name in listed if name not in own]
        self.observed.note("tools_differ", listed[: len(own)] == own)
        self.tell.step(step, own, beside)
        return step, own, connection

    async def _bundle(self, part: Part) -> dict[str, Any]:
        bundle = (await self.desk.call("read_context", run_id=self.run)).body
        budget = bundle.get("budget", {})
        self.observed.note("within_budget", 0 < budget.get("used", 0) <= budget.get("tokens", 0))
        self.observed.note("exact_quotes", bool(bundle.get("items")))
        for item in bundle.get("items", []):
            cited = await self.desk.call("cite", run_id=self.run, source=item["id"])
            start, _, end = item["id"].rpartition(":")[2].partition("-")
            exact = cited.body.get("quote") == item["quote"] and int(end) - int(start) == len(item["quote"])
            self.observed.note("exact_quotes", exact)
        self.tell.bundle(bundle)
        return bundle

    async def _observe(self, within: Connection, part: Part) -> None:
        said = await within.call(str(part.tool), **part.arguments)
        text = "\n".join(block.get("text", "") for block in said.body.get("result", {}).get("content", []))
        self.tell.observed(str(part.tool), str(said.body.get("observation")), text)
        # The first line says which order, or which customer, it is about.
        self.order_quote = {"source": str(said.body.get("observation")), "quote": text.split("\n")[0]}
        if part.step == "read":
            known = everything(self.stage.orders)["orders"]
            name = next((str(row[2]) for row in known if row[0] == ORDER), "")
            self.observed.note("upstream", bool(name) and name in text, customer=name)

    async def _look_for_the_refund(self, within: Connection) -> None:
        hidden = await within.call(REFUND, amount_cents=AMOUNT_CENTS, reason=REASON)
        invented = await within.call("desk__no_such_tool", amount_cents=AMOUNT_CENTS, reason=REASON)
        same = (hidden.error or "").replace(REFUND, "NAME") == (invented.error or "").replace(
            "desk__no_such_tool", "NAME"
        )
        self.observed.note("hidden_in_plan", bool(hidden.error) and same, unknown_tool=hidden.error)
        self.tell.answer(
            f"{REFUND}, called by name", hidden.error or hidden.code, expected=bool(hidden.error)
        )

    async def _submit(
        self, within: Connection, part: Part, step: dict[str, Any], bundle: dict[str, Any]
    ) -> None:
        items = bundle.get("items", [])
        chosen = next(
            (item for item in items if part.quote_with in item["quote"]), items[0] if items else None
        )
        evidence = [{"source": chosen["id"], "quote": chosen["quote"]}] if chosen else []
        action = {
            "type": REFUND,
            "target_id": f"order:{ORDER}",
            "arguments": {"amount_cents": AMOUNT_CENTS, "reason": REASON},
        }
        envelope = {
            "step": part.step,
            "status": "needs_approval" if part.proposes else "done",
            "confidence": 0.9,
            "evidence": [*evidence, self.order_quote],
            "proposed_action": action if part.proposes else None,
            "reason": part.reason,
            "state": dict(part.state),
        }
        said = await within.call("submit_step", envelope=envelope)
        self.observed.note("two_kinds_of_evidence", said.code == "done" and bool(evidence))
        ended = said.body.get("status") == ("done" if part.step == "execute" else "open")
        self.observed.note("five_steps", ended)
        self.tell.envelope(envelope, said)

    async def _approve(self, request: str) -> None:
        robin = self.stage.acting_as("robin")
        shown = json.loads(
            await to_thread.run_sync(
                partial(self.commands.run, "approval", "show", request, "--json", *robin)
            )
        )
        said = await to_thread.run_sync(partial(self.commands.run, "approval", "approve", request, *robin))
        self.observed.note("approved_by_key", said == request, request=request)
        self.tell.approved("robin", request, shown)

    def _expect(self, code: str, said: Said, what: str, *, also: bool = True) -> None:
        self.observed.note(code, said.code == code and also)
        self.tell.answer(what, said.code or said.error or "no answer", expected=said.code == code)

    def _changed_once(self, changed: dict[str, Any]) -> None:
        new = changed.get("refunds", {}).get("new", [])
        once = list(changed) == ["refunds"] and len(new) == 1 and not changed["refunds"]["gone"]
        right = once and new[0][1:3] == (ORDER, AMOUNT_CENTS)
        self.observed.note("changed_once", right, order_database=json.loads(json.dumps(changed, default=str)))
        self.tell.database(changed)
