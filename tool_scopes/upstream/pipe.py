"""An upstream as a child process, one JSON-RPC message a line, every line and every wait bounded.

The SDK's own stdio transport reads lines of any length; this one does not, and tells why a connection was
lost. The child gets a small environment of its own, is in a process group of its own, and is ended by its
own handle.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import IO

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream, Process
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from tool_scopes.upstream.frames import Heard, Inwards, Lost, Outwards
from tool_scopes.upstream.limits import Limits

logger = logging.getLogger(__name__)

_GONE = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, OSError)


@asynccontextmanager
async def over_pipe(
    command: Sequence[str],
    env: Mapping[str, str],
    cwd: str | None,
    errors: IO[bytes] | None,
    limits: Limits,
    lost: Lost,
    heard: Heard,
) -> AsyncGenerator[tuple[Inwards, Outwards]]:
    """Start a child and yield the streams to and from it; `lost` is told once if it cannot be used any more.

    Its standard error goes to `errors`, or nowhere. Raises OSError when the command cannot be started.
    """
    process = await _spawn(command, env, cwd, errors)
    assert process.stdin is not None, "the child was started with pipes"
    assert process.stdout is not None, "the child was started with pipes"
    try:
        yield (
            Inwards(_FromChild(process, process.stdout, limits, lost), limits, lost, heard),
            Outwards(_ToChild(process.stdin, limits, lost), not_taken=(anyio.ClosedResourceError,)),
        )
    finally:
        # Also under cancellation: a child must not outlive its session. Every wait inside is bounded.
        with anyio.CancelScope(shield=True):
            await _stop(process, process.stdin, process.stdout, limits)


async def _spawn(
    command: Sequence[str], env: Mapping[str, str], cwd: str | None, errors: IO[bytes] | None
) -> Process:
    # Shielded, and followed by no pause before the block that stops it: a cancellation there would leak it.
    with anyio.CancelScope(shield=True):
        return await anyio.open_process(
            list(command),
            # Six variables that any program needs (PATH, HOME, …) and the catalogue's; none of ours.
            env={**get_default_environment(), **env},
            cwd=cwd,
            stderr=subprocess.DEVNULL if errors is None else errors,
            start_new_session=True,
        )
    raise AssertionError("a shielded scope is never cancelled")


class _FromChild:
    """The messages that a child writes, read where they are wanted: no task and no queue in between."""

    def __init__(self, process: Process, output: ByteReceiveStream, limits: Limits, lost: Lost) -> None:
        self._process = process
        self._lines = _Lines(output, limits.frame_bytes)
        self._limits = limits
        self._lost = lost

    async def receive(self) -> SessionMessage | Exception:
        """The next message. Raises anyio.EndOfStream when there will be none, and has told why."""
        try:
            while (line := await self._lines.next()) is not None:
                if message := _parsed(line):
                    return message
            with anyio.move_on_after(self._limits.stop_s):
                await self._process.wait()
            status = self._process.returncode
            self._lost("it ended" if status is None else f"it ended with status {status}")
        except _Unusable as error:
            self._lost(str(error))
        except _GONE:
            self._lost("its output broke off")
        raise anyio.EndOfStream

    async def aclose(self) -> None:
        """Nothing to do: the pipe is closed when the child is ended, and drained until then."""


class _ToChild:
    """Writes messages to a child, a line each.

    A line is handed to the pipe whole, also when its caller is cancelled.
    """

    def __init__(self, pipe: ByteSendStream, limits: Limits, lost: Lost) -> None:
        self._pipe = pipe
        self._limits = limits
        self._lost = lost
        self._closed = False

    async def send(self, item: SessionMessage, /) -> None:
        """Raises ClosedResourceError when nothing was written, BrokenResourceError when perhaps it was."""
        if self._closed:
            raise anyio.ClosedResourceError
        line = item.message.model_dump_json(by_alias=True, exclude_unset=True)
        why = "it closed its input"
        try:
            with anyio.move_on_after(self._limits.write_s):
                await self._pipe.send(line.encode() + b"\n")
                return
            why = "it does not read its input"
        except (*_GONE, RuntimeError):
            pass
        self._closed = True
        self._lost(why)
        raise anyio.BrokenResourceError

    async def aclose(self) -> None:
        """Take no more messages."""
        self._closed = True


class _Unusable(Exception):
    """What the child wrote cannot be followed any further."""


class _Lines:
    """The lines of a byte stream, none of them longer than `longest` bytes."""

    def __init__(self, stream: ByteReceiveStream, longest: int) -> None:
        self._stream = stream
        self._longest = longest
        self._chunk = b""
        self._start = 0
        self._begun: list[bytes] = []
        self._length = 0

    async def next(self) -> bytes | None:
        """The next line without its end, or None at the end of the stream.

        Raises _Unusable for one too long.
        """
        while True:
            end = self._chunk.find(b"\n", self._start)
            piece = self._chunk[self._start : end if end >= 0 else None]
            self._length += len(piece)
            if self._length > self._longest:
                raise _Unusable(f"it sent a message of more than {self._longest} bytes")
            self._begun.append(piece)
            if end >= 0:
                line, self._begun, self._length = b"".join(self._begun), [], 0
                self._start = end + 1
                return line
            try:
                self._chunk, self._start = await self._stream.receive(), 0
            except anyio.EndOfStream:
                return None


def _parsed(line: bytes) -> SessionMessage | Exception | None:
    if not line.strip():
        return None
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError as error:
        if line.lstrip().startswith(b"{"):
            # It may have been the answer to any call, so nobody should go on waiting for one.
            raise _Unusable("it sent a line that is not JSON-RPC") from None
        # A program that prints a greeting. It counts as a message that nobody asked for.
        logger.debug("an upstream printed a line that is no message")
        return error


async def _stop(process: Process, pipe: ByteSendStream, output: ByteReceiveStream, limits: Limits) -> None:
    """Close the child's input and wait; then end its process group, and at last kill it."""
    async with anyio.create_task_group() as tasks:
        # A child that still has something to say could otherwise not end.
        tasks.start_soon(_drain, output)
        with suppress(*_GONE):
            await pipe.aclose()
        for farewell in (None, signal.SIGTERM, signal.SIGKILL):
            if farewell is not None:
                # The child leads the group that was made for it, so its id is the group's.
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, farewell)
            with anyio.move_on_after(limits.stop_s):
                await process.wait()
                break
        else:
            logger.warning("an upstream's process %d could not be ended", process.pid)
        tasks.cancel_scope.cancel()
    if process.returncode is not None:
        await process.aclose()


async def _drain(output: ByteReceiveStream) -> None:
    with suppress(*_GONE):
        while True:
            await output.receive()
