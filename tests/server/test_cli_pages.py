"""What people read before they judge: a request on one page, and a run as a timeline."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.cli.approval_page import print_calls, print_request
from server.cli.evidence import print_bundle
from server.cli.exact import FOLD, exact_lines
from server.cli.timeline import print_timeline, told
from server.shown_text import exact

QUOTE = "A cracked lid is refunded in full."
CALL: dict[str, Any] = {
    "precondition": '{"rows":2,"version":"v3"}',
    "tool": "refund_order",
    "target": "order:o-1",
    "arguments": {"amount_cents": 1000, "reason": "cracked"},
    "quorum": {"needed": 2, "role": "reviewer", "four_eyes": True},
}
BUNDLE: dict[str, Any] = {
    "bundle": "bnd_1",
    "step": "plan",
    "need": "How much?",
    "sufficiency": "contradictory",
    "items": [
        {"id": "policy@1:0-34", "quote": QUOTE, "title": "Refunds", "section": ["Refunds", "Damage"]},
        {"id": "policy@2:0-9", "quote": "Half\u200b of it.", "title": "Refunds", "section": []},
    ],
    "conflicts": [
        {
            "fact": "share",
            "sides": [{"item": "policy@1:0-34", "value": 100}, {"item": "policy@2:0-9", "value": 50}],
        }
    ],
}
REQUEST: dict[str, Any] = {
    "request": "req_1",
    "state": "pending",
    "asked": "2026-11-23T00:30:00.000Z",
    "expires": "2026-11-23T02:00:00.000Z",
    "agent": "bot",
    "owner": "ada",
    "run": "run_1",
    "tool": "desk__refund_order",
    "digest": "sha256:00",
    "call": CALL,
    "summary": {
        "tool": "desk__refund_order",
        "reason": "it is due",
        "workflow": "refund",
        "step": "execute",
        "secrets": [],
    },
    "suspicious": [],
    "known_changed": [],
    "moved": [],
    "missing": 1,
    "you_cannot": None,
    "checkpoints": [
        {"step": "draft", "reasons": ["unsure"], "resolution": "send_back", "by": "carol", "note": "look"}
    ],
    "saw": {
        "bundles": [BUNDLE],
        "observations": [{"id": "obs-1@1", "tool": "desk__get_order", "text": "x" * 700}],
    },
    "steps": [
        {
            "step": "draft",
            "confidence": 0.9,
            "reason": "The lid is cracked.",
            "evidence": [{"source": "policy@1:0-34", "quote": QUOTE}],
        }
    ],
    "earlier": [
        {
            "execution": "exe_0",
            "run": "run_0",
            "tool": "refund_order",
            "state": "failed",
            "at": "2026-11-22T01:00:00.000Z",
            "agent": "bot",
            "arguments": {"amount_cents": 5},
        }
    ],
    "verdicts": [
        {"reviewer": "carol", "verdict": "approve", "at": "2026-11-23T01:00:00.000Z", "counts": True}
    ],
}


@pytest.mark.parametrize("columns", [80, 120])
def test_a_page_shows_call_history_conclusion_evidence_and_who_must_still_sign(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    print_request(REQUEST, "")
    out = capsys.readouterr().out
    in_order = [
        "desk__refund_order on order:o-1",
        "amount_cents  1000",
        'reason        "cracked"',
        'the target\'s version is "v3"',
        "it would touch 2",
        "asked by bot (owner ada) in refund",
        "What happened to order:o-1 before",
        "refund_order: failed by bot",
        "amount_cents 5",
        "it is due",
        "draft, confidence 0.9: The lid is cracked.",
        f"“{QUOTE}” policy@1:0-34",
        "stopped for a human: unsure: send back by carol (look)",
        "! in plan (contradictory): 2 quotes",
        "! sources disagree: share: policy@1:0-34 says 100; policy@2:0-9 says 50",
        "“Half\\u{200b} of it.”",
        "desk__get_order answered: xxx",
        "bailiwick approval show --full req_1",
        "carol: approve at",
        "Still to sign: 1 reviewer, not ada.",
        "bailiwick approval approve req_1",
    ]
    flat = " ".join(out.split())
    places = [flat.index(" ".join(words.split())) for words in in_order]
    assert places == sorted(places)
    assert out.count(QUOTE) == 1  # what it cited is not repeated among what it saw
    assert max(len(line) for line in out.splitlines()) <= min(columns, 100)


def test_a_page_in_full_cuts_nothing_and_a_short_one_fits_a_glance(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    print_request(REQUEST, "")
    short = capsys.readouterr().out
    assert len(short.splitlines()) <= 45
    print_request(REQUEST, "", whole=True)
    whole = capsys.readouterr().out
    assert "".join(whole.split()).count("x" * 700) == 1
    assert "…" not in whole


def test_a_page_says_what_moved_and_why_this_reader_cannot_sign(
    capsys: pytest.CaptureFixture[str],
) -> None:
    moved = ["evidence_changed: policy@1, which the agent was shown, is superseded"]
    more = {"moved": moved, "known_changed": ["rules@1"], "you_cannot": "ada owns the agent."}
    print_request({**REQUEST, **more}, "")
    out = " ".join(capsys.readouterr().out.split())
    assert (
        "policy@1, which the agent was shown, is superseded (now the call would be evidence_changed)" in out
    )
    assert "rules@1 was out of force already when it asked" in out
    assert "! ada owns the agent." in out
    assert "approval approve" not in out


def test_several_requests_stand_on_one_page_each_with_its_exact_call(
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = {**REQUEST, "request": "req_2", "call": {**CALL, "arguments": {"amount_cents": 7}}}
    print_calls([REQUEST, other])
    out = capsys.readouterr().out
    places = [out.index(words) for words in ("1 of 2  req_1", "1000", "2 of 2  req_2", "amount_cents  7")]
    assert places == sorted(places)


def test_case_19_a_secret_is_shown_as_one_and_texts_cannot_pass_for_numbers() -> None:
    arguments: dict[str, Any] = {
        "code": "sealed:00ff",
        "count": 5,
        "text": "5",
        "none": None,
        "list": [],
        "a": {"b": [True]},
    }
    assert list(exact_lines(arguments, 60, frozenset({"code"}))) == [
        "code    (secret) sealed:00ff",
        "count   5",
        'text    "5"',
        "none    null",
        "list    []",
        "a.b[0]  true",
    ]


@given(st.text(max_size=300), st.integers(min_value=24, max_value=100))
def test_case_19_a_value_can_be_read_back_from_its_folded_lines(text: str, width: int) -> None:
    from rich.cells import cell_len

    lines = list(exact_lines({"a": text}, width))
    assert all(cell_len(line) <= max(width, 24) for line in lines)
    joined = "".join(line[3:].removesuffix(FOLD) for line in lines)
    assert joined == exact(text)
    assert not any(unicodedata.category(character) in {"Cc", "Cf"} for character in joined)


def test_a_verdict_that_fell_does_not_count_and_a_closed_request_asks_for_nobody(
    capsys: pytest.CaptureFixture[str],
) -> None:
    fallen = {**REQUEST["verdicts"][0], "counts": False}
    print_request({**REQUEST, "verdicts": [fallen], "missing": 2}, "")
    out = capsys.readouterr().out
    assert "(no longer counts)" in out
    assert "Still to sign: 2 reviewers" in out
    print_request({**REQUEST, "state": "expired", "steps": []}, "")
    assert "It is expired." in capsys.readouterr().out


def test_a_bundle_is_shown_with_where_each_quote_stands(capsys: pytest.CaptureFixture[str]) -> None:
    rest = {"release": 1, "budget": {"used": 9, "tokens": 800}, "retrieved_with": {"search": "lexical"}}
    print_bundle({**BUNDLE, **rest})
    out = capsys.readouterr().out
    assert "policy@1:0-34  Refunds > Damage" in out
    assert "9 of 800" in out
    assert "Conflict: share: policy@1:0-34 says 100" in out


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        ("bundle.served", {"bundle": "bnd_1", "items": ["a"], "sufficiency": "stale",
                           "tokens": {"used": 3, "budget": 9}},
         "was shown bnd_1: 1 quotes, stale, 3 of 9 tokens"),
        ("call.answered", {"tool": "get", "observation": "obs-1"}, "called get, observation obs-1"),
        ("checkpoint.opened", {"reasons": ["a", "b"]}, "stopped for a human: a; b"),
        ("checkpoint.resolved", {"resolution": "continue", "note": "ok"}, "resolved: continue (ok)"),
        ("step.submitted", {"step": "plan", "envelope": {"status": "done", "confidence": 1, "reason": "r",
                                                         "proposed_action": {"type": "pay"}}},
         "submitted plan: done, confidence 1, proposes pay: r"),
        ("step.submitted", {"step": "plan"}, "submitted plan"),
        ("something.new", {"id": "x", "count": 2, "list": []}, "something.new id: x, count: 2"),
    ],
)  # fmt: skip
def test_each_kind_of_entry_is_told_in_words(kind: str, body: dict[str, Any], words: str) -> None:
    assert told({"kind": kind, "body": body}) == words


def test_a_timeline_names_days_people_and_what_is_cited(capsys: pytest.CaptureFixture[str]) -> None:
    entry: dict[str, Any] = {
        "at": "2026-11-23T01:02:03.004Z",
        "who": None,
        "kind": "run.closed",
        "rests_on": [],
    }
    ended = {**entry, "body": {"status": "done", "because": "over"}}
    cites = {
        **entry,
        "who": "bot",
        "kind": "step.submitted",
        "body": {"step": "plan"},
        "rests_on": [["a", "cites", "policy@1:0-34"]],
    }
    head = {
        "run": "run_1",
        "workflow": "refund",
        "status": "done",
        "step": "plan",
        "agent": "bot",
        "release": 1,
        "single_handed": False,
    }
    print_timeline({**head, "entries": [cites, ended]})
    out = capsys.readouterr().out
    assert out.count("2026-11-23 UTC") == 1
    assert "01:02:03.004  bot" in out
    assert "rests on policy@1:0-34" in out
    assert "ended: done, over" in out
