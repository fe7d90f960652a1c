"""What people read before they judge: a request on one page, and a run as a timeline."""

from __future__ import annotations

from typing import Any

import pytest

from server.cli.approval_page import print_request
from server.cli.evidence import print_bundle
from server.cli.timeline import print_timeline, told

QUOTE = "A cracked lid is refunded in full."
CALL: dict[str, Any] = {
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
    "expires": "2026-11-23T02:00:00.000Z",
    "agent": "bot",
    "owner": "ada",
    "run": "run_1",
    "tool": "desk__refund_order",
    "digest": "sha256:00",
    "call": CALL,
    "summary": {"tool": "desk__refund_order", "reason": "it is due", "workflow": "refund", "step": "execute"},
    "suspicious": [],
    "saw": {
        "bundles": [BUNDLE],
        "observations": [{"id": "obs-1@1", "tool": "desk__get_order", "text": "x" * 700}],
    },
    "concluded": {
        "step": "draft",
        "confidence": 0.9,
        "reason": "The lid is cracked.",
        "evidence": [{"source": "policy@1:0-34", "quote": QUOTE}],
    },
    "earlier": [{"execution": "exe_0", "run": "run_0", "tool": "refund_order", "state": "failed"}],
    "verdicts": [
        {"reviewer": "carol", "verdict": "approve", "at": "2026-11-23T01:00:00.000Z", "counts": True}
    ],
}


def test_a_page_shows_call_conclusion_evidence_history_and_who_must_still_sign(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_request(REQUEST)
    out = capsys.readouterr().out
    in_order = [
        "bot (owner ada) asks to do this, once:",
        "desk__refund_order on order:o-1",
        "amount_cents: 1000",
        "it is due",
        "It concluded (draft, confidence 0.9): The lid is cracked.",
        f"policy@1:0-34: “{QUOTE}”",
        "evidence contradictory",
        "! sources disagree: share: policy@1:0-34 says 100; policy@2:0-9 says 50",
        "“Half\\u{200b} of it.”",
        "desk__get_order answered (obs-1@1)",
        "… (700 characters)",
        "Before, on order:o-1:",
        "refund_order: failed (run run_0)",
        "carol: approve at",
        "Still to sign: 1 reviewer, not ada.",
        "bailiwick approval approve req_1",
    ]
    places = [out.index(words) for words in in_order]
    assert places == sorted(places)
    assert out.count(QUOTE) == 1  # what it cited is not repeated among what it saw


def test_a_verdict_that_fell_does_not_count_and_a_closed_request_asks_for_nobody(
    capsys: pytest.CaptureFixture[str],
) -> None:
    fallen = {**REQUEST["verdicts"][0], "counts": False}
    print_request({**REQUEST, "verdicts": [fallen]})
    out = capsys.readouterr().out
    assert "(no longer counts)" in out
    assert "Still to sign: 2 reviewers" in out
    print_request({**REQUEST, "state": "expired", "concluded": None})
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
