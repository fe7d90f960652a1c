"""What an exported approval proves, for somebody who has the file, the root key and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from ledger.clock import rfc3339, system_now_ms
from policies.exported import MAX_EXPORT_BYTES, Proven, verify_export
from policies.signing import parse_public_key
from server.cli.exact import exact_lines
from server.cli.printing import plain, print_json, print_pairs
from server.errors import BadInput


def verify_file(file: Path, root: str, at: str | None, *, json: bool) -> None:
    """Verify an exported approval and print what it proves. Raises `ExportRefused` if it proves none."""
    parse_public_key(root)
    at_ms = system_now_ms() if at is None else _instant(at)
    proven = verify_export(_text(file), root, at_ms)
    if json:
        print_json({**_told(proven), "call": proven.call.as_json()})
        return
    print_pairs(_told(proven).items())
    print("arguments")
    for line in exact_lines(proven.call.arguments, width=100):
        print(f"  {line}")


def _told(proven: Proven) -> dict[str, object]:
    call = proven.call
    return {
        "verdict": "approved by people, provably",
        "request": proven.request,
        "log": proven.origin,
        "agent": f"{call.principal} of {call.tenant}, owned by {proven.owner}",
        "approved by": ", ".join(proven.approved_by),
        "call": f"{call.upstream}/{call.tool} on {call.target}",
        "good from": rfc3339(call.not_before),
        "good until": rfc3339(call.expires),
        "spent on": proven.execution or "nothing yet",
        "exported": rfc3339(proven.exported_ms),
    }


def _text(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            raw = opened.read(MAX_EXPORT_BYTES + 2)
    except OSError as error:
        raise BadInput(f"{plain(file)} cannot be read: {error.strerror}.") from None
    # One line break at the end is how the file was written; anything else is no spelling of ours.
    return raw.decode("latin-1").removesuffix("\n")


def _instant(text: str) -> int:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(f"--at {text!r} is no time; write it as 2026-11-22T23:45:00Z.") from None
    found = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    return int(found.timestamp() * 1000)
