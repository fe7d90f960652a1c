"""No sequence of what people, agents and accidents do yields two effects, or one without its signatures.

`BAILIWICK_TEST_DEPTH=N` runs the machine N times as long.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from typing import cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from policies import approvals, redemption
from tests.rooms.stage import Stage
from tests.rooms.write_machine import LAST, MAY_APPROVE, WORKFLOW, WriteMachine
from tool_scopes import house, tool_calls, write_calls

ALL_CHECKS: list[HealthCheck] = [*HealthCheck]  # pyright: ignore[reportAssignmentType] - a metaclass of its own
DEPTH = int(os.environ.get("BAILIWICK_TEST_DEPTH", "1"))
ROUNDS = settings(
    max_examples=15 * DEPTH, stateful_step_count=30, deadline=None, suppress_health_check=ALL_CHECKS
)


def run_machine(stage: Stage, rounds: settings) -> None:
    factory = cast("type[RuleBasedStateMachine]", partial(WriteMachine, stage))
    run_state_machine_as_test(factory, settings=rounds)


@pytest.fixture(scope="module")
def machines(founded: Stage, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A stage with the machine's workflow, which binds nothing and lets a step write often."""
    root = tmp_path_factory.mktemp("machines") / "data"
    shutil.copytree(founded.folder.root, root)
    own = founded.moved(root)
    (own.folder.workflows_dir / "machine.yaml").write_text(WORKFLOW)
    return own


@pytest.mark.slow
@pytest.mark.timeout(120 * DEPTH)
def test_no_sequence_yields_two_effects_or_one_without_its_signatures(machines: Stage) -> None:
    run_machine(machines, ROUNDS)


def _nothing_wrong(*_facts: object) -> None:
    """What a check says that finds nothing."""


def _approvers_leave(machine: WriteMachine) -> None:
    machine.have_approved(0, 0, "i-1", 1)
    for person in MAY_APPROVE:
        machine.leave(1, person)
    machine.spend(0, LAST, "work")


def _other_arguments(machine: WriteMachine) -> None:
    machine.have_approved(0, 0, "i-1", 1)
    machine.spend_with_arguments_swapped(1, LAST, "i-2", 1)


def _another_epoch(machine: WriteMachine) -> None:
    machine.have_approved(0, 0, "i-1", 1)
    machine.move_there_and_back(1, 0)
    machine.spend(0, LAST, "work")


def _taken_back(machine: WriteMachine) -> None:
    machine.have_approved(0, 0, "i-1", 1)
    machine.wait(61)
    machine.spend(0, LAST, "work")


def _other_files(machine: WriteMachine) -> None:
    machine.have_approved(0, 0, "i-1", 1)
    machine.restart(0, 1)
    machine.spend(0, LAST, "work")


def _files_out_of_force(machine: WriteMachine) -> None:
    machine.have_approved(0, 0, "i-1", 1)
    machine.restart(1, 1)
    machine.spend(0, LAST, "work")


def _frozen(machine: WriteMachine) -> None:
    machine.have_approved(0, 0, "i-1", 1)
    machine.freeze(1, False)


Check = tuple[object, str]
LEFT_OUT: dict[str, tuple[tuple[Check, ...], Callable[[WriteMachine], None]]] = {
    "nobody needs to have signed": (((redemption, "_signed"),), _approvers_leave),
    "any call will do": (((redemption, "_same_call"),), _other_arguments),
    "any step and run will do": (((redemption, "_same_place"),), _another_epoch),
    "what was taken back is good": (((redemption, "_not_taken_back"),), _taken_back),
    "files may have changed": (((redemption, "_same_world"),), _other_files),
    # Two checks stand behind each other here, so both are left out.
    "a server need not have the files in force": (
        ((approvals, "gate_denial"), (house, "gate_denial")),
        _files_out_of_force,
    ),
    "a freeze stops nothing": (
        tuple((module, "freeze_denial") for module in (approvals, tool_calls, write_calls)),
        _frozen,
    ),
}


def act_out(stage: Stage, script: Callable[[WriteMachine], None]) -> None:
    machine = WriteMachine(stage)
    try:
        machine.begin()
        script(machine)
        machine.the_world_has_changed_as_often_as_the_model_says()
    finally:
        machine.teardown()


@pytest.mark.slow
@pytest.mark.parametrize(("checks", "script"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_with_any_check_of_redemption_left_out_the_machine_finds_it(
    machines: Stage,
    checks: tuple[Check, ...],
    script: Callable[[WriteMachine], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    act_out(machines, script)
    for module, name in checks:
        monkeypatch.setattr(module, name, _nothing_wrong)
    with pytest.raises((AssertionError, ExceptionGroup)):
        act_out(machines, script)
