"""How bytes become a stored text, a proposal and passages."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from context_store.errors import ImportRefused
from context_store.extract import MAX_BYTES, extract, read_file
from context_store.normalise import stored_text
from context_store.passages import LONG, split_markdown, split_plain
from context_store.sentences import sentence_spans
from context_store.terms import informative_words

TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\n\n\n\t \r.!?#-*>|`:=1é́👩‍👩‍👧字"),
    max_size=400,
)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        pytest.param(b"", "empty", id="case_78-empty"),
        pytest.param(b" \n\n\t\n", "empty", id="case_78-only-white-space"),
        pytest.param(b"# Title\n\n## Another\n", "empty", id="case_78-only-headings"),
        pytest.param(b"Refunds\x00 within 30 days.", "U+0000 in line 1", id="case_78-nul"),
        pytest.param(b"One.\nTwo.\x1b[31m", "U+001B in line 2", id="case_78-escape"),
        pytest.param(b"caf\xe9", "not UTF-8 (byte 3", id="case_78-latin-1"),
        pytest.param(b"Refunds. \xf0\x28\x8c\xbc", "not UTF-8", id="case_78-mixed-encodings"),
        pytest.param("Refunds.".encode("utf-16"), "UTF-16", id="case_78-utf-16"),
        pytest.param(b"%PDF-1.7\n", "PDF", id="case_78-pdf-that-lies"),
        pytest.param(b"PK\x03\x04rest", "ZIP", id="case_78-zip-that-lies"),
        pytest.param(b"\xed\xa0\x80 half a pair", "not UTF-8", id="case_78-lone-surrogate"),
    ],
)
def test_bytes_that_are_no_text_are_refused_with_one_sentence_that_says_what_to_do(
    raw: bytes, said: str
) -> None:
    with pytest.raises(ImportRefused, match=re.escape(said)) as refused:
        extract(raw, "policy.md")
    assert str(refused.value).endswith(".")
    assert "policy.md" in str(refused.value)


@pytest.mark.parametrize(
    ("front", "said"),
    [
        ("id: Policy 14", "cannot be the id"),
        ("id: 14", "'id' must be a text"),
        ("id: obs-01abc", "like an observation's"),
        ("id: a\nid: b", "a key stands twice"),
        ("a: &x 1\nb: *x", "aliases are not allowed"),
        ("labels: {a: b}", "'labels' must be"),
        ("labels: [finance, 7]", "'labels' must be"),
        ("owner: Carol Smith", "'owner' must be"),
        ("title: ''", "'title' must be"),
        ("valid_from: soon", "'valid_from' must be"),
        ("valid_until: 1950-01-01", "'valid_until' must be"),
        ("valid_from: 2026-02-01\nvalid_until: 2026-02-01", "not after"),
        ("facts: [30]", "'facts' must be"),
        ("facts: {window: [1, 2]}", "'facts' must be"),
        ("facts: {window: .inf}", "'facts' must be"),
        ("authority: human", "'authority'"),
        ("tenant: other", "'tenant'"),
        ("status: published", "'status'"),
        ("- a list", "not a list of"),
        ("id: [", "not valid YAML"),
        ("x: " + "[" * 9_000, "not valid YAML"),
        ("x: !!python/object/apply:os.system [echo]", "not valid YAML"),
        ("title: " + "x" * 20_000, "longer than"),
    ],
)
def test_front_matter_that_is_wrong_is_refused_by_the_name_of_the_key(front: str, said: str) -> None:
    with pytest.raises(ImportRefused, match=re.escape(said)):
        extract(f"---\n{front}\n---\nA sentence.\n".encode(), "policy.md")


def test_front_matter_is_a_proposal_and_no_part_of_the_text() -> None:
    document = extract(
        b"---\nid: policy-14\ntitle: Refunds\nowner: carol\nlabels: [finance]\ncollection: policies\n"
        b"valid_from: 2026-01-01\nvalid_until: 2026-06-30T12:00:00+02:00\n"
        b"facts: {window_days: 30.0, date: 2026-01-01}\n"
        b"author: nobody\n---\nRefunds within 30 days.\n",
        "x.md",
    )
    proposal = document.proposal
    assert document.text == "Refunds within 30 days.\n"
    assert (proposal.id, proposal.title, proposal.owner) == ("policy-14", "Refunds", "carol")
    assert proposal.facts == (("date", '"2026-01-01"'), ("window_days", "30"))
    assert (proposal.valid_from_ms, proposal.valid_until_ms) == (1_767_225_600_000, 1_782_813_600_000)
    assert proposal.ignored == ("author",)


@pytest.mark.parametrize("text", ["--- \n", "---\nno end of the block", "-- -\na: b\n---\n"])
def test_what_only_looks_like_front_matter_stays_text(text: str) -> None:
    assert extract(f"{text}\nA sentence.".encode(), "x.md").text == f"{text}\nA sentence."


def test_front_matter_that_is_never_closed_is_refused() -> None:
    with pytest.raises(ImportRefused, match="never closed"):
        extract(b"---\nid: policy-14\nGoods may be returned within 30 days.\n", "x.md")


def test_an_unknown_ending_is_refused() -> None:
    with pytest.raises(ImportRefused, match=r"convert it first"):
        extract(b"text", "policy.pptx")


def test_a_folder_a_missing_file_a_large_file_and_a_pipe_are_refused(tmp_path: Path) -> None:
    large, pipe = tmp_path / "large.md", tmp_path / "pipe.md"
    with large.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    os.mkfifo(pipe)
    for path, said in [
        (tmp_path, "is a folder"),
        (tmp_path / "none.md", "There is no file"),
        (large, "larger than 5 MiB"),
        (pipe, "not a regular file"),
        (Path("nul\0.md"), "cannot be read"),
    ]:
        with pytest.raises(ImportRefused, match=said):
            read_file(path)


def test_line_ends_become_one_and_nothing_else_is_normalised() -> None:
    assert stored_text("\ufeffa\r\nb\rc é e\u0301 ﬁ\u200b".encode(), "x") == "a\nb\nc é e\u0301 ﬁ\u200b"


@given(TEXTS)
@example("Lead-in:\n- one\n- two\n")
@example("```\ncode without an end")
@settings(max_examples=300, deadline=None)
def test_passages_are_spans_in_order_that_hold_whole_words_and_never_overlap(text: str) -> None:
    stored = text.replace("\r\n", "\n").replace("\r", "\n")
    for split in (split_markdown, split_plain):
        end = 0
        for passage in split(stored):
            assert end <= passage.start < passage.end <= len(stored)
            quote = stored[passage.start : passage.end]
            assert quote == quote.strip()
            end = passage.end


@given(TEXTS)
@settings(max_examples=200, deadline=None)
def test_sentences_leave_nothing_out_but_white_space(text: str) -> None:
    spans = list(sentence_spans(text))
    outside, last = "", 0
    for start, end in spans:
        outside, last = outside + text[last:start], end
    assert not (outside + text[last:]).strip()


def test_sentences_end_where_a_reader_would_say() -> None:
    text = 'Use e.g. this. He said "no." Then 3.5 of them! See Fig. 4 and Mr. Smith. 是的。好！ Done'
    found = [text[start:end] for start, end in sentence_spans(text)]
    assert found == [
        "Use e.g. this.",
        'He said "no."',
        "Then 3.5 of them!",
        "See Fig. 4 and Mr. Smith.",
        "是的。",
        "好！",
        "Done",
    ]


def test_markdown_is_cut_under_its_headings_and_a_lead_in_keeps_its_list() -> None:
    text = (
        "Policy\n======\n\nIntro line\ngoes on.\n\n## **Fees** ##\n\nThe fee is waived when:\n\n"
        "- it is late\n- it is lost\n\n"
        "> Quoted rule.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```\n# no heading\n```\n\n"
        "# Other\n1. First thing.\n2) Second.\n"
    )
    found = [(passage.section, text[passage.start : passage.end]) for passage in split_markdown(text)]
    assert found == [
        (("Policy",), "Intro line\ngoes on."),
        (("Policy", "Fees"), "The fee is waived when:\n\n- it is late\n- it is lost"),
        (("Policy", "Fees"), "Quoted rule."),
        (("Policy", "Fees"), "| a | b |\n|---|---|\n| 1 | 2 |"),
        (("Policy", "Fees"), "```\n# no heading\n```"),
        (("Other",), "First thing."),
        (("Other",), "Second."),
    ]


def test_a_long_paragraph_is_divided_between_sentences_and_a_long_table_between_lines() -> None:
    sentence = "This sentence is about the rules of refunds. "
    text = sentence * 150 + "\n\n" + "| a cell | another cell |\n" * 200
    passages = split_markdown(text)
    quotes = [text[passage.start : passage.end] for passage in passages]
    assert len(quotes) > 4
    assert all(len(quote) <= LONG for quote in quotes)
    assert all(quote.endswith((".", "|")) for quote in quotes)


def test_the_longest_text_is_cut_in_reasonable_time() -> None:
    for text in (
        "a. " * 300_000,
        "- x\n" * 200_000,
        "word " * 200_000,
        "#" * 500_000,
        "*" * 300_000,
        "> " * 200_000,
    ):
        split_markdown(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The Refunds of POLICIES", ["refund", "policy"]),
        ("status houses process", ["status", "house", "process"]),
        ("addresses boxes branches caches", ["address", "box", "branch", "cache"]),
        ("café CAFÉ cafe\u0301", ["café", "café", "café"]),
        ("返品は可", ["返品", "品は", "は可"]),
        ("order #W2378156 x", ["order", "w2378156"]),
    ],
)
def test_terms_are_what_readers_would_search_for(text: str, found: list[str]) -> None:
    assert [word.folded for word in informative_words(text)] == found
