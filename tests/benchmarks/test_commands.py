"""`python -m benchmarks` as a person or a pipeline calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import __main__ as program
from benchmarks.calls import WrongAnswer
from benchmarks.registry import BENCHMARKS, Benchmark, Extent, Measure
from benchmarks.rows import Row


def measuring(outcome: list[Row] | Exception, seen: list[Extent]) -> Benchmark:
    def measure(extent: Extent) -> list[Row]:
        seen.append(extent)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def load() -> Measure:
        return measure

    return Benchmark("A measurement of a test.", load)


def only(monkeypatch: pytest.MonkeyPatch, **benchmarks: Benchmark) -> None:
    monkeypatch.setattr(program, "BENCHMARKS", benchmarks)


def test_the_list_names_every_benchmark_with_its_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["--list"]) == 0
    listed = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert listed == {name: benchmark.sentence for name, benchmark in BENCHMARKS.items()}
    assert {"decision", "governed_call", "startup"} <= listed.keys()


def test_rows_go_to_the_file_and_the_table_to_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row, seen = Row("call", "read p50", "ms", 2.0, 1.0, "bare proxy"), list[Extent]()
    only(monkeypatch, call=measuring([row], seen))
    assert program.main(["call", "--json", str(tmp_path / "rows.json"), "--rounds", "3"]) == 0
    assert json.loads((tmp_path / "rows.json").read_text()) == [row.as_json()]
    assert seen == [Extent(rounds=3)]
    assert "bare proxy" in capsys.readouterr().out


def test_without_a_name_everything_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = list[Extent](), list[Extent]()
    only(monkeypatch, one=measuring([], first), two=measuring([], second))
    assert program.main([]) == 0
    assert len(first) == len(second) == 1


def test_a_wrong_answer_fails_the_benchmark_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    only(monkeypatch, call=measuring(WrongAnswer("read_item: code is 'unavailable'"), []))
    assert program.main(["call", "--json", str(tmp_path / "rows.json")]) == 1
    assert "code is 'unavailable'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [["nothing_of_that_name"], ["--rounds", "0"], ["--rounds", "many"]])
def test_bad_usage_is_one_sentence_and_exit_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        program.main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("python -m benchmarks: error: argument")
