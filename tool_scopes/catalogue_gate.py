"""What a view says of its gate, checked when the catalogue is read: who approves, which facts, which secrets.

Whatever could not be kept is refused here, with the place in the file, and never at the moment of a write.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from tool_scopes.catalogue import View
from tool_scopes.yaml_files import FileRefused

FACT_KEYS = {"rows": "affects", "version": "precondition"}
"""The name of each fact → the key of the file that says how it is read."""


class Refuse(Protocol):
    """Makes the refusal of one place of the file: a sentence, and the keys that lead there."""

    def __call__(self, sentence: str, *key: str | int) -> FileRefused:
        """The exception, with file and line."""
        ...


def check_gate_of(view: View, refuse: Refuse) -> None:
    """Refuse a view whose gate could not be kept."""
    if view.sensitive and view.approval.needed < 2:
        raise refuse("a sensitive write needs two people; say 2 or more", "approval", "needed")
    if view.facts and not view.is_write:
        key = FACT_KEYS[next(iter(view.facts))]
        raise refuse("only a write has facts that are read before it; remove it", key)
    for name in sorted(view.secrets):
        if name in view.fixed or name in view.bound:
            # The one stands in the catalogue and the other in the run's state, both in plain.
            raise refuse(
                f"{name} is fixed or bound, so its value stands elsewhere in plain; only what an agent "
                "brings can be sealed",
                "secrets",
            )
        if name in view.target_arguments:
            raise refuse(f"shows {name}, which is named under `secrets`; name the target otherwise", "target")
        for fact, source in view.facts.items():
            if name in source.arguments.values():
                raise refuse(f"hands on {name}, which is named under `secrets`", FACT_KEYS[fact])


def check_fact_views(view: View, views: Mapping[str, View], refuse: Refuse) -> None:
    """Refuse facts that no view of the same upstream can give."""
    for fact, source in view.facts.items():
        key = FACT_KEYS[fact]
        read = views.get(source.view)
        if read is None:
            raise refuse(f"{source.view} is no view of this upstream; name one", key, "view")
        if read.is_write:
            raise refuse(f"{source.view} is a write; a fact is read without changing anything", key, "view")
        if fact == "rows" and read.effect == "lookup":
            raise refuse(
                f"{source.view} looks up; what a write would touch is told by a simulation, or a read",
                key,
                "view",
            )
        if read.secrets:
            raise refuse(f"{source.view} takes secrets, which no fact can bring", key, "view")
