"""No sequence of what people, agents and accidents do yields two effects, or one without its signatures.

`BAILIWICK_TEST_DEPTH=N` runs the machine N times as long.
"""

from __future__ import annotations

import os
from functools import partial
from typing import cast

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from policies import approvals, redemption
from tests.rooms.stage import Stage
from tests.rooms.write_machine import WORKFLOW, WriteMachine

ALL_CHECKS: list[HealthCheck] = [*HealthCheck]  # pyright: ignore[reportAssignmentType] - a metaclass of its own
DEPTH = int(os.environ.get("BAILIWICK_TEST_DEPTH", "1"))
ROUNDS = settings(
    max_examples=15 * DEPTH, stateful_step_count=30, deadline=None, suppress_health_check=ALL_CHECKS
)
BITE = settings(ROUNDS, max_examples=60, phases=[Phase.generate], database=None, derandomize=True)


def run_machine(stage: Stage, rounds: settings) -> None:
    factory = cast("type[RuleBasedStateMachine]", partial(WriteMachine, stage))
    run_state_machine_as_test(factory, settings=rounds)


@pytest.fixture(scope="module")
def machines(founded: Stage) -> Stage:
    """The stage with the machine's workflow, which binds nothing and lets a step write often."""
    (founded.folder.workflows_dir / "machine.yaml").write_text(WORKFLOW)
    return founded


@pytest.mark.slow
@pytest.mark.timeout(120 * DEPTH)
def test_no_sequence_yields_two_effects_or_one_without_its_signatures(machines: Stage) -> None:
    run_machine(machines, ROUNDS)


def _nothing_wrong(*_facts: object) -> None:
    """What a check says that finds nothing."""


MUTANTS = {
    "nobody needs to have signed": (redemption, "_signed"),
    "any call will do": (redemption, "_same_call"),
    "any step and run will do": (redemption, "_same_place"),
    "what was taken back is good": (redemption, "_not_taken_back"),
    "files and targets may have changed": (redemption, "_same_world"),
    "a server need not have the files in force": (approvals, "gate_denial"),
}


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_with_any_check_of_redemption_left_out_the_machine_finds_it(
    machines: Stage, mutant: tuple[object, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(*mutant, _nothing_wrong)
    with pytest.raises((AssertionError, ExceptionGroup)):
        run_machine(machines, BITE)
