"""A mistake in a catalogue file is refused with the file, the line and a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from tool_scopes.catalogue import RESERVED_NAMES, Catalogue
from tool_scopes.catalogue_files import load_catalogue, parse_upstream
from tool_scopes.upstream.servers import HttpServer, StdioServer
from tool_scopes.yaml_files import FileRefused

HEAD = "upstream: desk\ntransport: stdio\ncommand: [desk]\n"
WEB = "upstream: desk\ntransport: http\nurl: https://desk.example.com/mcp\n"
WHOLE = """\
upstream: desk
transport: stdio
command: ["${PYTHON}", -m, desk]
env: {DESK_DB: "${DATA}/desk.db"}
cwd: "${DATA}"
timeout: 2.5
tools:
  get_order:
    effect: read
    bound: {order_id: order}
  call:
    - name: desk__orders
      effect: lookup
      fixed: {name: list_orders, limit: 20}
    - name: desk__refund
      effect: write
      fixed: {name: refund}
      target: "order:{order_id}"
      sensitive: true
      secrets: [card]
      no_effect_errors: ["^no effect", "not found$"]
      fingerprint: sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
      description: Gives money back.
  forgotten:
"""


def refusal(source: str) -> str:
    with pytest.raises(FileRefused) as refused:
        parse_upstream(source, path="desk.yaml")
    return str(refused.value)


def load(folder: Path, **files: str) -> Catalogue:
    for name, source in files.items():
        (folder / f"{name}.yaml").write_text(source)
    return load_catalogue(folder)


def test_a_file_is_read_as_it_says(tmp_path: Path) -> None:
    catalogue = load(tmp_path, desk=WHOLE)
    upstream = catalogue.upstreams["desk"]
    assert upstream.server == StdioServer(
        ("${PYTHON}", "-m", "desk"), {"DESK_DB": "${DATA}/desk.db"}, "${DATA}"
    )
    assert (upstream.timeout_s, upstream.endpoint) == (2.5, upstream.server.endpoint)
    assert list(catalogue.views) == ["desk__get_order", "desk__orders", "desk__refund", "desk__forgotten"]
    refund = catalogue.views["desk__refund"]
    assert (refund.tool, refund.effect, refund.hidden, refund.is_write) == ("call", "write", False, True)
    assert (refund.fixed, refund.target, refund.target_arguments) == (
        {"name": "refund"},
        "order:{order_id}",
        ("order_id",),
    )
    assert (refund.sensitive, refund.secrets, refund.description) == (True, {"card"}, "Gives money back.")
    assert catalogue.views["desk__get_order"].bound == {"order_id": "order"}
    assert [view.name for view in catalogue.views_of("desk")] == sorted(catalogue.views)
    assert catalogue.views_of("other") == ()


def test_an_upstream_on_http_has_a_url_and_headers_of_its_own(tmp_path: Path) -> None:
    catalogue = load(tmp_path, desk=WEB + 'headers: {Authorization: "Bearer ${DESK_TOKEN}"}\n')
    server = catalogue.upstreams["desk"].server
    assert server == HttpServer("https://desk.example.com/mcp", {"Authorization": "Bearer ${DESK_TOKEN}"})


@pytest.mark.parametrize("entry", ["", "{}", "{sensitive: true}", "{target: all}"])
def test_case_67_what_is_not_classified_is_a_hidden_write(entry: str) -> None:
    (view,) = parse_upstream(f"{HEAD}tools:\n  wipe: {entry}\n", path="desk.yaml").views
    assert (view.effect, view.hidden) == ("write", True)


def test_a_classified_tool_is_shown_unless_the_file_hides_it() -> None:
    source = f"{HEAD}tools:\n  a: {{effect: read}}\n  b: {{effect: read, hidden: true}}\n"
    assert [view.hidden for view in parse_upstream(source, path="desk.yaml").views] == [False, True]


@pytest.mark.parametrize(
    ("pattern", "error", "nothing_happened"),
    [
        ("^no effect:", "no effect: too much", True),
        ("^no effect:", "refunded, but no effect: on the balance", False),
        ("not found$", "order not found", True),
        ("x", "", False),
    ],
)
def test_an_error_means_no_effect_only_where_the_admin_says_so(
    pattern: str, error: str, nothing_happened: bool
) -> None:
    entry = f'{{effect: write, target: all, no_effect_errors: ["{pattern}"]}}'
    (view,) = parse_upstream(f"{HEAD}tools:\n  refund: {entry}\n", path="desk.yaml").views
    assert view.means_no_effect(error) is nothing_happened


TOOL = HEAD + "tools:\n  refund:\n    "
MISTAKES: dict[str, tuple[str, str]] = {
    "an unknown key": (HEAD + "tolls: {}\n", "desk.yaml:4: tolls: nobody knows this key"),
    "an unknown key of a view": (TOOL + "efect: read\n", "nobody knows this key"),
    "an unknown effect": (TOOL + "effect: harmless\n", "'read', 'lookup', 'simulate' or 'write'"),
    "a key twice": (HEAD + "command: [other]\n", "desk.yaml:4: "),
    "no command": (
        "upstream: desk\ntransport: stdio\n",
        "desk.yaml:2: transport: an upstream on stdio needs",
    ),
    "an empty command": ("upstream: desk\ntransport: stdio\ncommand: []\n", "desk.yaml:3: command"),
    "a command that is a text": (
        "upstream: desk\ntransport: stdio\ncommand: desk --x\n",
        "desk.yaml:3: command",
    ),
    "a url on stdio": (
        HEAD + "url: https://x\n",
        "desk.yaml:4: url: belongs to an upstream with `transport: http`",
    ),
    "headers on stdio": (HEAD + "headers: {A: b}\n", "desk.yaml:4: headers: belongs to"),
    "no url": (
        "upstream: desk\ntransport: http\n",
        "desk.yaml:2: transport: an upstream on http needs its `url`",
    ),
    "a command on http": (WEB + "command: [x]\n", "desk.yaml:4: command: belongs to"),
    "variables on http": (WEB + "env: {A: b}\n", "desk.yaml:4: env: belongs to"),
    "a folder on http": (WEB + "cwd: x\n", "desk.yaml:4: cwd: belongs to"),
    "half a url": (
        "upstream: desk\ntransport: http\nurl: desk.example.com\n",
        "desk.yaml:3: url: write the whole",
    ),
    "credentials in a url": (
        "upstream: desk\ntransport: http\nurl: https://me:word@x/mcp\n",
        "desk.yaml:3: url: credentials do not belong here",
    ),
    "a secret in a url": (
        'upstream: desk\ntransport: http\nurl: "https://x/mcp?key=${KEY}"\n',
        "desk.yaml:3: url: credentials do not belong here",
    ),
    "103 one of our variables": (
        HEAD + "env: {Bailiwick_Data: x}\n",
        "never gets one of Bailiwick's own variables",
    ),
    "100 a tool with a name of the desk": (
        HEAD + "tools:\n  use_tool: {effect: read}\n",
        "desk.yaml:5: tools.use_tool",
    ),
    "100 a view with a name of the desk": (TOOL + "effect: read\n    name: open_run\n", "desk.yaml:7: "),
    "100 an argument of the desk": (
        TOOL + "effect: read\n    fixed: {run_id: x}\n",
        "run_id is an argument of the desk",
    ),
    "100 a bound argument of the desk": (
        TOOL + "effect: read\n    bound: {approval_token: x}\n",
        "approval_token is an argument of the desk",
    ),
    "a name that clients refuse": (
        TOOL + "effect: read\n    name: desk/refund\n",
        "no name that clients accept",
    ),
    "a tool whose name needs another": (HEAD + "tools:\n  a.b: {effect: read}\n", "give a `name`"),
    "two views of one name": (
        HEAD + "tools:\n  a:\n    - effect: read\n    - effect: read\n",
        "desk.yaml:7: tools.a.1",
    ),
    "fixed and bound at once": (
        TOOL + "effect: read\n    fixed: {a: 1}\n    bound: {a: b}\n",
        "desk.yaml:8: tools.refund.bound.a: a is fixed and bound at once",
    ),
    "case_17 a fixed number beyond all numbers": (
        TOOL + "effect: read\n    fixed: {a: 9007199254740993}\n",
        "beyond",
    ),
    "a write without a target": (TOOL + "effect: write\n", "desk.yaml:5: tools.refund: says nothing of what"),
    "a target of a read": (
        TOOL + "effect: read\n    target: x\n",
        "desk.yaml:7: tools.refund.target: only a write",
    ),
    "a brace alone": (
        TOOL + 'effect: write\n    target: "order:{"\n',
        "desk.yaml:7: tools.refund.target: has a brace",
    ),
    "a brace too many": (TOOL + 'effect: write\n    target: "{{a}}"\n', "has a brace that stands alone"),
    "an empty placeholder": (TOOL + 'effect: write\n    target: "{}"\n', "has a brace that stands alone"),
    "a target that shows a secret": (
        TOOL + 'effect: write\n    target: "card:{card}"\n    secrets: [card]\n',
        "tools.refund.target: shows card",
    ),
    "a secret that stands in plain": (
        TOOL + "effect: write\n    target: x\n    fixed: {card: 1}\n    secrets: [card]\n",
        "tools.refund.secrets: card is fixed or bound",
    ),
    "a secret handed on to a fact": (
        TOOL
        + "effect: write\n    target: x\n    secrets: [card]\n"
        + "    precondition: {view: r, pointer: /v, arguments: {id: card}}\n",
        "tools.refund.precondition: hands on card",
    ),
    "a sensitive write for one": (
        TOOL + "effect: write\n    target: x\n    sensitive: true\n    approval: {needed: 1}\n",
        "tools.refund.approval.needed: a sensitive write needs two people",
    ),
    "a quorum of nobody": (
        TOOL + "effect: write\n    target: x\n    approval: {needed: 0}\n",
        "approval.needed",
    ),
    "a quorum of agents": (
        TOOL + "effect: write\n    target: x\n    approval: {role: agent}\n",
        "approval.role",
    ),
    "facts of a read": (
        TOOL + "effect: read\n    precondition: {view: r, pointer: /v}\n",
        "tools.refund.precondition: only a write",
    ),
    "case_12 a count that nothing gives": (
        TOOL + "effect: write\n    target: x\n    affects: {pointer: /rows}\n",
        "affects.view",
    ),
    "case_12 a count by a view that is not there": (
        TOOL + "effect: write\n    target: x\n    affects: {view: desk__count, pointer: /rows}\n",
        "tools.refund.affects.view: desk__count is no view of this upstream",
    ),
    "case_12 a count by another write": (
        TOOL + "effect: write\n    target: x\n    affects: {view: w, pointer: /rows}\n  wipe: {name: w}\n",
        "tools.refund.affects.view: w is a write",
    ),
    "case_12 a count by a lookup": (
        TOOL
        + "effect: write\n    target: x\n    affects: {view: w, pointer: /rows}\n"
        + "  find: {name: w, effect: lookup}\n",
        "tools.refund.affects.view: w looks up",
    ),
    "a fact by a view that takes secrets": (
        TOOL
        + "effect: write\n    target: x\n    precondition: {view: w, pointer: /v}\n"
        + "  look: {name: w, effect: read, secrets: [key]}\n",
        "tools.refund.precondition.view: w takes secrets",
    ),
    "no pointer": (
        TOOL + "effect: write\n    target: x\n    precondition: {view: r, pointer: version}\n",
        "precondition.pointer",
    ),
    "no regular expression": (
        TOOL + 'effect: write\n    target: x\n    no_effect_errors: ["("]\n',
        "no regular expression",
    ),
    "half a fingerprint": (TOOL + "effect: read\n    fingerprint: sha256:12\n", "fingerprint"),
    "no time at all": (HEAD + "timeout: 0\n", "desk.yaml:4: timeout"),
    "a list at the top": ("- desk\n", "desk.yaml:1: "),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_refused_with_its_place_and_a_sentence(mistake: str) -> None:
    source, says = MISTAKES[mistake]
    told = refusal(source)
    assert told.startswith("desk.yaml:")
    assert says in told


@pytest.mark.parametrize("name", sorted(RESERVED_NAMES))
def test_case_100_no_name_of_the_desk_can_be_taken(name: str) -> None:
    assert "desk" in refusal(f"{HEAD}tools:\n  {name}: {{effect: read}}\n")
    assert "belongs to the desk" in refusal(f"{TOOL}effect: read\n    name: {name}\n")


def test_two_files_cannot_give_one_name(tmp_path: Path) -> None:
    other = "upstream: other\ntransport: stdio\ncommand: [x]\ntools:\n  a: {effect: read, name: desk__a}\n"
    with pytest.raises(FileRefused, match=r"other\.yaml:5: the view desk__a stands in desk\.yaml too"):
        load(tmp_path, desk=HEAD + "tools:\n  a: {effect: read}\n", other=other)


def test_a_file_is_named_after_its_upstream(tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match=r"shop\.yaml:1: upstream: the file of desk is desk\.yaml"):
        load(tmp_path, shop=HEAD)


@pytest.mark.parametrize("name", ["desk.yml", "desk.yaml.bak", "README"])
def test_a_file_that_would_be_overlooked_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(HEAD)
    with pytest.raises(FileRefused, match=r"only files named UPSTREAM\.yaml"):
        load_catalogue(tmp_path)


def test_an_empty_folder_is_an_empty_catalogue_and_a_missing_one_is_none(tmp_path: Path) -> None:
    assert load_catalogue(tmp_path).upstreams == {}
    with pytest.raises(FileRefused, match="is no folder"):
        load_catalogue(tmp_path / "nowhere")


CHANGED_MEANINGS = {
    "87 the effect": ("effect: lookup", "effect: read"),
    "the target": ("order:{order_id}", "shop:{order_id}"),
    "88 the command": ("-m, desk", "-m, disk"),
    "a variable": ("/desk.db", "/other.db"),
    "the time limit": ("timeout: 2.5", "timeout: 3"),
    "what is bound": ("order_id: order}", "order_id: other}"),
    "what means no effect": ("not found$", "found$"),
    "a fingerprint": ("sha256:0", "sha256:1"),
    "who is sensitive": ("sensitive: true", "sensitive: false"),
}


@pytest.mark.parametrize("change", CHANGED_MEANINGS)
def test_every_change_of_meaning_changes_the_digest(change: str, tmp_path: Path) -> None:
    before = load(tmp_path, desk=WHOLE).digest
    old, new = CHANGED_MEANINGS[change]
    assert old in WHOLE
    assert load(tmp_path, desk=WHOLE.replace(old, new)).digest != before


def test_comments_and_layout_do_not_change_the_digest(tmp_path: Path) -> None:
    before = load(tmp_path, desk=WHOLE).digest
    laid_out = "# our desk\n" + WHOLE.replace("{order_id: order}", "\n      order_id: order   # of the run")
    assert load(tmp_path, desk=laid_out).digest == before


def test_a_catalogue_of_five_hundred_tools_has_a_digest(tmp_path: Path) -> None:
    tools = "".join(f"  tool_{n}: {{effect: read, description: {'x' * 200}}}\n" for n in range(500))
    assert load(tmp_path, desk=f"{HEAD}tools:\n{tools}").digest.startswith("sha256:")
