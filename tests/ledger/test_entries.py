"""Log entries: their bytes, and what can never become one."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.canonical import JsonValue, canonical
from ledger.clock import rfc3339
from ledger.entries import Entry, RestsOn, decode

_words = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=12)
_values: st.SearchStrategy[JsonValue] = st.none() | st.integers(-1000, 1000) | _words
_bodies = st.dictionaries(_words, _values, max_size=5)
_edges = st.builds(RestsOn, _words, _words, _words)
entries = st.builds(
    Entry,
    kind=st.sampled_from(["run.opened", "agent_key.issued"]),
    tenant=_words,
    body=_bodies,
    principal=st.none() | _words,
    run=st.none() | _words,
    rests_on=st.lists(_edges, max_size=3).map(tuple),
)


@given(entries, st.integers(1, 2**53 - 1), st.integers(0, 253_402_300_799_999))
def test_an_entry_is_canonical_json_and_reads_back(entry: Entry, seq: int, at_ms: int) -> None:
    raw = entry.encode(seq, rfc3339(at_ms))
    assert raw == canonical(
        {
            "v": 1,
            "seq": seq,
            "at": rfc3339(at_ms),
            "kind": entry.kind,
            "tenant": entry.tenant,
            "principal": entry.principal,
            "run": entry.run,
            "rests_on": [list(edge) for edge in entry.rests_on],
            "body": entry.body,
        }
    )
    stored = decode(raw)
    assert (stored.seq, stored.at_ms) == (seq, at_ms)
    assert (stored.kind, stored.tenant, stored.principal, stored.run) == (
        entry.kind,
        entry.tenant,
        entry.principal,
        entry.run,
    )
    assert (stored.body, stored.rests_on) == (entry.body, entry.rests_on)


FINE: dict[str, Any] = {"kind": "run.opened", "tenant": "acme", "body": {}}


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "opened"},
        {"kind": "Run.Opened"},
        {"kind": "run.opened; DROP"},
        {"tenant": ""},
        {"tenant": "a\nb"},
        {"principal": "\x00"},
        {"run": "x" * 600},
        {"rests_on": (RestsOn("a", "", "b"),)},
        {"body": {"a": float("nan")}},
        {"body": {"a": "\ud800"}},
        {"body": {"a": b"bytes"}},
    ],
)
def test_what_cannot_be_logged_fails_where_it_is_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Entry(**(FINE | wrong))


def test_changing_a_body_after_the_entry_was_made_changes_nothing() -> None:
    body: dict[str, JsonValue] = {"amount": 1}
    entry = Entry("call.answered", "acme", body)
    body["amount"] = 2
    assert decode(entry.encode(1, rfc3339(0))).body == {"amount": 1}


RAW = Entry("run.opened", "acme", {"a": 1}).encode(7, rfc3339(0))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"7",
        b"{}",
        RAW[:-1],
        RAW + b"\n",
        RAW.replace(b'"v":1', b'"v":2'),
        RAW.replace(b'"seq":7', b'"seq":"7"'),
        RAW.replace(b'"seq":7', b'"seq":7.0'),
        RAW.replace(b'"run":null', b'"run":1'),
        RAW.replace(b'"rests_on":[]', b'"rests_on":[["a","b"]]'),
        RAW.replace(b'"rests_on":[]', b'"rests_on":["abc"]'),
        RAW.replace(b'"at":"1970-01-01T00:00:00.000Z"', b'"at":"1970-01-01"'),
        RAW.replace(b'"a":1', b'"a":1,"a":1'),
        RAW.replace(b'"body"', b'"text"'),
    ],
)
def test_other_bytes_are_no_entry(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(raw)
