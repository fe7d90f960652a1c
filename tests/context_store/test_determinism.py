"""One library, one need, one bundle: nothing about how the library came to be decides a byte."""

import random
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from context_store.importing import Imported, import_many
from context_store.intake import Incoming, Intake
from context_store.provenance import ProvenanceId
from tests.context_store.library import TENANT, Library

SUBJECTS = ["refund", "parcel", "gift card"]
SAID = st.tuples(
    st.sampled_from(SUBJECTS),
    st.integers(1, 3),
    st.booleans(),
    st.lists(st.sampled_from(SUBJECTS), max_size=2),
)


def text_of(subject: str, days: int, denied: bool, more: list[str]) -> str:
    lines = [f"A {subject} is {'not ' if denied else ''}sent back within {days} weeks of the order."]
    return "\n\n".join(
        [*lines, *(f"Whoever asks for a {other} gets an answer from the desk." for other in more)]
    )


@given(
    st.lists(SAID, min_size=1, max_size=5),
    st.randoms(use_true_random=False),
    st.sampled_from(SUBJECTS),
    st.sampled_from([0, 40, 600]),
)
@settings(max_examples=10)
def test_the_order_and_the_parts_in_which_texts_came_in_decide_no_byte(
    made: list[tuple[str, int, bool, list[str]]], chance: random.Random, subject: str, budget: int
) -> None:
    need = f"When is a {subject} sent back? Who answers?"
    bundles: set[bytes] = set()
    for shuffled in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            library = Library(Path(folder))
            incoming = [
                Incoming(f"doc-{number}.md", f"memory:{number}", text_of(*said).encode())
                for number, said in enumerate(made)
            ]
            cut = len(incoming)
            if shuffled:
                chance.shuffle(incoming)
                cut = chance.randint(0, len(incoming))
            versions: list[ProvenanceId] = []
            for part in (incoming[:cut], incoming[cut:]):
                for outcome in import_many(library.store, library.ledger, part, Intake(TENANT, "carol")):
                    assert isinstance(outcome, Imported)
                    versions.append(library.accept(outcome.id))
            library.publish(*versions)
            bundles.add(library.bundle(need, budget=budget).as_bytes())
            bundles.add(library.bundle(need, budget=budget).as_bytes())
            library.close()
            library.reopen()
            bundles.add(library.bundle(need, budget=budget).as_bytes())
            library.close()
    assert len(bundles) == 1
