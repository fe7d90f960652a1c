"""Importing: what becomes a draft, whose it is, and what is left behind when something fails."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from context_store import importing
from context_store.errors import ImportRefused
from context_store.importing import Imported, import_many, import_source
from context_store.intake import Incoming, Intake
from context_store.provenance import ProvenanceId
from ledger.errors import LedgerUnavailable
from tests.context_store.library import TENANT, Library
from tests.context_store.test_texts import TEXTS

REFUNDS = "---\nid: policy-14\n---\n# Refunds\n\nRefunds are paid within 30 days.\n"


def test_a_new_text_is_a_draft_of_version_one_with_its_entries(library: Library) -> None:
    made = library.draft(REFUNDS)
    assert (made.id, made.outcome, made.title) == (ProvenanceId("policy-14", 1), "new", "Refunds")
    assert library.logged() == ["source.proposed", "version.drafted"]
    assert library.resolve("policy-14@1") is None


def test_unchanged_content_makes_no_new_version_and_changed_content_makes_the_next(library: Library) -> None:
    library.draft(REFUNDS)
    assert library.draft(REFUNDS.replace("\n", "\r\n")).outcome == "unchanged"
    changed = library.draft(REFUNDS.replace("30", "45"))
    assert (changed.outcome, changed.id) == ("changed", ProvenanceId("policy-14", 2))
    only_metadata = library.draft(REFUNDS.replace("30", "45").replace("id:", "valid_until: 2030-01-01\nid:"))
    assert (only_metadata.outcome, only_metadata.id.version) == ("changed", 3)
    assert library.logged().count("version.drafted") == 3


def test_an_id_comes_from_the_channel_then_the_front_matter_then_the_file_name(library: Library) -> None:
    assert library.draft("A text.", "Returns & Refunds (2026).md").id.source == "returns-refunds-2026"
    assert library.draft("---\nid: declared\n---\nA text.", "x.md").id.source == "declared"
    assert library.draft("---\nid: declared\n---\nA text.", "x.md", source_id="named").id.source == "named"
    with pytest.raises(ImportRefused, match="gives no id"):
        library.draft("A text.", "方針.md")


def test_the_same_file_name_from_another_place_does_not_take_over_a_source(
    library: Library, tmp_path: Path
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "policy.md").write_text(f"The text of {folder}.")
    intake = Intake(TENANT, "carol")
    assert import_source(library.store, library.ledger, tmp_path / "a" / "policy.md", intake).outcome == "new"
    with pytest.raises(ImportRefused, match="by its file name alone"):
        import_source(library.store, library.ledger, tmp_path / "b" / "policy.md", intake)
    named = Intake(TENANT, "carol", source_id="policy")
    assert (
        import_source(library.store, library.ledger, tmp_path / "b" / "policy.md", named).outcome == "changed"
    )


@pytest.mark.parametrize(
    ("text", "intake", "said"),
    [
        pytest.param(REFUNDS, {"by": "mallory"}, "belongs to carol", id="case_93-another-persons-id"),
        pytest.param(
            REFUNDS.replace("id:", "owner: mallory\nid:"), {}, "belongs to carol", id="case_93-another-owner"
        ),
        pytest.param(
            REFUNDS.replace("id:", "authority: human\nid:"),
            {},
            "cannot say of itself",
            id="case_93-authority",
        ),
        pytest.param(REFUNDS, {"labels": frozenset({"Not A Label"})}, "cannot name a label", id="label"),
        pytest.param(REFUNDS, {"collection": "a b"}, "cannot name a collection", id="collection"),
        pytest.param(REFUNDS, {"source_id": "../x"}, "cannot be the id", id="id"),
    ],
)
def test_a_document_cannot_take_what_is_not_its_owners(
    library: Library, text: str, intake: dict[str, Any], said: str
) -> None:
    library.draft(REFUNDS)
    before = library.logged()
    with pytest.raises(ImportRefused, match=said):
        library.draft(text, **intake)
    assert library.logged() == before


def test_who_acts_for_the_owner_names_them(library: Library) -> None:
    library.draft(REFUNDS)
    assert library.draft(REFUNDS.replace("30", "45"), by="dora", owner="carol").outcome == "changed"


def test_case_93_labels_of_a_document_only_restrict(library: Library) -> None:
    library.add(
        "---\nid: pay\nlabels: [finance]\n---\nSalaries are paid monthly.", labels=frozenset({"internal"})
    )
    assert library.resolve("pay@1", library.grant(labels=frozenset({"finance"}))) is None
    assert library.resolve("pay@1", library.grant(labels=frozenset({"finance", "internal"}))) is not None
    # The next version asks for fewer: what was asked for once stays, for every version.
    library.add("---\nid: pay\n---\nSalaries are paid weekly.")
    assert library.resolve("pay@2") is None
    assert library.resolve("pay@2", library.grant(labels=frozenset({"finance", "internal"}))) is not None


def test_a_label_added_later_covers_the_old_versions_too(library: Library) -> None:
    library.add("---\nid: pay\n---\nSalaries are paid monthly.")
    assert library.resolve("pay@1") is not None
    library.add("---\nid: pay\nlabels: [finance]\n---\nSalaries are paid weekly.")
    assert library.resolve("pay@1") is None


def test_case_80_an_agent_proposes_within_its_own_name_and_learns_nothing(library: Library) -> None:
    library.draft(REFUNDS)
    proposed = library.draft(REFUNDS, by="bot", authority="agent")
    assert proposed.id == ProvenanceId("bot.policy-14", 1)
    assert (
        library.draft("---\nid: bot.note\n---\nA note.", by="bot", authority="agent").id.source == "bot.note"
    )
    with pytest.raises(ImportRefused, match="texts of its own only"):
        library.draft("---\nowner: carol\n---\nA note.", by="bot", authority="agent")
    assert library.resolve("bot.policy-14@1") is None


def test_tenants_have_ids_of_their_own(library: Library) -> None:
    library.draft(REFUNDS)
    other = library.draft(REFUNDS, tenant="globex", by="gina")
    assert (other.id, other.outcome) == (ProvenanceId("policy-14", 1), "new")


def test_case_79_an_import_that_the_ledger_never_heard_of_leaves_nothing(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise LedgerUnavailable("The disk is full.")

    with monkeypatch.context() as broken:
        broken.setattr(importing, "_record", fail)
        with pytest.raises(LedgerUnavailable):
            library.draft(REFUNDS)
    # In the same process the next import takes its place; after a restart it is gone.
    assert library.draft(REFUNDS.replace("30", "60")).id == ProvenanceId("policy-14", 1)
    with monkeypatch.context() as broken:
        broken.setattr(importing, "_record", fail)
        with pytest.raises(LedgerUnavailable):
            library.draft("Another text.", "another.md")
    library.close()
    library.reopen()
    with library.store.reading() as cursor:
        assert cursor.execute("SELECT source FROM sources").fetchall() == [("policy-14",)]
        assert cursor.execute("SELECT count(DISTINCT key) FROM postings").fetchone() == (1,)


@given(TEXTS.filter(str.strip))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_after_every_import_a_span_of_the_stored_text_is_its_quote(library: Library, text: str) -> None:
    try:
        # The number makes every text another one, so that each becomes a version.
        version = library.add(f"{text}\n\nNumber {library.head()}.", "any.md", source_id="any")
    except ImportRefused:
        return
    stored = library.text_of(version)
    with library.store.reading() as cursor:
        spans = cursor.execute(
            "SELECT span_start, span_end FROM passages JOIN versions USING (key) WHERE version = $version",
            {"version": version.version},
        ).fetchall()
    assert spans
    for start, end in spans:
        found = library.resolve(str(version.at(start, end)))
        assert found is not None
        assert found.quote == stored[start:end]


def test_an_import_that_was_interrupted_is_resumed_by_repeating_it(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = [
        Incoming(f"page-{n}.html", f"memory:{n}", f"<p>Rule {n} holds for {n + 2} days.</p>".encode())
        for n in range(6)
    ]
    intake = Intake(TENANT, "carol")
    import_many(library.store, library.ledger, pages[:3], intake)
    read: list[str] = []
    real = importing.extract

    def extract(raw: bytes, name: str) -> Any:
        read.append(name)
        return real(raw, name)

    monkeypatch.setattr(importing, "extract", extract)
    outcomes = import_many(library.store, library.ledger, pages, intake)
    assert [one.outcome for one in outcomes if isinstance(one, Imported)] == ["unchanged"] * 3 + ["new"] * 3
    # What was read from the very same bytes before is not read again.
    assert read == ["page-3.html", "page-4.html", "page-5.html"]
    assert library.logged().count("version.drafted") == 6


def test_one_bad_text_keeps_no_other_out_and_two_with_one_id_are_not_mixed_up(library: Library) -> None:
    incoming = [
        Incoming("a.md", "memory:a", b"A rule."),
        Incoming("bad.md", "memory:bad", b"\xff\xfe"),
        Incoming("b.md", "memory:b", b"---\nid: a\n---\nAnother rule."),
    ]
    outcomes = import_many(library.store, library.ledger, incoming, Intake(TENANT, "carol"))
    assert [isinstance(one, ImportRefused) for one in outcomes] == [False, True, True]
    assert "b.md and a.md would both be the source 'a'" in str(outcomes[2])
    assert library.logged() == ["source.proposed", "version.drafted"]


@given(TEXTS, TEXTS, st.sampled_from(["\n", "\r\n", "\r"]))
@settings(
    max_examples=12,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_every_passage_is_exactly_its_span_after_every_import_and_reimport(
    library: Library, first: str, second: str, newline: str
) -> None:
    """Any script, emoji, combining marks, line ends: `text[start:end] == quote`, counted in code points."""
    for body in (first, second, first):
        library.draft(f"Begin é́ 👩‍👩‍👧.\n\n{body}".replace("\n", newline), "spans.md")
    with library.store.reading() as cursor:
        rows = cursor.execute(
            """SELECT v.version, v.text, p.span_start, p.span_end,
                substr(v.text, p.span_start + 1, p.span_end - p.span_start)
            FROM passages p JOIN versions v USING (key) WHERE v.source = 'spans'"""
        ).fetchall()
    assert rows
    for _, text, start, end, quote in rows:
        assert "\r" not in text
        assert text[start:end] == quote
        assert quote == quote.strip()
