"""What takes two admins is proven by what both signed: at the gate, in an audit, and at a start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import text

from ledger.canonical import JsonObject, canonical
from ledger.entries import Entry
from ledger.errors import LedgerDamaged
from ledger.lookup import raw_entry_at
from ledger.transaction import Transaction
from policies.acts import ActRefused, note_alone, propose_act, sign_act
from policies.agreements import Agreement, act_digest
from policies.audit_people import PEOPLE_TOLD_BY
from policies.audit_rules import check_complete
from policies.enrolling import enrol_person
from policies.enrolments import SignedEnrolment, sign_enrolment
from policies.errors import EnrolmentRefused
from policies.gate_proof import GateUnproven, prove_gate
from policies.gate_replay import GATE_KINDS
from policies.gate_state import EVERYTHING, GateDigests, digest_of_workflows, load_gate, set_frozen
from policies.people import holder_of_key, revoke_person
from policies.principals import Person
from policies.signing import new_personal_key
from policies.tables import TOLD_OF_THE_GATE, gate_state, person_keys
from tests.policies.stage import Stage, set_stage
from tests.policies.two_admins import agreement_on, asked, enrol_by_two, enrolment_as_args

EVE = new_personal_key("eve")


@pytest.fixture
def two(tmp_path: Path) -> Stage:
    """The stage with ruth as its second admin, and rosa's other name rosa.b."""
    stage = set_stage(tmp_path)
    stage.enrol("ruth", "admin")
    stage.enrol("rosa.b", "admin", aliases=frozenset({"rosa"}), second="ruth")
    return stage


def signed_by(stage: Stage, admin: str, *roles: str) -> SignedEnrolment:
    person = Person("eve", "acme", frozenset(roles or {"reviewer"}))
    return sign_enrolment(stage.keys[admin], person, EVE.public_key)


def faults(stage: Stage) -> list[str]:
    return list(check_complete(stage.ledger.entries()))


def proven(stage: Stage) -> None:
    stage.ledger.read(prove_gate)


def test_what_two_admins_signed_is_proven_whole_and_starts(two: Stage) -> None:
    two.work(lambda tx: enrol_by_two(tx, signed_by(two, "ruth"), two.keys["ruth"], two.keys["rosa"]))
    two.enrol("curt", "curator")
    two.work(lambda tx: set_frozen(tx, frozen=True, by="ruth", reason="odd"))
    let_go(two)
    assert faults(two) == []
    proven(two)
    assert holder(two, EVE.kid) == {"reviewer"}


def holder(stage: Stage, kid: str) -> frozenset[str] | None:
    found = stage.ledger.read(lambda reading: holder_of_key(reading, kid))
    return None if found is None else found.person.roles


@pytest.mark.parametrize("roles", [("reviewer",), ("admin",), ("curator", "admin")])
def test_one_admin_alone_enrols_nobody_who_opens_the_gate(two: Stage, roles: tuple[str, ...]) -> None:
    with pytest.raises(EnrolmentRefused, match="takes two admins"):
        two.work(lambda tx: enrol_person(tx, signed_by(two, "rosa", *roles), by="rosa"))


def test_one_admin_alone_takes_no_alias_away(two: Stage) -> None:
    carl = two.enrol("carl", "curator", aliases=frozenset({"rita"}))
    with pytest.raises(EnrolmentRefused, match="no longer the same human as rita"):
        two.enrol("carl", "curator", key=carl)


# Forgeries by whoever controls the server's account, and so its log, its tables and its keys, and holds the
# root admin's key: everything but the key of another admin.


def written(stage: Stage, agreement: Agreement | None, signed: SignedEnrolment | None = None) -> None:
    """Write an enrolment into log and tables, past all code that would refuse it."""
    signed = signed or signed_by(stage, "rosa")

    def write(tx: Transaction) -> None:
        body = signed.as_json(seq_of(stage, "rosa"), None if agreement is None else agreement.as_json())
        seq = tx.append(Entry("person.enrolled", "acme", body, principal="rosa"))
        known = {"tenant": "acme", "aliases": "[]", "enrolled_ms": tx.now_ms}
        tx.execute(
            text(
                "INSERT INTO people (id, tenant, roles, aliases, enrolled_ms) "
                "VALUES ('eve', :tenant, '[\"reviewer\"]', :aliases, :enrolled_ms)"
            ),
            known,
        )
        key = {"kid": EVE.kid, "person": "eve", "public_key": EVE.public_key}
        tx.execute(person_keys.insert(), key | {"enrolled_seq": seq, "enrolled_ms": tx.now_ms})

    stage.work(write)


def seq_of(stage: Stage, person: str) -> int:
    kid = stage.keys[person].kid
    rows = stage.ledger.read(lambda reading: reading.all(person_keys.select()))
    return next(int(row.enrolled_seq) for row in rows if row.kid == kid)


def by_oneself(stage: Stage) -> Agreement:
    """rosa is both; what a second admin would have signed is signed by her other name."""
    return made(stage, "rosa", "rosa.b")


def made(stage: Stage, first: str, second: str, args: JsonObject | None = None) -> Agreement:
    """What two keys sign, whosever they are."""
    given = args or enrolment_as_args(signed_by(stage, "rosa"))
    seen: JsonObject = {"act": "act_x", "digest": act_digest("person.add", given)}

    def make(tx: Transaction) -> Agreement:
        return Agreement(
            "act_x",
            "person.add",
            given,
            asked(tx, stage.keys[first], "person.add", given),
            asked(tx, stage.keys[second], "act.sign", seen),
            seq_of(stage, second),
        )

    return stage.work(make)


def for_somebody_else(stage: Stage) -> Agreement:
    other = Person("emil", "acme", frozenset({"reviewer"}))
    signed = sign_enrolment(stage.keys["rosa"], other, new_personal_key("emil").public_key)
    return made(stage, "rosa", "ruth", enrolment_as_args(signed))


def for_fewer_roles(stage: Stage) -> Agreement:
    return made(stage, "rosa", "ruth", enrolment_as_args(signed_by(stage, "rosa", "curator")))


def with_a_swapped_name(stage: Stage) -> Agreement:
    """ruth did sign, but for another act of this installation."""
    agreement = for_somebody_else(stage)
    return replace(agreement, args=enrolment_as_args(signed_by(stage, "rosa")))


def by_a_reviewer(stage: Stage) -> Agreement:
    return made(stage, "rosa", "rita")


def by_nobodys_key(stage: Stage) -> Agreement:
    agreement = by_a_reviewer(stage)
    return replace(agreement, agreed=replace(agreement.agreed, person="ruth", kid=stage.keys["ruth"].kid))


def much_later(stage: Stage) -> Agreement:
    early = made(stage, "rosa", "ruth").asked
    stage.clock[0] += 4 * 24 * 3_600_000
    return replace(made(stage, "rosa", "ruth"), asked=early)


FORGED: dict[str, Callable[[Stage], Agreement | None]] = {
    "without a second": lambda _stage: None,
    "by the same human under another name": by_oneself,
    "for another person": for_somebody_else,
    "for other roles": for_fewer_roles,
    "for another act": with_a_swapped_name,
    "by a reviewer": by_a_reviewer,
    "under a key that did not sign": by_nobodys_key,
    "long after it was asked for": much_later,
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_an_enrolment_without_two_admins_opens_nothing_and_is_named(
    two: Stage, forge: Callable[[Stage], Agreement | None]
) -> None:
    agreement = forge(two)
    written(two, agreement)
    assert holder(two, EVE.kid) is None
    assert any("enrols eve without the two admins" in fault for fault in faults(two))
    with pytest.raises(GateUnproven, match="enrols eve without the two admins"):
        proven(two)


def test_the_forged_enrolments_differ_from_a_good_one_in_that_alone(two: Stage) -> None:
    """Written past all code as the forged ones are, what two admins signed does count."""
    signed = signed_by(two, "rosa")

    def agree(tx: Transaction) -> Agreement:
        return agreement_on(tx, "person.add", enrolment_as_args(signed), two.keys["rosa"], two.keys["ruth"])

    written(two, two.work(agree), signed)
    assert holder(two, EVE.kid) == {"reviewer"}
    assert faults(two) == []


def test_one_admin_alone_has_not_enrolled_by_deleting_the_second_from_the_tables(two: Stage) -> None:
    written(two, None)
    two.sql(text("DROP TRIGGER second_admin_refuses_delete"))
    two.sql(text("DELETE FROM second_admin"))
    assert any("without the two admins" in fault for fault in faults(two))
    with pytest.raises(GateUnproven):
        proven(two)


def test_what_two_admins_signed_is_done_once(two: Stage) -> None:
    """An enrolment that was revoked does not come back by the signatures of then."""
    signed = signed_by(two, "rosa")
    two.work(lambda tx: enrol_by_two(tx, signed, two.keys["rosa"], two.keys["ruth"]))
    again = list(two.ledger.entries(kinds=["person.enrolled"]))[-1]
    two.work(lambda tx: revoke_person(tx, "eve", tenant="acme", by="ruth"))
    two.work(lambda tx: tx.append(Entry("person.enrolled", "acme", again.body, principal="rosa")))
    assert any("enrols eve without the two admins" in fault for fault in faults(two))


def let_go(stage: Stage, act: str | None = None) -> None:
    """What is frozen goes on, by an act of rosa and ruth unless one is named."""

    def agree(tx: Transaction) -> str:
        return agreement_on(tx, "unfreeze", {"reason": "over"}, stage.keys["rosa"], stage.keys["ruth"]).act

    by = stage.work(agree) if act is None else act
    stage.work(lambda tx: set_frozen(tx, frozen=False, by="rosa", reason="over", act=by))


def freeze(stage: Stage, what: str = EVERYTHING) -> None:
    stage.work(lambda tx: set_frozen(tx, frozen=True, by="ruth", reason="odd", what=what))


def unfrozen_alone(stage: Stage) -> None:
    freeze(stage)
    stage.work(lambda tx: set_frozen(tx, frozen=False, by="rosa", reason="over"))


def unfrozen_by_an_invented_act(stage: Stage) -> None:
    freeze(stage)
    let_go(stage, "act_none")


def another_thing_unfrozen(stage: Stage) -> None:
    freeze(stage)
    freeze(stage, "agent:clerk")
    let_go(stage)
    act = str(list(stage.ledger.entries(kinds=["act.signed"]))[-1].body["act"])
    stage.work(lambda tx: set_frozen(tx, frozen=False, by="rosa", reason="", what="agent:clerk", act=act))


def other_files(stage: Stage, lowers: tuple[str, ...], acts: tuple[str, ...]) -> None:
    digests = GateDigests("sha256:policy", "sha256:other", {"refund": "sha256:loose"}, "sha256:tools")
    stage.work(lambda tx: load_gate(tx, digests, by="server", lowers=lowers, acts=acts))


def files_agreed(stage: Stage, op: str, digest: str) -> None:
    args: JsonObject = {"digest": digest, "base": "sha256:base"}
    act = stage.work(lambda tx: agreement_on(tx, op, args, stage.keys["rosa"], stage.keys["ruth"])).act
    other_files(stage, ("a step allows more executions",), (act,))


def signed_alone(stage: Stage) -> None:
    """An act that the log says was signed, by its proposer's own two names."""
    agreement = by_oneself(stage)
    own: JsonObject = {"act": "act_x", "digest": agreement.digest}

    def write(tx: Transaction) -> None:
        tx.append(Entry("act.proposed", "acme", own, principal="rosa"))
        tx.append(Entry("act.signed", "acme", {**own, "agreement": agreement.as_json()}, principal="rosa.b"))

    stage.work(write)


def never_proposed(stage: Stage) -> None:
    agreement = made(stage, "rosa", "ruth")
    body: JsonObject = {"act": "act_x", "agreement": agreement.as_json()}
    stage.work(lambda tx: tx.append(Entry("act.signed", "acme", body, principal="ruth")))


def signed_without_what_was_signed(stage: Stage) -> None:
    stage.work(lambda tx: tx.append(Entry("act.signed", "acme", {"act": "act_x"})))


ACTS: dict[str, tuple[str, Callable[[Stage], None]]] = {
    "alone": (
        "lowers the gate by one admin alone",
        lambda s: s.work(lambda tx: note_alone(tx, "unfreeze", ["it goes on"], tenant="acme", by="rosa")),
    ),
    "signed by one human": ("no two admins signed it so", signed_alone),
    "signed and never proposed": ("no two admins signed it so", never_proposed),
    "signed without what was signed": (
        "without what two admins signed",
        signed_without_what_was_signed,
    ),
    "an end of a freeze by one": ("lets everything go on by None", unfrozen_alone),
    "an end of a freeze by nothing": ("lets everything go on by act_none", unfrozen_by_an_invented_act),
    "an end of another freeze": ("lets agent:clerk go on", another_thing_unfrozen),
    "files without an act": (
        "by files that no two admins agreed to",
        lambda s: other_files(s, ("a step allows more executions",), ()),
    ),
    "other tools than were agreed to": (
        "puts files into force",
        lambda s: files_agreed(s, "upstream.load", "sha256:else"),
    ),
    "other workflows than were agreed to": (
        "puts files into force",
        lambda s: files_agreed(s, "workflow.load", "sha256:else"),
    ),
    "policies by an act about tools": (
        "puts files into force",
        lambda s: files_agreed(s, "unfreeze", "sha256:tools"),
    ),
}


@pytest.mark.parametrize(("why", "happen"), ACTS.values(), ids=ACTS)
def test_an_act_that_two_admins_did_not_sign_so_is_named(
    two: Stage, why: str, happen: Callable[[Stage], None]
) -> None:
    happen(two)
    assert any(why in fault for fault in faults(two)), faults(two)
    with pytest.raises(GateUnproven):
        proven(two)


@pytest.mark.parametrize(
    ("op", "digest"),
    [
        ("upstream.load", "sha256:tools"),
        ("workflow.load", digest_of_workflows({"refund": "sha256:loose"})),
    ],
)
def test_files_that_two_admins_agreed_to_are_whole(two: Stage, op: str, digest: str) -> None:
    files_agreed(two, op, digest)
    assert faults(two) == []
    proven(two)


def test_until_there_is_a_second_admin_one_alone_is_whole(stage: Stage) -> None:
    stage.work(lambda tx: note_alone(tx, "unfreeze", ["it goes on"], tenant="acme", by="rosa"))
    freeze(stage)
    stage.work(lambda tx: set_frozen(tx, frozen=False, by="rosa", reason="over"))
    other_files(stage, ("more is allowed",), ())
    assert faults(stage) == []
    proven(stage)


# The gate's row, set by hand.


def row(**columns: Any) -> Callable[[Stage], None]:
    return lambda stage: stage.sql(gate_state.update().values(**columns))


BY_HAND: dict[str, tuple[str, Callable[[Stage], None]]] = {
    "nothing is frozen": ("frozen is empty in the table", row(frozen="{}")),
    "other policies": ("policy is sha256:mine", row(policy="sha256:mine")),
    "other tools": ("tools is sha256:mine", row(tools="sha256:mine")),
    "another catalogue": ("catalogue is sha256:mine", row(catalogue="sha256:mine")),
    "other workflows": ("workflows is sha256:mine", row(workflows="sha256:mine")),
    "an older generation": ("generation is 1", row(generation=1)),
    "other people": ("people is sha256:mine", row(people="sha256:mine")),
    "another release": ("releases", row(releases='{"acme":7}')),
    "no row": ("generation is empty", lambda stage: stage.sql(gate_state.delete())),
}


@pytest.mark.parametrize(("why", "change"), BY_HAND.values(), ids=BY_HAND)
def test_a_gate_that_was_set_by_hand_does_not_start(
    two: Stage, why: str, change: Callable[[Stage], None]
) -> None:
    freeze(two)
    proven(two)
    change(two)
    with pytest.raises(GateUnproven, match=why):
        proven(two)


def test_an_entry_that_was_edited_to_fit_the_row_does_not_start(two: Stage) -> None:
    freeze(two)
    entry = list(two.ledger.entries(kinds=["gate.frozen"]))[-1]
    two.sql(text("DROP TRIGGER log_refuses_update"))
    raw = two.ledger.read(lambda reading: raw_entry_at(reading, entry.seq))
    assert raw is not None
    edited = raw.replace(b'"odd"', b'"ok!"')
    two.sql(text("UPDATE log SET entry = :entry WHERE seq = :seq"), {"entry": edited, "seq": entry.seq})
    two.sql(gate_state.update().values(frozen=canonical({EVERYTHING: "ok!"}).decode()))
    with pytest.raises(LedgerDamaged, match="does not prove"):
        proven(two)


def test_the_index_holds_every_kind_that_the_proof_replays() -> None:
    assert set(TOLD_OF_THE_GATE) == {*GATE_KINDS, *PEOPLE_TOLD_BY}


def test_an_act_that_waits_is_not_what_was_asked_for_any_more_once_its_row_was_changed(two: Stage) -> None:
    args: JsonObject = {"reason": "over"}
    rosa = two.keys["rosa"]
    act = two.work(
        lambda tx: propose_act(tx, "unfreeze", args, ["x"], asked=asked(tx, rosa, "unfreeze", args))
    )
    other = cast("JsonObject", {"reason": "over", "agent": "clerk"})
    changed = {"args": canonical(other).decode(), "digest": act_digest("unfreeze", other), "id": act.id}
    two.sql(text("UPDATE gate_acts SET args = :args, digest = :digest WHERE id = :id"), changed)

    def sign(tx: Transaction) -> None:
        seen: JsonObject = {"act": act.id, "digest": changed["digest"]}
        sign_act(tx, act.id, changed["digest"], agreed=asked(tx, two.keys["ruth"], "act.sign", seen))

    with pytest.raises(ActRefused, match="is not what was signed"):
        two.work(sign)
