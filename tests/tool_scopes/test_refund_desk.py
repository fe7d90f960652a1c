"""The example desk: what it sells as its tools, and what it promises to a catalogue."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from context_store.front_matter import split_front_matter
from examples.refund_desk import orders as desk_orders
from examples.refund_desk.orders import NoEffect, OrderDesk
from examples.refund_desk.seed import seed
from ledger.canonical import JsonObject
from policies.codes import Denial
from tests.tool_scopes.upstreams import QUICK
from tool_scopes.arguments import complete_arguments, target_of
from tool_scopes.catalogue import Catalogue, CatalogueUpstream, View
from tool_scopes.catalogue_files import load_catalogue
from tool_scopes.upstream.fleet import running_upstreams
from tool_scopes.upstream.servers import StdioServer, Surroundings
from tool_scopes.upstream.tools import fingerprint
from tool_scopes.views import offer_views
from tool_scopes.workflows import StepKind, parse_workflow

EXAMPLE = Path(desk_orders.__file__).parent
ROOT = EXAMPLE.parent.parent


@pytest.fixture
def desk(tmp_path: Path) -> OrderDesk:
    seed(tmp_path / "refund_desk.db", today=date(2026, 11, 22))
    return OrderDesk(tmp_path / "refund_desk.db")


@pytest.fixture
def catalogue() -> Catalogue:
    return load_catalogue(EXAMPLE / "catalogue")


def refunds(folder: Path) -> list[tuple[str, int]]:
    with closing(sqlite3.connect(folder / "refund_desk.db")) as db:
        return db.execute("SELECT order_id, amount_cents FROM refunds ORDER BY id").fetchall()


SEEDED = [("o-1004", 2750)]


def test_an_order_knows_what_was_paid_and_given_back(desk: OrderDesk) -> None:
    order = desk.order("o-1004")
    assert (order.total_cents, order.refunded_cents, order.refundable_cents) == (5500, 2750, 2750)
    assert (order.customer_name, order.placed_on, order.delivered_on) == (
        "Tomás Ferreira",
        "2026-10-22",
        "2026-10-28",
    )
    assert [order.id for order in desk.orders_of("c-17")] == ["o-1005", "o-1001"]
    assert desk.orders_of("c-0") == ()


def test_a_refund_is_given_once_and_never_beyond_what_was_paid(desk: OrderDesk, tmp_path: Path) -> None:
    assert desk.refund("o-1001", 8000, "Cracked lid.").refundable_cents == 450
    for amount in (451, 8450, 0, -1):
        with pytest.raises(NoEffect):
            desk.refund("o-1001", amount, "Again.")
    assert refunds(tmp_path) == [*SEEDED, ("o-1001", 8000)]


def test_many_refunds_at_once_never_exceed_what_was_paid(desk: OrderDesk, tmp_path: Path) -> None:
    def one(_: int) -> bool:
        try:
            desk.refund("o-1001", 1000, "At once.")
        except NoEffect:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        given = list(pool.map(one, range(40)))
    assert given.count(True) == 8
    assert desk.order("o-1001").refundable_cents == 450
    assert len(refunds(tmp_path)) == 9


def test_a_note_is_added_to_the_order_it_names(desk: OrderDesk) -> None:
    assert desk.add_note("o-1003", "Called back.").notes == ("Called back.",)
    with pytest.raises(NoEffect, match="there is no order o-9"):
        desk.add_note("o-9", "x")


@pytest.mark.parametrize("module", ["examples.refund_desk", "examples.refund_desk.seed"])
def test_the_desk_says_what_it_needs(module: str) -> None:
    told = subprocess.run(
        [sys.executable, "-m", module], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert told.returncode != 0
    assert "usage: " in told.stderr
    assert "Traceback" not in told.stderr


def test_the_desk_does_not_serve_a_database_that_is_not_there(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "examples.refund_desk", "--db", str(tmp_path / "none.db")]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 1
    assert told.stderr.startswith("refund_desk: there is no order database ")


def test_a_fresh_database_can_be_made_from_the_command_line(tmp_path: Path) -> None:
    for _ in range(2):
        command = [sys.executable, "-m", "examples.refund_desk.seed", str(tmp_path / "refund_desk.db")]
        subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=True)
    assert refunds(tmp_path) == SEEDED


@pytest.mark.anyio
@pytest.mark.usefixtures("desk")
async def test_the_shipped_catalogue_offers_the_real_desk_and_its_refund_changes_one_order(
    catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    surroundings = Surroundings({"PYTHON": sys.executable, "DATA": str(tmp_path)})
    async with running_upstreams(catalogue, surroundings, limits=QUICK) as upstreams:
        upstream = upstreams["desk"]
        assert upstream.failure is None
        # The fingerprints in the file are those of the desk as it is.
        offer = offer_views(catalogue.views_of("desk"), upstream.endpoint, upstream.tools)
        assert offer.quarantined == {}
        assert {name: tool.effect for name, tool in offer.tools.items()} == {
            "desk__get_order": "read",
            "desk__list_orders_of_customer": "lookup",
            "desk__check_refund": "simulate",
            "desk__refund_order": "write",
        }
        assert all("order_id" not in str(tool.input_schema) for tool in offer.tools.values())

        async def call(name: str, **given: str | int) -> tuple[bool, str]:
            tool = offer.tools[name]
            state: JsonObject = {"order_id": "o-1001", "customer": "c-17"}
            arguments = complete_arguments(tool, {**given}, state)
            assert not isinstance(arguments, Denial)
            if tool.effect == "write":
                assert target_of(tool.view, arguments) == "order:o-1001"
            result = await upstream.call(tool.view.tool, arguments, 10)
            assert tool.view.means_no_effect(result.text) is result.is_error
            return result.is_error, result.text

        assert "Paid 84.50 EUR, refunded 0.00 EUR." in (await call("desk__get_order"))[1]
        assert "- o-1005, preparing" in (await call("desk__list_orders_of_customer"))[1]
        assert (
            "is possible; 20.00 EUR would be left" in (await call("desk__check_refund", amount_cents=6450))[1]
        )
        assert "would be refused" in (await call("desk__check_refund", amount_cents=8451))[1]
        assert refunds(tmp_path) == SEEDED
        too_much = await call("desk__refund_order", amount_cents=8451, reason="Too much.")
        assert too_much == (
            True,
            "no effect: order o-1001 has 84.50 EUR left to refund, which is less than 84.51 EUR",
        )
        assert refunds(tmp_path) == SEEDED
        assert await call("desk__refund_order", amount_cents=6450, reason="The lid was cracked.") == (
            False,
            "Refunded 64.50 EUR for order o-1001; 20.00 EUR left to refund.",
        )
        assert refunds(tmp_path) == [*SEEDED, ("o-1001", 6450)]
        # The desk checks what it is given, also from a client that does not.
        unfit: list[JsonObject] = [{}, {"order_id": "o-1001", "amount_cents": "all", "reason": "x"}]
        for arguments in unfit:
            result = await upstream.call("refund_order", arguments, 10)
            assert result.is_error
            assert result.text.startswith("no effect: ")
        note = await upstream.call("add_order_note", {"order_id": "o-1001", "note": "Kettle refunded."}, 10)
        assert "Note: Kettle refunded." in note.text


def test_the_shipped_workflow_uses_what_the_shipped_catalogue_offers(catalogue: Catalogue) -> None:
    path = EXAMPLE / "workflows" / "refund.yaml"
    effects = {name: view.effect for name, view in catalogue.views.items() if not view.hidden}
    workflow = parse_workflow(path.read_text(encoding="utf-8"), path=path.name, effects=effects)
    assert [(step.kind, step.tools) for step in workflow.steps.values()] == [
        (StepKind.READ, ("desk__get_order",)),
        (StepKind.CLASSIFY, ("desk__list_orders_of_customer",)),
        (StepKind.PLAN, ("desk__check_refund",)),
        (StepKind.DRAFT, ()),
        (StepKind.EXECUTE, ("desk__refund_order",)),
    ]
    assert {tool for step in workflow.steps.values() for tool in step.tools} == set(effects)


def test_every_bound_argument_is_a_key_that_the_workflow_has_by_then(catalogue: Catalogue) -> None:
    path = EXAMPLE / "workflows" / "refund.yaml"
    effects = {name: view.effect for name, view in catalogue.views.items()}
    workflow = parse_workflow(path.read_text(encoding="utf-8"), path=path.name, effects=effects)
    known = {"order_id", "request"}
    for step in workflow.steps.values():
        for tool in step.tools:
            assert set(catalogue.views[tool].bound.values()) <= known
        known |= set(step.carry)


def test_the_shipped_sources_say_what_they_are_and_never_contradict_each_other() -> None:
    facts: dict[str, str] = {}
    for path in sorted((EXAMPLE / "sources").iterdir()):
        proposal, text = split_front_matter(path.read_text(encoding="utf-8"), path.name)
        assert (proposal.id, proposal.collection, proposal.ignored) == (path.stem, "policies", ())
        assert proposal.title
        assert proposal.valid_from_ms is not None
        assert text.startswith("# ")
        for name, value in proposal.facts:
            assert facts.setdefault(name, value) == value
    assert len(facts) >= 8


@pytest.mark.anyio
async def test_write_file_of_a_public_server_is_a_write_on_its_path(
    filesystem_server: list[str], tmp_path: Path
) -> None:
    # Behind a proxy with certificates of its own npx needs to know them, and an upstream inherits nothing.
    trust = {name: os.environ[name] for name in ("NODE_EXTRA_CA_CERTS",) if name in os.environ}
    server = StdioServer((*filesystem_server, str(tmp_path)), trust)
    files, patient = CatalogueUpstream("files", server), replace(QUICK, start_s=90, restart_s=(60.0,))
    shop = Catalogue({"files": files}, {}, "sha256:0")
    async with running_upstreams(shop, Surroundings(), limits=patient) as upstreams:
        assert upstreams["files"].failure is None
        live = upstreams["files"].tools["write_file"]
    view = View(
        "files__write_file", "files", "write_file", "write", False, target="file:{path}",
        fingerprint=fingerprint(files.endpoint, live),
    )  # fmt: skip
    shop = Catalogue({"files": files}, {view.name: view}, "sha256:1")
    async with running_upstreams(shop, Surroundings(), limits=patient) as upstreams:
        upstream = upstreams["files"]
        offer = offer_views([view], upstream.endpoint, upstream.tools)
        assert offer.quarantined == {}
        path = str(tmp_path / "note.txt")
        arguments = complete_arguments(offer.tools[view.name], {"path": path, "content": "hello\n"}, {})
        assert not isinstance(arguments, Denial)
        assert target_of(view, arguments) == f"file:{path}"
        result = await upstream.call("write_file", arguments, 20)
    assert not result.is_error, result.text
    assert (tmp_path / "note.txt").read_text() == "hello\n"
