"""The ranking of one sentence as plain SQL over the postings: slow, and easy to check by reading."""

from context_store.cursor import Cursor
from context_store.grants import ReadGrant
from context_store.readable import READABLE, parameters
from context_store.terms import Word, term_id


def rank_in_sql(
    cursor: Cursor, grant: ReadGrant, head: int, words: list[Word], now_ms: int, depth: int
) -> list[tuple[str, int, int, float, int, float]]:
    """Source, version, ordinal, score, matched words and cover of the best passages, in order."""
    stems = sorted({word.stem for word in words})
    terms = sorted({form for word in words for form in (word.folded, word.stem)})
    asked = {
        **parameters(grant, head, now_ms),
        "terms": [term_id(term) for term in terms],
        "stems": [term_id(stem) for stem in stems],
    }
    return cursor.execute(f"{_RANKED} LIMIT {depth}", asked).fetchall()


_RANKED = f"""
{READABLE}
, asked AS (SELECT unnest($terms::BIGINT[]) AS term)
, counted AS (
    SELECT sum(passages) AS passages, sum(terms) / sum(passages) AS mean FROM current
), hits AS (
    SELECT p.term, p.key, p.ordinal, p.occurrences, p.length, r.source, r.version
    FROM postings p JOIN current r USING (key) WHERE p.term IN (SELECT term FROM asked)
), weights AS (
    SELECT a.term, ln(1 + (c.passages + 20 - count(h.term) + 0.5) / (count(h.term) + 0.5)) AS weight
    FROM asked a LEFT JOIN hits h USING (term) CROSS JOIN counted c GROUP BY a.term, c.passages
), whole AS (
    SELECT sum(weight) AS weight FROM weights WHERE list_contains($stems::BIGINT[], term)
)
SELECT h.source, h.version, h.ordinal,
    round(sum(w.weight * h.occurrences * 2.2
        / (h.occurrences + 1.2 * (0.25 + 0.75 * h.length / c.mean))), 6) AS score,
    count(*) FILTER (list_contains($stems::BIGINT[], h.term)) AS matched,
    round(coalesce(sum(w.weight) FILTER (list_contains($stems::BIGINT[], h.term)), 0)
        / any_value(t.weight), 6)
FROM hits h JOIN weights w USING (term) CROSS JOIN counted c CROSS JOIN whole t
GROUP BY h.source, h.version, h.ordinal ORDER BY score DESC, 1, 2, 3
"""  # noqa: S608
