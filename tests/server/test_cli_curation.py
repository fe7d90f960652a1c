"""A text goes from a file to a release through two people, and every step is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.server.office import Office


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "Refund Policy.md"
    path.write_text(
        "---\nid: refunds\ncollection: policies\nmood: kind\n---\n# Refunds\n\nMoney goes back in 5 days.\n"
    )
    return path


def test_a_source_is_added_reviewed_by_another_and_published(office: Office, text: Path) -> None:
    added = office.say("source", "add", text)
    assert added.id == "refunds@1"
    assert "Refunds: new, 1 passages" in added.err
    assert "mood, which means nothing here" in added.err
    assert office.say("source", "review", "refunds", "--accept", by="carol").code == 1  # still a draft
    assert office.say("source", "submit", "refunds@1").id == "refunds@1"
    own = office.say("source", "review", "refunds", "--accept")
    assert own.code == 1
    assert "ada brought refunds@1 in and cannot review it too" in own.err
    assert office.say("source", "publish", by="carol").code == 1  # nothing accepted yet
    assert "accepted by carol" in office.say("source", "review", "refunds@1", "--accept", by="carol").err
    assert office.say("source", "publish", "refunds@1", by="carol").id == "1"
    assert "published in 1" in office.say("source", "list").out
    assert office.say("release", "show", "1", "--json").json["added"] == ["refunds@1"]


def test_an_unchanged_file_makes_no_new_version(office: Office, text: Path) -> None:
    assert office.say("source", "add", text).id == "refunds@1"
    again = office.say("source", "add", text)
    assert again.id == "refunds@1"
    assert "unchanged; nothing was written" in again.err
    text.write_text(text.read_text().replace("5 days", "6 days"))
    assert office.say("source", "add", text).id == "refunds@2"


def test_a_version_can_be_sent_back_with_a_reason(office: Office, text: Path) -> None:
    office.say("source", "add", text)
    office.say("source", "submit", "refunds@1")
    said = office.say("source", "review", "refunds@1", "--send-back", "--reason", "wrong number", by="carol")
    assert said.code == 0
    assert office.say("source", "show", "refunds@1", "--json").json["status"] == "draft"


def test_reviewers_propose_and_only_curators_curate(office: Office, text: Path) -> None:
    assert office.say("source", "add", text, by="dave").code == 0
    office.say("source", "submit", "refunds@1", by="dave")
    said = office.say("source", "review", "refunds@1", "--accept", by="dave")
    assert said.code == 1
    assert "dave may not do source.review" in said.err


def test_a_text_is_shown_without_anything_that_fools_a_terminal(office: Office, tmp_path: Path) -> None:
    path = tmp_path / "odd.md"
    path.write_text("# Odd\n\nPay \u202e5 EUR now.\n")
    office.say("source", "add", path)
    shown = office.say("source", "show", "odd").out
    assert "\u202e" not in shown
    assert "Pay \\u{202e}5 EUR now." in shown


def test_several_files_cannot_share_one_id(office: Office, text: Path) -> None:
    said = office.say("source", "add", text, text, "--id", "one")
    assert said.code == 2
    assert "One id cannot name several files" in said.err


def test_a_search_shows_quotes_with_their_ids_and_what_was_left_out(office: Office, text: Path) -> None:
    office.say("source", "add", text)
    office.say("source", "submit", "refunds")
    office.say("source", "review", "refunds", "--accept", by="carol")
    office.say("source", "publish", by="carol")
    found = office.say("search", "when does the money go back", "--json").json
    quote = found["items"][0]
    assert quote["quote"] in text.read_text()
    assert found["left_out"] == []
    told = office.say("search", "when does the money go back").out
    assert f"{quote['id']}  Refunds" in told
    assert "sufficient" in told
    assert office.say("search", "volcanoes on Mars").out.count("insufficient") == 1
