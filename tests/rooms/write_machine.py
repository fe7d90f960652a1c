"""A machine that asks, approves, denies, revokes, spends, crashes, restarts, freezes at random.

It keeps a model of its own of what a human signed for which call, far simpler than the gate's. A write may
have its effect exactly when the model says so, and then it must have it: both ways are checked at each call.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ledger.canonical import JsonObject
from ledger.transaction import Transaction
from policies.approvals import JudgementRefused, find_request, record_verdict, revoke_request
from policies.audit_rules import check_complete
from policies.errors import PolicyError
from policies.gate_state import set_frozen
from policies.people import revoke_person
from policies.tables import approval_requests
from policies.verdicts import Choice, sign_verdict
from tests.policies.two_admins import agreement_on
from tests.rooms.stage import Stage
from tests.rooms.two_servers import Crash, TwoServers
from tool_scopes.house import Answer
from tool_scopes.refusals import Refused

HOUR_MS = 3_600_000
IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where nothing waits for a disk: what happens when one is slow or full is tried elsewhere."""
NEEDED = {"shop__change_item": 1, "shop__change_big": 2}
STEP_OF = {"shop__change_item": "small", "shop__change_big": "big"}
MAY_APPROVE = ("rita", "remy")

SERVER = st.integers(0, 1)
TOOL = st.sampled_from(sorted(NEEDED))
ITEM = st.sampled_from(["i-1", "i-2"])
PRICE = st.sampled_from([1, 2])
PICK = st.integers(0, 5)
LAST = -1
PERSON = st.sampled_from(["rita", "remy", "olga", "olivia"])
BEHAVIOUR = st.sampled_from(["work", "work", "work", "refuse", "fail_after", "crash_before", "crash_after"])

WORKFLOW = json.dumps(
    {
        "workflow": "machine",
        "version": 1,
        "purpose": "To be tried.",
        "input": {"type": "object"},
        "start": "small",
        "steps": {
            step: {
                "kind": "execute",
                "purpose": "To write.",
                "tools": [tool],
                "next": [other],
                "limits": {"executions": 100, "approval_minutes": 60},
            }
            for (tool, step), other in zip(STEP_OF.items(), ("big", "small"), strict=True)
        },
    }
)


@dataclass(slots=True)
class Run:
    """A run as the model knows it."""

    id: str
    step: str = "small"
    epoch: int = 1


@dataclass(slots=True)
class Asked:
    """A request as the model knows it: what it is for, and who said what about it."""

    id: str
    token: str
    run: Run
    epoch: int
    tool: str
    arguments: JsonObject
    files: int
    expires_ms: int
    approved_by: set[str] = field(default_factory=set[str])
    denied: bool = False
    revoked: bool = False
    spent: bool = False


class WriteMachine(RuleBasedStateMachine):
    """See the module."""

    def __init__(self, founded: Stage) -> None:
        super().__init__()
        self.keys = founded.keys
        place = Path(tempfile.mkdtemp(dir=IN_MEMORY))
        self.world = TwoServers(founded, place / "world")
        self._place = place
        self.gate_files = 0
        self.frozen = False
        self.gone: set[str] = set()
        self.runs: list[Run] = []
        self.asked: dict[str, Asked] = {}
        self.in_the_way: set[str] = set()
        self.effects = 0

    def teardown(self) -> None:
        """The log tells the same story: whole, complete, and one begun execution for each effect at least."""
        try:
            self.world.now_ms += HOUR_MS
            self.world.restart(0, self.world.servers[0].files)
            ledger = self.world.servers[0].house.ledger
            assert ledger.verify().whole
            assert list(check_complete(ledger.entries())) == []
            begun = [entry.body["request"] for entry in ledger.entries(kinds=["execution.begun"])]
            assert len(begun) == len(set(begun)) == self.world.upstream.frames
        finally:
            self.world.close()
            shutil.rmtree(self._place, ignore_errors=True)

    @initialize()
    def begin(self) -> None:
        self.runs = [Run(self.world.open_run(0)), Run(self.world.open_run(1))]

    @rule(server=SERVER, pick=PICK, item=ITEM, price=PRICE)
    def ask(self, server: int, pick: int, item: str, price: int) -> None:
        """Call without a token."""
        run = self.runs[pick % len(self.runs)]
        tool = next(tool for tool, step in STEP_OF.items() if step == run.step)
        arguments: JsonObject = {"item_id": item, "price": price}
        self._remember(run, tool, arguments, self._refused(server, run, tool, arguments, None), server)

    @rule(server=SERVER, pick=PICK, item=ITEM, price=PRICE)
    def have_approved(self, server: int, pick: int, item: str, price: int) -> None:
        """Call without a token, and let everybody who may approve it do so."""
        self.ask(server, pick, item, price)
        for person in MAY_APPROVE if self.asked else ():
            self.judge(server, LAST, person, "approve")

    @precondition(lambda self: self.asked)
    @rule(server=SERVER, pick=PICK, person=PERSON, verdict=st.sampled_from(["approve"] * 5 + ["deny"]))
    def judge(self, server: int, pick: int, person: str, verdict: Choice) -> None:
        """A person signs a verdict, over whatever it is that they were shown."""
        asked = self._pick(pick)
        ledger = self.world.servers[server].house.ledger
        request = ledger.read(lambda reading: find_request(reading, asked.id))
        assert request is not None
        signed = sign_verdict(self.keys[person], request.digest, verdict, at=self.world.now_ms)
        try:
            ledger.transact_now(lambda tx: record_verdict(tx, asked.id, signed))
        except JudgementRefused:
            return
        assert person not in self.gone
        if verdict == "deny":
            asked.denied = True
        else:
            assert person in MAY_APPROVE
            asked.approved_by.add(person)

    @precondition(lambda self: self.asked)
    @rule(server=SERVER, pick=PICK)
    def revoke(self, server: int, pick: int) -> None:
        """Take an approval back."""
        asked = self._pick(pick)
        with suppress(PolicyError):
            self.world.servers[server].work(lambda tx: revoke_request(tx, asked.id, by="olga", reason="r"))
            asked.revoked = True

    @precondition(lambda self: self.asked)
    @rule(server=SERVER, pick=PICK)
    def forge(self, server: int, pick: int) -> None:
        """Somebody with the database at hand says that a pending request is approved."""
        asked = self._pick(pick)
        forged = approval_requests.update().where(
            approval_requests.c.id == asked.id, approval_requests.c.state == "pending"
        )
        self.world.servers[server].work(lambda tx: tx.execute(forged.values(state="approved")))

    @precondition(lambda self: self.asked)
    @rule(server=SERVER, pick=PICK, behaviour=BEHAVIOUR)
    def spend(self, server: int, pick: int, behaviour: str) -> None:
        """Make the call that a request is for."""
        asked = self._pick(pick)
        self._spend(server, asked, asked.run, asked.tool, asked.arguments, behaviour)

    @precondition(lambda self: self.asked)
    @rule(server=SERVER, pick=PICK, item=ITEM, price=PRICE)
    def spend_with_arguments_swapped(self, server: int, pick: int, item: str, price: int) -> None:
        """Bring a token where it belongs, perhaps with other arguments."""
        asked = self._pick(pick)
        self._spend(server, asked, asked.run, asked.tool, {"item_id": item, "price": price}, "work")

    @precondition(lambda self: self.asked)
    @rule(server=SERVER, pick=PICK, other=PICK, tool=TOOL, item=ITEM, price=PRICE)
    def spend_on_another(self, server: int, pick: int, other: int, tool: str, item: str, price: int) -> None:
        """Bring a token with a call that is perhaps another one, in a run that is perhaps another one."""
        run = self.runs[other % len(self.runs)]
        self._spend(server, self._pick(pick), run, tool, {"item_id": item, "price": price}, "work")

    @precondition(lambda self: self.asked)
    @rule(pick=PICK)
    def spend_at_both_servers_at_once(self, pick: int) -> None:
        """The same call twice, at the same moment."""
        asked = self._pick(pick)
        # With one server out of date the other one alone decides; which it is, the model need not know.
        may = [self._may(number, asked, asked.run, asked.tool, asked.arguments) for number in range(2)]
        self.world.upstream.behaviour = "work"
        said = self.world.use_at_once(asked.run.id, asked.tool, asked.arguments, asked.token)
        done = [answer for answer in said if isinstance(answer, Answer) and answer.code == "done"]
        assert len(done) == int(any(may))
        if any(may):
            asked.spent = True
            self.effects += 1

    @rule(server=SERVER, pick=PICK)
    def move(self, server: int, pick: int) -> None:
        """End the step of a run."""
        run = self.runs[pick % len(self.runs)]
        following = {"small": "big", "big": "small"}[run.step]
        said = self.world.submit(server, run.id, run.step, following)
        if isinstance(said, Answer):
            run.step, run.epoch = following, run.epoch + 1

    @rule(server=SERVER, pick=PICK)
    def move_there_and_back(self, server: int, pick: int) -> None:
        """The run is where it was, and yet not in the same epoch."""
        self.move(server, pick)
        self.move(server, pick)

    @rule(minutes=st.sampled_from([1, 1, 29, 61]))
    def wait(self, minutes: int) -> None:
        """Time passes."""
        self.world.now_ms += minutes * 60_000

    @rule(server=SERVER, let_go=st.booleans())
    def freeze(self, server: int, let_go: bool) -> None:
        """An administrator stops everything; it is tried; and perhaps everything goes on."""
        for frozen in (True, False) if let_go or self.frozen else (True,):
            self.world.servers[server].work(self._stop if frozen else self._let_go)
            self.frozen = frozen
            if self.asked:
                self.spend(server, LAST, "work")

    def _stop(self, tx: Transaction) -> None:
        set_frozen(tx, frozen=True, by="olga", reason="r")

    def _let_go(self, tx: Transaction) -> None:
        agreed = agreement_on(tx, "unfreeze", {"reason": "r"}, self.keys["olga"], self.keys["ada"])
        set_frozen(tx, frozen=False, by="olga", reason="r", act=agreed.act)

    @rule(server=SERVER, files=st.sampled_from([0, 0, 0, 0, 0, 1]))
    def restart(self, server: int, files: int) -> None:
        """A server starts again, perhaps with other files."""
        self.world.restart(server, files)
        self.gate_files = files

    @precondition(lambda self: not self.gone and len(self.asked) > 4)
    @rule(server=SERVER, person=st.sampled_from(MAY_APPROVE))
    def dismiss(self, server: int, person: str) -> None:
        """A reviewer leaves."""
        self.leave(server, person)

    def leave(self, server: int, person: str) -> None:
        """End a reviewer's part."""
        leave = partial(revoke_person, person=person, tenant="acme", by="ada")
        self.world.servers[server].work(leave)
        self.gone.add(person)

    @invariant()
    def the_world_has_changed_as_often_as_the_model_says(self) -> None:
        assert len(self.world.upstream.effects) == self.effects

    def _pick(self, pick: int) -> Asked:
        # The newest requests are the interesting ones: older ones are mostly spent or out of time.
        newest = list(self.asked.values())[-3:]
        return newest[pick % len(newest)] if pick >= 0 else newest[-1]

    def _may(self, server: int, asked: Asked, run: Run, tool: str, arguments: JsonObject) -> bool:
        """Whether this call may have its effect: every reason why not, in the model's own words."""
        return (
            (run, tool) == (asked.run, asked.tool)
            and asked.arguments == arguments
            and asked.epoch == run.epoch
            and not (asked.spent or asked.denied or asked.revoked or self.frozen)
            and len(asked.approved_by - self.gone) >= NEEDED[tool]
            and self.world.now_ms < asked.expires_ms
            and asked.files == self.world.servers[server].files == self.gate_files
            and arguments["item_id"] not in self.in_the_way
        )

    def _spend(
        self, server: int, asked: Asked, run: Run, tool: str, arguments: JsonObject, behaviour: str
    ) -> None:
        may = self._may(server, asked, run, tool, arguments)
        upstream = self.world.upstream
        upstream.behaviour = behaviour
        frames = upstream.frames
        try:
            said = self.world.use(server, run.id, tool, dict(arguments), asked.token)
        except Crash:
            assert may
            code = "crashed"
            # Started again, it finds an execution whose lease still runs.
            self.world.restart(server, self.world.servers[server].files)
            self.gate_files = self.world.servers[server].files
        else:
            code = said.code if isinstance(said, Answer) else said.denial.code
            if isinstance(said, Refused) and said.denial.code == "approval_required":
                self._remember(run, tool, arguments, said, server)
        assert upstream.frames - frames == int(may), (code, asked)
        if not may:
            assert code not in ("done", "failed", "in_doubt")
            return
        asked.spent = True
        self.effects += behaviour not in ("refuse", "crash_before")
        if behaviour not in ("work", "refuse"):
            self.in_the_way.add(str(arguments["item_id"]))

    def _refused(self, server: int, run: Run, tool: str, arguments: JsonObject, token: str | None) -> Refused:
        said = self.world.use(server, run.id, tool, dict(arguments), token)
        assert isinstance(said, Refused)
        return said

    def _remember(self, run: Run, tool: str, arguments: JsonObject, said: Refused, server: int) -> None:
        """Note the request that a refusal names."""
        if said.denial.code != "approval_required":
            return
        told = said.denial.detail["approval"]
        assert isinstance(told, dict)
        request_id, token = str(told["request"]), str(told["approval_token"])
        if request_id in self.asked:
            return
        for old in self.asked.values():
            # One request at a time stands for a call: an older one of other files or time made way for it.
            if (old.run, old.epoch, old.tool, old.arguments) == (run, run.epoch, tool, arguments):
                old.revoked = True
        expires_ms = self.world.now_ms + HOUR_MS
        files = self.world.servers[server].files
        new = Asked(request_id, token, run, run.epoch, tool, dict(arguments), files, expires_ms)
        self.asked[request_id] = new
