"""Search by meaning: what it finds, when it is used, and that it obeys the grant like search by words."""

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from context_store import weights
from context_store.meaning import Meaning, embed, lacking_vectors
from context_store.terms import informative_words
from context_store.weights import MINILM, PINNED, SentenceModel, Weights, WeightsRefused, find_weights
from tests.conftest import ROOT
from tests.context_store.library import TENANT, Library

if TYPE_CHECKING:
    from context_store.meaning import Vectors

SYNONYMS = {"~monei": "~refund", "~reimburs": "~refund", "~cash": "~refund", "~bundl": "~parcel"}


@dataclass
class Concepts:
    """A model for tests: words that mean the same are one, and a text is the mean of its words."""

    name: str = "concepts"
    revision: str = "1"
    dimension: int = 64
    encoded: list[str] = field(default_factory=list[str])

    def encode(self, texts: Sequence[str]) -> "Vectors":
        import numpy as np

        self.encoded += texts
        rows = np.full((len(texts), self.dimension), 1e-3)
        for at, text in enumerate(texts):
            for word in informative_words(text):
                seed = hashlib.sha256(SYNONYMS.get(word.stem, word.stem).encode()).digest()[0]
                rows[at] += np.random.default_rng(seed).normal(size=self.dimension)
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def in_use(library: Library, model: Concepts | None = None, *, embedded: bool = True) -> Concepts:
    made = model or Concepts()
    library.store.meaning = Meaning(made)
    if embedded:
        embed(library.store, lacking_vectors(library.store, TENANT))
    return made


def quotes(library: Library, need: str) -> list[str]:
    return [item.quote for item in library.bundle(need).items]


def test_what_shares_no_word_with_the_need_is_found_and_the_bundle_says_how(library: Library) -> None:
    library.add("Refund.", "refund.md")
    library.add("Parcel.", "parcel.md")
    assert quotes(library, "reimburse cash") == []
    in_use(library)
    bundle = library.bundle("reimburse cash")
    assert [item.quote for item in bundle.items] == ["Refund."]
    assert bundle.sufficiency == "sufficient"
    assert bundle.retrieved_with["semantic"] == {"model": "concepts", "revision": "1", "dimension": 64}
    assert library.bundle("anything else").sufficiency == "insufficient"


def test_both_rankings_count_and_words_count_more(library: Library) -> None:
    library.add("A refund is paid by card.", "words.md")
    library.add("Cash and money: reimbursed.", "meaning.md")
    in_use(library)
    assert quotes(library, "How is a refund paid?") == [
        "A refund is paid by card.",
        "Cash and money: reimbursed.",
    ]


def test_it_is_used_once_every_version_that_is_reached_has_its_vectors(library: Library) -> None:
    library.add("Refund.", "refund.md")
    library.add("Parcel.", "parcel.md", labels=frozenset({"legal"}))
    model = in_use(library, embedded=False)
    first, second = lacking_vectors(library.store, TENANT)
    said = library.bundle("cash")
    assert (said.items, said.retrieved_with["semantic"]) == ((), "not used: some versions have no vectors")
    assert model.encoded == []  # a model is loaded for a search that uses it, and for no other
    embed(library.store, [first])
    assert quotes(library, "cash") == ["Refund."]
    held = library.grant(labels=frozenset({"legal"}))
    assert library.bundle("cash", held).items == ()
    embed(library.store, [second])
    assert [item.quote for item in library.bundle("cash", held).items] == ["Refund."]
    library.add("Gift.", "gift.md")
    assert library.bundle("cash").items == ()
    assert lacking_vectors(library.store, TENANT) == [3]


def test_vectors_are_those_of_one_model_and_stay_when_the_store_is_opened_again(library: Library) -> None:
    library.add("Refund.", "refund.md")
    in_use(library)
    before = library.bundle("cash").as_bytes()
    library.close()
    library.reopen()
    model = in_use(library, embedded=False)
    assert library.bundle("cash").as_bytes() == before
    assert model.encoded == ["cash"]
    with library.store.reading() as cursor:
        rows = cursor.execute(
            "SELECT model, revision, dimension, octet_length(vectors) FROM vectors"
        ).fetchall()
    assert rows == [("concepts", "1", 64, 4 * 64)]
    in_use(library, Concepts(revision="2"), embedded=False)
    assert library.bundle("cash").items == ()


WORDS = ["refund", "cash", "parcel", "bundle", "gift", "days"]


@given(
    st.lists(
        st.tuples(st.lists(st.sampled_from(WORDS), min_size=1, max_size=5), st.booleans()),
        min_size=1,
        max_size=6,
    ),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join),
)
@settings(max_examples=8)
def test_no_byte_of_a_bundle_depends_on_vectors_that_the_grant_does_not_reach(
    made: list[tuple[list[str], bool]], need: str
) -> None:
    said: list[tuple[bytes, ...]] = []
    for everything in (True, False):
        with tempfile.TemporaryDirectory() as folder:
            library = Library(Path(folder))
            shown = [
                library.accept(
                    library.draft(
                        f"---\nid: doc-{number}\n---\n{' '.join(words)}.",
                        labels=frozenset({"legal"} if hidden else ()),
                    ).id
                )
                for number, (words, hidden) in enumerate(made)
                if everything or not hidden
            ]
            if shown:
                library.publish(*shown)
            in_use(library)
            # Whoever reaches all of it comes first, so that all of it is in memory.
            library.bundle(need, library.grant(release=1, labels=frozenset({"legal"})))
            bundle = library.bundle(need, library.grant(release=1))
            said.append((*(item.quote.encode() for item in bundle.items), str(bundle.sufficiency).encode()))
            library.close()
    assert said[0] == said[1]


def test_weights_that_cannot_be_used_are_refused_by_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: set[str] = set()

    def find_spec(name: str) -> object | None:
        return object() if name in found else None

    monkeypatch.setattr(weights.importlib.util, "find_spec", find_spec)
    assert find_weights(None) == "the extra `semantic` is not installed"
    with pytest.raises(WeightsRefused, match="needs the extra `semantic`"):
        find_weights(tmp_path)
    found.add("sentence_transformers")
    with pytest.raises(WeightsRefused, match=r"holds no model of sentence-transformers"):
        find_weights(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert str(find_weights(None)).startswith("no weights are there")
    hub = tmp_path / "hub" / "models--sentence-transformers--all-MiniLM-L6-v2"
    (hub / "refs").mkdir(parents=True)
    (hub / "refs" / "main").write_text("abc")
    (hub / "snapshots" / "abc").mkdir(parents=True)
    (hub / "snapshots" / "abc" / "model.safetensors").write_bytes(b"other weights")
    assert find_weights(None) == "the weights in the local hub cache are not those that are pinned"
    (tmp_path / "model.safetensors").write_bytes(b"own weights")
    (tmp_path / "modules.json").write_text("[]")
    own = find_weights(tmp_path)
    assert isinstance(own, Weights)
    assert own.revision == hashlib.sha256(b"own weights").hexdigest()


@pytest.mark.semantic
@pytest.mark.slow
def test_the_real_model_finds_what_is_said_in_other_words(library: Library) -> None:
    found = find_weights(None)
    assert isinstance(found, Weights)
    assert (found.name, found.revision) == (MINILM, PINNED)
    library.add("The customer receives the purchase price back within two weeks.", "refund.md")
    library.add("The warehouse is painted every spring.", "paint.md")
    library.store.meaning = Meaning(SentenceModel(found))
    embed(library.store, lacking_vectors(library.store, TENANT))
    (item,) = library.bundle("How long until a buyer is refunded the money they paid?").items
    assert item.id.source == "refund"


@pytest.mark.semantic
def test_looking_for_the_weights_and_opening_a_library_load_no_model(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from server.retrieval import equip\n"
        "from server.settings import Settings\n"
        "from context_store.store import KnowledgeStore\n"
        f"with KnowledgeStore.open({str(tmp_path / 'k.duckdb')!r}) as store:\n"
        "    equip(store, Settings())\n"
        "    assert store.meaning is not None\n"
        "    print([name for name in ('torch', 'transformers') if name in sys.modules])\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "BAILIWICK_SEMANTIC": "auto"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert said.stdout.strip() == "[]"
