"""`python -m benchmarks NAME… [--json FILE] [--rounds N]`, or `--list`.

The exit code is 0 when everything was measured and every answer was right, 1 when one was wrong or missing,
and 2 for bad usage. A limit that is missed is shown in red and changes no exit code: on a machine that does
other things too, a ratio is something to look at and not a verdict.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from benchmarks.calls import WrongAnswer
from benchmarks.loader import LoadFailed
from benchmarks.processes import NotStarted
from benchmarks.registry import BENCHMARKS, Extent
from benchmarks.rows import Row, print_rows, write_rows

DEFAULT_ROUNDS = 12


def main(arguments: list[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    if given.list:
        for name, benchmark in BENCHMARKS.items():
            print(f"{name}: {benchmark.sentence}")
        return 0
    rows: list[Row] = []
    for name in given.names or BENCHMARKS:
        print(f"Measuring {name}.", file=sys.stderr)
        try:
            rows += BENCHMARKS[name].load()(Extent(rounds=given.rounds))
        except (WrongAnswer, LoadFailed, NotStarted) as error:
            print(f"{name} is not measured: {error}", file=sys.stderr)
            return 1
    print_rows(rows, Console())
    if given.json is not None:
        write_rows(rows, given.json)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure Bailiwick against plain peers, side by side."
    )
    # No `choices`: argparse would also hold the empty list against them.
    parser.add_argument(
        "names", nargs="*", type=_name, metavar="NAME", help="what to measure; else everything"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to this file too")
    parser.add_argument(
        "--rounds", type=_count, default=DEFAULT_ROUNDS, help="how often the subjects take turns"
    )
    parser.add_argument("--list", action="store_true", help="list the benchmarks and end")
    return parser


def _name(text: str) -> str:
    if text not in BENCHMARKS:
        raise argparse.ArgumentTypeError(f"there is no benchmark {text}; there is: {', '.join(BENCHMARKS)}")
    return text


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1_000:
        raise argparse.ArgumentTypeError("give a number from 1 to 1000")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
