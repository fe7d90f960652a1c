"""A request on one page of the terminal, in the order in which a reviewer judges: what, on what grounds,
and what before.

The arguments are exactly those that would be sent. Every character that could make them read differently is
escaped and named.
"""

from __future__ import annotations

import json
from typing import Any

from server.cli.evidence import conflict_in_words
from server.cli.options import Printed
from server.cli.printing import plain

_LONGEST_OBSERVATION = 600


def print_request(shown: Printed) -> None:
    """Print the result of `approval.show`."""
    call, summary = shown["call"], shown["summary"]
    print(f"\n{'=' * 78}\n{shown['request']}  {shown['state']}, until {shown['expires']}")
    print(f"{plain(shown['agent'])} (owner {plain(shown['owner'])}) asks to do this, once:\n")
    print(f"  {plain(summary.get('tool', call['tool']))} on {plain(call['target'])}")
    for name, value in call["arguments"].items():
        exact = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        print(f"    {plain(name)}: {plain(exact)}")
    for one in shown["suspicious"]:
        print(f"  ! suspicious in {plain(one['place'])}: {plain('; '.join(one['characters']))}")
    print()
    if summary.get("reason"):
        print(f"Why, as it says: {plain(summary['reason'])}")
    print(f"In: {plain(summary.get('workflow'))}, step {plain(summary.get('step'))}, run {shown['run']}")
    cited = _print_conclusion(shown["concluded"])
    _print_evidence(shown["saw"], cited)
    _print_before(shown)
    _print_signatures(shown)


def _print_conclusion(envelope: dict[str, Any] | None) -> dict[str, str]:
    """The newest envelope; gives the quotes that it cites, by where they stand."""
    if envelope is None:
        return {}
    print(
        f"\nIt concluded ({plain(envelope['step'])}, confidence {envelope['confidence']}): "
        f"{plain(envelope['reason'])}"
    )
    for item in envelope["evidence"]:
        print(f"  {plain(item['source'])}: “{plain(item['quote'])}”")
    return {item["source"]: item["quote"] for item in envelope["evidence"]}


def _print_evidence(saw: Printed, cited: dict[str, str]) -> None:
    """Every quote that the run was shown, each once: under the first step that it was shown in."""
    printed = set(cited)
    for bundle in saw["bundles"]:
        new = [item for item in bundle["items"] if item["id"] not in printed]
        printed |= {item["id"] for item in new}
        above = len(bundle["items"]) - len(new)
        print(
            f"\nIt was shown {bundle['bundle']} in {plain(bundle['step'])}: evidence {bundle['sufficiency']}"
            + (f"; {above} of its quotes stand above" if above else "")
        )
        for conflict in bundle["conflicts"]:
            print(f"  ! sources disagree: {conflict_in_words(conflict)}")
        for item in new:
            print(f"  {plain(item['id'])} ({plain(item['title'])}): “{plain(item['quote'])}”")
    for one in saw["observations"]:
        text = plain(one["text"])
        cut = (
            text
            if len(text) <= _LONGEST_OBSERVATION
            else f"{text[:_LONGEST_OBSERVATION]}… ({len(text)} characters)"
        )
        print(f"\n{plain(one['tool'])} answered ({one['id']}):\n  {cut}")


def _print_before(shown: Printed) -> None:
    target = plain(shown["call"]["target"])
    if not shown["earlier"]:
        print(f"\nBefore: nothing was ever done to {target} through here.")
        return
    print(f"\nBefore, on {target}:")
    for one in shown["earlier"]:
        print(f"  {one['execution']}  {plain(one['tool'])}: {one['state']} (run {one['run']})")


def _print_signatures(shown: Printed) -> None:
    quorum = shown["call"]["quorum"]
    signed = [one for one in shown["verdicts"] if one["counts"]]
    for one in shown["verdicts"]:
        fallen = "" if one["counts"] else " (no longer counts)"
        print(f"\n{plain(one['reviewer'])}: {one['verdict']} at {one['at']}{fallen}")
    missing = quorum["needed"] - sum(one["verdict"] == "approve" for one in signed)
    if shown["state"] != "pending":
        print(f"\nIt is {shown['state']}.")
        return
    not_owner = f", not {plain(shown['owner'])}" if quorum["four_eyes"] else ""
    who = f"{missing} {quorum['role']}" + ("s" if missing != 1 else "")
    print(f"\nStill to sign: {who}{not_owner}. Your signature is over {shown['digest']}.")
    print(f"  bailiwick approval approve {shown['request']}\n  bailiwick approval deny {shown['request']}")
