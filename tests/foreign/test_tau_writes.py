"""Each write that somebody else recorded: five bad attempts and a good one, against a real server over HTTP.

The upstream's own database is the judge. Whatever an attempt is answered, nothing may have changed there; and
what the good one changed is exactly what the authors of the tasks recorded.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from tests.foreign.tau.database import Document
from tests.foreign.tau.domains import DOMAINS
from tests.foreign.tau.office import Office, make_office, opened
from tests.foreign.tau.published import GoldCall
from tests.rooms.peers import Peer, Said, connected

pytestmark = [pytest.mark.shared_data, pytest.mark.slow, pytest.mark.timeout(300)]

JUNK = ("apr_" + "7" * 26, "apr_", "approved", "Bearer apr_" + "0" * 26, "\u202eapr_" + "0" * 26)


LANES = (("retail", 0, 2), ("retail", 1, 2), ("airline", 0, 1))
"""Domain, and which of its tasks: each lane is an installation of its own, so that they can run at once."""


async def test_every_recorded_write_withstands_five_bad_attempts_and_is_done_once_by_the_good_one(
    tmp_path: Path, shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tallies: list[Counter[str]] = []
    recorded: list[GoldCall] = []

    async def walk(name: str, first: int, of: int) -> None:
        place = tmp_path / f"{name}-{first}" / "data"
        place.parent.mkdir()
        office = await to_thread.run_sync(make_office, place, DOMAINS[name], shared_data / f"tau_{name}")
        office.tasks = office.tasks[first::of]
        async with opened(office):
            tallies.append(await every_write_of(office))
        recorded.extend(writes_of(office))

    async with anyio.create_task_group() as lanes:
        for lane in LANES:
            lanes.start_soon(walk, *lane)
    whole = sum(tallies, Counter[str]())
    with capsys.disabled():
        print(
            f"\ntau-bench: {len(recorded)} recorded writes, {whole['bad']} bad attempts, {whole['leaked']} "
            f"leaked, {whole['good']} good ones done exactly once"
        )
    assert sum(bool(call.changes) for call in recorded) > 200
    assert whole["good"] == len(recorded)
    assert whole["bad"] == 5 * len(recorded)
    assert whole["leaked"] == 0


async def every_write_of(office: Office) -> Counter[str]:
    """All attempts at the writes of an office's tasks, each task from a fresh database."""
    tally = Counter[str]()
    for number, task in enumerate(office.tasks):
        writes = [call for call in task if call.tool in office.domain.writes]
        if not writes:
            continue
        office.outside.reset()
        key = await office.agent(f"bot-{number}")
        async with connected(office.url, key) as peer:
            stale = [await expired(office, peer, call) for call in writes]
            office.pass_time()
            for call, (run, token) in zip(writes, stale, strict=True):
                await attempt(office, peer, call, run, token, tally)
    # Exactly the recorded calls, with exactly their arguments, once each and in order, ever arrived there.
    assert office.outside.calls() == [(call.tool, call.arguments) for call in writes_of(office)]
    return tally


def writes_of(office: Office) -> list[GoldCall]:
    """The recorded writes of an office's tasks, in order."""
    return [call for task in office.tasks for call in task if call.tool in office.domain.writes]


async def expired(office: Office, peer: Peer, call: GoldCall) -> tuple[str, str]:
    """A run that stands where the call is in scope, and the token of an approval that time will pass over."""
    opened_run = await peer.call("open_run", workflow=f"{office.domain.name}_counter", input={"request": "r"})
    run = str(opened_run.body["run"])
    step = office.domain.writes[call.tool].step
    moved = await peer.submit(run, "choose", next=step)
    assert moved.code == "done", moved
    asked = await peer.use(run, view(office, call), **call.arguments)
    assert asked.code == "approval_required", asked
    await office.approve(asked.approval["request"])
    return run, asked.token


async def attempt(
    office: Office, peer: Peer, call: GoldCall, run: str, stale: str, tally: Counter[str]
) -> None:
    """The five bad attempts at a call and the good one, in the order in which an agent might try them."""
    name, arguments = view(office, call), call.arguments
    frames = office.outside.count()

    async def bad(said: Said, *codes: str) -> None:
        assert said.is_error
        assert said.code in codes, said
        assert "result" not in said.body
        tally["bad"] += 1
        tally["leaked"] += len(office.outside.changes()) + (office.outside.count() - frames)

    await bad(await peer.use(run, name, stale, **arguments), "approval_expired")
    asked = await peer.use(run, name, **arguments)
    await bad(asked, "approval_required")
    assert asked.token != stale
    await office.approve(asked.approval["request"])
    await bad(await peer.use(run, name, JUNK[tally["good"] % len(JUNK)], **arguments), "approval_required")
    await bad(await peer.use(run, name, asked.token, **swapped(call)), "approval_mismatch")

    done = await peer.use(run, name, asked.token, **arguments)
    assert done.code == ("failed" if call.is_error else "done"), done
    assert office.outside.changes() == call.changes
    assert office.outside.count() == frames + 1
    tally["good"] += 1

    frames += 1
    replayed = await peer.use(run, name, asked.token, **arguments)
    await bad(replayed, "approval_spent")
    assert replayed.body["execution"] == done.body["execution"]


def view(office: Office, call: GoldCall) -> str:
    """The name of the call's tool where nothing is bound."""
    return office.domain.view_of(call, f"{office.domain.name}_counter")


def swapped(call: GoldCall) -> Document:
    """The call with one argument that is another: whose it is about, so that somebody else would pay."""
    name = next(name for name in call.arguments if name.endswith("_id"))
    value = str(call.arguments[name])
    return call.arguments | {name: value[:-1] + ("1" if value[-1] != "1" else "2")}
