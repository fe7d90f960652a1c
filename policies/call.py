"""The canonical call: the exact bytes that are judged, approved and executed.

A write is judged as one JSON object: what is done (upstream, endpoint, tool, fingerprint, arguments,
target), by whom and where (tenant, principal, run, step, epoch), what it rests on (precondition, evidence,
and the digests of policy, catalogue and workflow), and the terms of the approval (not before, expires,
quorum). Reviewers sign the digest of its RFC 8785 form, so two calls that differ in anything have nothing
in common.

Calls are compared by their canonical bytes and never with `==`: to Python `True` equals `1`, to an upstream
it does not.

`PresentedCall` is all of this but the terms: what a caller sends, completed with the facts of that moment.
`CanonicalCall` adds the terms and is what a request stores.
"""

from dataclasses import dataclass, fields
from typing import Final, Self, cast

from ledger.canonical import CanonicalError, JsonObject, JsonValue, canonical, check_value, digest
from policies.errors import PolicyError
from policies.principals import ROLES

CALL_DOMAIN: Final = "bailiwick-call-v1"
CORE_DOMAIN: Final = "bailiwick-call-core-v1"

CHANGED_PREFIX: Final = "changed:"
"""In `evidence`: a version that the run was shown and that was out of force already when this was asked
for.
"""

CORE_FIELDS: Final = (
    "upstream",
    "endpoint",
    "tool",
    "fingerprint",
    "arguments",
    "target",
    "tenant",
    "principal",
    "run",
    "step",
    "epoch",
)
"""What the caller determines by where it stands and what it sends; the rest are facts of the moment, or
terms.
"""


@dataclass(frozen=True, slots=True)
class Quorum:
    """How many distinct humans, each with a key of their own, must approve, and in which role.

    `four_eyes` keeps the agent's owner, and every name that is the same human, from being one of them.
    """

    needed: int
    role: str = "reviewer"
    four_eyes: bool = True

    def __post_init__(self) -> None:
        # A quorum of nobody would be met by no signature at all.
        if type(self.needed) is not int or self.needed < 1:
            raise PolicyError(f"A quorum needs at least one human, not {self.needed!r}.")
        if self.role not in ROLES:
            known = ", ".join(sorted(ROLES))
            raise PolicyError(f"A quorum needs one of the roles {known}, not {self.role!r}.")

    def as_json(self) -> JsonObject:
        """The form that is part of the canonical call."""
        return {"needed": self.needed, "role": self.role, "four_eyes": self.four_eyes}


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentedCall:
    """A write as a caller presents it, with the facts of this moment.

    `endpoint` is the digest of how the upstream is reached; `fingerprint` that of the tool's definition;
    `arguments` are complete (defaults filled, bound values inserted); `precondition` is the target's
    version, or None when the catalogue names no way to read it; `evidence` holds the digests of what the
    run was shown; `policy`, `catalogue` and `workflow` are digests of loaded files.
    """

    upstream: str
    endpoint: str
    tool: str
    fingerprint: str
    arguments: JsonObject
    target: str
    precondition: str | None
    tenant: str
    principal: str
    run: str
    step: str
    epoch: int
    evidence: tuple[str, ...]
    policy: str
    catalogue: str
    workflow: str

    def __post_init__(self) -> None:
        # A copy in the one form (`1.0` is `1`): what was judged cannot be changed through somebody else's
        # reference.
        object.__setattr__(self, "arguments", check_value(self.arguments))

    def as_json(self) -> JsonObject:
        """The call as a JSON object. `evidence` is a set: sorted, each digest once."""
        return {
            "upstream": self.upstream,
            "endpoint": self.endpoint,
            "tool": self.tool,
            "fingerprint": self.fingerprint,
            "arguments": self.arguments,
            "target": self.target,
            "precondition": self.precondition,
            "tenant": self.tenant,
            "principal": self.principal,
            "run": self.run,
            "step": self.step,
            "epoch": self.epoch,
            "evidence": cast("list[JsonValue]", sorted(set(self.evidence))),
            "policy": self.policy,
            "catalogue": self.catalogue,
            "workflow": self.workflow,
        }

    @property
    def known_changed(self) -> frozenset[str]:
        """The versions whose change was known to the run when it asked, and so to whoever signed."""
        known = (name for name in self.evidence if name.startswith(CHANGED_PREFIX))
        return frozenset(name.removeprefix(CHANGED_PREFIX) for name in known)

    def core_key(self) -> str:
        """A digest over what the caller determines: two open requests with one core are one request."""
        whole = self.as_json()
        return digest(CORE_DOMAIN, {name: whole[name] for name in CORE_FIELDS})

    def under(self, *, quorum: Quorum, not_before: int, expires: int) -> "CanonicalCall":
        """This call under the terms of an approval: from `not_before` until before `expires`, in
        milliseconds since the epoch.
        """
        own = {field.name: getattr(self, field.name) for field in fields(PresentedCall)}
        return CanonicalCall(**own, not_before=not_before, expires=expires, quorum=quorum)


@dataclass(frozen=True, slots=True, kw_only=True)
class CanonicalCall(PresentedCall):
    """A presented call under the terms of its approval: what reviewers see and sign."""

    not_before: int
    expires: int
    quorum: Quorum

    def as_json(self) -> JsonObject:
        """All nineteen fields as one JSON object."""
        whole = super(CanonicalCall, self).as_json()  # the short form fails in a slotted class on Python 3.11
        terms: JsonObject = {
            "not_before": self.not_before,
            "expires": self.expires,
            "quorum": self.quorum.as_json(),
        }
        return whole | terms

    def as_bytes(self) -> bytes:
        """The canonical JSON bytes, as stored with the request."""
        return canonical(self.as_json())

    def digest(self) -> str:
        """`sha256:…` over the canonical bytes under the domain `bailiwick-call-v1`: what reviewers sign."""
        return digest(CALL_DOMAIN, self.as_json())

    @classmethod
    def from_json(cls, value: JsonValue) -> Self:
        """The call that `as_json` wrote. Anything else, a missing or an extra field included, raises
        `PolicyError`.
        """
        if not isinstance(value, dict) or set(value) != {field.name for field in fields(cls)}:
            raise PolicyError("This is no canonical call: it needs exactly the nineteen fields of one.")
        try:
            call = cls(**_typed(value))  # pyright: ignore[reportArgumentType]
            same = call.as_bytes() == canonical(value)
        except (TypeError, CanonicalError) as error:
            raise PolicyError(_WRONG_SHAPE) from error
        if not same:
            raise PolicyError(_WRONG_SHAPE)
        return call


_WRONG_SHAPE: Final = "This is no canonical call: one of its fields has the wrong type."
_WHOLE_NUMBERS: Final = frozenset({"epoch", "not_before", "expires"})


def _typed(value: JsonObject) -> dict[str, object]:
    """The fields of a call, each of its declared type; `TypeError` otherwise (JSON from a table promises
    nothing).
    """
    typed: dict[str, object] = {}
    for name, item in value.items():
        match name, item:
            case "quorum", {"needed": int(needed), "role": str(role), "four_eyes": bool(four_eyes)}:
                typed[name] = Quorum(needed, role, four_eyes)
            case "evidence", list(digests) if all(isinstance(entry, str) for entry in digests):
                typed[name] = tuple(digests)
            case ("arguments", dict()) | ("precondition", None):
                typed[name] = item
            case ("quorum" | "evidence" | "arguments", _):
                raise TypeError(name)
            case _ if type(item) is (int if name in _WHOLE_NUMBERS else str):
                typed[name] = item
            case _:
                raise TypeError(name)
    return typed
