"""`bailiwick run`: open runs, look at them, and decide about one that waits."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from server.cli.options import As, Data, Json, Key, Printed, desk
from server.cli.printing import plain, print_json, print_pairs, print_table, tell

app = typer.Typer(help="Executions of workflows.", no_args_is_help=True, rich_markup_mode=None)

Run = Annotated[str, typer.Argument(metavar="RUN", help="Its id, run_….")]
Note = Annotated[str, typer.Option(help="Why; it is written down, and an agent that is sent back reads it.")]
To = Annotated[
    str | None, typer.Option(metavar="STEP", help="A step that it has been in; without it, the same one.")
]


@app.command("open")
def open_(
    workflow: Annotated[str, typer.Argument(metavar="WORKFLOW")],
    agent: Annotated[str, typer.Option(help="The agent whose run it is.")],
    given: Annotated[
        str, typer.Option("--input", metavar="JSON", help="What the workflow starts with; - reads stdin.")
    ] = "{}",
    idempotency_key: Annotated[
        str | None, typer.Option(help="The same key and input always give the same run.")
    ] = None,
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Open a run for an agent, from a timer or by hand; prints its id."""
    result = desk(data, key, person).ask(
        "run.open", workflow=workflow, agent=agent, input=_object(given), idempotency_key=idempotency_key
    )
    print_json(result) if json else print(result["run"])


def _object(text: str) -> dict[str, Any]:
    from ledger.canonical import CanonicalError, parse_strict
    from server.errors import BadInput

    if text == "-":
        text = sys.stdin.read(1_000_000)
    try:
        value = parse_strict(text)
    except CanonicalError as error:
        raise BadInput(f"--input cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise BadInput('--input is a JSON object, such as \'{"order_id": "W1"}\'.')
    return value


@app.command("list")
def list_(
    everything: Annotated[bool, typer.Option("--all", help="Those that ended, too.")] = False,
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """The runs that are open or wait for a human, newest first."""
    runs = desk(data, key, person).ask("run.list", all=everything)["runs"]
    if json:
        print_json(runs)
        return
    names = ("run", "workflow", "step", "status", "agent", "changed")
    print_table(names, [tuple(run[name] for name in names) for run in runs])


@app.command("show")
def show(run: Run, data: Data = None, key: Key = None, person: As = None, json: Json = False) -> None:
    """Where a run stands, what it was shown, and what it has done."""
    shown = desk(data, key, person).ask("run.show", run=run)
    if json:
        print_json(shown)
        return
    names = (
        *("run", "workflow", "step", "status", "agent", "opened_by", "epoch"),
        *("release", "retries", "calls", "opened", "until", "note"),
    )
    print_pairs(
        [
            *((name, shown[name]) for name in names if shown[name] is not None),
            *((f"state.{name}", value) for name, value in shown["state"].items()),
            *(("waits because", reason) for reason in shown["waits_because"]),
            *(
                ("bundle", f"{one['bundle']} in {one['step']}, {one['sufficiency']}")
                for one in shown["bundles"]
            ),
            *(
                ("execution", f"{one['execution']} {one['tool']} on {one['target']}: {one['state']}")
                for one in shown["executions"]
            ),
        ]
    )
    if shown["waits_because"]:
        tell(f"To decide: bailiwick run resolve {run} --continue, --send-back or --stop")


@app.command("trace")
def trace(run: Run, data: Data = None, key: Key = None, person: As = None, json: Json = False) -> None:
    """Everything that happened in a run, as the log has it."""
    from server.cli.timeline import print_timeline

    traced = desk(data, key, person).ask("run.trace", run=run)
    if json:
        print_json(traced)
        return
    print_timeline(traced)


@app.command("resolve")
def resolve(
    run: Run,
    go_on: Annotated[bool, typer.Option("--continue", help="It goes on.")] = False,
    send_back: Annotated[bool, typer.Option("--send-back", help="The step is done again.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="It ends.")] = False,
    to: To = None,
    note: Note = "",
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Decide about a run that waits at a checkpoint."""
    from server.errors import BadInput

    chosen = [name for name, said in (("continue", go_on), ("send_back", send_back), ("stop", stop)) if said]
    if len(chosen) != 1:
        raise BadInput("Say one of --continue, --send-back and --stop.")
    _print_standing(
        desk(data, key, person).ask("run.resolve", run=run, resolution=chosen[0], to=to, note=note),
        json=json,
    )


@app.command("pause")
def pause(
    run: Run, note: Note = "", data: Data = None, key: Key = None, person: As = None, json: Json = False
) -> None:
    """Let a run stand still, until it is resumed. What was issued for its step is good no longer."""
    _print_standing(desk(data, key, person).ask("run.pause", run=run, note=note), json=json)


@app.command("resume")
def resume(
    run: Run, note: Note = "", data: Data = None, key: Key = None, person: As = None, json: Json = False
) -> None:
    """Let a paused run go on in its step."""
    _print_standing(desk(data, key, person).ask("run.resume", run=run, note=note), json=json)


@app.command("hand-over")
def hand_over(
    run: Run,
    to: Annotated[str, typer.Option(metavar="AGENT", help="The agent that goes on with it.")],
    note: Note = "",
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Give a run of your agent to another agent, which picks it up where it stands."""
    result = desk(data, key, person).ask("run.hand_over", run=run, agent=to, note=note)
    _print_standing(result, json=json)


@app.command("claim")
def claim(
    run: Run,
    agent: Annotated[str, typer.Option(help="Your agent, which goes on with it.")],
    note: Note = "",
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Take a run over for an agent of yours, which picks it up where it stands."""
    result = desk(data, key, person).ask("run.claim", run=run, agent=agent, note=note)
    _print_standing(result, json=json)


@app.command("send-back")
def send_back(
    run: Run,
    to: To = None,
    note: Note = "",
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Send a run that waits for nobody back to a step, with a note for whoever does it again."""
    result = desk(data, key, person).ask("run.send_back", run=run, to=to, note=note)
    _print_standing(result, json=json)


@app.command("doubts")
def doubts(data: Data = None, key: Key = None, person: As = None, json: Json = False) -> None:
    """The writes that are under way or in doubt, and hold their targets."""
    found = desk(data, key, person).ask("execution.list")["executions"]
    if json:
        print_json(found)
        return
    names = ("execution", "state", "tool", "target", "begun", "run")
    print_table(names, [tuple(one[name] for name in names) for one in found])
    if any(one["state"] == "in_doubt" for one in found):
        tell(
            "Look at the target itself, then say what you found: bailiwick run settle EXECUTION "
            "--succeeded (or --failed) --note …"
        )


@app.command("settle")
def settle(
    execution: Annotated[str, typer.Argument(metavar="EXECUTION", help="Its id, exe_….")],
    note: Annotated[str, typer.Option(help="How you found it out; it is signed and written down.")],
    succeeded: Annotated[bool, typer.Option("--succeeded", help="It happened.")] = False,
    failed: Annotated[bool, typer.Option("--failed", help="It certainly did not happen.")] = False,
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Sign what you found out about a write in doubt. Its target is free from then on."""
    from ledger.clock import system_now_ms
    from policies.settlements import sign_settlement
    from server.errors import BadInput
    from server.personal_keys import personal_key

    if succeeded == failed:
        raise BadInput("Say one of --succeeded and --failed.")
    at = desk(data, key, person)
    signed = sign_settlement(
        personal_key(at.folder, at.settings),
        execution,
        "succeeded" if succeeded else "failed",
        at=system_now_ms(),
        note=note,
    )
    found = signed.settlement
    result = at.ask(
        "execution.settle",
        execution=execution,
        outcome=found.outcome,
        note=note,
        at=found.at,
        kid=signed.kid,
        signature=signed.signature,
    )
    if json:
        print_json(result)
        return
    print(result["execution"])
    tell(f"  {result['state']}; {plain(result['target'])} is free")


@app.command("cancel")
def cancel(
    run: Run, note: Note = "", data: Data = None, key: Key = None, person: As = None, json: Json = False
) -> None:
    """End a run. What it has done stays done."""
    _print_standing(desk(data, key, person).ask("run.cancel", run=run, note=note), json=json)


def _print_standing(result: Printed, *, json: bool) -> None:
    if json:
        print_json(result)
        return
    print(result["run"])
    tell(f"  {result['status']} at step {result['step']}")
