"""An upstream that dies, hangs, floods or talks nonsense costs its own callers one clear failure."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from ledger.canonical import JsonObject
from tests.tool_scopes.raw_upstream import LEGACY, MODERN
from tests.tool_scopes.upstreams import QUICK, raw_server, running, seen, until
from tool_scopes.upstream.frames import Allowance
from tool_scopes.upstream.servers import StdioServer
from tool_scopes.upstream.session import Upstream
from tool_scopes.upstream.tools import UpstreamFailure

pytestmark = pytest.mark.anyio

FATAL = {
    "die": "ended with status 3",
    "flood": "floods",
    "broken_line": "not JSON-RPC",
    "endless_line": "more than 4194304 bytes",
}
"""What a tool does → what its caller is told. Each ends the session."""


async def failing(
    upstream: Upstream, tool: str, timeout_s: float = 20, arguments: JsonObject | None = None
) -> UpstreamFailure:
    with pytest.raises(UpstreamFailure) as failure:
        await upstream.call(tool, arguments or {}, timeout_s)
    return failure.value


@pytest.mark.parametrize("era", [LEGACY, MODERN])
@pytest.mark.parametrize("tool", FATAL)
async def test_a_call_whose_upstream_fails_says_why_and_that_the_frame_had_left(
    tool: str, era: str, tmp_path: Path
) -> None:
    async with running(raw_server(tmp_path, era=era)) as upstream:
        failure = await failing(upstream, tool)
        assert failure.sent
        assert FATAL[tool] in failure.reason
        assert len(seen(tmp_path, "tools/call")) == 1


@pytest.mark.parametrize("tool", FATAL)
async def test_an_upstream_that_failed_is_started_again_and_its_calls_are_not_repeated(
    tool: str, tmp_path: Path
) -> None:
    async with running(raw_server(tmp_path)) as upstream:
        await failing(upstream, tool)
        await until(lambda: upstream.ready)
        assert (await upstream.call("echo", {}, 10)).text == "{}"
    assert [frame["params"]["name"] for frame in seen(tmp_path, "tools/call")] == [tool, "echo"]


@pytest.mark.parametrize("tool", FATAL)
async def test_other_upstreams_go_on_while_one_fails(tool: str, tmp_path: Path) -> None:
    odd, sound = tmp_path / "odd", tmp_path / "sound"
    async with AsyncExitStack() as stack:
        for folder in (odd, sound):
            folder.mkdir()
        failing_one = await stack.enter_async_context(running(raw_server(odd)))
        other = await stack.enter_async_context(running(raw_server(sound)))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(failing, failing_one, tool)
            for number in range(50):
                assert (await other.call("echo", {"n": number}, 10)).text == f'{{"n": {number}}}'


async def test_everybody_who_waits_for_a_dying_upstream_is_told_at_once(tmp_path: Path) -> None:
    async with running(raw_server(tmp_path)) as upstream, anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(failing, upstream, "hang")
        await until(lambda: len(seen(tmp_path, "tools/call")) == 3)
        tasks.start_soon(failing, upstream, "die")


async def test_a_call_that_nobody_answers_ends_at_its_time_limit(tmp_path: Path) -> None:
    async with running(raw_server(tmp_path, era=LEGACY)) as upstream:
        failure = await failing(upstream, "hang", timeout_s=0.05)
        assert failure.sent
        assert "did not answer within 0.05 s" in failure.reason
        assert (await upstream.call("echo", {}, 5)).text == "{}"
    assert len(seen(tmp_path, "tools/call")) == 2
    # A cancellation could stop a write half-way, and would lose its late outcome.
    assert seen(tmp_path, "notifications/cancelled") == []


async def test_an_upstream_that_does_not_read_its_input_is_given_up(tmp_path: Path) -> None:
    limits = replace(QUICK, write_s=0.2)
    async with running(raw_server(tmp_path), limits=limits) as upstream, anyio.create_task_group() as tasks:
        tasks.start_soon(failing, upstream, "deaf")
        await until(lambda: len(seen(tmp_path, "tools/call")) == 1)
        # More than a pipe holds.
        failure = await failing(upstream, "echo", arguments={"text": "x" * 1_000_000})
        assert failure.sent
        assert "does not read its input" in failure.reason


async def test_an_upstream_that_hangs_for_everybody_is_started_again(tmp_path: Path) -> None:
    limits = replace(QUICK, look_s=0.3)
    async with running(raw_server(tmp_path), limits=limits) as upstream, anyio.create_task_group() as tasks:
        why = list[str]()

        async def wait_in_vain() -> None:
            why.append((await failing(upstream, "echo", timeout_s=20)).reason)

        failure = await failing(upstream, "deaf", timeout_s=0.05)
        assert "did not answer within 0.05 s" in failure.reason
        # Whoever comes while it hangs does not have to wait for a limit of its own.
        tasks.start_soon(wait_in_vain)
        await until(lambda: bool(why))
        assert why == ["upstream raw gave no answer: it does not answer any more"]
        await until(lambda: upstream.ready)
        assert (await upstream.call("echo", {}, 10)).text == "{}"


async def test_an_upstream_that_is_slow_with_one_call_is_left_to_it(tmp_path: Path) -> None:
    async with running(raw_server(tmp_path)) as upstream:
        await failing(upstream, "hang", timeout_s=0.05)
        # It answered when it was looked at, so it does not hang.
        await until(lambda: len(seen(tmp_path, "tools/list")) == 2)
        assert (await upstream.call("echo", {}, 10)).text == "{}"
    assert len(seen(tmp_path, "server/discover")) == 1


async def test_a_call_while_an_upstream_is_down_is_certainly_not_sent(tmp_path: Path) -> None:
    limits = replace(QUICK, restart_s=(60.0,))
    async with running(raw_server(tmp_path), limits=limits) as upstream:
        await failing(upstream, "die")
        await until(lambda: not upstream.ready)
        failure = await failing(upstream, "echo")
    assert not failure.sent
    assert "is not running: it ended with status 3" in failure.reason
    assert len(seen(tmp_path, "tools/call")) == 1


@pytest.mark.parametrize("tool", ["chatter", "greeting"])
async def test_an_upstream_that_merely_talks_much_is_left_in_peace(tool: str, tmp_path: Path) -> None:
    async with running(raw_server(tmp_path, era=LEGACY)) as upstream:
        for _ in range(3):
            assert (await upstream.call(tool, {}, 10)).text.startswith("done")
        assert upstream.ready


@pytest.mark.parametrize(
    ("server", "says"),
    [
        (StdioServer(("no-such-program-anywhere",)), "cannot be started: No such file or directory"),
        (StdioServer(("${PYTHON}", "-c", "raise SystemExit(4)")), "ended with status 4"),
        (StdioServer(("${PYTHON}", "-c", "print('{')")), "not JSON-RPC"),
        (
            StdioServer(("${PYTHON}", "x"), {"TOKEN": "${DESK_TOKEN}"}),
            "${DESK_TOKEN} is not in the secrets file",
        ),
        (StdioServer(("x", "--token", "${DESK_TOKEN}")), "${DESK_TOKEN} is not a place"),
        (StdioServer(("${PYTHON}",), cwd="no/such/folder"), "cannot be started"),
    ],
    ids=["no program", "exits", "nonsense", "no secret", "a secret in a command", "no folder"],
)
async def test_an_upstream_that_cannot_be_started_says_why_in_one_sentence(
    server: StdioServer, says: str
) -> None:
    async with running(server, limits=replace(QUICK, restart_s=(60.0,))) as upstream:
        assert not upstream.ready
        assert upstream.failure is not None
        assert says in upstream.failure
        assert upstream.tools == {}
        assert not (await failing(upstream, "echo")).sent


async def test_an_upstream_that_never_greets_is_given_up() -> None:
    silent = StdioServer(("${PYTHON}", "-c", "import sys; sys.stdin.read()"))
    async with running(silent, limits=replace(QUICK, start_s=0.3, restart_s=(60.0,))) as upstream:
        assert upstream.failure == "upstream raw is not running: it was not ready within 0.3 s"


async def test_an_upstream_that_ignores_its_end_is_killed(tmp_path: Path) -> None:
    stubborn = tmp_path / "stubborn.py"
    stubborn.write_text(
        "import os, signal, sys\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        "while True: signal.pause()\n"
    )
    server = StdioServer(("${PYTHON}", str(stubborn)))
    async with running(server, limits=replace(QUICK, start_s=1.0, stop_s=0.1, restart_s=(60.0,))) as upstream:
        assert not upstream.ready
    with pytest.raises(ProcessLookupError):
        os.kill(written_process_id(tmp_path), 0)


def written_process_id(folder: Path) -> int:
    return int((folder / "pid").read_text())


def test_an_allowance_is_a_burst_that_grows_again_with_time() -> None:
    allowance = Allowance(burst=2, per_second=1.0)
    assert [allowance.take(100.0) for _ in range(3)] == [True, True, False]
    assert not allowance.take(100.5)
    assert allowance.take(101.1)
    assert [allowance.take(1_000.0) for _ in range(3)] == [True, True, False]
