"""`bailiwick policy`: the gate's policies, checked, explained, laid out, and brought into force."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.options import As, Data, Json, Key, desk, opened, pairs
from server.cli.printing import paragraph, plain, print_json, tell

if TYPE_CHECKING:
    from policies.cedar import PolicySet

app = typer.Typer(help="The gate's policies.", no_args_is_help=True, rich_markup_mode=None)

Folder = Annotated[
    Path | None, typer.Argument(metavar="[FOLDER]", help="Without one, the data folder's policies.")
]


@app.command("check")
def check(folder: Folder = None, data: Data = None, json: Json = False) -> None:
    """Whether policies are right, and keep every invariant; prints the id of each. It needs no key."""
    from policies.invariants import INVARIANTS

    policies = _loaded(folder, data)
    if json:
        names = [invariant.name for invariant in INVARIANTS]
        print_json({"digest": policies.digest, "policies": list(policies.ids), "invariants": names})
        return
    for policy in policies.ids:
        print(policy)
    tell(
        f"{len(policies.ids)} policies checked, {len(INVARIANTS)} invariants kept; nothing is wrong. "
        f"{policies.digest}"
    )


@app.command("matrix")
def matrix(folder: Folder = None, data: Data = None, json: Json = False) -> None:
    """What each kind of principal may do, over every action: one line for each case. It needs no key."""
    from policies.matrix import as_lines
    from policies.matrix import matrix as cells_of

    cells = cells_of(_loaded(folder, data))
    if json:
        print_json(
            [
                {
                    "principal": cell.principal,
                    "action": cell.action,
                    "resource": cell.resource,
                    "allowed": list(cell.allowed),
                }
                for cell in cells
            ]
        )
        return
    for line in as_lines(cells):
        print(line)


@app.command("explain")
def explain(
    action: Annotated[str, typer.Argument(help="Such as use_tool, read_evidence or judge_approval.")],
    who: Annotated[str, typer.Argument(metavar="WHO", help="An agent or a person, by id.")],
    on: Annotated[str, typer.Option(help="What is acted on, such as a tool's name.")] = "something",
    tenant: Annotated[str | None, typer.Option(help="Whose that is; else their own tenant's.")] = None,
    fact: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A fact, such as approved=yes; repeat for more."),
    ] = None,
    data: Data = None,
    key: Key = None,
    person: As = None,
    json: Json = False,
) -> None:
    """Why the policies decide as they do: which of them, and what would change the answer."""
    found = desk(data, key, person).ask(
        "policy.explain", action=action, who=who, on=on, tenant=tenant, facts=pairs(fact or (), "--fact")
    )
    if json:
        print_json(found)
        return
    print("allowed" if found["allowed"] else "denied")
    print(f"  asked: {plain(found['question'])}")
    print(f"  {plain(found['reason'])}")
    for said in found["says"]:
        print(f"  it says: {plain(said)}")
    for change in found["changes"]:
        print(f"  it would be {'denied' if found['allowed'] else 'allowed'} if {plain(change)}")
    for text in found["texts"]:
        print(f"\n{paragraph(text)}")


@app.command("load")
def load(
    folder: Folder = None, data: Data = None, key: Key = None, person: As = None, json: Json = False
) -> None:
    """Bring policies into force, also in a running server; what may allow more takes two admins."""
    from policies.cedar import PolicySet
    from policies.policy_files import read_policy_files

    at = desk(data, key, person)
    place = at.folder.policy_dir if folder is None else folder
    files = dict(read_policy_files(place))
    PolicySet.from_files(files, place=str(place))  # so that what is wrong is said with the file's place
    result = at.ask("policy.load", files=files, base=at.ask("policy.digest")["digest"])
    if json:
        print_json(result)
        return
    print(result["digest"])
    tell(f"{len(result['policies'])} policies are in force; approvals that were given before are void.")


def _loaded(folder: Path | None, data: Path | None) -> PolicySet:
    from policies.cedar import PolicySet

    return PolicySet.load(opened(data)[0].policy_dir if folder is None else folder)
