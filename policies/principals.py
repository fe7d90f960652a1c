"""Who calls, and who judges.

An **agent** is a program that works for a tenant and has a human owner. A **person** holds roles; what they
may do is decided from those roles, what they have judged is proved by their own key. `identities` says
which names are one human: four eyes and quorums count humans, not names.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from policies.errors import PolicyError

Role = Literal["reviewer", "curator", "admin"]
PrincipalKind = Literal["agent", "person"]
ROLES: Final[frozenset[str]] = frozenset(get_args(Role))

_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


def is_valid_id(text: str) -> bool:
    """Whether `text` can name a principal or a tenant: 1 to 63 of `a-z 0-9 . _ -`, beginning with a letter
    or digit.

    Lower-case ASCII only, so that no two ids look alike.
    """
    return _ID.fullmatch(text) is not None


def require_id(text: str, what: str) -> str:
    """`text` itself, or a `PolicyError` that says what a valid id for `what` looks like."""
    if not is_valid_id(text):
        raise PolicyError(
            f"{text[:64]!r} cannot name {what}: use 1 to 63 lower-case letters, digits, dots, dashes or "
            "underscores, beginning with a letter or a digit."
        )
    return text


@dataclass(frozen=True, slots=True)
class Agent:
    """A program that calls; `owner` is the id of the person who answers for it.

    `labels` are the access labels of evidence that an administrator gave it.
    """

    id: str
    tenant: str
    owner: str
    labels: frozenset[str] = field(default_factory=frozenset[str])
    kind: Literal["agent"] = "agent"


@dataclass(frozen=True, slots=True)
class Person:
    """A human with the roles they hold now. `aliases` are other names (of people or agents) that are the
    same human.
    """

    id: str
    tenant: str
    roles: frozenset[str]
    aliases: frozenset[str] = field(default_factory=frozenset[str])
    kind: Literal["person"] = "person"

    @property
    def identities(self) -> frozenset[str]:
        """Every name that is this human."""
        return self.aliases | {self.id}


Principal = Agent | Person


def joined_names(name: str, groups: Iterable[frozenset[str]]) -> frozenset[str]:
    """Every name that is the same human as `name`, where each group holds names of one human.

    Groups that share a name are joined, so aliases hold both ways and along chains.
    """
    names = {name}
    left = list(groups)
    while joined := [group for group in left if group & names]:
        names.update(*joined)
        left = [group for group in left if not group <= names]
    return frozenset(names)
