"""All operations by name. Two of one name are a mistake that no installation should start with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from server.operations import (
    acts,
    agents,
    approval_exports,
    approval_show,
    approvals,
    audit,
    custody,
    evidence,
    executions,
    gate,
    imports,
    people,
    policy,
    releases,
    runs,
    server_keys,
    sources,
    triggers,
    upkeep,
    upstreams,
    workflows,
)
from server.operations.operation import AnyOperation


def registry(groups: Iterable[tuple[AnyOperation, ...]]) -> Mapping[str, AnyOperation]:
    """The operations of all groups by name. `ValueError` when a name is taken twice."""
    known: dict[str, AnyOperation] = {}
    for group in groups:
        for operation in group:
            if operation.name in known:
                raise ValueError(f"There are two operations named {operation.name}.")
            known[operation.name] = operation
    return MappingProxyType(known)


OPERATIONS = registry(
    module.OPERATIONS
    for module in (
        acts,
        agents,
        approval_exports,
        approval_show,
        approvals,
        audit,
        custody,
        evidence,
        executions,
        gate,
        imports,
        people,
        policy,
        releases,
        runs,
        server_keys,
        sources,
        triggers,
        upkeep,
        upstreams,
        workflows,
    )
)
"""What the loopback interface and the command line can ask for."""
