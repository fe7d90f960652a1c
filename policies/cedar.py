"""The Cedar policy set: loaded whole or not at all, asked with everything it needs, closed on every doubt.

This is the only module that knows cedarpy. What it guards against was found by trying: Cedar skips a policy
that fails to evaluate, so a `forbid` that trips over a missing attribute or an overflow lets the request
through. Hence:

* a folder is refused unless every policy in it passes the schema and carries an `@id` of its own;
* a question brings its two entities and all its facts along, and is itself checked against the schema;
* anything but a clean Allow is a denial: NoDecision, and Allow with any error, too.
"""

# pyright: reportUnknownMemberType=false
# (cedarpy's signatures say plain `dict`; what comes out of them is given a type where it enters this module.)

import hashlib
import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Final, Self, cast

import cedarpy

from policies.decisions import Decision, Question, Resource
from policies.errors import PolicySetRefused
from policies.principals import Agent, Principal

SCHEMA_FILE: Final = "bailiwick.cedarschema"
DEFAULT_FOLDER: Final = Path(__file__).with_name("default")
"""The policies that ship with Bailiwick."""

MAX_FILE_BYTES: Final = 1_048_576
"""The largest policy or schema file that is read, in bytes."""

MEMO_SIZE: Final = 8192
"""How many answers a policy set remembers."""

_DIGEST_DOMAIN: Final = b"bailiwick-policies-v1\0"
_Name = tuple[str, str]  # entity type and id


class PolicySet:
    """One immutable, validated set of policies. `digest` names its exact files; the same digest gives the
    same answers.
    """

    def __init__(
        self, schema: cedarpy.Schema, policies: cedarpy.PolicySet, ids: tuple[str, ...], digest: str
    ) -> None:
        self.digest = digest
        self.ids = ids
        self._schema = schema
        self._policies = policies
        # Remembered under the very texts that Cedar would read: with Python's equality, `1` would find the
        # answer for `True`.
        self._answer = lru_cache(maxsize=MEMO_SIZE)(self._ask_cedar)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Load `bailiwick.cedarschema` and every `*.cedar` file of `folder`.

        Raises `PolicySetRefused`, naming the file and what is wrong with it, and loads nothing, if anything
        in it is not right.
        """
        schema_path = folder / SCHEMA_FILE
        schema_text = _read(schema_path)
        try:
            schema = cedarpy.Schema.from_str(schema_text)
        except ValueError as error:
            raise PolicySetRefused(
                f"{schema_path} is not a Cedar schema: {_one_line(error)}. Correct it."
            ) from error
        texts = {path: _read(path) for path in sorted(folder.glob("*.cedar"))}
        if not texts:
            raise PolicySetRefused(
                f"{folder} holds no *.cedar file, so nothing would be allowed: put policies there."
            )
        ids: dict[str, Path] = {}
        for path, text in texts.items():
            for policy_id in _checked_ids(path, text, schema):
                if policy_id in ids:
                    raise PolicySetRefused(
                        f"{path} uses the @id {policy_id!r}, also in {ids[policy_id]}: rename one."
                    )
                ids[policy_id] = path
        policies = cedarpy.PolicySet.from_str("\n".join(texts.values()))
        files = [(SCHEMA_FILE, schema_text), *((path.name, text) for path, text in texts.items())]
        return cls(schema, policies, tuple(ids), _digest(files))

    def decide(self, question: Question) -> Decision:
        """The answer to `question`. Never raises: whatever goes wrong is a denial that says what went
        wrong.
        """
        principal = ("Agent" if isinstance(question.principal, Agent) else "Person", question.principal.id)
        resource = (question.resource.kind, question.resource.id)
        entities = _entities(principal, question.principal, resource, question.resource)
        return self._answer(principal, question.action, resource, json.dumps(dict(question.facts)), entities)

    def _ask_cedar(
        self, principal: _Name, action: str, resource: _Name, context: str, entities: str
    ) -> Decision:
        request = {
            "principal": {"type": principal[0], "id": principal[1]},
            "action": {"type": "Action", "id": action},
            "resource": {"type": resource[0], "id": resource[1]},
            "context": context,
        }
        try:
            known = cedarpy.Entities.from_json_str(entities, self._schema)
            answer = cedarpy.is_authorized(request, self._policies, known, self._schema)
        except (ValueError, TypeError) as error:
            return Decision(False, (), f"the question does not fit the schema: {_one_line(error)}")
        diagnostics = answer.diagnostics
        names = cast("dict[str, str]", diagnostics.id_annotations_by_reason)
        determining = tuple(sorted(names.get(policy, policy) for policy in diagnostics.reasons))
        if diagnostics.errors:
            return Decision(
                False, determining, f"an error denies: {_one_line('; '.join(diagnostics.errors))}"
            )
        if answer.decision is cedarpy.Decision.Allow and determining:
            return Decision(True, determining, f"permitted by {', '.join(determining)}")
        if determining:
            return Decision(False, determining, f"forbidden by {', '.join(determining)}")
        return Decision(False, (), "no policy permits it")


def _entities(principal_name: _Name, principal: Principal, resource_name: _Name, resource: Resource) -> str:
    """The two entities of a question as JSON: complete, so no policy meets one without its attributes."""
    attributes: dict[str, object] = {"id": principal.id, "tenant": principal.tenant}
    if isinstance(principal, Agent):
        attributes["owner"] = principal.owner
    else:
        attributes["roles"] = sorted(principal.roles)
    return json.dumps(
        [
            {
                "uid": {"type": principal_name[0], "id": principal_name[1]},
                "attrs": attributes,
                "parents": [],
            },
            {
                "uid": {"type": resource_name[0], "id": resource_name[1]},
                "attrs": {"id": resource.id, "tenant": resource.tenant},
                "parents": [],
            },
        ]
    )


def _checked_ids(path: Path, text: str, schema: cedarpy.Schema) -> list[str]:
    """The `@id` of every policy in one file, after the file has passed the schema by itself, so that errors
    can name it.
    """
    try:
        parsed = cedarpy.policies_to_pst(text)
        result = cedarpy.validate_policies(text, schema)
    except ValueError as error:
        raise PolicySetRefused(f"{path} is not Cedar: {_one_line(error)}. Correct it.") from error
    if parsed.templates:
        raise PolicySetRefused(
            f"{path} holds a template (?principal or ?resource): write a policy without slots."
        )
    ids: list[str] = []
    for policy in parsed.static_policies.values():
        name = policy.annotations.get("id")
        if not name:
            raise PolicySetRefused(f'{path} holds a policy without a name: give each policy an @id("…").')
        ids.append(name)
    if len(set(ids)) != len(ids):
        raise PolicySetRefused(f"{path} uses one @id for two policies: rename one.")
    if not result.validation_passed:
        names = {position: policy.annotations["id"] for position, policy in parsed.static_policies.items()}
        first = result.errors[0]
        where = names.get(first.policy_id, first.policy_id)
        raise PolicySetRefused(
            f"{path}, policy {where!r}, does not fit the schema: {_one_line(first.error)}. Correct it."
        )
    return ids


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise PolicySetRefused(
            f"{path} cannot be read ({error.strerror}): restore it or correct its permissions."
        ) from error
    if len(data) > MAX_FILE_BYTES:
        raise PolicySetRefused(
            f"{path} is larger than {MAX_FILE_BYTES} bytes: no policy file needs that; split it."
        )
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise PolicySetRefused(f"{path} is not UTF-8 text: save it as UTF-8.") from error


def _digest(files: Iterable[tuple[str, str]]) -> str:
    """`sha256:…` over names and contents, each with its length before it, so that nothing can move across a
    border.
    """
    whole = hashlib.sha256(_DIGEST_DOMAIN)
    for name, text in sorted(files):
        for part in (name.encode(), text.encode()):
            whole.update(len(part).to_bytes(8))
            whole.update(part)
    return f"sha256:{whole.hexdigest()}"


def _one_line(error: object) -> str:
    return " ".join(str(error).split()).rstrip(".")
