"""A workflow as a picture: in the terminal, and as a Mermaid flowchart that many pages and editors draw."""

from __future__ import annotations

from collections.abc import Iterator

from tool_scopes.workflow_model import HUMAN
from tool_scopes.workflows import Step, StepKind, Workflow

_END = "end"


def in_terminal(workflow: Workflow) -> Iterator[str]:
    """Every step as a box, with arrows to what can follow: `─▶` in the ordinary way, `╌▶` in trouble."""
    order = list(_in_order(workflow))
    for number, name in enumerate(order):
        step = workflow.steps[name]
        lines = [f"{name} ({step.kind.value})", *step.tools]
        width = max(map(len, lines))
        yield f"┌─{'─' * width}─┐"
        yield from (f"│ {line.ljust(width)} │" for line in lines)
        yield f"└─{'┬' if step.next else '─'}{'─' * (width - 1)}─┘"
        below = order[number + 1 : number + 2]
        for arrow, target, why in _ways(step):
            note = f"  {why}" if why else ""
            yield f"  {'└' if arrow == 'goes' else ' '}{'─▶' if arrow == 'goes' else '╌▶'} {target}{note}"
        if below:
            yield ""


def as_mermaid(workflow: Workflow) -> Iterator[str]:
    """The workflow as a Mermaid flowchart. Steps are named by number: no name can break its syntax."""
    ids = {name: f"s{number}" for number, name in enumerate(_in_order(workflow))}
    yield "flowchart TD"
    yield f"  begin([{workflow.name} {workflow.version}]) --> {ids[workflow.start]}"
    human = ends = False
    for name, node in ids.items():
        step = workflow.steps[name]
        label = "<br/>".join([f"<b>{name}</b> ({step.kind.value})", *(_plain(tool) for tool in step.tools)])
        left, right = ("[[", "]]") if step.kind is StepKind.EXECUTE else ("[", "]")
        yield f'  {node}{left}"{label}"{right}'
        for arrow, target, why in _ways(step):
            human, ends = human or target == HUMAN, ends or target == _END
            there = {HUMAN: "human", _END: "done"}.get(target) or ids[target]
            yield f"  {node} --> {there}" if arrow == "goes" else f'  {node} -. "{_plain(why)}" .-> {there}'
    if human:
        yield '  human{{"a human"}}'
    if ends:
        yield "  done([end])"


def _ways(step: Step) -> Iterator[tuple[str, str, str]]:
    """Where a step can lead: how, to which step, and why."""
    for target in step.next:
        yield "goes", target, ""
    if not step.next:
        yield "goes", _END, ""
    away: dict[str, list[str]] = {}
    for trouble, target in step.on.steps().items():
        away.setdefault(target, []).append(trouble)
    for target, troubles in away.items():
        yield "trouble", target, f"on {', '.join(troubles)}"
    checks = list(_checks(step))
    if checks:
        yield "trouble", HUMAN, ", ".join(checks)


def _checks(step: Step) -> Iterator[str]:
    """What brings in a human before the step is left."""
    rules = step.checkpoints
    if rules.confidence_below is not None:
        yield f"confidence below {rules.confidence_below:g}"
    if step.needs is not None:
        yield from (kind for kind in rules.evidence if kind == "stale" or step.on.of(kind) == HUMAN)
    if rules.bundle_above is not None:
        yield f"more than {rules.bundle_above} tokens"
    if rules.sensitive_action:
        yield "a sensitive action"
    if step.kind is StepKind.EXECUTE and step.on.denied == HUMAN:
        yield "denied"


def _in_order(workflow: Workflow) -> Iterator[str]:
    """The steps as runs meet them, the first one first, each once."""
    seen: dict[str, None] = {}
    todo = [workflow.start]
    while todo:
        name = todo.pop(0)
        if name in seen:
            continue
        seen[name] = None
        yield name
        step = workflow.steps[name]
        todo += [*step.next, *step.on.steps().values()]


def _plain(text: str) -> str:
    return "".join(one if one.isalnum() or one in " _.,-/:" else "#" for one in text)
