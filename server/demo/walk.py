"""The governed run of the demo: a scripted agent walks one refund through the five steps, and everything is
looked at.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from anyio import to_thread

from server.demo.agent import Connection, Said, connected
from server.demo.commands import Commands
from server.demo.observed import Observed
from server.demo.orders import difference, everything
from server.demo.script import REFUND, Case, Part
from server.demo.stage import WORKFLOW, Stage
from server.demo.telling import Teller

Quote = dict[str, str]


@dataclass(slots=True)
class Walk:
    """One walk over the stage at `url`. `desk` is the agent's own connection."""

    stage: Stage
    url: str
    commands: Commands
    observed: Observed
    tell: Teller
    desk: Connection
    case: Case
    run: str = ""
    order: Quote = field(default_factory=dict[str, str])

    async def open(self, key: str) -> str:
        """Open the run twice with one idempotency key."""
        asked = {
            "workflow": WORKFLOW,
            "input": {"order_id": self.case.order, "request": self.case.request},
            "idempotency_key": key,
        }
        first, second = await self.desk.call("open_run", **asked), await self.desk.call("open_run", **asked)
        self.run = str(first.body.get("run", ""))
        self.observed.note("same_run", bool(self.run) and first.body == second.body, run=self.run)
        self.tell.opened(self.run, key, self.case.request)
        return self.run

    async def up_to_execute(self) -> list[list[str]]:
        """Walk read, classify, plan and draft; the tools that each step had."""
        return [await self._step(part) for part in self.case.parts[:-1]]

    async def execute(self) -> list[str]:
        """Walk execute: refused in every way but the right one. Gives the step's tools."""
        part = self.case.parts[-1]
        tools, connection = await self._enter(part)
        async with connection as within:
            bundle = await self._bundle()
            before = everything(self.stage.orders)
            call = partial(within.call, REFUND)
            refused = await call(**self.case.call)
            self._expect("approval_required", refused, "without an approval")
            approval = refused.body.get("approval", {})
            token, request = str(approval.get("approval_token", "")), str(approval.get("request", ""))
            await self._approve(request)
            dearer = {**self.case.call, "amount_cents": self.case.amount_cents + 100}
            self._expect(
                "approval_mismatch",
                await call(**dearer, approval_token=token),
                "the approved call, but with another amount",
            )
            done = await call(**self.case.call, approval_token=token)
            self._expect("done", done, "exactly the call that was approved")
            again = await call(**self.case.call, approval_token=token)
            told = again.body.get("execution") == done.body.get("execution")
            self._expect("approval_spent", again, "the same call once more", also=told)
            self._changed_once(difference(before, everything(self.stage.orders)))
            await self._submit(within, part, bundle, None)
        return tools

    async def _step(self, part: Part) -> list[str]:
        tools, connection = await self._enter(part)
        async with connection as within:
            bundle = await self._bundle()
            seen = None if part.tool is None else await self._use(within, part, part.tool)
            if part.step == "plan":
                await self._look_for_the_refund(within)
            await self._submit(within, part, bundle, seen)
        return tools

    async def _enter(self, part: Part) -> tuple[list[str], Any]:
        """The step's own tools, and a connection with a pass for it alone."""
        step = (await self.desk.call("current_step", run_id=self.run, with_pass=True)).body
        self.observed.note("five_steps", step.get("step") == part.step)
        own = [str(tool["name"]) for tool in step.get("tools", [])]
        step_pass = str(step.get("step_pass", ""))
        async with connected(self.url, step_pass) as looking:
            listed = await looking.tools()
        self.observed.note("tools_differ", listed[: len(own)] == own)
        self.tell.step(step, own, [name for name in listed if name not in own])
        return own, connected(self.url, step_pass)

    async def _bundle(self) -> dict[str, Any]:
        bundle = (await self.desk.call("read_context", run_id=self.run)).body
        budget = bundle.get("budget", {})
        self.observed.note("within_budget", 0 < budget.get("used", 0) <= budget.get("tokens", 0))
        items = bundle.get("items", [])
        self.observed.note("exact_quotes", bool(items))
        for item in items:
            # Against the stored text itself, which a curator reads with a command and no agent can.
            version, _, span = str(item["id"]).rpartition(":")
            start, _, end = span.partition("-")
            text = await to_thread.run_sync(self.stage.text_of, version, self.commands)
            self.observed.note("exact_quotes", text[int(start) : int(end)] == item["quote"])
        for item in items[:1]:
            cited = await self.desk.call("cite", run_id=self.run, source=item["id"])
            self.observed.note("exact_quotes", cited.body.get("quote") == item["quote"])
        self.tell.bundle(bundle)
        return bundle

    async def _use(self, within: Connection, part: Part, tool: str) -> Quote:
        """Use the step's tool; what it answered, as a quote of its observation."""
        said = await within.call(tool, **part.arguments)
        text = "\n".join(block.get("text", "") for block in said.body.get("result", {}).get("content", []))
        source = str(said.body.get("observation"))
        self.tell.observed(tool, source, text)
        if part.step == "read":
            self.order = {"source": source, "quote": text}
            known = everything(self.stage.orders)["orders"]
            name = next((str(row[2]) for row in known if row[0] == self.case.order), "")
            self.observed.note("upstream", bool(name) and name in text, customer=name)
        return {"source": source, "quote": line_with(part.own, text)}

    async def _look_for_the_refund(self, within: Connection) -> None:
        invented = "desk__no_such_tool"
        hidden = await within.call(REFUND, **self.case.call)
        unknown = await within.call(invented, **self.case.call)
        same = (hidden.error or "").replace(REFUND, invented) == unknown.error
        self.observed.note("hidden_in_plan", bool(hidden.error) and same, unknown_tool=hidden.error)
        self.tell.answer(f"{REFUND}, called by name", hidden.error or hidden.code, expected=same)

    async def _submit(
        self, within: Connection, part: Part, bundle: dict[str, Any], seen: Quote | None
    ) -> None:
        """End the step with an envelope that quotes the policy, the order, and what the step itself saw."""
        wanted = [
            quote_of_rule(part.rule, bundle.get("items", [])),
            {"source": self.order.get("source", ""), "quote": line_with(part.order, self.order["quote"])},
            *([seen] if seen and seen["source"] != self.order.get("source") else []),
        ]
        found = (await within.call("verify_quotes", quotes=wanted)).body.get("found", [])
        evidence = [{**quote, "source": at} for quote, at in zip(wanted, found, strict=False) if at]
        action = {"type": REFUND, "target_id": f"order:{self.case.order}", "arguments": self.case.call}
        envelope = {
            "step": part.step,
            "status": "needs_approval" if part.proposes else "done",
            "confidence": 0.9,
            "evidence": evidence,
            "proposed_action": action if part.proposes else None,
            "reason": part.reason,
            "state": dict(part.state),
        }
        said = await within.call("submit_step", envelope=envelope)
        sources = {quote["source"].partition("@")[0] for quote in evidence}
        of_order = self.order["source"].partition("@")[0]
        both = of_order in sources and any(not source.startswith("obs-") for source in sources)
        self.observed.note("two_kinds_of_evidence", said.code == "done" and both)
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
        right = once and new[0][1:3] == (self.case.order, self.case.amount_cents)
        self.observed.note("changed_once", right, order_database=json.loads(json.dumps(changed, default=str)))
        self.tell.database(changed)


def line_with(words: str, text: str) -> str:
    """The first line of a text that holds these words; its first line where none does."""
    lines = text.split("\n")
    return next((line for line in lines if words in line), lines[0])


def quote_of_rule(words: str, items: list[dict[str, Any]]) -> Quote:
    """The line of a bundle that holds these words, within the item that it stands in."""
    chosen = next((item for item in items if words in item["quote"]), items[0] if items else None)
    return (
        {"source": "", "quote": ""}
        if chosen is None
        else {"source": chosen["id"], "quote": line_with(words, chosen["quote"])}
    )
