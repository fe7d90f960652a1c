"""A request on one page of the terminal, in the order in which a reviewer judges: what, whether it still
holds, on what grounds, and what before.

The arguments are exactly those that would be sent, and never cut. What an agent says about them stands
below them, and says so.
"""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterator
from typing import Any, Final

from rich.cells import cell_len

from server.cli.evidence import conflict_in_words
from server.cli.exact import exact, exact_lines
from server.cli.options import Printed
from server.cli.printing import plain

_NARROWEST, _WIDEST = 60, 100
_LINES_OF_REASON: Final = 3
_LINES_OF_QUOTE: Final = 2
_LINES_SHOWN: Final = 1
_MOST_BEFORE: Final = 5
_BODY = dict[str, Any]


def print_request(shown: Printed, given: str = "", *, whole: bool = False) -> None:
    """Print the result of `approval.show`; `whole` cuts nothing. `given` are the options of its commands."""
    width = _width()
    print("═" * width)
    _print_call(shown, width)
    _print_moved(shown, width)
    _print_before(shown, width)
    cut = _print_conclusion(shown, width, whole=whole)
    cut |= _print_evidence(shown, width, whole=whole)
    if cut:
        print(f"  Where … stands something was cut: bailiwick approval show --full {shown['request']}{given}")
    _print_signatures(shown, width, given)


def print_calls(pages: list[Printed]) -> None:
    """Several requests on one page: of each the exact call, and what speaks against it."""
    width = _width()
    for number, shown in enumerate(pages, start=1):
        print("─" * width)
        _print_call(shown, width, counted=f"{number} of {len(pages)}  " if len(pages) > 1 else "")
        _print_moved(shown, width)
    print("─" * width)


def _print_call(shown: Printed, width: int, counted: str = "") -> None:
    call, summary = shown["call"], shown["summary"]
    print(f"{counted}{shown['request']}  {shown['state']}")
    print(f"asked {shown['asked']}, good until {shown['expires']}")
    _head("What it would do, once")
    print(f"  {plain(summary.get('tool', call['tool']))} on {plain(call['target'])}")
    secret = frozenset(map(str, summary.get("secrets", ())))
    for line in exact_lines(call["arguments"], width - 4, secret):
        print(f"    {line}")
    for one in shown["suspicious"]:
        _bullet(f"suspicious in {plain(one['place'])}: {plain('; '.join(one['characters']))}", width, "  ! ")
    for fact in _facts(call["precondition"]):
        _bullet(fact, width, "  ")
    where = f"{plain(summary.get('workflow'))}, step {plain(summary.get('step'))}, run {shown['run']}"
    _bullet(f"asked by {plain(shown['agent'])} (owner {plain(shown['owner'])}) in {where}", width, "  ")


def _facts(precondition: str | None) -> Iterator[str]:
    if precondition is None:
        return
    facts: _BODY = json.loads(precondition)
    if "version" in facts:
        yield f"the target's version is {exact(facts['version'])}; it is read again just before the call"
    if "rows" in facts:
        yield f"it would touch {facts['rows']}; that is counted again just before the call"


def _print_moved(shown: Printed, width: int) -> None:
    """What stands against the call as things are now."""
    known = [
        f"{one} was out of force already when it asked; it has read its evidence anew"
        for one in shown["known_changed"]
    ]
    if not shown["moved"] and not known:
        return
    _head("What has changed meanwhile")
    for moved in shown["moved"]:
        code, _, what = moved.partition(": ")
        _bullet(f"{plain(what)} (now the call would be {code})", width, "  ! ")
    for one in known:
        _bullet(plain(one), width, "  ! ")


def _print_conclusion(shown: Printed, width: int, *, whole: bool) -> bool:
    """The agent's own words: each step's conclusion with what it cites, and where a human stopped it. Whether
    something was cut.
    """
    reason, steps, cut = shown["summary"].get("reason"), shown["steps"], False
    if not reason and not steps:
        return False
    _head("What it concluded, in its own words")
    if reason and (not steps or reason != steps[-1]["reason"]):
        _bullet(plain(reason), width, "  ")
    printed: set[str] = set()  # what several steps cite is shown where it was cited first
    for envelope in steps:
        told = f"{plain(envelope['step'])}, confidence {envelope['confidence']}: {plain(envelope['reason'])}"
        cut |= _short(told, width, "  ", None if whole else _LINES_OF_REASON)
        for item in envelope["evidence"]:
            if item["source"] not in printed:
                printed.add(item["source"])
                quoted = f"“{plain(item['quote'])}”"
                most = None if whole else _LINES_OF_QUOTE
                cut |= _short(quoted, width, "    - ", most, plain(item["source"]))
        for stop in shown["checkpoints"]:
            if stop["step"] == envelope["step"]:
                _bullet(_stopped(stop), width, "    ! ")
    return cut


def _stopped(stop: Printed) -> str:
    decided = "not resolved yet"
    if stop["resolution"]:
        decided = f"{stop['resolution'].replace('_', ' ')} by {plain(stop['by'])}"
    note = f" ({plain(stop['note'])})" if stop["note"] else ""
    return f"stopped for a human: {plain('; '.join(stop['reasons']))}: {decided}{note}"


def _print_evidence(shown: Printed, width: int, *, whole: bool) -> bool:
    """What the run was shown: how good it was, every conflict, and what was not cited above; each once.
    Whether something was cut.
    """
    bundles, observations = shown["saw"]["bundles"], shown["saw"]["observations"]
    if not bundles and not observations:
        return False
    _head("What it was shown besides")
    printed = {item["source"] for envelope in shown["steps"] for item in envelope["evidence"]}
    cut = False
    for bundle in bundles:
        new = [item for item in bundle["items"] if item["id"] not in printed]
        printed |= {item["id"] for item in new}
        mark = "  " if bundle["sufficiency"] == "sufficient" else "  ! "
        count = f"{len(bundle['items'])} quotes, {len(new)} of them new here" if new else "nothing new"
        print(f"{mark}in {plain(bundle['step'])} ({bundle['sufficiency']}): {count}")
        for conflict in bundle["conflicts"]:
            _bullet(f"sources disagree: {conflict_in_words(conflict)}", width, "    ! ")
        for item in new:
            quoted = f"“{plain(item['quote'])}”"
            cut |= _short(quoted, width, "    - ", None if whole else _LINES_SHOWN, plain(item["id"]))
    for one in observations:
        told = f"{plain(one['tool'])} answered: {plain(one['text'])}"
        cut |= _short(told, width, "  ", None if whole else _LINES_OF_QUOTE)
    return cut


def _print_before(shown: Printed, width: int) -> None:
    target = plain(shown["call"]["target"])
    _head(f"What happened to {target} before")
    earlier = shown["earlier"]
    if not earlier:
        print(f"  Nothing was ever done to {target} through here.")
        return
    if len(earlier) > _MOST_BEFORE:
        print(f"  {len(earlier) - _MOST_BEFORE} earlier ones are left out here.")
    for one in earlier[-_MOST_BEFORE:]:
        given = ", ".join(line.replace("  ", " ", 1) for line in exact_lines(one["arguments"] or {}, 10_000))
        mark = "  ! " if one["state"] != "succeeded" else "  - "
        who = f" by {plain(one['agent'])}" if one["agent"] else ""
        _bullet(
            f"{one['at']} {plain(one['tool'])}: {one['state']}{who} ({one['execution']}, run {one['run']})",
            width,
            mark,
        )
        if given:
            _bullet(" ".join(given.split()), width, "      ")


def _print_signatures(shown: Printed, width: int, given: str) -> None:
    quorum = shown["call"]["quorum"]
    _head("Who signs")
    for one in shown["verdicts"]:
        fallen = "" if one["counts"] else " (no longer counts)"
        print(f"  {plain(one['reviewer'])}: {one['verdict']} at {one['at']}{fallen}")
    if shown["state"] != "pending":
        print(f"  It is {shown['state']}.")
        return
    missing = shown["missing"]
    who = f"{missing} {quorum['role']}" + ("s" if missing != 1 else "")
    not_owner = f", not {plain(shown['owner'])}" if quorum["four_eyes"] else ""
    print(f"  Still to sign: {who}{not_owner}.")
    if shown["you_cannot"] is not None:
        _bullet(plain(shown["you_cannot"]), width, "  ! ")
        return
    _bullet(f"Your signature is over {shown['digest']}.", width, "  ")
    for verb in ("approve", "deny"):
        print(f"    bailiwick approval {verb} {shown['request']}{given}")


def _head(text: str) -> None:
    print(f"\n{text}")


def _bullet(text: str, width: int, mark: str) -> None:
    """A paragraph behind a mark. Texts of others are in one line already, so folding changes only white
    space.
    """
    print(
        textwrap.fill(
            text,
            width,
            initial_indent=mark,
            subsequent_indent=" " * len(mark),
            break_long_words=True,
            break_on_hyphens=False,
        )
    )


def _short(text: str, width: int, mark: str, most: int | None, behind: str = "") -> bool:
    """A paragraph of at most so many lines, with its place behind it; whether it was cut."""
    tail = f" {behind}" if behind else ""
    room = len(text) if most is None else most * (width - len(mark)) - cell_len(tail) - most - 1
    short = text if len(text) <= room else f"{text[:room]}…"
    _bullet(short + tail, width, mark)
    return len(text) > room


def _width() -> int:
    return max(_NARROWEST, min(_WIDEST, shutil.get_terminal_size((80, 24)).columns))
