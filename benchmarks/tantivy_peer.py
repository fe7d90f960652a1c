"""tantivy as a peer of search: the same passages and words, the same labels and windows in its query."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.corpus import LABELS_HELD, NOW_MS, Made

_HEAP_BYTES = 128_000_000


class Tantivy:
    """An index in a folder."""

    def __init__(self, folder: Path) -> None:
        import tantivy

        self._library: Any = tantivy
        builder = self._library.SchemaBuilder()
        builder.add_text_field("words", stored=False, tokenizer_name="whitespace", index_option="freq")
        builder.add_text_field("labels", stored=False, tokenizer_name="raw", index_option="basic")
        builder.add_integer_field("place", stored=True)
        builder.add_integer_field("opens", indexed=True, fast=True)
        builder.add_integer_field("closes", indexed=True, fast=True)
        self._schema = builder.build()
        self._index = self._library.Index(self._schema, path=str(folder))
        self._writer = self._index.writer(_HEAP_BYTES, 1)

    def add(self, passages: Sequence[Made]) -> None:
        """Index passages. One that is withdrawn has a window that has closed."""
        for passage in passages:
            # A passage without labels is for everybody.
            document = self._library.Document(
                words=passage.words.rstrip("."),
                labels=list(passage.labels) or ["everybody"],
                place=passage.key * 100 + passage.ordinal,
                opens=passage.from_ms,
                closes=passage.until_ms,
            )
            self._writer.add_document(document)

    def commit(self) -> None:
        """Make what was added searchable."""
        self._writer.commit()
        self._writer.wait_merging_threads()
        self._index.reload()
        self._searcher = self._index.searcher()
        query, occur = self._library.Query, self._library.Occur
        labels = [
            query.term_query(self._schema, "labels", name) for name in ("everybody", *sorted(LABELS_HELD))
        ]
        self._filters = [
            (
                occur.Must,
                query.const_score_query(query.boolean_query([(occur.Should, one) for one in labels]), 0.0),
            ),
            (occur.Must, query.const_score_query(self._range("opens", None, NOW_MS), 0.0)),
            (occur.Must, query.const_score_query(self._range("closes", NOW_MS + 1, None), 0.0)),
        ]

    def _range(self, field: str, low: int | None, high: int | None) -> Any:
        kind = self._library.FieldType.Integer
        return self._library.Query.range_query(
            self._schema, field, kind, -(2**62) if low is None else low, 2**62 if high is None else high
        )

    def search(self, need: str, depth: int) -> list[int]:
        """The places of the best passages: key times 100, and ordinal."""
        query, occur = self._library.Query, self._library.Occur
        words = [query.term_query(self._schema, "words", word) for word in need.split()]
        wanted = query.boolean_query([(occur.Should, word) for word in words])
        found = self._searcher.search(query.boolean_query([(occur.Must, wanted), *self._filters]), depth)
        return [int(self._searcher.doc(address)["place"][0]) for _, address in found.hits]
