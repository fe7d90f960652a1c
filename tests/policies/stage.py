"""A small stage for the gate's tests: a ledger whose clock they move, people with keys, an agent, a write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from ledger.canonical import JsonObject
from ledger.keyring import KeyRing
from ledger.ledger import Ledger
from ledger.transaction import Transaction
from policies.agents import enrol_agent
from policies.approvals import ApprovalRequest, record_verdict, redeem, request_approval
from policies.call import PresentedCall, Quorum
from policies.codes import Denial
from policies.enrolling import enrol_person, enrol_root
from policies.enrolments import sign_enrolment
from policies.gate_state import GateDigests, load_gate
from policies.principals import Agent, Person
from policies.signing import PersonalKey, new_personal_key
from policies.tokens import derive_token
from policies.verdicts import Choice, sign_verdict
from tests.policies.two_admins import enrol_by_two

T = TypeVar("T")
START_MS = 1_790_000_000_000
HOUR_MS = 3_600_000


def a_call(**changes: Any) -> PresentedCall:
    """A refund of 20 on one order, as agent `clerk` presents it; `changes` replace fields."""
    call = PresentedCall(
        upstream="desk",
        endpoint="sha256:endpoint",
        tool="refund",
        fingerprint="sha256:fingerprint",
        arguments={"order_id": "o-1", "amount": 20},
        target="order:o-1",
        precondition=None,
        tenant="acme",
        principal="clerk",
        run="run_1",
        step="execute",
        epoch=5,
        evidence=("bnd_1", "obs-1@1"),
        policy="sha256:policy",
        catalogue="sha256:catalogue",
        workflow="sha256:workflow",
    )
    return replace(call, **changes)


@dataclass
class Stage:
    """`rosa` is the root and administers, `owen` owns the agent `clerk`; `rita`, `remy` and `owen` review."""

    ledger: Ledger
    ring: KeyRing
    clock: list[int]
    keys: dict[str, PersonalKey] = field(default_factory=dict[str, PersonalKey])
    agent_key: str = ""
    executions: int = 0

    def work(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in one ledger transaction, a millisecond later than the one before."""
        self.clock[0] += 1
        return self.ledger.transact_now(work)

    def sql(self, statement: Any, params: Any = None) -> None:
        """Change a table behind the gate's back."""
        self.work(lambda tx: tx.execute(statement, params))

    def enrol(
        self,
        name: str,
        *roles: str,
        tenant: str = "acme",
        aliases: frozenset[str] = frozenset(),
        by: str = "rosa",
        key: PersonalKey | None = None,
        second: str | None = None,
    ) -> PersonalKey:
        """Enrol a person, by the signature of `by` and of a `second` admin where one is named, with a new key
        unless one is given.
        """
        own = key or new_personal_key(name)
        signed = sign_enrolment(
            self.keys[by], Person(name, tenant, frozenset(roles), aliases), own.public_key
        )
        if second is None:
            self.work(lambda tx: enrol_person(tx, signed, by=by))
        else:
            self.work(lambda tx: enrol_by_two(tx, signed, self.keys[by], self.keys[second]))
        self.keys.setdefault(name, own)
        return own

    def request(
        self, call: PresentedCall | None = None, quorum: Quorum | None = None, lifetime_ms: int = HOUR_MS
    ) -> ApprovalRequest:
        """Ask for approval of a call."""
        asked = self.ask(call, quorum, lifetime_ms)
        assert isinstance(asked, ApprovalRequest), asked
        return asked

    def ask(
        self, call: PresentedCall | None = None, quorum: Quorum | None = None, lifetime_ms: int = HOUR_MS
    ) -> ApprovalRequest | Denial:
        """Ask for approval of a call; the answer may be a denial."""
        summary: JsonObject = {"purpose": "Refund one order."}

        def asking(tx: Transaction) -> ApprovalRequest | Denial:
            terms = quorum or Quorum(1)
            exact = (call or a_call()).under(
                quorum=terms, not_before=tx.now_ms, expires=tx.now_ms + lifetime_ms
            )
            return request_approval(tx, exact, self.ring.secret("approval-token"), summary)

        return self.work(asking)

    def judge(
        self, request: ApprovalRequest, who: str, choice: Choice = "approve", key: PersonalKey | None = None
    ) -> ApprovalRequest:
        """Let a person sign a verdict, and record it."""
        signed = sign_verdict(key or self.keys[who], request.digest, choice, at=self.clock[0])
        return self.work(lambda tx: record_verdict(tx, request.id, signed))

    def approved(self, call: PresentedCall | None = None, quorum: Quorum | None = None) -> ApprovalRequest:
        """A request that rita has approved."""
        return self.judge(self.request(call, quorum), "rita")

    def redeem(
        self,
        request: ApprovalRequest,
        call: PresentedCall | None = None,
        *,
        changed: tuple[str, ...] = (),
        busy: str | None = None,
    ) -> Denial | None:
        """Present a call with a request's approval."""
        self.executions += 1
        name = f"exe_{self.executions}"
        return self.work(
            lambda tx: redeem(tx, request, call or a_call(), execution=name, changed=changed, busy=busy)
        )

    def code(self, request: ApprovalRequest, call: PresentedCall | None = None, **facts: Any) -> str:
        """The code of a redemption: `done`, or why not."""
        denial = self.redeem(request, call, **facts)
        return "done" if denial is None else denial.code

    def token(self, request: ApprovalRequest) -> str:
        """What the agent carries for a request."""
        return derive_token(self.ring.secret("approval-token"), request.id)


def set_stage(folder: Path) -> Stage:
    """A stage with everybody enrolled and the gate loaded."""
    clock = [START_MS]
    ring = KeyRing.create(folder / "keys")
    ledger = Ledger.open(
        f"sqlite:///{folder / 'ledger.db'}", ring, origin="bailiwick/test", clock=lambda: clock[0]
    )
    stage = Stage(ledger, ring, clock)
    root = new_personal_key("rosa")
    stage.keys["rosa"] = root
    stage.work(lambda tx: enrol_root(tx, Person("rosa", "acme", frozenset({"admin", "curator"})), root))
    for name in ("owen", "rita", "remy"):
        stage.enrol(name, "reviewer")
    stage.agent_key = stage.work(lambda tx: enrol_agent(tx, Agent("clerk", "acme", "owen"), by="rosa"))
    digests = GateDigests("sha256:policy", "sha256:catalogue", {"refund": "sha256:workflow"})
    stage.work(lambda tx: load_gate(tx, digests, by="rosa"))
    return stage
