"""Loading the folder of workflow files: all of it or nothing, so that a server never runs with half of its
workflows.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from tool_scopes.catalogue import Catalogue
from tool_scopes.workflows import Workflow, parse_workflow
from tool_scopes.yaml_files import FileRefused, line_in, read_text_file


def load_workflows(folder: Path, catalogue: Catalogue) -> Mapping[str, Workflow]:
    """The workflows of a folder's `*.yaml` files by name, whose steps use what the catalogue offers.

    Raises FileRefused with the file, the line and what to change; then nothing is loaded.
    """
    if not folder.is_dir():
        raise FileRefused(f"{folder}: is no folder; make it, or run `bailiwick init` for a new data folder")
    workflows: dict[str, Workflow] = {}
    for path in sorted(folder.glob("*.yaml")):
        workflow = load_workflow(path, catalogue)
        workflows[workflow.name] = workflow
    return MappingProxyType(workflows)


def load_workflow(path: Path, catalogue: Catalogue) -> Workflow:
    """One workflow file, which is named after its workflow, so that the folder lists them."""
    source = read_text_file(path)
    effects, bound = catalogue.offered_effects(), catalogue.bound_keys()
    workflow = parse_workflow(source, path=str(path), effects=effects, bound=bound)
    if workflow.name != path.stem:
        line = line_in(source, ("workflow",))
        raise FileRefused(
            f"{path}:{line}: workflow: the file of {workflow.name} has to be {workflow.name}.yaml"
        )
    return workflow
