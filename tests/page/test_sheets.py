"""The page and the terminal never differ in what they say of a request."""

from __future__ import annotations

import io
import os
import re
from contextlib import redirect_stdout
from html.parser import HTMLParser
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.principals import Person
from server.approval_sheet import sheet_of
from server.cli.approval_page import print_calls, print_request
from server.page.sessions import Session
from server.page.views import render
from tests.server.test_cli_pages import REQUEST

SESSION = Session(Person("rita", "acme", frozenset({"reviewer"})), "k" * 16, "0" * 64)

texts = st.text(max_size=60) | st.sampled_from(
    ["</td><script>", "\u202eabc\u202c", "a\nb", "&amp;", "“”", "p\u0430y"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """A request with texts of others in every place that has some."""
    bundle = REQUEST["saw"]["bundles"][0]
    item: dict[str, Any] = {"id": draw(texts), "quote": draw(texts), "title": "t", "section": []}
    stop = {"step": "draft", "reasons": [draw(texts)], "resolution": None, "by": None, "note": draw(texts)}
    step = {"step": "draft", "confidence": 0.5, "reason": draw(texts)}
    changes: dict[str, Any] = {
        "agent": draw(texts),
        "owner": draw(texts),
        "call": {
            **REQUEST["call"],
            "arguments": draw(st.dictionaries(texts, values, max_size=4)),
            "target": draw(texts),
        },
        "summary": {**REQUEST["summary"], "tool": draw(texts), "reason": draw(texts)},
        "suspicious": [{"place": draw(texts), "shown": "", "characters": [draw(texts)]}],
        "moved": draw(st.lists(texts.map("frozen: {}".format), max_size=2)),
        "known_changed": draw(st.lists(texts, max_size=2)),
        "saw": {
            "bundles": [{**bundle, "items": [item], "sufficiency": "contradictory"}],
            "observations": [{"id": "obs-1@1", "tool": draw(texts), "text": draw(texts)}],
        },
        "steps": [{**step, "evidence": [{"source": draw(texts), "quote": draw(texts)}]}],
        "checkpoints": [stop],
        "you_cannot": draw(st.none() | texts.map("You may not: {}.".format)),
        "state": draw(st.sampled_from(["pending", "approved", "expired"])),
    }
    return {**REQUEST, **changes}


class Reader(HTMLParser):
    """The text of the sheets in a page, and the elements in them."""

    def __init__(self) -> None:
        super().__init__()
        self.depth, self.read, self.elements = 0, list[str](), set[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.depth += tag == "article"
        if self.depth:
            self.elements.add(tag)

    def handle_endtag(self, tag: str) -> None:
        self.depth -= tag == "article"

    def handle_data(self, data: str) -> None:
        if self.depth:
            self.read.append(data)


def of_page(*shown: dict[str, Any]) -> tuple[str, set[str]]:
    sheets = [(sheet_of(one), "{}") for one in shown]
    reader = Reader()
    reader.feed(render("judge.html", session=SESSION, sheets=sheets, one=len(shown) == 1, whole=True))
    return without_space("".join(reader.read)), reader.elements


def of_terminal(*shown: dict[str, Any], columns: int) -> str:
    printed = io.StringIO()
    with redirect_stdout(printed), patch.dict(os.environ, {"COLUMNS": str(columns)}):
        print_request(shown[0], "", whole=True) if len(shown) == 1 else print_calls(list(shown))
    rules = re.sub("^[═─]+$", "", printed.getvalue(), flags=re.MULTILINE)
    return without_space(re.sub("↩\n *", "", rules))


def without_space(text: str) -> str:
    return re.sub(r"\s", "", text)


@given(requests(), st.sampled_from([60, 100]))
def test_case_19_the_page_says_exactly_what_the_terminal_says(shown: dict[str, Any], columns: int) -> None:
    said, elements = of_page(shown)
    assert said == of_terminal(shown, columns=columns)
    assert elements <= {"article", "header", "h1", "h2", "span", "p", "section", "table", "tbody", "tr", "th",
                        "td", "i", "pre"}  # fmt: skip


@settings(max_examples=20)
@given(requests(), requests())
def test_many_calls_on_one_page_say_what_they_say_at_the_terminal(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    both = (
        {**first, "state": "pending", "you_cannot": None},
        {**second, "state": "pending", "you_cannot": None},
    )
    assert of_page(*both)[0] == of_terminal(*both, columns=80)


def test_a_short_page_says_that_it_cuts_and_cuts_no_argument() -> None:
    long: dict[str, Any] = {**REQUEST, "call": {**REQUEST["call"], "arguments": {"text": "x" * 5_000}}}
    page = render("judge.html", session=SESSION, sheets=[(sheet_of(long), "{}")], one=True, whole=False)
    assert "x" * 5_000 in page
    assert '<a href="?full">' in page
    assert "cut-" not in page.split('<section class="call">')[1].split("</section>")[0]


@pytest.mark.parametrize(("state", "cannot"), [("approved", None), ("expired", None), ("pending", "no.")])
def test_there_is_nothing_to_press_where_nothing_can_be_signed(state: str, cannot: str | None) -> None:
    shown = {**REQUEST, "state": state, "you_cannot": cannot}
    page = render("judge.html", session=SESSION, sheets=[(sheet_of(shown), "{}")], one=True, whole=False)
    assert "data-judgeable" not in page
    assert "data-verdict" not in page
