"""What an upstream of a real server was given: nothing that speaks for anybody."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.rooms.peers import connected
from tests.rooms.processes import server_process
from tests.rooms.stage import Stage

PROC = Path("/proc")
pytestmark = pytest.mark.skipif(not (PROC / "self" / "environ").exists(), reason="needs Linux's /proc")


def children(pid: int) -> list[Path]:
    """The processes that a process started, in /proc."""
    return [
        found.parent
        for found in PROC.glob("[0-9]*/stat")
        if found.read_text().rpartition(")")[2].split()[1] == str(pid)
    ]


def keys_of(stage: Stage) -> list[bytes]:
    """Everything in the folder that speaks for the server, as it stands in its files."""
    files = [path for path in stage.folder.keys_dir.rglob("*") if path.is_file()]
    return [path.read_bytes().strip() for path in files]


async def test_case_103_an_upstream_is_given_no_key_of_ours(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secret = "bwk_" + "s" * 40
    for name in ("BAILIWICK_AGENT_KEY", "BAILIWICK_KEY", "SOME_TOKEN", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, secret)
    handed_on = (tmp_path / "a key").open("w+")  # as a shell hands something on to a server: `serve 3< FILE`
    os.set_inheritable(handed_on.fileno(), True)
    async with server_process(stage) as at:
        key = str((await at.ask("olga", "agent.add", agent="bot"))["key"])
        async with connected(at.url, key) as peer:
            run = await peer.open("repair")
            assert (await peer.use(run, "shop__read_item")).code == "done"
        (upstream,) = children(at.process.pid)
        given = (upstream / "environ").read_bytes() + (upstream / "cmdline").read_bytes()
        opened = {int(fd.name): os.readlink(fd) for fd in (upstream / "fd").iterdir()}
    assert b"recording_upstream" in given
    for ours in (secret.encode(), key.encode(), b"BAILIWICK", *keys_of(stage)):
        assert ours
        assert ours not in given
    handed_on.close()
    # Its pipes and its log are all that it inherited: no database, no key file, no socket of ours.
    assert all(opened[fd].startswith(("pipe:", "socket:")) for fd in (0, 1))
    assert opened[2].startswith(str(stage.folder.logs_dir))
    assert set(opened.values()) == {opened[fd] for fd in (0, 1, 2)}


def test_case_103_what_speaks_for_the_server_is_closed_to_every_other_account(stage: Stage) -> None:
    folder = stage.folder
    private = [folder.root, folder.keys_dir, *folder.keys_dir.rglob("*"), folder.secrets_file]
    loose = [path for path in private if stat.S_IMODE(path.stat().st_mode) & 0o077]
    assert len(private) > 3
    assert loose == []
