"""A request as a reviewer reads it, in the order in which one judges: what, whether it still holds, what was
done before, on what grounds, and who signs.

The terminal and the approval page both show this sheet, so they cannot differ in what they say. The arguments
are exactly those that would be sent, and never cut. What an agent says about them stands below them, and says
so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, Literal

from server.shown_text import conflict_in_words, exact, exact_values, plain

LINES_OF_REASON: Final = 3
LINES_OF_QUOTE: Final = 2
LINES_SHOWN: Final = 1
_MOST_BEFORE: Final = 5

Mark = Literal["", "!", "-"]
"""What stands before a line: nothing, something to look at, or one of several."""

_Shown = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """A paragraph. `most` is after how many lines a short view may cut it; `place` stands whole behind it."""

    text: str
    mark: Mark = ""
    depth: int = 1
    most: int | None = None
    place: str = ""
    kind: Literal["text", "call", "command"] = "text"
    """`call` names what is called; a `command` is to be typed as it stands. Neither is folded."""


@dataclass(frozen=True, slots=True)
class Values:
    """Exact values, each with its place."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """Some lines under a heading."""

    name: Literal["call", "moved", "before", "concluded", "shown", "signatures"]
    heading: str
    lines: tuple[Line | Values, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """One request. `digest` is what a verdict is signed over; `judgeable`: this reader can sign one."""

    request: str
    state: str
    times: str
    digest: str
    judgeable: bool
    sections: tuple[Section, ...]

    def only(self, *names: str) -> tuple[Section, ...]:
        """Some of the sections, in their order."""
        return tuple(section for section in self.sections if section.name in names)


def sheet_of(shown: _Shown, given: str = "") -> Sheet:
    """The sheet of what `approval.show` gives. A section without lines is left out.

    `given` are the options that a command needs at this reader's terminal to act as it did before.
    """
    target = plain(shown["call"]["target"])
    sections = (
        Section("call", "What it would do, once", tuple(_call(shown))),
        Section("moved", "What has changed meanwhile", tuple(_moved(shown))),
        Section("before", f"What happened to {target} before", tuple(_before(shown))),
        Section("concluded", "What it concluded, in its own words", tuple(_concluded(shown))),
        Section("shown", "What it was shown besides", tuple(_besides(shown))),
        Section("signatures", "Who signs", tuple(_signatures(shown, given))),
    )
    return Sheet(
        request=shown["request"],
        state=shown["state"],
        times=f"asked {shown['asked']}, good until {shown['expires']}",
        digest=shown["digest"],
        judgeable=shown["state"] == "pending" and shown["you_cannot"] is None,
        sections=tuple(section for section in sections if section.lines),
    )


def verdict_in_words(result: _Shown) -> str:
    """What a verdict brought about, from the result of `approval.judge`."""
    if result["state"] == "approved":
        return "approved: the agent can make this very call now, once"
    if result["verdict"] == "deny":
        return "denied"
    return f"your approval counts; the request is {result['state']}, so somebody else has to sign too"


def by_run_and_tool(approvals: list[_Shown]) -> list[_Shown]:
    """What belongs together stands together; groups, and requests within one, by their age."""
    return [one for group in groups_of(approvals) for one in group]


def groups_of(approvals: list[_Shown]) -> list[list[_Shown]]:
    """The rows of `approval.list`, those of one run and tool together."""

    def same(one: _Shown) -> tuple[str, str]:
        return one["run"], one["tool"]

    groups = [list(group) for _, group in groupby(sorted(approvals, key=same), same)]
    for group in groups:
        group.sort(key=lambda one: (one["asked"], one["request"]))
    return sorted(groups, key=lambda group: group[0]["asked"])


def _call(shown: _Shown) -> Iterator[Line | Values]:
    call, summary = shown["call"], shown["summary"]
    yield Line(f"{plain(summary.get('tool', call['tool']))} on {plain(call['target'])}", kind="call")
    secret = frozenset(map(str, summary.get("secrets", ())))
    if call["arguments"]:
        yield Values(tuple(exact_values(call["arguments"], secret)))
    for one in shown["suspicious"]:
        yield Line(f"suspicious in {plain(one['place'])}: {plain('; '.join(one['characters']))}", "!")
    if call["precondition"] is not None:
        facts: _Shown = json.loads(call["precondition"])
        if "version" in facts:
            told = f"the target's version is {exact(facts['version'])}"
            yield Line(f"{told}; it is read again just before the call")
        if "rows" in facts:
            yield Line(f"it would touch {facts['rows']}; that is counted again just before the call")
    where = f"{plain(summary.get('workflow'))}, step {plain(summary.get('step'))}, run {shown['run']}"
    yield Line(f"asked by {plain(shown['agent'])} (owner {plain(shown['owner'])}) in {where}")


def _moved(shown: _Shown) -> Iterator[Line]:
    """What stands against the call as things are now."""
    for moved in shown["moved"]:
        code, _, what = moved.partition(": ")
        yield Line(f"{plain(what)} (now the call would be {code})", "!")
    for one in shown["known_changed"]:
        told = f"{one} was out of force already when it asked; it has read its evidence anew"
        yield Line(plain(told), "!")


def _before(shown: _Shown) -> Iterator[Line]:
    earlier = shown["earlier"]
    if not earlier:
        yield Line(f"Nothing was ever done to {plain(shown['call']['target'])} through here.")
    if len(earlier) > _MOST_BEFORE:
        yield Line(f"{len(earlier) - _MOST_BEFORE} earlier ones are left out here.")
    for one in earlier[-_MOST_BEFORE:]:
        who = f" by {plain(one['agent'])}" if one["agent"] else ""
        what = f"{one['at']} {plain(one['tool'])}: {one['state']}{who} ({one['execution']}, run {one['run']})"
        yield Line(what, "!" if one["state"] != "succeeded" else "-")
        given = ", ".join(f"{place} {text}" for place, text in exact_values(one["arguments"] or {}))
        if given:
            yield Line(" ".join(given.split()), depth=3)


def _concluded(shown: _Shown) -> Iterator[Line]:
    """The agent's own words: each step's conclusion with what it cites, and where a human stopped it."""
    reason, steps = shown["summary"].get("reason"), shown["steps"]
    if reason and (not steps or reason != steps[-1]["reason"]):
        yield Line(plain(reason))
    printed: set[str] = set()  # what several steps cite is shown where it was cited first
    for envelope in steps:
        told = f"{plain(envelope['step'])}, confidence {envelope['confidence']}: {plain(envelope['reason'])}"
        yield Line(told, most=LINES_OF_REASON)
        for item in envelope["evidence"]:
            if item["source"] not in printed:
                printed.add(item["source"])
                yield _quote(item["quote"], item["source"], LINES_OF_QUOTE)
        for stop in shown["checkpoints"]:
            if stop["step"] == envelope["step"]:
                yield Line(_stopped(stop), "!", depth=2)


def _stopped(stop: _Shown) -> str:
    decided = "not resolved yet"
    if stop["resolution"]:
        decided = f"{stop['resolution'].replace('_', ' ')} by {plain(stop['by'])}"
    note = f" ({plain(stop['note'])})" if stop["note"] else ""
    return f"stopped for a human: {plain('; '.join(stop['reasons']))}: {decided}{note}"


def _besides(shown: _Shown) -> Iterator[Line]:
    """What the run was shown: how good it was, every conflict, and what was not cited above; each once."""
    printed = {item["source"] for envelope in shown["steps"] for item in envelope["evidence"]}
    for bundle in shown["saw"]["bundles"]:
        new = [item for item in bundle["items"] if item["id"] not in printed]
        printed |= {item["id"] for item in new}
        count = f"{len(bundle['items'])} quotes, {len(new)} of them new here" if new else "nothing new"
        mark: Mark = "" if bundle["sufficiency"] == "sufficient" else "!"
        yield Line(f"in {plain(bundle['step'])} ({bundle['sufficiency']}): {count}", mark)
        for conflict in bundle["conflicts"]:
            yield Line(f"sources disagree: {conflict_in_words(conflict)}", "!", depth=2)
        for item in new:
            yield _quote(item["quote"], item["id"], LINES_SHOWN)
    for one in shown["saw"]["observations"]:
        yield Line(f"{plain(one['tool'])} answered: {plain(one['text'])}", most=LINES_OF_QUOTE)


def _quote(quote: str, source: str, most: int) -> Line:
    return Line(f"“{plain(quote)}”", "-", depth=2, most=most, place=plain(source))


def _signatures(shown: _Shown, given: str) -> Iterator[Line]:
    quorum, missing = shown["call"]["quorum"], shown["missing"]
    for one in shown["verdicts"]:
        fallen = "" if one["counts"] else " (no longer counts)"
        yield Line(f"{plain(one['reviewer'])}: {one['verdict']} at {one['at']}{fallen}")
    if shown["state"] != "pending":
        yield Line(f"It is {shown['state']}.")
        return
    who = f"{missing} {quorum['role']}" + ("s" if missing != 1 else "")
    not_owner = f", not {plain(shown['owner'])}" if quorum["four_eyes"] else ""
    yield Line(f"Still to sign: {who}{not_owner}.")
    if shown["you_cannot"] is not None:
        yield Line(plain(shown["you_cannot"]), "!")
        return
    yield Line(f"Your signature is over {shown['digest']}.")
    for verb in ("approve", "deny"):
        yield Line(f"bailiwick approval {verb} {shown['request']}{given}", depth=2, kind="command")
