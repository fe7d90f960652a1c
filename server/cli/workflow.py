"""`bailiwick workflow`: what steps there are and what each may do; and whether a file is right."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from server.cli.options import As, Data, Json, Key, Printed, desk, opened
from server.cli.printing import plain, print_json, print_table, tell

app = typer.Typer(help="Workflows and their steps.", no_args_is_help=True, rich_markup_mode=None)


@app.command("check")
def check(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE...]", help="Without any, all of the data folder.")
    ] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Whether workflow files are right, and what their steps come to. It reads files only, so it needs no
    key.
    """
    from server.operations.workflows import workflow_as_json
    from tool_scopes.catalogue_files import load_catalogue
    from tool_scopes.workflow_files import load_workflow, load_workflows

    folder, _ = opened(data)
    catalogue = load_catalogue(folder.catalogue_dir)
    if files:
        found = [load_workflow(path, catalogue) for path in files]
    else:
        found = list(load_workflows(folder.workflows_dir, catalogue).values())
    if json:
        print_json([workflow_as_json(workflow) for workflow in found])
        return
    for workflow in found:
        _print_workflow(workflow_as_json(workflow))
    tell(f"{len(found)} workflow{'' if len(found) == 1 else 's'} checked; nothing is wrong.")


@app.command("new")
def new(
    workflow: Annotated[str, typer.Argument(metavar="WORKFLOW", help="Its name, and that of its file.")],
    tool: Annotated[
        list[str] | None, typer.Option(help="A tool of the catalogue that it uses; repeat for more.")
    ] = None,
    data: Data = None,
) -> None:
    """Draft a workflow in the data folder that uses these tools; prints its file. It reads files only, so it
    needs no key.
    """
    import re

    from server.errors import BadInput
    from server.new_file import writing_new
    from tool_scopes.catalogue_files import load_catalogue
    from tool_scopes.workflow_drafts import draft_workflow
    from tool_scopes.workflow_model import NAME_PATTERN

    if re.fullmatch(NAME_PATTERN, workflow) is None:
        raise BadInput(
            f"{workflow[:64]!r} cannot name a workflow: use 1 to 63 lower-case letters, digits, _ or -."
        )
    folder, _ = opened(data)
    catalogue = load_catalogue(folder.catalogue_dir)
    text = draft_workflow(workflow, tool or [], catalogue.offered_effects(), catalogue.bound_keys())
    place = folder.workflows_dir / f"{workflow}.yaml"
    with writing_new(place) as draft:
        draft.write_text(text, encoding="utf-8")
    print(place)
    tell("Change what it says, see `bailiwick workflow check`, and restart the server to take it in.")


@app.command("list")
def list_(data: Data = None, key: Key = None, person: As = None, json: Json = False) -> None:
    """The workflows that agents can open."""
    found = desk(data, key, person).ask("workflow.list")["workflows"]
    if json:
        print_json(found)
        return
    print_table(
        ("workflow", "version", "steps", "purpose"),
        [(one["workflow"], one["version"], " ".join(one["steps"]), one["purpose"]) for one in found],
    )


@app.command("show")
def show(
    workflow: Annotated[str, typer.Argument(metavar="WORKFLOW")],
    mermaid: Annotated[
        bool, typer.Option("--mermaid", help="Print it as a Mermaid flowchart, and nothing else.")
    ] = False,
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """One workflow: drawn, and then step by step."""
    shown = desk(data, key, person).ask("workflow.show", workflow=workflow)
    if json:
        print_json(shown)
        return
    if mermaid:
        print(shown["mermaid"])
        return
    _print_heading(shown)
    print(f"\n{shown['drawing']}")
    _print_steps(shown)


@app.command("load")
def load(data: Data = None, key: Key = None, person: As = None, json: Json = False) -> None:
    """Agree to the workflows as they are, for the next start; what lowers the gate takes two admins."""
    at = desk(data, key, person)
    found = at.ask("workflow.changes")
    if not found["lowers"]:
        print_json(found) if json else tell("Nothing in the workflows lowers the gate; a start takes them.")
        return
    result = at.ask("workflow.load", digest=found["digest"], base=found["base"])
    if json:
        print_json(result)
        return
    print(result["digest"])
    if result["served"]:
        tell("The running server goes on with the workflows that it loaded: restart it to use these.")


def _print_workflow(workflow: Printed) -> None:
    _print_heading(workflow)
    _print_steps(workflow)


def _print_heading(workflow: Printed) -> None:
    print(f"{workflow['workflow']} (version {workflow['version']}): {plain(workflow['purpose'])}")
    given = ", ".join(workflow["input"].get("properties", {})) or "nothing"
    about = f", about one {workflow['subject']}" if workflow["subject"] else ""
    print(f"starts at {workflow['start']} with {given}{about}")


def _print_steps(workflow: Printed) -> None:
    for step in workflow["steps"]:
        print(f"\n{step['step']} ({step['kind']}): {plain(step['purpose'])}")
        print(f"  tools: {', '.join(step['tools']) or 'none'}")
        if step["context"]:
            where = ", ".join(step["context"]["collections"]) or "every collection"
            print(f"  reads: {where}, at most {step['context']['budget']} tokens")
        for rule in step["rules"]:
            print(f"  - {plain(rule)}")
        carries = f", carrying {', '.join(step['carry'])}" if step["carry"] else ""
        print(f"  goes on to {' or '.join(step['next']) or 'the end'}{carries}")
    print()
