"""What an admin would say of the two domains: which tool is what, what a write acts on, and its workflows.

Each domain has three workflows. In the first, a step that changes something can only change what the run has
named before; in the second, the run itself is about one order or reservation from the start, and reading is
bound to it too; the third, `…_counter`, binds nothing, so that an attack can name whatever it wants.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.foreign.tau.published import GoldCall, published_tools
from tool_scopes.upstream.servers import StdioServer
from tool_scopes.upstream.tools import UpstreamTool, fingerprint

ROOT = Path(__file__).resolve().parents[3]
WORKFLOWS = Path(__file__).parent / "workflows"


@dataclass(frozen=True, slots=True)
class Write:
    """A tool that changes things: the step for it, its bound view, and the argument that says on what."""

    step: str
    view: str
    on: str


@dataclass(frozen=True, slots=True)
class Domain:
    """One domain as its admin classified it. `subject` is the argument that the second workflow binds."""

    name: str
    subject: str
    read_subject: str
    """The tool that reads the subject."""
    writes: Mapping[str, Write]
    sensitive: frozenset[str] = frozenset()

    def server(self) -> StdioServer:
        """How the upstream is started, as the catalogue says it."""
        env = {
            "PYTHONPATH": str(ROOT),
            "TAU_DOMAIN": self.name,
            "TAU_FOLDER": "${TAU_FOLDER}",
            "TAU_DATABASE": "${DATA}/tau.sqlite3",
        }
        return StdioServer(("${PYTHON}", "-m", "tests.foreign.tau.upstream"), env)

    def catalogue(self, folder: Path) -> str:
        """The catalogue file over the published tools. What is no write here is a read."""
        server = self.server()
        tools: dict[str, object] = {}
        for tool in published_tools(folder):
            listed = UpstreamTool(tool.name, tool.description, tool.input_schema)
            accepted = {"fingerprint": fingerprint(server.endpoint, listed)}
            tools[tool.name] = [accepted | view for view in self._views(tool.name)]
        whole: dict[str, object] = {
            "upstream": self.name,
            "transport": "stdio",
            "command": list(server.command),
            "env": dict(server.env),
            "tools": tools,
        }
        return json.dumps(whole, indent=1)  # YAML holds JSON

    def workflows(self) -> dict[str, str]:
        """The workflow files by name."""
        text = (WORKFLOWS / f"{self.name}.yaml").read_text("utf-8")
        one = self.subject.removesuffix("_id")
        about_one = text.replace(f"workflow: {self.name}\n", f"workflow: {self.name}_{one}\n")
        about_one = about_one.replace("required: [request", f"required: [{self.subject}, request")
        about_one = about_one.replace(f"{self.name}__{self.read_subject}", f"{self.name}__read_this_{one}")
        return {self.name: text, f"{self.name}_{one}": about_one, f"{self.name}_counter": self._counter()}

    def view_of(self, call: GoldCall, workflow: str) -> str:
        """The name under which a workflow has a gold call's tool."""
        if workflow.endswith("_counter"):
            return f"{self.name}__{call.tool}"
        if call.tool == self.read_subject and workflow != self.name:
            return f"{self.name}__read_this_{self.subject.removesuffix('_id')}"
        write = self.writes.get(call.tool)
        return f"{self.name}__{call.tool if write is None else write.view}"

    def bound_in(self, tool: str, workflow: str) -> str | None:
        """The argument of a tool that a workflow binds."""
        if tool == "get_user_details":
            return "user_id"
        if tool == self.read_subject:
            return self.subject if workflow != self.name else None
        write = self.writes.get(tool)
        return None if write is None or workflow.endswith("_counter") else write.on

    def _views(self, tool: str) -> list[dict[str, object]]:
        write = self.writes.get(tool)
        if write is not None:
            kind = write.on.removesuffix("_id")
            said: dict[str, object] = {
                "effect": "write",
                "target": f"{kind}:{{{write.on}}}",
                "no_effect_errors": ["^Error: "],
                "sensitive": tool in self.sensitive,
            }
            return [said, said | {"name": f"{self.name}__{write.view}", "bound": {write.on: write.on}}]
        if tool == "get_user_details":
            return [{"effect": "read", "bound": {"user_id": "user_id"}}]
        if tool == self.read_subject:
            name = f"{self.name}__read_this_{self.subject.removesuffix('_id')}"
            bound = {self.subject: self.subject}
            return [{"effect": "read"}, {"effect": "read", "name": name, "bound": bound}]
        return [{"effect": "read"}]

    def _counter(self) -> str:
        given = {"type": "object", "properties": {"request": {"type": "string"}}, "required": ["request"]}
        names = sorted({write.step for write in self.writes.values()})
        steps: dict[str, object] = {"choose": {"kind": "draft", "purpose": "Choose.", "next": names}}
        for tool, write in self.writes.items():
            tools = [f"{self.name}__{tool}"]
            step = {"kind": "execute", "purpose": f"To {write.step}.", "tools": tools, "next": ["choose"]}
            steps[write.step] = step
        whole = {
            "workflow": f"{self.name}_counter",
            "version": 1,
            "purpose": "Whatever is asked.",
            "input": given,
            "start": "choose",
            "steps": steps,
        }
        return json.dumps(whole, indent=1)


RETAIL = Domain(
    "retail",
    "order_id",
    "get_order_details",
    {
        "cancel_pending_order": Write("cancel", "cancel_this_order", "order_id"),
        "modify_pending_order_address": Write("readdress", "readdress_this_order", "order_id"),
        "modify_pending_order_payment": Write("repay", "repay_this_order", "order_id"),
        "modify_pending_order_items": Write("modify", "modify_this_order", "order_id"),
        "return_delivered_order_items": Write("return", "return_this_order", "order_id"),
        "exchange_delivered_order_items": Write("exchange", "exchange_this_order", "order_id"),
        "modify_user_address": Write("move", "move_this_user", "user_id"),
    },
)
AIRLINE = Domain(
    "airline",
    "reservation_id",
    "get_reservation_details",
    {
        "book_reservation": Write("book", "book_for_this_user", "user_id"),
        "cancel_reservation": Write("cancel", "cancel_this_reservation", "reservation_id"),
        "send_certificate": Write("certify", "certify_this_user", "user_id"),
        "update_reservation_baggages": Write("bags", "bags_of_this_reservation", "reservation_id"),
        "update_reservation_flights": Write("fly", "flights_of_this_reservation", "reservation_id"),
        "update_reservation_passengers": Write("people", "people_of_this_reservation", "reservation_id"),
    },
    # "Be careful!", says its description.
    sensitive=frozenset({"send_certificate"}),
)
DOMAINS = {domain.name: domain for domain in (RETAIL, AIRLINE)}
