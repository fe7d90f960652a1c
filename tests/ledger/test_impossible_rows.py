"""Rows that cannot be are refused by the database itself, on every engine and on every floor."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import CheckConstraint, Table
from sqlalchemy.exc import IntegrityError

from ledger.keyring import KeyRing
from ledger.ledger import Ledger
from ledger.transaction import Transaction
from server.tables import metadata

ORIGIN = "bailiwick.test/ledger"

SHA, HEX, HASH = "sha256:" + "a" * 64, "a" * 64, b"x" * 32

# A row that could be, but for the rows that it refers to; and what is impossible in it: constraint → columns.
Row = dict[str, Any]
TABLES: dict[str, tuple[Row, dict[str, Row]]] = {
    "log": (
        {"seq": 1, "at_ms": 0, "kind": "a.b", "tenant": "t", "leaf": HASH, "entry": b"{}"},
        {
            "log_counts_from_one": {"seq": 0},
            "log_has_a_time": {"at_ms": -1},
            "log_kind_is_noun_verb": {"kind": "ab"},
            "log_has_a_tenant": {"tenant": ""},
            "log_leaf_is_sha256": {"leaf": b"x"},
            "log_entry_is_not_empty": {"entry": b""},
            "log_names_a_principal_or_none": {"principal": ""},
            "log_names_a_run_or_none": {"run": ""},
        },
    ),
    "heads": (
        {"size": 1, "at_ms": 0, "root": HASH, "note": "n", "frontier": HASH},
        {
            "heads_root_is_sha256": {"root": b"x"},
            "heads_are_signed": {"note": ""},
            "heads_frontier_is_hashes": {"frontier": b""},
            "heads_cover_something_at_a_time": {"at_ms": -1},
        },
    ),
    "tree": (
        {"position": 63, "hash": HASH},
        {"tree_keeps_larger_subtrees": {"position": 3}, "tree_hash_is_sha256": {"hash": b"x"}},
    ),
    "rests_on": (
        {"dependent": "a", "relation": "r", "foundation": "b", "seq": 1},
        {"rests_on_names_both_ends": {"foundation": ""}},
    ),
    "people": (
        {"id": "p", "tenant": "t", "roles": "[]", "aliases": "[]", "enrolled_ms": 5},
        {
            "people_ids": {"id": ""},
            "people_have_lists": {"roles": "admin"},
            "people_times": {"revoked_ms": 4},
        },
    ),
    "person_keys": (
        {"kid": "k" * 16, "person": "p", "public_key": "k" * 43, "enrolled_seq": 1, "enrolled_ms": 5},
        {"person_keys_are_ed25519": {"public_key": "k"}, "person_keys_times": {"revoked_ms": 4}},
    ),
    "trust_root": (
        {"id": 1, "kid": "k" * 16, "seq": 1},
        {"trust_root_is_one": {"id": 2}, "trust_root_is_a_key": {"kid": "k"}},
    ),
    "agents": (
        {"id": "a", "tenant": "t", "owner": "p", "enrolled_ms": 5},
        {"agents_ids": {"tenant": ""}, "agents_times": {"revoked_ms": 4}},
    ),
    "agent_keys": (
        {"digest": HEX, "agent": "a", "issued_ms": 5},
        {"agent_keys_are_digests": {"digest": "bwk_0"}, "agent_keys_times": {"revoked_ms": 4}},
    ),
    "agent_links": (
        {"issuer": "i", "subject": "s", "client": "c", "agent": "a", "claims": "{}", "linked_ms": 5},
        {"agent_links_name_somebody": {"client": ""}, "agent_links_have_claims": {"claims": "[]"}},
    ),
    "approval_requests": (
        {
            **dict.fromkeys(
                ("id", "tenant", "principal", "owner", "run", "upstream", "target", "core_key"), "x"
            ),
            "digest": SHA,
            "token_digest": HEX,
            "call": "{}",
            "summary": "{}",
            "state": "pending",
            "created_ms": 5,
            "created_seq": 1,
            "expires_ms": 6,
        },
        {
            "approval_state": {"state": "granted"},
            "approval_spent_by_an_execution": {"state": "executing"},
            "approval_times": {"expires_ms": 5},
            "approval_digests": {"token_digest": "apr_0"},
            "approval_names_an_execution": {"state": "succeeded", "execution": ""},
        },
    ),
    "verdicts": (
        {
            "request": "x",
            "kid": "k" * 16,
            "verdict": "approve",
            "request_digest": SHA,
            "reviewer": "p",
            "at_ms": 1,
            "signature": "s" * 86,
        },
        {
            "verdict_is_one_of_two": {"verdict": "maybe"},
            "verdict_is_signed_by_somebody": {"signature": ""},
            "verdict_is_about_a_digest": {"request_digest": "x"},
        },
    ),
    "gate_state": (
        {
            **dict.fromkeys(("policy", "catalogue", "tools", "workflows", "people"), SHA),
            "id": 1,
            "generation": 1,
            "releases": "{}",
            "frozen": "{}",
        },
        {
            "gate_state_is_one": {"id": 2},
            "gate_state_generation": {"generation": 0},
            "gate_state_objects": {"frozen": "yes"},
        },
    ),
    "gate_contents": ({"part": "policy", "content": "x"}, {"gate_contents_part": {"part": "people"}}),
    "gate_agreements": (
        {"part": "tools", "base": "", "digest": SHA, "act": "a"},
        {"gate_agreement_is_a_change": {"base": SHA}, "gate_agreement_names_its_act": {"act": ""}},
    ),
    "second_admin": ({"id": 1, "seq": 1}, {"second_admin_is_one": {"id": 2}}),
    "gate_acts": (
        {
            **dict.fromkeys(("id", "op", "args", "digest", "lowers", "tenant"), "x"),
            "proposed_by": "p",
            "proposed_kid": "k",
            "asked": "{}",
            "proposed_ms": 1,
            "expires_ms": 2,
            "state": "proposed",
        },
        {
            "gate_act_state": {"state": "forgotten"},
            "gate_act_of_two": {"state": "done", "signed_by": "p", "signed_kid": "l"},
            "gate_act_times": {"expires_ms": 1},
            "gate_act_was_asked_for": {"asked": "ada"},
        },
    ),
    "server_key_vouchers": ({"kid": "k" * 16, "seq": 1}, {"server_key_vouchers_name_a_key": {"kid": "k"}}),
    "sealed_arguments": (
        {
            **dict.fromkeys(("tenant", "run", "tool", "argument"), "x"),
            "commitment": "sealed:" + HEX,
            "salt": HASH,
            "sealed": HASH,
            "sealed_ms": 1,
        },
        {
            "sealed_is_committed": {"commitment": "sealed:x"},
            "sealed_or_erased": {"salt": None},
        },
    ),
    "rereadings": (
        {"run": "x", "epoch": 1, "version": "s@1", "at_ms": 1},
        {"rereadings_are_of_a_version": {"version": "s"}},
    ),
    "runs": (
        {
            **dict.fromkeys(
                ("id", "tenant", "principal", "opened_by", "workflow", "workflow_digest", "input_digest"), "x"
            ),
            **dict.fromkeys(("input", "state", "step"), "{}"),
            "epoch": 1,
            "entered_epoch": 1,
            "calls": 0,
            "status": "open",
            "retries": 0,
            "release": 0,
            "opened_ms": 5,
            "changed_ms": 5,
        },
        {
            "run_status": {"status": "lost"},
            "run_counts": {"calls": -1},
            "run_step_was_entered": {"entered_epoch": 2},
            "run_deadline_is_later": {"deadline_ms": 5},
            "run_times": {"changed_ms": 4},
            "run_key_or_none": {"idempotency_key": ""},
        },
    ),
    "retry_counts": (
        {**dict.fromkeys(("tenant", "principal", "workflow"), "x"), "subject": SHA, "retries": 1},
        {"retry_counts_count": {"retries": 0}, "retry_counts_name_a_digest": {"subject": "o-1"}},
    ),
    "triggers": (
        {**dict.fromkeys(("id", "name", "tenant", "workflow", "agent"), "x"), "takes": "{}", "made_ms": 5},
        {
            "triggers_have_names": {"name": ""},
            "triggers_take_by_key": {"takes": "[]"},
            "trigger_times": {"removed_ms": 4},
        },
    ),
    "trigger_secrets": (
        {"id": "whs_1", "trigger": "x", "salt": HASH, "sealed": b"x", "made_ms": 5},
        {"trigger_secrets_are_sealed": {"salt": b"x"}, "trigger_secret_times": {"until_ms": 0}},
    ),
    "step_passes": (
        {"digest": HEX, "run": "x", "principal": "a", "step": "s", "epoch": 1, "expires_ms": 5},
        {"step_passes_are_digests": {"digest": "bwp_0"}, "step_passes_end": {"expires_ms": 0}},
    ),
    "observations": (
        {
            **dict.fromkeys(("run", "step", "tool", "text"), "x"),
            "id": "obs-1",
            "epoch": 1,
            "digest": SHA,
            "at_ms": 1,
        },
        {
            "observations_have_their_own_ids": {"id": "policy-1"},
            "observations_are_of_an_epoch": {"epoch": 0},
            "observations_name_a_digest": {"digest": "x"},
        },
    ),
    "envelopes": (
        {"run": "x", "epoch": 1, "step": "s", "envelope": "{}", "digest": SHA, "at_ms": 1},
        {"envelopes_are_of_an_epoch": {"epoch": 0}, "envelopes_name_a_digest": {"digest": "x"}},
    ),
    "reviews": (
        {"run": "x", "epoch": 1, "step": "s", "reasons": "[]", "at_ms": 1},
        {
            "review_resolution": {"resolution": "ignore", "resolved_by": "p"},
            "review_resolved_by_somebody": {"resolution": "stop"},
            "review_is_of_an_epoch": {"epoch": 0},
        },
    ),
    "executions": (
        {
            **dict.fromkeys(("id", "tenant", "run", "step", "request", "upstream", "tool", "target"), "x"),
            "epoch": 1,
            "state": "executing",
            "instance": "i",
            "lease_until_ms": 9,
            "begun_ms": 5,
        },
        {
            "execution_state": {"state": "done", "settled_ms": 6},
            "execution_settled_at": {"state": "succeeded"},
            "execution_times": {"state": "succeeded", "settled_ms": 4},
            "execution_spends_a_request": {"request": ""},
        },
    ),
    "releases": (
        {"tenant": "t", "number": 1, "at_ms": 0, "published_by": "p"},
        {
            "releases_count_from_one": {"number": 0},
            "releases_are_published_by_somebody": {"published_by": ""},
        },
    ),
    "version_status": (
        {
            "tenant": "t",
            "source": "s",
            "version": 1,
            "status": "draft",
            "text_digest": SHA,
            "author": "p",
            "since_ms": 0,
        },
        {
            "version_status_counts_from_one": {"version": 0},
            "version_status_is_known": {"status": "lost", "reviewed_by": "q", "published_in": 1},
            "version_status_published_only_after_review": {"status": "published"},
            "version_status_withdrawn_in_a_release": {"withdrawn_in": 1, "published_in": 1},
            "version_status_names_a_digest": {"text_digest": "x"},
            "version_status_validity_is_a_window": {"valid_from_ms": 2, "valid_until_ms": 1},
            "version_status_withdrawn_after_it_was_published": {
                "status": "retired",
                "reviewed_by": "q",
                "published_in": 2,
                "withdrawn_in": 1,
            },
            "version_status_names_people": {"author": ""},
            "version_status_superseded_by_another": {"superseded_by": "other"},
        },
    ),
    "bundles": (
        {
            "bundle": "bnd_1",
            "tenant": "t",
            "digest": SHA,
            "release": 1,
            "sufficiency": "sufficient",
            "bytes": b"{}",
        },
        {
            "bundles_have_their_own_ids": {"bundle": "x"},
            "bundles_sufficiency_is_known": {"sufficiency": "fine"},
            "bundles_are_not_empty": {"bytes": b""},
            "bundles_name_a_digest": {"digest": "x"},
        },
    ),
    "bundle_versions": (
        {"bundle": "bnd_1", "source": "s", "version": 1, "tenant": "t"},
        {"bundle_versions_count_from_one": {"version": 0}},
    ),
    "bundles_shown": (
        {"run": "x", "bundle": "bnd_1", "step": "s", "epoch": 1, "at_ms": 0},
        {"bundles_shown_are_of_an_epoch": {"epoch": 0}},
    ),
    "operation_nonces": (
        {"nonce": "n" * 16, "person": "p", "at_ms": 0},
        {"operation_nonces_are_used": {"nonce": "n"}},
    ),
    "page_sessions": (
        {"digest": HEX, "person": "p", "kid": "k" * 16, "started_ms": 0, "ends_ms": 1},
        {
            "page_sessions_are_digests": {"digest": "bps_0"},
            "page_sessions_are_of_a_key": {"kid": "k"},
            "page_sessions_end": {"ends_ms": 0},
        },
    ),
}


@pytest.fixture
def ledger(url: str, keys: KeyRing) -> Iterator[Ledger]:
    with Ledger.open(url, keys, origin=ORIGIN) as opened:
        yield opened


class _TakenBack(Exception):
    pass


def refusal(ledger: Ledger, table: Table, row: Row) -> str:
    """What the database says to a row; empty if it takes it. Nothing of it stays."""

    def insert(tx: Transaction) -> None:
        tx.execute(table.insert(), row)
        raise _TakenBack

    try:
        ledger.transact_now(insert)
    except IntegrityError as error:
        return str(error.orig)
    except _TakenBack:
        return ""
    raise AssertionError("the transaction neither failed nor was taken back")


def checks(table: Table) -> set[str]:
    return {str(one.name) for one in table.constraints if isinstance(one, CheckConstraint)}


def test_every_check_of_these_tables_refuses_a_row_that_cannot_be(ledger: Ledger) -> None:
    accepted: list[str] = []
    for name, (possible, impossible) in TABLES.items():
        table = metadata.tables[name]
        assert impossible.keys() == checks(table), name
        for constraint, wrong in impossible.items():
            said = refusal(ledger, table, {**possible, **wrong})
            if constraint not in said:
                accepted.append(f"{constraint}: {said or 'accepted'}")
    assert accepted == []


def test_the_same_rows_without_the_fault_break_no_check(ledger: Ledger) -> None:
    broken: dict[str, str] = {}
    for name, (possible, _) in TABLES.items():
        said = refusal(ledger, metadata.tables[name], possible)
        if any(constraint in said for constraint in checks(metadata.tables[name])):
            broken[name] = said
    assert broken == {}


def test_every_table_says_what_cannot_be() -> None:
    without = {"workflow_versions", "release_head"}
    assert {name for name, table in metadata.tables.items() if not checks(table)} <= without
