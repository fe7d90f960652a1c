"""Read grants: what a decision of the gate allows to be read.

Every read of the store takes one and applies it inside its query.

A grant covers a source when the tenant is the same, all the source's access labels are among the grant's, and
its collection is one of the grant's. It sees the store as of its release: what was published later is absent.
What a grant does not cover does not exist for its holder: neither the answer nor its order, nor a count
behind it, depends on such rows.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReadGrant:
    """What one principal may read, in one step of one run or outside of any.

    `labels` are the access labels it holds; `collections` limits it to some collections (None: all of them);
    `release` is the newest release it sees, in the numbering of its tenant (0: nothing was published yet).
    """

    tenant: str
    principal: str
    run: str | None = None
    step: str | None = None
    epoch: int | None = None
    labels: frozenset[str] = frozenset()
    collections: frozenset[str] | None = None
    release: int = 0


@dataclass(frozen=True, slots=True)
class CurationGrant:
    """What curators, reviewers and admins may read of their own tenant: every version, drafts too, and every
    bundle.

    It is given to people who act out of band, and never to an agent.
    """

    tenant: str
    person: str
