"""An operation needs a good, fresh, enrolled signature and the role; it is written down before it is done."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import pytest

from ledger.canonical import JsonObject
from ledger.clock import system_now_ms
from ledger.keyring import KeyRing
from policies.cedar import PolicySet
from policies.in_force import PoliciesInForce
from policies.operations import SignedOperation, sign_operation
from policies.signing import PersonalKey, new_personal_key
from server.errors import BadInput, DeskError, RuleRefused
from server.open_ledger import open_ledger
from server.operations import agents, people
from server.operations.operation import OperationDesk
from server.operations.performing import perform
from server.operations.registry import OPERATIONS, registry
from server.personal_keys import personal_key, sign_now
from server.settings import load_settings
from tests.server.office import Office


@pytest.fixture
def desk(office: Office) -> Generator[OperationDesk]:
    folder, settings = office.folder, load_settings(office.folder)
    ring = KeyRing.load(folder.keys_dir)
    policies = PoliciesInForce(PolicySet.load(folder.policy_dir))
    with open_ledger(folder, ring) as ledger:
        yield OperationDesk(folder, settings, ledger, ring, policies)


def key_of(office: Office, person: str) -> PersonalKey:
    return personal_key(office.folder, load_settings(office.folder, person=person))


def kinds(desk: OperationDesk) -> list[str]:
    return [entry.kind for entry in desk.ledger.entries()]


def ask(desk: OperationDesk, key: PersonalKey, name: str, **args: object) -> JsonObject:
    given: JsonObject = dict(args)  # type: ignore[arg-type]
    return perform(desk, name, given, sign_now(key, name, given))


def test_an_accepted_operation_is_in_the_log_with_person_key_and_signature(
    desk: OperationDesk, office: Office
) -> None:
    key = key_of(office, "ada")
    args: JsonObject = {"agent": "second"}
    signed = sign_now(key, "agent.add", args)
    perform(desk, "agent.add", args, signed)
    accepted = [entry for entry in desk.ledger.entries() if entry.kind == "operation.accepted"][-1]
    assert accepted.principal == "ada"
    assert accepted.body["op"] == "agent.add"
    assert (accepted.body["kid"], accepted.body["signature"]) == (key.kid, signed.signature)
    assert kinds(desk)[-3:] == ["operation.accepted", "agent.enrolled", "agent_key.issued"]


def test_a_listing_leaves_no_entry(desk: OperationDesk, office: Office) -> None:
    before = kinds(desk)
    ask(desk, key_of(office, "dave"), "agent.list")
    assert kinds(desk) == before


def test_whoever_lacks_the_role_is_refused_and_that_is_written_down(
    desk: OperationDesk, office: Office
) -> None:
    with pytest.raises(
        RuleRefused, match=r"dave may not do agent\.add: no policy permits it; ask .* role admin"
    ):
        ask(desk, key_of(office, "dave"), "agent.add", agent="second")
    refused = list(desk.ledger.entries())[-1]
    assert (refused.kind, refused.principal, refused.body["op"]) == ("operation.refused", "dave", "agent.add")


def test_an_operation_is_done_once_however_often_it_is_sent(desk: OperationDesk, office: Office) -> None:
    args: JsonObject = {"agent": "second"}
    signed = sign_now(key_of(office, "ada"), "agent.add", args)
    perform(desk, "agent.add", args, signed)
    with pytest.raises(RuleRefused, match="asked for before"):
        perform(desk, "agent.add", args, signed)
    assert kinds(desk).count("agent.enrolled") == 2  # bot, and second


def _by_a_stranger(_key: PersonalKey, signed: SignedOperation) -> SignedOperation:
    return sign_now(new_personal_key("ada"), signed.op, {"agent": "second"})


def _in_the_name_of_another(_key: PersonalKey, signed: SignedOperation) -> SignedOperation:
    return replace(signed, person="carol")


def _of_another_operation(key: PersonalKey, _signed: SignedOperation) -> SignedOperation:
    return sign_now(key, "agent.revoke", {"agent": "second"})


def _of_other_arguments(key: PersonalKey, _signed: SignedOperation) -> SignedOperation:
    return sign_now(key, "agent.add", {"agent": "third"})


def _from_yesterday(key: PersonalKey, _signed: SignedOperation) -> SignedOperation:
    at = system_now_ms() - 86_400_000
    return sign_operation(key, "agent.add", {"agent": "second"}, at=at, nonce="n" * 32)


def _with_a_short_nonce(key: PersonalKey, _signed: SignedOperation) -> SignedOperation:
    return sign_operation(key, "agent.add", {"agent": "second"}, at=system_now_ms(), nonce="n")


def _with_another_nonce(_key: PersonalKey, signed: SignedOperation) -> SignedOperation:
    return replace(signed, nonce="n" * 32)


@pytest.mark.parametrize(
    "forge",
    [
        _by_a_stranger,
        _in_the_name_of_another,
        _of_another_operation,
        _of_other_arguments,
        _from_yesterday,
        _with_a_short_nonce,
        _with_another_nonce,
    ],
    ids=lambda forge: forge.__name__.strip("_"),
)
def test_a_signature_counts_only_for_exactly_what_its_holder_asked_just_now(
    desk: OperationDesk, office: Office, forge: object
) -> None:
    key, args = key_of(office, "ada"), JsonObject({"agent": "second"})
    before = kinds(desk)
    with pytest.raises(RuleRefused):
        perform(desk, "agent.add", args, forge(key, sign_now(key, "agent.add", args)))  # type: ignore[operator]
    assert kinds(desk) == before


def test_a_revoked_person_can_ask_for_nothing(desk: OperationDesk, office: Office) -> None:
    ask(desk, key_of(office, "ada"), "person.revoke", person="dave")
    with pytest.raises(RuleRefused, match="not enrolled here, or was revoked"):
        ask(desk, key_of(office, "dave"), "agent.list")


@pytest.mark.parametrize(
    ("name", "args", "sentence"),
    [
        ("agent.list", {"all": True}, "agent.list: `all` cannot be used"),
        ("agent.add", {}, "agent.add: `agent` cannot be used: Field required"),
        ("agent.add", {"agent": 7}, "agent.add: `agent` cannot be used"),
        ("run.resolve", {"run": "run_1", "resolution": "maybe"}, "run.resolve: `resolution` cannot be used"),
        ("no.such", {}, "There is no operation no.such"),
    ],
)
def test_bad_arguments_are_named_and_nothing_is_done(
    desk: OperationDesk, office: Office, name: str, args: JsonObject, sentence: str
) -> None:
    before = kinds(desk)
    key = key_of(office, "ada")
    with pytest.raises(BadInput, match=sentence):
        perform(desk, name, args, sign_now(key, name, args))
    assert kinds(desk) == before


def test_nobody_can_revoke_themselves_or_their_only_key(desk: OperationDesk, office: Office) -> None:
    ada = key_of(office, "ada")
    with pytest.raises(DeskError, match="cannot revoke themselves"):
        ask(desk, ada, "person.revoke", person="ada")
    with pytest.raises(DeskError, match="is your only key"):
        ask(desk, ada, "key.revoke", kid=ada.kid)


def test_two_operations_of_one_name_are_a_mistake() -> None:
    with pytest.raises(ValueError, match=r"two operations named agent\.add"):
        registry([agents.OPERATIONS, people.OPERATIONS, agents.OPERATIONS])


def test_every_operation_that_asks_for_a_curator_or_proposer_says_about_what() -> None:
    unsaid = [
        operation.name
        for operation in OPERATIONS.values()
        if operation.needs in ("curator", "proposer") and operation.subject is None
    ]
    assert sorted(unsaid) == ["release.candidate", "search.embed", "source.publish"]  # of the whole tenant
