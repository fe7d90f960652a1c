"""An upstream gets an environment of its own and none of ours, and what it prints disturbs nobody."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from tests.tool_scopes.upstreams import QUICK, raw_server, running, seen, until
from tool_scopes.catalogue import Catalogue, CatalogueUpstream, View
from tool_scopes.upstream.fleet import running_upstreams
from tool_scopes.upstream.servers import StdioServer, Surroundings
from tool_scopes.upstream.tools import UpstreamFailure, UpstreamTool, fingerprint

pytestmark = pytest.mark.anyio
ORDINARY = {"HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER"}
# Python and the locale put these into a child's environment by themselves.
OF_PYTHON = {"LC_CTYPE", "__CF_USER_TEXT_ENCODING"}


async def test_case_103_an_upstream_sees_none_of_our_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "BAILIWICK_DATA",
        "BAILIWICK_AGENT_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "PYTHONPATH",
        "DESK_TOKEN",
    ):
        monkeypatch.setenv(name, "ours")
    server = raw_server(tmp_path, env={"DESK_DB": "its own", "TOKEN": "${DESK_TOKEN}"})
    async with running(server, secrets={"DESK_TOKEN": "its own too"}) as upstream:
        told = json.loads((await upstream.call("surroundings", {}, 5)).text)["env"]
    assert set(told) - OF_PYTHON - ORDINARY == {"DESK_DB", "TOKEN"}
    assert told["DESK_DB"] == "its own"
    assert told["TOKEN"] == "its own too"
    assert "ours" not in told.values()


async def test_an_upstream_runs_in_the_folder_that_the_catalogue_names(tmp_path: Path) -> None:
    server = raw_server(tmp_path)
    async with running(StdioServer(server.command, server.env, str(tmp_path))) as upstream:
        told = json.loads((await upstream.call("surroundings", {}, 5)).text)
    assert told["cwd"] == os.path.realpath(tmp_path)  # noqa: ASYNC240 - of a test


async def test_what_an_upstream_prints_goes_to_its_log_and_not_to_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "upstream-raw.log"
    async with running(raw_server(tmp_path), log=log) as upstream:
        with pytest.raises(UpstreamFailure):
            await upstream.call("die", {}, 10)
        await until(lambda: upstream.ready)
    async with running(raw_server(tmp_path)) as upstream:
        with pytest.raises(UpstreamFailure):
            await upstream.call("die", {}, 10)
    assert log.read_text() == "I am about to fail\n"
    assert log.stat().st_mode & 0o777 == 0o600
    assert capfd.readouterr().err == ""


def catalogue_of(**servers: StdioServer) -> Catalogue:
    """A catalogue in which `echo` is accepted of each, and nothing else."""
    echo = UpstreamTool("echo", "As its name says.", {"type": "object"})
    views = [
        View(f"{name}__echo", name, "echo", "read", fingerprint=fingerprint(server.endpoint, echo))
        for name, server in servers.items()
    ]
    upstreams = {name: CatalogueUpstream(name, server) for name, server in servers.items()}
    return Catalogue(upstreams, {view.name: view for view in views}, "sha256:0")


async def test_a_fleet_runs_what_can_be_started_and_says_what_cannot(tmp_path: Path) -> None:
    for name in ("good", "other"):
        (tmp_path / name).mkdir()
    catalogue = catalogue_of(
        good=raw_server(tmp_path / "good"),
        bad=StdioServer(("no-such-program",)),
        other=raw_server(tmp_path / "other"),
    )
    surroundings = Surroundings({"PYTHON": sys.executable})
    async with running_upstreams(catalogue, surroundings, logs=tmp_path, limits=QUICK) as upstreams:
        assert sorted(upstreams) == ["bad", "good", "other"]
        assert len(upstreams) == 3
        assert list(upstreams.failures) == ["bad"]
        assert "upstream bad is not running: it cannot be started" in upstreams.failures["bad"]
        assert "upstream-bad.log" in upstreams.failures["bad"]
        assert (await upstreams["good"].call("echo", {}, 5)).text == "{}"
        with pytest.raises(UpstreamFailure, match="chatter of upstream good is not as it was accepted"):
            await upstreams["good"].call("chatter", {}, 5)
        assert upstreams["other"].endpoint == catalogue.upstreams["other"].endpoint
    assert len(seen(tmp_path / "good", "tools/call")) == 1


async def test_an_error_of_the_one_who_uses_a_fleet_comes_out_as_it_was(tmp_path: Path) -> None:
    surroundings = Surroundings({"PYTHON": sys.executable})
    with pytest.raises(KeyError, match="mine"):
        async with running_upstreams(catalogue_of(raw=raw_server(tmp_path)), surroundings, limits=QUICK):
            raise KeyError("mine")


async def test_an_upstream_has_ended_when_its_fleet_has(tmp_path: Path) -> None:
    surroundings = Surroundings({"PYTHON": sys.executable})
    async with running_upstreams(
        catalogue_of(raw=raw_server(tmp_path)), surroundings, limits=QUICK
    ) as upstreams:
        upstream = upstreams["raw"]
    assert not upstream.ready
    with pytest.raises(UpstreamFailure) as failure:
        await upstream.call("echo", {}, 5)
    assert not failure.value.sent
