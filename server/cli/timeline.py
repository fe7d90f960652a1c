"""A run's log entries as a timeline that a person can read: when, who, what, and the ids to go on with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from server.cli.options import Printed
from server.cli.printing import plain

_Body = dict[str, Any]

_WORDS: dict[str, Callable[[_Body], str]] = {
    "run.opened": lambda b: f"opened {_named(b, 'workflow')}",
    "step.entered": lambda b: f"entered {b.get('step')} ({b.get('kind')}), because {b.get('because')}",
    "step.submitted": lambda b: f"submitted {b.get('step')}{_concluded(b.get('envelope'))}",
    "envelope.refused": lambda b: f"envelope refused: {b.get('reason') or b.get('why')}",
    "checkpoint.opened": lambda b: f"stopped for a human: {'; '.join(b.get('reasons', []))}",
    "checkpoint.resolved": lambda b: f"resolved: {b.get('resolution')}{_note(b)}",
    "run.paused": lambda b: f"paused in {b.get('step')}{_note(b)}",
    "run.resumed": lambda b: f"resumed in {b.get('step')}{_note(b)}",
    "run.handed_over": lambda b: (
        f"{'claimed' if b.get('claimed') else 'handed over'} in {b.get('step')}: from {b.get('from')} to "
        f"{b.get('to')}{_note(b)}"
    ),
    "run.sent_back": lambda b: f"sent back from {b.get('step')} to {b.get('to')}{_note(b)}",
    "run.closed": lambda b: f"ended: {b.get('status')}, {b.get('because')}",
    "pass.issued": lambda b: f"step pass issued for {b.get('step')}",
    "bundle.served": lambda b: (
        f"was shown {b.get('bundle')}: {len(b.get('items', []))} quotes, {b.get('sufficiency')}{_tokens(b)}"
    ),
    "call.answered": lambda b: f"called {b.get('tool')}{_noted(b, 'observation')}",
    "quote.served": lambda b: f"cited {b.get('id')}",
    "call.refused": lambda b: f"{b.get('code')}: {b.get('act')} ({b.get('reason')})",
    "approval.requested": lambda b: f"asked for approval {b.get('request')}{_of_call(b)}",
    "approval.judged": lambda b: f"{b.get('verdict')}: {b.get('request')}",
    "approval.revoked": lambda b: f"revoked {b.get('request')}",
    "execution.begun": lambda b: f"began {b.get('execution')}: {b.get('tool')} on {b.get('target')}",
    "execution.settled": lambda b: f"{b.get('state')}: {b.get('execution')} ({b.get('because')})",
    "execution.contradicted": lambda b: (
        f"a late answer says {b.get('said')} of {b.get('execution')}, which was settled as {b.get('stands')}"
    ),
    "secret.erased": lambda b: f"erased the sealed arguments of {b.get('request')}",
    "evidence.reread": lambda b: f"read its evidence anew, knowing of {', '.join(b.get('changed', []))}",
}
"""How each kind of entry is told; a kind that is not here is told by its name and its body's ids."""


def print_timeline(traced: Printed) -> None:
    """Print the entries of `run.trace`, one or two lines each."""
    print(
        f"{traced['run']}  {traced['workflow']}  {traced['status']} at {traced['step']}, "
        f"agent {traced['agent']}, release {traced['release']}"
    )
    if traced["single_handed"]:
        print("single-handed: one admin alone may lower the gate of this installation")
    width = max((len(_who(entry)) for entry in traced["entries"]), default=0)
    day = ""
    for entry in traced["entries"]:
        date, _, time = entry["at"].partition("T")
        if date != day:
            day = date
            print(f"\n{day} UTC")
        head = f"  {time.removesuffix('Z')}  {_who(entry):<{width}}  "
        print(head + plain(told(entry)))
        cited = [edge[2] for edge in entry["rests_on"] if edge[1] == "cites"]
        if cited:
            print(f"{'':<{len(head)}}rests on {plain(', '.join(cited))}")


def _who(entry: Printed) -> str:
    return plain(entry["who"] or "server")


def told(entry: Printed) -> str:
    """One entry in words."""
    words = _WORDS.get(entry["kind"])
    if words is not None:
        return words(entry["body"])
    ids = (f"{name}: {value}" for name, value in entry["body"].items() if isinstance(value, str | int))
    return f"{entry['kind']} {', '.join(ids)}".rstrip()


def _named(body: _Body, what: str) -> str:
    version = f" version {body['version']}" if "version" in body else ""
    return f"{body.get(what, 'a run')}{version}"


def _concluded(envelope: object) -> str:
    if not isinstance(envelope, dict):
        return ""
    concluded: dict[str, Any] = envelope  # pyright: ignore[reportUnknownVariableType]
    action = concluded.get("proposed_action")
    proposes = f", proposes {action['type']}" if isinstance(action, dict) and "type" in action else ""
    sure = f"{concluded.get('status')}, confidence {concluded.get('confidence')}"
    return f": {sure}{proposes}: {concluded.get('reason')}"


def _note(body: _Body) -> str:
    return f" ({body['note']})" if body.get("note") else ""


def _noted(body: _Body, what: str) -> str:
    return f", {what} {body[what]}" if body.get(what) else ""


def _tokens(body: _Body) -> str:
    tokens = body.get("tokens")
    return f", {tokens['used']} of {tokens['budget']} tokens" if isinstance(tokens, dict) else ""


def _of_call(body: _Body) -> str:
    call: _Body = body.get("call") or {}
    return f" for {call['tool']} on {call['target']}" if call else ""
