"""The canonical call and the approval token: one meaning, one spelling, nothing in common with any other."""

from __future__ import annotations

import string
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.canonical import JsonObject, JsonValue, canonical
from policies.call import CanonicalCall, PresentedCall, Quorum
from policies.errors import PolicyError
from policies.tokens import derive_token, parse_token, token_digest
from tests.policies.stage import a_call

SECRET = bytes(range(32))

FIELDS = {
    *("upstream", "endpoint", "tool", "fingerprint", "arguments", "target", "precondition"),
    *("tenant", "principal", "run", "step", "epoch"),
    *("evidence", "policy", "catalogue", "workflow", "not_before", "expires", "quorum"),
}


def canonical_call(call: PresentedCall | None = None, **terms: Any) -> CanonicalCall:
    given: dict[str, Any] = {"quorum": Quorum(1), "not_before": 1_000, "expires": 2_000} | terms
    return (call or a_call()).under(**given)


def test_the_digest_of_a_call_is_pinned() -> None:
    """A changed digest would make every signature of the past worthless."""
    assert canonical_call().digest() == (
        "sha256:513658f4bd8fa0d0a67bd56a8c501ffead4781f99a0169a85d95d9c2d72acccc"
    )


def test_a_call_has_the_fields_of_the_design() -> None:
    assert set(canonical_call().as_json()) == FIELDS


CHANGES: dict[str, Any] = {
    "upstream": "x",
    "endpoint": "x",
    "tool": "x",
    "fingerprint": "x",
    "arguments": {"order_id": "o-1", "amount": 21},
    "target": "x",
    "precondition": "x",
    "tenant": "x",
    "principal": "x",
    "run": "x",
    "step": "x",
    "epoch": 6,
    "evidence": ("bnd_1",),
    "policy": "x",
    "catalogue": "x",
    "workflow": "x",
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_field_changes_the_digest_and_only_the_core_changes_the_core(name: str) -> None:
    other = a_call(**{name: CHANGES[name]})
    assert canonical_call(other).digest() != canonical_call().digest()
    facts = {"precondition", "evidence", "policy", "catalogue", "workflow"}
    assert (other.core_key() == a_call().core_key()) is (name in facts)


@pytest.mark.parametrize(
    "terms",
    [{"quorum": Quorum(2)}, {"quorum": Quorum(1, four_eyes=False)}, {"not_before": 1}, {"expires": 3}],
)
def test_each_term_changes_the_digest(terms: dict[str, Any]) -> None:
    assert canonical_call(**terms).digest() != canonical_call().digest()


def test_evidence_is_a_set() -> None:
    twice = a_call(evidence=("obs-1@1", "bnd_1", "bnd_1"))
    assert canonical_call(twice).digest() == canonical_call().digest()


def test_a_call_does_not_change_with_its_callers_arguments() -> None:
    arguments: JsonObject = {"items": [1]}
    call = a_call(arguments=arguments)
    before = call.core_key()
    cast("list[JsonValue]", arguments["items"]).append(2)
    assert call.core_key() == before


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e9, 1e9) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=10,
).filter(lambda value: "\\ud" not in repr(value))


@given(st.dictionaries(st.text(max_size=8), json_values, max_size=4))
def test_a_stored_call_reads_back_as_the_same_bytes(arguments: dict[str, Any]) -> None:
    call = canonical_call(a_call(arguments=arguments))
    again = CanonicalCall.from_json(call.as_json())
    assert again.as_bytes() == call.as_bytes()
    assert again.digest() == call.digest()


BAD_CALLS: dict[str, JsonObject] = {
    "a field is missing": {},
    "a number is a text": {"epoch": "5"},
    "a number is a boolean": {"expires": True},
    "a text is a number": {"run": 1},
    "the arguments are a list": {"arguments": []},
    "the evidence is no list of texts": {"evidence": [1]},
    "the evidence is not sorted": {"evidence": ["b", "a"]},
    "the quorum has another field": {
        "quorum": {"needed": 1, "role": "reviewer", "four_eyes": True, "also": 1}
    },
    "the quorum needs nobody": {"quorum": {"needed": 0, "role": "reviewer", "four_eyes": True}},
    "the quorum needs a yes": {"quorum": {"needed": True, "role": "reviewer", "four_eyes": True}},
}


@pytest.mark.parametrize("sentence", BAD_CALLS)
def test_what_is_no_call_is_refused(sentence: str) -> None:
    bad = canonical_call().as_json() | BAD_CALLS[sentence]
    if not BAD_CALLS[sentence]:
        del bad["run"]
    with pytest.raises(PolicyError):
        CanonicalCall.from_json(bad)


def test_what_is_no_object_is_no_call() -> None:
    others: list[JsonValue] = [None, [], "x", canonical_call().as_json() | {"extra": 1}]
    for value in others:
        with pytest.raises(PolicyError, match="nineteen"):
            CanonicalCall.from_json(value)


@pytest.mark.parametrize(
    ("needed", "role"), [(0, "reviewer"), (-1, "reviewer"), (1, "agent"), (True, "reviewer")]
)
def test_a_quorum_needs_somebody_in_a_known_role(needed: int, role: str) -> None:
    with pytest.raises(PolicyError):
        Quorum(needed, role)


def test_a_token_is_derived_and_pinned() -> None:
    assert derive_token(SECRET, "req_1") == "apr_zwn5gkst0kd8zatypqvqpvhft4"
    assert derive_token(SECRET, "req_1") != derive_token(bytes(32), "req_1")
    with pytest.raises(ValueError, match="32 bytes"):
        derive_token(b"short", "req_1")


@given(st.text(max_size=40))
def test_a_derived_token_parses_as_itself(request_id: str) -> None:
    request_id = request_id.encode("utf-8", "replace").decode()
    token = derive_token(SECRET, request_id)
    assert parse_token(token) == token
    assert len(token_digest(token)) == 64


@given(st.text(st.sampled_from(string.ascii_letters + string.digits + "_-= \n\u0430"), max_size=34))
def test_nothing_else_parses_as_a_token(text: str) -> None:
    alphabet = set("0123456789abcdefghjkmnpqrstvwxyz")
    shaped = text.startswith("apr_") and len(text) == 30 and set(text[4:]) <= alphabet
    assert (parse_token(text) == text) is shaped


@pytest.mark.parametrize("other", [None, 1, b"apr_", ["apr_"], {"apr_": 1}])
def test_what_is_no_text_is_no_token(other: object) -> None:
    assert parse_token(other) is None


def test_arguments_are_compared_by_their_bytes() -> None:
    assert canonical({"a": True}) != canonical({"a": 1})
    assert (
        canonical_call(a_call(arguments={"a": True})).digest()
        != canonical_call(a_call(arguments={"a": 1})).digest()
    )
