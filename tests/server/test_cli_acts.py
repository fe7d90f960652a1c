"""What lowers the gate takes two admins, as soon as there ever was a second one."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.canonical import JsonObject
from ledger.keyring import KeyRing
from policies.acts import ActRefused, find_act, propose_act, sign_act
from policies.agreements import ACT_LIFETIME_MS, SIGN_ACT
from policies.enrolling import enrol_person
from policies.enrolments import sign_enrolment
from policies.people import is_single_handed
from policies.principals import Person
from policies.signing import PersonalKey, new_personal_key
from server.open_ledger import open_ledger
from server.operations.registry import OPERATIONS
from tests.policies.stage import Stage
from tests.policies.stage import set_stage as set_gate_stage
from tests.policies.two_admins import asked
from tests.server.office import Office


def enrolling(office: Office, name: str, role: str, *more: str, by: str = "ada") -> tuple[int, str, str]:
    """A new key for somebody, and an admin who enrols it: exit code, stdout and stderr."""
    public = office.say("key", "new", name, by="").id
    said = office.say("person", "add", name, "--role", role, f"--public-key={public}", *more, by=by)
    return said.code, said.out.strip(), said.err


@pytest.fixture
def two(office: Office) -> Office:
    """The office with grace as its second admin."""
    assert enrolling(office, "grace", "admin")[0] == 0
    return office


def kinds(office: Office) -> list[str]:
    with open_ledger(office.folder, KeyRing.load(office.folder.keys_dir)) as ledger:
        return [entry.kind for entry in ledger.entries() if entry.kind.startswith("act.")]


def test_until_there_is_a_second_admin_one_acts_alone_and_everything_says_so(office: Office) -> None:
    doctor = office.say("doctor").out
    assert "this installation is single-handed: one admin alone may lower the gate" in doctor
    before = kinds(office)
    assert enrolling(office, "eve", "reviewer")[0] == 0
    assert enrolling(office, "grace", "admin")[0] == 0
    assert kinds(office) == [*before, "act.alone", "act.alone"]
    assert "lowering the gate takes two" in office.say("doctor").out
    # That was the last act of one.
    code, act, err = enrolling(office, "oscar", "reviewer")
    assert (code, act[:4]) == (1, "act_")
    assert "Nothing is done yet: oscar becomes reviewer, which takes two admins" in err
    assert office.say("person", "list", "--json").json[-1]["person"] != "oscar"


def test_another_name_of_the_first_admin_is_no_second_one(office: Office) -> None:
    assert enrolling(office, "ada.b", "admin", "--alias", "ada")[0] == 0
    assert enrolling(office, "eve", "reviewer")[0] == 0
    assert "single-handed" in office.say("doctor").out


def test_a_second_admin_looks_and_signs_and_it_is_done(two: Office) -> None:
    _, act, _ = enrolling(two, "eve", "reviewer")
    waiting = two.say("act", "list", "--json").json
    assert [(one["act"], one["proposed_by"], one["lowers"]) for one in waiting] == [
        (act, "ada", ["eve becomes reviewer"])
    ]
    shown = two.say("act", "show", act, by="grace").out
    assert '"person": "eve"' in shown
    assert two.say("act", "sign", act, by="grace").id == act
    assert two.say("act", "list", "--json").json == []
    assert [one["state"] for one in two.say("act", "list", "--all", "--json").json] == ["done"]
    assert two.say("person", "list", by="eve").code == 0
    assert kinds(two)[-3:] == ["act.proposed", "act.signed", "act.done"]
    again = two.say("act", "sign", act, by="grace")
    assert (again.code, "is done and cannot be signed" in again.err) == (1, True)


def test_the_same_act_is_proposed_once_and_can_be_withdrawn(two: Office, tmp_path: Path) -> None:
    public = two.say("key", "new", "eve", by="").id
    add = ("person", "add", "eve", "--role", "reviewer", f"--public-key={public}")
    assert two.say(*add).out == two.say(*add).out
    act = two.say(*add).out.strip()
    assert two.say("act", "withdraw", act, by="grace").id == act
    assert two.say("act", "sign", act, by="grace").code == 1
    assert two.say(*add).out.strip() != act


def test_whoever_proposed_cannot_sign_and_neither_can_somebody_without_the_role(two: Office) -> None:
    _, act, _ = enrolling(two, "eve", "reviewer")
    own = two.say("act", "sign", act)
    assert (own.code, "You proposed" in own.err) == (1, True)
    assert two.say("act", "sign", act, by="dave").code == 1
    assert two.say("act", "sign", "act_nothing", by="grace").code == 1


def test_what_cannot_be_done_any_more_fails_and_says_so(two: Office) -> None:
    _, act, _ = enrolling(two, "dave.b", "reviewer")
    assert two.say("agent", "add", "dave.b").code == 0
    said = two.say("act", "sign", act, by="grace")
    assert (said.code, "is an agent" in said.err) == (1, True)
    assert [one["state"] for one in two.say("act", "list", "--all", "--json").json] == ["failed"]


def test_a_curator_is_enrolled_by_one_but_not_with_fewer_aliases(two: Office) -> None:
    assert enrolling(two, "carl", "curator", "--alias", "dave")[0] == 0
    public = next(one for one in two.say("key", "list", "--json").json if one["person"] == "carl")[
        "public_key"
    ]
    again = two.say("person", "add", "carl", "--role", "curator", f"--public-key={public}")
    assert "carl is no longer the same human as dave" in again.err


def test_unfreezing_takes_two_and_freezing_one(two: Office) -> None:
    assert two.say("freeze", "--agent", "bot", "--reason", "odd calls").out == "frozen: agent:bot\n"
    act = two.say("unfreeze", "--agent", "bot").out.strip()
    assert two.say("act", "sign", act, by="grace").code == 0
    assert "it was so already" in two.say("unfreeze", "--agent", "bot").err
    assert two.say("freeze", "--agent", "nobody").code == 2
    assert two.say("freeze", "--agent", "bot", "--tool", "x").code == 2


def test_policies_that_allow_more_are_loaded_by_two_and_tighter_ones_by_one(two: Office) -> None:
    policy = two.folder.policy_dir / "people.cedar"
    shipped = policy.read_text()
    policy.write_text(
        f'{shipped}\n@id("own") forbid (principal is Agent, action == Action::"open_run", resource);'
    )
    assert two.say("policy", "load").id.startswith("sha256:")
    policy.write_text(shipped)
    proposed = two.say("policy", "load")
    assert (proposed.code, "own no longer forbids" in proposed.err) == (1, True)
    shown = two.say("act", "show", proposed.out.strip(), by="grace").out
    assert '-@id("own")' in shown
    assert "+  open_run        Workflow      tenant=own" in shown
    assert two.say("act", "sign", proposed.out.strip(), by="grace").code == 0
    assert two.say("doctor").out.count("WRONG") == 0
    policy.write_text("permit(")
    assert two.say("policy", "load").code == 2
    assert two.say("agent", "list").code == 0  # what is in force goes on


def test_a_decision_is_explained_with_what_would_change_it(office: Office) -> None:
    denied = office.say("policy", "explain", "use_tool", "bot", "--on", "desk__refund").out
    assert denied.startswith("denied\n")
    assert "forbidden by writes-need-approval" in denied
    assert "it says: A write needs a human's approval of exactly this call." in denied
    assert "it would be allowed if approved were yes" in denied
    allowed = office.say("policy", "explain", "use_tool", "bot", "--fact", "approved=yes", "--json").json
    assert (allowed["allowed"], allowed["policies"]) == (True, ["agents-use-the-tools-of-their-step"])
    assert "dave had the role admin" in office.say("policy", "explain", "administer", "dave").out
    for wrong in (
        ("use_tool", "nobody"),
        ("use_tool", "dave"),
        ("use_tool", "bot", "--fact", "colour=red"),
        ("use_tool", "bot", "--fact", "approved=maybe"),
        ("use_tool", "bot", "--fact", "people=many"),
        ("dance", "bot"),
    ):
        assert office.say("policy", "explain", *wrong).code == 2, wrong


def test_labels_of_an_agent_are_given_listed_and_replaced(office: Office) -> None:
    office.say("agent", "add", "clerk", "--label", "hr", "--label", "board").id  # noqa: B018
    office.say("agent", "labels", "bot", "hr").id  # noqa: B018
    office.say("agent", "labels", "clerk").id  # noqa: B018
    labels = {one["agent"]: one["labels"] for one in office.say("agent", "list", "--json").json}
    assert labels == {"bot": ["hr"], "clerk": []}
    assert office.say("agent", "labels", "nobody", "hr").code == 2
    assert office.say("agent", "labels", "bot", "H R").code == 2
    denied = office.say("policy", "explain", "read_evidence", "bot", "--fact", "labels=board,hr").out
    assert "it would be allowed if bot held the labels board, hr" in denied


def test_the_matrix_of_the_folder_is_printed_without_a_key(office: Office) -> None:
    printed = office.say("policy", "matrix", by="").out
    assert printed == (Path(__file__).parents[1] / "policies" / "matrix.txt").read_text()
    cells = office.say("policy", "matrix", "--json", by="").json
    assert {"principal": "admin", "action": "curate", "resource": "Source", "allowed": ["never"]} in cells


def test_what_can_be_proposed_needs_the_ledger_alone() -> None:
    """Whoever signs has it done at once, on a desk where nothing else is open."""
    proposable = {name for name, operation in OPERATIONS.items() if operation.lowers is not None}
    assert proposable == {
        "key.replace",
        "person.add",
        "policy.load",
        "unfreeze",
        "upstream.load",
        "workflow.load",
    }
    assert {OPERATIONS[name].uses for name in proposable} == {"ledger"}


@pytest.fixture
def gate(tmp_path: Path) -> Stage:
    """The gate's own stage, with ruth as its second admin and rosa's other name, rosa.b."""
    stage = set_gate_stage(tmp_path)
    stage.enrol("ruth", "admin")
    stage.enrol("rosa.b", "admin", aliases=frozenset({"rosa"}), second="ruth")
    return stage


def proposed(gate: Stage) -> tuple[str, str]:
    args: JsonObject = {"reason": "over"}
    return propose(gate, "rosa", args)


def propose(gate: Stage, who: str, args: JsonObject) -> tuple[str, str]:
    act = gate.work(
        lambda tx: propose_act(
            tx, "unfreeze", args, ["work goes on"], asked=asked(tx, gate.keys[who], "unfreeze", args)
        )
    )
    return act.id, act.digest


def sign(gate: Stage, act: tuple[str, str], key: PersonalKey) -> None:
    seen: JsonObject = {"act": act[0], "digest": act[1]}
    gate.work(lambda tx: sign_act(tx, act[0], act[1], agreed=asked(tx, key, SIGN_ACT, seen)))


def test_a_second_name_of_whoever_proposed_is_not_a_second_person(gate: Stage) -> None:
    act = proposed(gate)
    with pytest.raises(ActRefused, match="by this name or another"):
        sign(gate, act, gate.keys["rosa.b"])
    sign(gate, act, gate.keys["ruth"])
    assert gate.ledger.read(lambda reading: find_act(reading, act[0])).state == "signed"


def test_a_further_key_of_whoever_proposed_is_not_a_second_person(gate: Stage) -> None:
    act = proposed(gate)
    further = gate.enrol("rosa", "admin", by="ruth", second="rosa", key=new_personal_key("rosa"))
    with pytest.raises(ActRefused, match="it takes two people"):
        sign(gate, act, further)


def test_an_act_expires_and_falls_with_the_role_of_whoever_proposed_it(gate: Stage) -> None:
    act = proposed(gate)
    gate.clock[0] += ACT_LIFETIME_MS
    with pytest.raises(ActRefused, match="is expired"):
        sign(gate, act, gate.keys["ruth"])
    args: JsonObject = {"reason": "later"}
    later = propose(gate, "ruth", args)
    ruth = gate.keys["ruth"]
    signed = sign_enrolment(
        gate.keys["rosa"], Person("ruth", "acme", frozenset({"curator"})), ruth.public_key
    )
    gate.work(lambda tx: enrol_person(tx, signed, by="rosa"))
    with pytest.raises(ActRefused, match="no admin any more"):
        sign(gate, later, gate.keys["rosa"])
    # There was a second admin once: nobody acts alone again.
    assert not gate.ledger.read(is_single_handed)
