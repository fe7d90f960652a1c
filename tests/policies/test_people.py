"""People: every key leads back to the root by signatures, and what is taken away is gone at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from ledger.canonical import JsonObject
from ledger.entries import Entry
from ledger.keyring import KeyRing
from ledger.ledger import Ledger
from ledger.transaction import Transaction
from policies.agents import agent_by_id, agent_of_key, enrol_agent, issue_key, list_agents, revoke_agent
from policies.enrolling import enrol_person, enrol_root
from policies.enrolments import Enrolment, SignedEnrolment, enrolment_from_json, sign_enrolment
from policies.errors import EnrolmentRefused, PolicyError
from policies.people import (
    holder_of_key,
    judge_of_key,
    key_of_kid,
    list_people,
    person_by_id,
    revoke_person,
    revoke_person_key,
    withdraw_roles,
)
from policies.principals import Agent, Person, is_valid_id, joined_names
from policies.signing import new_personal_key
from policies.tables import people, person_keys, trust_root
from tests.policies.stage import Stage


def roles_of(stage: Stage, kid: str) -> frozenset[str] | None:
    person = stage.ledger.read(lambda reading: judge_of_key(reading, kid))
    return None if person is None else person.roles


def test_the_root_and_whom_it_enrolled_hold_their_keys(stage: Stage) -> None:
    assert roles_of(stage, stage.keys["rosa"].kid) == {"admin", "curator"}
    assert roles_of(stage, stage.keys["rita"].kid) == {"reviewer"}
    assert roles_of(stage, "0" * 16) is None


def test_trust_passes_through_administrators(stage: Stage) -> None:
    stage.enrol("adam", "admin")
    stage.enrol("nora", "reviewer", by="adam", second="rosa")
    assert roles_of(stage, stage.keys["nora"].kid) == {"reviewer"}


def test_an_administrator_enrolled_anew_takes_nobody_along(stage: Stage) -> None:
    stage.enrol("adam", "admin")
    stage.enrol("nora", "reviewer", by="adam", second="rosa")
    stage.enrol("adam", "curator", key=stage.keys["adam"])
    stage.work(lambda tx: revoke_person(tx, "adam", tenant="acme", by="rosa"))
    assert roles_of(stage, stage.keys["nora"].kid) == {"reviewer"}


def test_only_the_root_enrols_for_other_tenants(stage: Stage) -> None:
    stage.enrol("adam", "admin")
    stage.enrol("gwen", "admin", tenant="globex", second="adam")
    with pytest.raises(EnrolmentRefused, match="globex"):
        stage.enrol("gus", "reviewer", tenant="globex", by="adam")
    stage.enrol("gus", "reviewer", tenant="globex", by="gwen", second="rosa")


def enrol_by(stage: Stage, signer: str, claimed: str | None = None) -> None:
    signed = sign_enrolment(stage.keys[signer], reviewer("nina"), new_personal_key("nina").public_key)
    stage.work(lambda tx: enrol_person(tx, signed, by=claimed or signer))


def reviewer(name: str, tenant: str = "acme") -> Person:
    return Person(name, tenant, frozenset({"reviewer"}))


def widened(stage: Stage) -> None:
    signed = sign_enrolment(stage.keys["rosa"], reviewer("nina"), new_personal_key("nina").public_key)
    more = replace(signed.enrolment, person=Person("nina", "acme", frozenset({"reviewer", "admin"})))
    stage.work(lambda tx: enrol_person(tx, replace(signed, enrolment=more), by="rosa"))


def enrol_named(stage: Stage, name: str, tenant: str = "acme") -> None:
    stage.enrol(name, "reviewer", tenant=tenant, key=new_personal_key(name))


def root_again(stage: Stage) -> None:
    stage.enrol("rosa", "admin", "reviewer", key=stage.keys["rosa"])


def second_root(stage: Stage) -> None:
    person = Person("eve", "acme", frozenset({"admin"}))
    stage.work(lambda tx: enrol_root(tx, person, new_personal_key("eve")))


REFUSED: dict[str, tuple[str, Callable[[Stage], None]]] = {
    "by somebody who is no administrator": ("rita", lambda stage: enrol_by(stage, "rita")),
    "under another's name": ("no key of rosa", lambda stage: enrol_by(stage, "rita", claimed="rosa")),
    "with more roles than were signed": ("not over exactly", widened),
    "of an id that an agent has": ("is an agent", lambda stage: enrol_named(stage, "clerk")),
    "of a person of another tenant": ("another tenant", lambda stage: enrol_named(stage, "rita", "globex")),
    "of the root key anew": ("cannot enrol this key", root_again),
    "of a second root": ("root key already", second_root),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_an_enrolment_is_refused(stage: Stage, sentence: str) -> None:
    message, attempt = REFUSED[sentence]
    before = sum(1 for _ in stage.ledger.entries())
    with pytest.raises(EnrolmentRefused, match=message):
        attempt(stage)
    assert sum(1 for _ in stage.ledger.entries()) == before


def test_the_first_person_needs_the_role_admin(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "keys")
    with (
        Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", ring, origin="bailiwick/test") as ledger,
        pytest.raises(EnrolmentRefused, match="admin"),
    ):
        ledger.transact_now(lambda tx: enrol_root(tx, reviewer("rosa"), new_personal_key("rosa")))


def test_the_root_is_never_replaced_in_the_table(stage: Stage) -> None:
    for statement in (trust_root.delete(), trust_root.update().values(kid="0" * 16)):
        with pytest.raises(IntegrityError):
            stage.sql(statement)


TURNED: dict[str, str] = {
    "to a key that signed itself in": "UPDATE trust_root SET kid = '{kid}'",
    "to another entry": "UPDATE trust_root SET seq = seq + 1",
    "to nothing": "DELETE FROM trust_root",
}


@pytest.mark.parametrize("sentence", TURNED)
def test_a_root_turned_by_whoever_owns_the_database_turns_nobody_into_a_reviewer(
    stage: Stage, sentence: str
) -> None:
    """Whoever owns the database can drop its triggers, but not sign for the root."""
    eve = new_personal_key("eve")

    def turn(tx: Transaction) -> None:
        names = tx.connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE tbl_name = 'trust_root'")
        for name in [row[0] for row in names if "trust_root" in row[0] and row[0] != "trust_root"]:
            tx.connection.exec_driver_sql(f'DROP TRIGGER IF EXISTS "{name}"')
        tx.connection.exec_driver_sql(TURNED[sentence].format(kid=eve.kid))

    stage.work(turn)
    assert roles_of(stage, stage.keys["rita"].kid) is None
    assert roles_of(stage, eve.kid) is None


@pytest.mark.parametrize("spoil", ["kind", "vouched_by", "signature", "nonsense"])
def test_a_log_entry_that_does_not_prove_an_enrolment_proves_nothing(stage: Stage, spoil: str) -> None:
    """Entries that somebody appended by hand, and a key row that names them."""
    body = list(stage.ledger.entries(kinds=["person.enrolled"]))[-1].body
    entries: dict[str, tuple[str, JsonObject]] = {
        "kind": ("person.revoked", body),
        "vouched_by": ("person.enrolled", {**body, "vouched_by": 10_000}),
        "signature": ("person.enrolled", {**body, "signature": "A" * 86}),
        "nonsense": ("person.enrolled", {}),
    }
    kind, forged = entries[spoil]
    kid = stage.keys["remy"].kid
    assert roles_of(stage, kid) == {"reviewer"}
    seq = stage.work(lambda tx: tx.append(Entry(kind, "acme", forged)))
    stage.sql(person_keys.update().where(person_keys.c.kid == kid).values(enrolled_seq=seq))
    assert roles_of(stage, kid) is None


def test_a_revoked_key_stays_revoked(stage: Stage) -> None:
    key = stage.keys["rita"]
    stage.work(lambda tx: revoke_person_key(tx, key.kid, tenant="acme", by="rosa"))
    assert roles_of(stage, key.kid) is None
    held = stage.ledger.read(lambda reading: key_of_kid(reading, key.kid))
    assert held is not None
    assert held.revoked_ms is not None
    with pytest.raises(EnrolmentRefused, match="revoked"):
        stage.enrol("rita", "reviewer", key=key)
    with pytest.raises(EnrolmentRefused, match="no key"):
        stage.work(lambda tx: revoke_person_key(tx, key.kid, tenant="acme", by="rosa"))


def test_a_revoked_person_is_gone_with_every_key(stage: Stage) -> None:
    second = new_personal_key("rita")
    stage.enrol("rita", "reviewer", key=second)
    stage.work(lambda tx: revoke_person(tx, "rita", tenant="acme", by="rosa"))
    assert [roles_of(stage, kid) for kid in (second.kid, stage.keys["rita"].kid)] == [None, None]
    assert stage.ledger.read(lambda reading: person_by_id(reading, "rita")) is None
    with pytest.raises(EnrolmentRefused, match="revoked"):
        stage.enrol("rita", "reviewer", key=new_personal_key("rita"))
    with pytest.raises(EnrolmentRefused, match="no person"):
        stage.work(lambda tx: revoke_person(tx, "rita", tenant="acme", by="rosa"))


def test_nobody_is_revoked_from_another_tenant(stage: Stage) -> None:
    with pytest.raises(EnrolmentRefused, match="no person"):
        stage.work(lambda tx: revoke_person(tx, "rita", tenant="globex", by="gwen"))
    kid = stage.keys["rita"].kid
    with pytest.raises(EnrolmentRefused, match="no person"):
        stage.work(lambda tx: revoke_person_key(tx, kid, tenant="globex", by="gwen"))


def test_a_role_written_into_the_table_was_signed_by_nobody(stage: Stage) -> None:
    stage.sql(people.update().where(people.c.id == "rita").values(roles='["admin","reviewer"]'))
    assert roles_of(stage, stage.keys["rita"].kid) == {"reviewer"}


def test_a_withdrawn_role_is_gone_although_it_was_signed(stage: Stage) -> None:
    stage.work(lambda tx: withdraw_roles(tx, "rita", frozenset({"reviewer"}), tenant="acme", by="rosa"))
    assert roles_of(stage, stage.keys["rita"].kid) == frozenset()
    stage.enrol("rita", "reviewer", key=stage.keys["rita"])
    assert roles_of(stage, stage.keys["rita"].kid) == {"reviewer"}


def test_an_older_key_does_not_gain_the_roles_of_a_newer_one(stage: Stage) -> None:
    newer = new_personal_key("rita")
    stage.enrol("rita", "reviewer", "admin", key=newer)
    assert roles_of(stage, newer.kid) == {"reviewer", "admin"}
    assert roles_of(stage, stage.keys["rita"].kid) == {"reviewer"}


@pytest.mark.parametrize("column", ["public_key", "person", "enrolled_seq"])
def test_a_key_row_that_the_log_contradicts_is_no_key(stage: Stage, column: str) -> None:
    kid = stage.keys["rita"].kid
    value = {
        "public_key": new_personal_key("x").public_key,
        "person": "remy",
        "enrolled_seq": 1,
    }[column]
    stage.sql(person_keys.update().where(person_keys.c.kid == kid).values({column: value}))
    holder = stage.ledger.read(lambda reading: holder_of_key(reading, kid))
    assert holder is None or holder.public_key == stage.keys["rita"].public_key


def test_listings_show_declared_aliases_and_every_key(stage: Stage) -> None:
    stage.enrol("nora", "reviewer", aliases=frozenset({"n.smith"}))
    listed = {one.person.id: one for one in stage.ledger.read(lambda reading: list_people(reading, "acme"))}
    assert set(listed) == {"nora", "owen", "remy", "rita", "rosa"}
    assert listed["nora"].person.aliases == {"n.smith"}
    assert [key.kid for key in listed["nora"].keys] == [stage.keys["nora"].kid]


def test_an_enrolment_survives_the_log_and_nothing_else_reads_as_one() -> None:
    root = new_personal_key("rosa")
    signed = sign_enrolment(root, Person("rosa", "acme", frozenset({"admin"})), root.public_key)
    body = signed.as_json(None)
    assert enrolment_from_json(body) == signed
    assert enrolment_from_json(body | {"extra": 1}) is None
    assert enrolment_from_json(body | {"kid": "0" * 16}) is None
    assert enrolment_from_json({}) is None
    statement = body["statement"]
    assert isinstance(statement, dict)
    misnamed: JsonObject = {**statement, "person": "Not An Id"}
    assert enrolment_from_json({**body, "statement": misnamed}) is None


@pytest.mark.parametrize("roles", [frozenset[str](), frozenset({"reviewer", "king"})])
def test_an_enrolment_names_known_roles(roles: frozenset[str]) -> None:
    with pytest.raises(EnrolmentRefused, match="roles"):
        Enrolment(Person("nina", "acme", roles), new_personal_key("nina").public_key)


def test_a_self_signed_enrolment_makes_no_administrator(stage: Stage) -> None:
    eve = new_personal_key("eve")
    own = sign_enrolment(eve, Person("eve", "acme", frozenset({"admin"})), eve.public_key)
    with pytest.raises(EnrolmentRefused):
        stage.work(lambda tx: enrol_person(tx, own, by="eve"))
    stolen = SignedEnrolment(own.enrolment, stage.keys["rosa"].kid, own.signature)
    with pytest.raises(EnrolmentRefused, match="not over exactly"):
        stage.work(lambda tx: enrol_person(tx, stolen, by="rosa"))


def test_aliases_hold_both_ways_and_along_chains() -> None:
    groups = [frozenset("ab"), frozenset("bc"), frozenset("de")]
    assert joined_names("a", groups) == set("abc")
    assert joined_names("e", groups) == set("de")
    assert joined_names("z", groups) == {"z"}


@pytest.mark.parametrize("text", ["", "A", "é", "-a", "a b", "a" * 64, "a\n", "ａ"])
def test_what_is_no_id(text: str) -> None:
    assert not is_valid_id(text)


def test_an_agent_is_known_by_its_key_until_that_is_revoked(stage: Stage) -> None:
    agent = Agent("clerk", "acme", "owen")
    second = stage.work(lambda tx: issue_key(tx, "clerk", by="rosa"))
    for key in (stage.agent_key, second):
        assert stage.ledger.read(lambda reading, key=key: agent_of_key(reading, key)) == agent
    assert stage.ledger.read(lambda reading: agent_of_key(reading, second[:-1])) is None
    stage.work(lambda tx: revoke_agent(tx, "clerk", by="rosa"))
    assert stage.ledger.read(lambda reading: agent_of_key(reading, second)) is None
    assert stage.ledger.read(lambda reading: agent_by_id(reading, "clerk")) is None
    assert [one.agent for one in stage.ledger.read(lambda reading: list_agents(reading, "acme"))] == [agent]
    with pytest.raises(EnrolmentRefused, match="no agent"):
        stage.work(lambda tx: revoke_agent(tx, "clerk", by="rosa"))
    with pytest.raises(EnrolmentRefused, match="no agent"):
        stage.work(lambda tx: issue_key(tx, "clerk", by="rosa"))


def test_no_key_of_an_agent_is_kept(stage: Stage) -> None:
    secret = stage.agent_key.removeprefix("bwk_")
    log = "".join(str(entry) for entry in stage.ledger.entries())
    assert secret not in log


@pytest.mark.parametrize(
    "agent",
    [
        Agent("clerk", "acme", "owen"),
        Agent("rita", "acme", "owen"),
        Agent("new", "acme", "nobody"),
        Agent("new", "globex", "owen"),
        Agent("New", "acme", "owen"),
    ],
)
def test_an_agent_needs_an_id_of_its_own_and_an_owner_of_its_tenant(stage: Stage, agent: Agent) -> None:
    with pytest.raises(PolicyError):
        stage.work(lambda tx: enrol_agent(tx, agent, by="rosa"))
