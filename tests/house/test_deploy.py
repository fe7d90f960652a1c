"""What stands in deploy/ fits the product: its settings, command, port, packages and patience."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import typer
import yaml

from server.cli import app
from server.serving import GRACE_S
from server.settings import PREFIX, Settings
from tests.house.tree import ROOT

DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
UNIT = (DEPLOY / "bailiwick.service").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def test_every_variable_of_ours_is_a_setting() -> None:
    named: set[str] = set()
    for path in DEPLOY.iterdir():
        named |= set(re.findall(rf"{PREFIX}([A-Z_]+)", path.read_text()))
    assert named
    assert {name.lower() for name in named} <= Settings.model_fields.keys()


def test_the_image_has_every_package_of_the_product() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    copied = set(re.findall(r"^COPY (\w+) \1$", DOCKERFILE, re.M))
    assert copied == set(wheel["packages"])
    needed = (re.search(r"^COPY (.+) \./$", DOCKERFILE, re.M) or [""])[1].split()
    assert [name for name in needed if not (ROOT / name).is_file()] == []


def test_the_command_and_the_port_are_the_products() -> None:
    commands: Any = typer.main.get_command(app)
    (said,) = re.findall(r"^ExecStart=/opt/bailiwick/bin/bailiwick (\w+) --data \S+$", UNIT, re.M)
    for command in (
        said,
        *re.findall(r'^CMD \["(\w+)"\]$', DOCKERFILE, re.M),
        *COMPOSE["services"]["server"]["command"],
    ):
        assert command in commands.commands
    port = Settings.model_fields["port"].default
    assert f"EXPOSE {port}" in DOCKERFILE
    assert COMPOSE["services"]["server"]["ports"] == [f"127.0.0.1:{port}:{port}"]
    collector = yaml.safe_load((DEPLOY / "collector.yaml").read_text())
    (scrape,) = collector["receivers"]["prometheus"]["config"]["scrape_configs"]
    assert scrape["static_configs"][0]["targets"] == [f"server:{port}"]


def test_who_stops_it_waits_longer_than_its_writes_may_take() -> None:
    patience = COMPOSE["services"]["server"]["stop_grace_period"]
    assert int(patience.removesuffix("s")) > GRACE_S
    (unit,) = re.findall(r"^TimeoutStopSec=(\d+)$", UNIT, re.M)
    assert int(unit) > GRACE_S


def test_no_secret_stands_in_it_and_nothing_runs_as_root() -> None:
    for name, value in COMPOSE["services"]["server"]["environment"].items():
        if "PASSWORD" in str(value) or "TOKEN" in name:
            assert ":?" in value
    assert re.search(r"^USER 10001$", DOCKERFILE, re.M)
    assert "User=bailiwick" in UNIT


def test_the_docs_say_that_they_were_not_run() -> None:
    assert "**were not run**" in (ROOT / "docs" / "deploying.md").read_text()
