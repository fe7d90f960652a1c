"""A store of generated passages, as large as wanted, for measuring how search grows with it.

Words are drawn by the law that texts follow (Zipf and Mandelbrot: the word of rank r with a frequency of
1 / (r + 2.7) ** 1.07), so common words have long postings and most words are rare; the most common ones are
left out as stop words are. A third of the sources carry access labels that the searcher does not hold, and
some versions are superseded, expired or not yet valid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from context_store.cursor import Cursor
from context_store.grants import ReadGrant
from context_store.store import KnowledgeStore
from context_store.terms import informative_words, term_id

TENANT: Final = "bench"
NOW_MS: Final = 1_800_000_000_000
_DAY_MS: Final = 86_400_000
_WORDS: Final = 400_000
_STOPPED: Final = 120
_TOKENS: Final = 70
"""Words of a passage, those included that are stopped."""
_OF_A_SOURCE: Final = 10
"""Passages of a source."""
_AT_ONCE: Final = 50_000
_SYLLABLES: Final = (
    "ba",
    "do",
    "ki",
    "lu",
    "mo",
    "na",
    "po",
    "ru",
    "ta",
    "vo",
    "zu",
    "fo",
    "gi",
    "hu",
    "ja",
    "ko",
)


@dataclass(frozen=True, slots=True)
class Made:
    """One generated passage, as a peer indexes it."""

    key: int
    ordinal: int
    words: str
    labels: Sequence[str]
    from_ms: int
    until_ms: int


def grant(release: int = 1) -> ReadGrant:
    """Who searches: holds two of the five labels."""
    return ReadGrant(TENANT, "bot", run="run_1", step="read", epoch=1, labels=LABELS_HELD, release=release)


LABELS_HELD: Final = frozenset({"l0", "l1"})


def word_of(rank: int) -> str:
    """A word that is spelled like one, ends in no suffix, and is another for each rank."""
    letters = ""
    while rank or not letters:
        rank, digit = divmod(rank, len(_SYLLABLES))
        letters += _SYLLABLES[digit]
    return letters + "x"


def fill(
    store: KnowledgeStore,
    passages: int,
    seed: int,
    told: Callable[[Sequence[Made]], None] | None = None,
    words: int = _WORDS,
) -> None:
    """Write that many passages of so many words and publish them as release 1; `told` gets each as it is
    made.
    """
    with store.writing() as cursor:
        cursor.execute("SELECT setseed($seed)", {"seed": seed / 1_000})
        _write_words(cursor, words)
        for first in range(0, passages, _AT_ONCE):
            _write_part(cursor, first, min(_AT_ONCE, passages - first), words)
            if told is not None:
                told(_made(cursor))
        cursor.execute("DROP TABLE tokens; DROP TABLE words; DROP TABLE part")


def needs(store: KnowledgeStore, count: int, seed: int) -> list[str]:
    """Needs of three to six words, each taken from one passage, as somebody asks who knows what there is."""
    import random

    chosen = random.Random(seed)
    with store.reading() as cursor:
        (keys,) = cursor.execute("SELECT count(*) FROM versions").fetchone() or (0,)
        found: list[str] = []
        while len(found) < count:
            key = chosen.randrange(1, keys + 1)
            row = cursor.execute("SELECT text FROM versions WHERE key = $key", {"key": key}).fetchone()
            words = sorted(set(str(row[0] if row else "").replace(".", " ").split()))
            found.append(" ".join(chosen.sample(words, min(len(words), chosen.randint(3, 6)))))
    return found


def _write_words(cursor: Cursor, words: int) -> None:
    ranks = range(_STOPPED, words)
    both = [informative_words(word_of(rank))[0] for rank in ranks]
    cursor.execute(
        """CREATE TEMP TABLE words AS
        SELECT unnest($ranks::INTEGER[]) AS rank, unnest($words::VARCHAR[]) AS word,
            unnest($folded::BIGINT[]) AS folded, unnest($stems::BIGINT[]) AS stem""",
        {
            "ranks": list(ranks),
            "words": [word_of(rank) for rank in ranks],
            "folded": [term_id(word.folded) for word in both],
            "stems": [term_id(word.stem) for word in both],
        },
    )


def _write_part(cursor: Cursor, first: int, count: int, words: int) -> None:
    asked: dict[str, Any] = {"first": first, "count": count}
    # The inverse of the distribution's integral: a rank for each even draw.
    asked |= {
        "words": words,
        "tokens": _TOKENS,
        "source": _OF_A_SOURCE,
        "rare": (words + 2.7) ** -0.07,
        "often": 2.7**-0.07,
    }
    cursor.execute(
        """CREATE OR REPLACE TEMP TABLE tokens AS
        WITH drawn AS (
            SELECT p AS passage,
                CAST(pow(random() * ($rare - $often) + $often, -1 / 0.07) - 2.7 AS INTEGER) AS rank
            FROM range($first, $first + $count) t(p), range($tokens)
        )
        SELECT passage // $source + 1 AS key, passage % $source AS ordinal, word, folded, stem
        FROM drawn JOIN words USING (rank) WHERE rank < $words""",
        asked,
    )
    cursor.execute(
        """CREATE OR REPLACE TEMP TABLE part AS
        SELECT CAST(key AS INTEGER) AS key, CAST(ordinal AS INTEGER) AS ordinal,
            string_agg(word, ' ') || '.' AS words, CAST(2 * count(*) AS INTEGER) AS length
        FROM tokens GROUP BY key, ordinal ORDER BY key, ordinal"""
    )
    for statement in _STATEMENTS:
        cursor.execute(statement)


_SOURCES: Final = """
    SELECT key, string_agg(words, '\n\n' ORDER BY ordinal) AS text, count(*) AS passages,
        sum(length) AS terms, sum(length(words) + 2) AS size
    FROM part GROUP BY key
"""

_STATEMENTS: Final = (
    f"""INSERT INTO versions BY NAME
    SELECT key, '{TENANT}' AS tenant, 's' || key AS source, 1 AS version, 'Source ' || key AS title, text,
        'sha256:' || sha256(text) AS text_digest, 'text-1' AS normalised_by, 'bench' AS extracted_by,
        'bench' AS indexed_by, 'imported' AS authority,
        CASE key % 3 WHEN 0 THEN ['l' || key % 5] ELSE [] END AS labels, 'general' AS collection, '' AS facts,
        CASE WHEN key % 11 = 0 THEN {NOW_MS + _DAY_MS} ELSE {NOW_MS - 900 * _DAY_MS} END AS valid_from_ms,
        CASE WHEN key % 13 = 0 THEN {NOW_MS - _DAY_MS} ELSE {NOW_MS + 900 * _DAY_MS} END AS valid_until_ms,
        passages, terms, 'sha256:' || sha256(text) AS raw_digest
    FROM ({_SOURCES})""",  # noqa: S608
    f"""INSERT INTO published SELECT DISTINCT key, '{TENANT}', 's' || key, 1,
        CASE WHEN key % 17 = 0 THEN 1 END FROM part""",  # noqa: S608
    f"""INSERT INTO source_access SELECT DISTINCT '{TENANT}', 's' || key, 1,
        CASE key % 3 WHEN 0 THEN ['l' || key % 5] ELSE [] END, 'general' FROM part""",  # noqa: S608
    """INSERT INTO passages
    SELECT key, ordinal, e - length(words), e, [] FROM (
        SELECT key, ordinal, words,
            sum(length(words) + 2) OVER (PARTITION BY key ORDER BY ordinal) - 2 AS e FROM part)
    ORDER BY key, ordinal""",
    """INSERT INTO postings
    SELECT term, t.key, t.ordinal, n, length FROM (
        SELECT term, key, ordinal, count(*) AS n FROM (
            SELECT unnest([folded, stem]) AS term, key, ordinal FROM tokens) GROUP BY ALL
    ) t JOIN part p ON p.key = t.key AND p.ordinal = t.ordinal ORDER BY term, t.key, t.ordinal""",
)


def _made(cursor: Cursor) -> list[Made]:
    rows = cursor.execute(
        """SELECT p.key, p.ordinal, p.words, v.labels, v.valid_from_ms,
            CASE WHEN v.key % 17 = 0 THEN 0 ELSE v.valid_until_ms END
        FROM part p JOIN versions v USING (key) ORDER BY p.key, p.ordinal"""
    ).fetchall()
    return [Made(*row) for row in rows]
