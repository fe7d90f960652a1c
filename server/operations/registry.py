"""All operations by name. Two of one name are a mistake that no installation should start with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from server.operations import (
    agents,
    approvals,
    audit,
    evidence,
    gate,
    people,
    runs,
    server_keys,
    sources,
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
        agents,
        approvals,
        audit,
        evidence,
        gate,
        people,
        runs,
        server_keys,
        sources,
        upstreams,
        workflows,
    )
)
"""What the loopback interface and the command line can ask for."""
