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

from server.cli.evidence import conflict_in_words
from server.cli.exact import exact, exact_lines
from server.cli.options import Printed
from server.cli.printing import plain

_NARROWEST, _WIDEST = 60, 100
_LONGEST_QUOTE: Final = 240
_LONGEST_OBSERVATION: Final = 400
_MOST_BEFORE: Final = 5
_BODY = dict[str, Any]


def print_request(shown: Printed, *, whole: bool = False) -> None:
    """Print the result of `approval.show`; `whole` cuts nothing."""
    width = _width()
    print("═" * width)
    _print_call(shown, width)
    _print_moved(shown, width)
    cited = _print_conclusion(shown, width)
    _print_evidence(shown, cited, width, whole=whole)
    _print_before(shown, width)
    _print_signatures(shown, width)


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
    print(f"asked {shown['asked']}, good until {shown['expires']}\n")
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
    print(f"  asked by {plain(shown['agent'])} (owner {plain(shown['owner'])}) in {where}")


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


def _print_conclusion(shown: Printed, width: int) -> set[str]:
    """The agent's own words, the newest envelope and its checkpoints; gives the places of what it cites."""
    reason, envelope = shown["summary"].get("reason"), shown["concluded"]
    if reason or envelope is not None:
        _head("What it says and concluded (the agent's own words)")
    if envelope is None:
        if reason:
            _bullet(plain(reason), width, "  ")
        return set()
    if reason and reason != envelope["reason"]:
        _bullet(plain(reason), width, "  ")
    _bullet(
        f"{plain(envelope['step'])}, confidence {envelope['confidence']}: {plain(envelope['reason'])}",
        width,
        "  ",
    )
    for item in envelope["evidence"]:
        _bullet(f"“{plain(item['quote'])}” {plain(item['source'])}", width, "  - ")
    for stop in shown["checkpoints"]:
        decided = (
            f"{stop['resolution'].replace('_', ' ')} by {plain(stop['by'])}"
            if stop["resolution"]
            else "not resolved yet"
        )
        note = f" ({plain(stop['note'])})" if stop["note"] else ""
        _bullet(
            f"stopped in {plain(stop['step'])}: {plain('; '.join(stop['reasons']))}: {decided}{note}",
            width,
            "  ! ",
        )
    return {item["source"] for item in envelope["evidence"]}


def _print_evidence(shown: Printed, cited: set[str], width: int, *, whole: bool) -> None:
    """Every quote that the run was shown, each once: under the first step that it was shown in."""
    bundles, observations = shown["saw"]["bundles"], shown["saw"]["observations"]
    if not bundles and not observations:
        return
    _head("What it was shown")
    printed, cut = set(cited), False
    for bundle in bundles:
        new = [item for item in bundle["items"] if item["id"] not in printed]
        printed |= {item["id"] for item in new}
        above = len(bundle["items"]) - len(new)
        _bullet(
            f"in {plain(bundle['step'])}: {bundle['bundle']}, {bundle['sufficiency']}"
            + (f"; {above} of its quotes stand above" if above else ""),
            width,
            "  ",
        )
        for conflict in bundle["conflicts"]:
            _bullet(f"sources disagree: {conflict_in_words(conflict)}", width, "    ! ")
        for item in new:
            text, shorter = _cut(plain(item["quote"]), _LONGEST_QUOTE, whole=whole)
            cut |= shorter
            _bullet(f"{plain(item['id'])} ({plain(item['title'])}): “{text}”", width, "    - ")
    for one in observations:
        if one["id"] in printed:
            continue
        text, shorter = _cut(plain(one["text"]), _LONGEST_OBSERVATION, whole=whole)
        cut |= shorter
        _bullet(f"{plain(one['tool'])} answered ({one['id']}): {text}", width, "  ")
    if cut:
        print(f"  … is where something was cut: bailiwick approval show --full {shown['request']}")


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


def _print_signatures(shown: Printed, width: int) -> None:
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
    print(
        f"    bailiwick approval approve {shown['request']}\n    bailiwick approval deny {shown['request']}"
    )


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


def _cut(text: str, longest: int, *, whole: bool) -> tuple[str, bool]:
    if whole or len(text) <= longest:
        return text, False
    return f"{text[:longest]}…", True


def _width() -> int:
    return max(_NARROWEST, min(_WIDEST, shutil.get_terminal_size((80, 24)).columns))
