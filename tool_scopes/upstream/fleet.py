"""All upstreams of a catalogue, started and ended together; none of them can end another."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from tool_scopes.catalogue import Catalogue
from tool_scopes.upstream.limits import DEFAULT, Limits
from tool_scopes.upstream.servers import Surroundings
from tool_scopes.upstream.session import Seen, Upstream
from tool_scopes.views import acceptance


class Upstreams(Mapping[str, Upstream]):
    """The catalogue's upstreams by name, those that could not be started among them."""

    def __init__(self, upstreams: Mapping[str, Upstream]) -> None:
        self._upstreams = dict(upstreams)

    def __getitem__(self, name: str) -> Upstream:
        return self._upstreams[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._upstreams)

    def __len__(self) -> int:
        return len(self._upstreams)

    @property
    def failures(self) -> dict[str, str]:
        """Upstream name → why it is not running, as one sentence."""
        return {name: failure for name, upstream in self.items() if (failure := upstream.failure) is not None}


@asynccontextmanager
async def running_upstreams(
    catalogue: Catalogue,
    surroundings: Surroundings,
    *,
    seen: Seen | None = None,
    logs: Path | None = None,
    limits: Limits = DEFAULT,
) -> AsyncGenerator[Upstreams]:
    """Start every upstream and yield when each is ready or has failed once; end them all on leaving.

    `seen` is told of each whenever its tools are new or not what they were. What they print about themselves
    goes to `upstream-NAME.log` in the folder `logs`, or nowhere.
    """
    upstreams = {
        name: Upstream(
            name,
            entry.server,
            surroundings,
            accepts=acceptance(catalogue.views_of(name), entry.endpoint),
            seen=seen,
            log=None if logs is None else logs / f"upstream-{name}.log",
            limits=limits,
        )
        for name, entry in catalogue.upstreams.items()
    }
    body_error: Exception | None = None
    async with anyio.create_task_group() as tasks:
        async with anyio.create_task_group() as starts:
            for upstream in upstreams.values():
                starts.start_soon(tasks.start, upstream.run)
        try:
            yield Upstreams(upstreams)
        except Exception as error:  # noqa: BLE001 - raised again below, outside the group that would wrap it
            body_error = error
        finally:
            tasks.cancel_scope.cancel()
    if body_error is not None:
        raise body_error
