"""The policies as operations: bringing another set into force while work goes on; explaining a decision."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ledger.canonical import JsonObject, JsonValue
from policies.agents import agent_by_id
from policies.cedar import PolicySet
from policies.decisions import SHAPES, FactType, FactValue, Question, Resource
from policies.explaining import explain
from policies.people import person_by_id
from policies.principals import Agent, Person, Principal
from policies.taking import take_policies
from server.data_folder import write_private
from server.errors import BadInput, RuleRefused
from server.operations.operation import Arguments, NoArguments, Operation, OperationDesk


class LoadPolicies(Arguments):
    """The files of a policy set, and the digest of the set that it replaces."""

    files: dict[str, str] = Field(min_length=1, max_length=200)
    base: str = Field(max_length=128)


class Explain(Arguments):
    """A question to the policies; facts that are not said are the usual ones."""

    action: Literal[
        "open_run",
        "read_evidence",
        "use_tool",
        "submit_step",
        "leave_step",
        "propose_source",
        "judge_approval",
        "curate",
        "administer",
    ]
    who: str = Field(max_length=64)
    on: str = Field(default="something", max_length=200)
    tenant: str | None = Field(default=None, max_length=64)
    facts: dict[str, str] = Field(default_factory=dict[str, str])


def _lowers(desk: OperationDesk, _person: Person, given: LoadPolicies) -> tuple[str, ...]:
    return _checked(desk, given).looser_than(desk.policies.now)


def _load(desk: OperationDesk, person: Person, given: LoadPolicies) -> JsonObject:
    policies = _checked(desk, given)
    lowers, acts = policies.looser_than(desk.policies.now), (() if desk.act is None else (desk.act,))

    desk.ledger.transact_now(lambda tx: take_policies(tx, policies, lowers=lowers, by=person.id, acts=acts))
    desk.policies.replace(policies)
    _write_down(desk, policies)
    return {"digest": policies.digest, "policies": list[JsonValue](policies.ids)}


def _checked(desk: OperationDesk, given: LoadPolicies) -> PolicySet:
    """The set, if it can be used at all and still replaces the one that it was made to replace."""
    policies = PolicySet.from_files(given.files, place="what was sent")
    if given.base != desk.policies.digest:
        raise RuleRefused(
            "Other policies came into force in the meantime; run `bailiwick policy load` again."
        )
    return policies


def _write_down(desk: OperationDesk, policies: PolicySet) -> None:
    """Make the folder's files those that are in force, for the next start. Each file is written whole."""
    folder = desk.folder.policy_dir
    for name, text in policies.files.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != text.encode():
            write_private(path, text.encode())
    for path in folder.glob("*.cedar"):
        if path.name not in policies.files:
            path.unlink()


def _explain(desk: OperationDesk, asking: Person, given: Explain) -> JsonObject:
    shape = SHAPES[given.action]
    principal = _principal(desk, asking, given.who)
    if ("Agent" if isinstance(principal, Agent) else "Person") not in shape.principals:
        raise BadInput(
            f"{given.action} is never asked for {given.who}: it is for {' and '.join(shape.principals)}."
        )
    unknown = sorted(given.facts.keys() - shape.facts.keys())
    if unknown:
        known = ", ".join(sorted(shape.facts)) or "no fact"
        raise BadInput(f"{given.action} knows no fact {unknown[0]!r}; it knows {known}.")
    facts = {
        name: _fact(name, kind, given.facts[name]) if name in given.facts else _usual(name, principal)
        for name, kind in shape.facts.items()
    }
    question = Question(
        principal,
        given.action,
        Resource(shape.resource, given.on, given.tenant or principal.tenant),
        tuple(sorted(facts.items())),
    )
    found = explain(desk.policies.now, question)
    return {
        "question": found.question,
        "allowed": found.decision.allowed,
        "reason": found.decision.reason,
        "policies": list[JsonValue](found.decision.policies),
        "says": list[JsonValue](found.says),
        "texts": list[JsonValue](found.texts),
        "changes": list[JsonValue](found.changes),
    }


def _principal(desk: OperationDesk, asking: Person, name: str) -> Principal:
    found = desk.ledger.read(lambda reading: agent_by_id(reading, name) or person_by_id(reading, name))
    if found is None or found.tenant != asking.tenant:
        raise BadInput(f"There is no agent and no person {name}; `agent list` and `person list` show them.")
    return found


def _fact(name: str, kind: FactType, text: str) -> FactValue:
    if kind == "text":
        return text
    if kind == "texts":
        return tuple(sorted(filter(None, text.split(","))))
    if kind == "number" and text.isdecimal() and len(text) < 10:
        return int(text)
    if kind == "yes or no" and text in ("yes", "no"):
        return text == "yes"
    raise BadInput(f"The fact {name} is a {kind}, not {text[:40]!r}.")


def _usual(name: str, principal: Principal) -> FactValue:
    """What a fact is when nothing else is said: an unapproved write in an execute step of one's own run."""
    usual: dict[str, FactValue] = {
        "run_owner": principal.id,
        "labels": (),
        "in_scope": True,
        "step_kind": "execute",
        "effect": "write",
        "people": 0,
        "four_eyes": True,
        "workflow": "",
        "step": "",
        "status": "done",
        "confidence": 100,
        "evidence": (),
        "bundle_tokens": 0,
        "retries": 0,
        "tool": "",
        "target": "",
    }
    return usual.get(name, False)


def _digest(desk: OperationDesk, _person: Person, _given: NoArguments) -> JsonObject:
    return {"digest": desk.policies.digest}


OPERATIONS = (
    Operation("policy.digest", NoArguments, "person", _digest, logged=False),
    Operation("policy.load", LoadPolicies, "admin", _load, lowers=_lowers),
    Operation("policy.explain", Explain, "person", _explain, logged=False),
)
