"""Provenance ids have one spelling, and whatever is no id names nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from context_store.provenance import ProvenanceId
from ledger.ids import new_id


@pytest.mark.parametrize(
    "text",
    [
        "", "policy", "policy@", "policy@0", "policy@01", "policy@1:", "policy@1:5", "policy@1:5-5",
        "policy@1:6-5", "policy@1:05-6", "policy@1:-1-6", "policy@1:0-6 ", " policy@1", "Policy@1",
        "policy@1:0-6\n", "pol icy@1", "-p@1", "p-@1",
        "policy@1@2", "policy@1:0-99999999999", "policy@１", "pölicy@1", "x" * 101 + "@1",
    ],
)  # fmt: skip
def test_what_is_no_id_names_nothing(text: str) -> None:
    assert ProvenanceId.parse(text) is None


@given(
    st.from_regex(r"[a-z0-9](?:[a-z0-9._-]{0,20}[a-z0-9])?", fullmatch=True),
    st.integers(1, 10**8),
    st.none() | st.tuples(st.integers(0, 10**8), st.integers(1, 10**8)),
)
def test_every_id_is_read_back_as_it_was_written(
    source: str, version: int, span: tuple[int, int] | None
) -> None:
    start, end = (None, None) if span is None else (span[0], span[0] + span[1])
    made = ProvenanceId(source, version, start, end)
    assert ProvenanceId.parse(str(made)) == made


def test_an_observation_has_an_id_of_the_same_form() -> None:
    source = "obs-" + new_id("exe", 1_800_000_000_000).removeprefix("exe_")
    assert ProvenanceId.parse(f"{source}@1:0-20") == ProvenanceId(source, 1, 0, 20)


def test_half_a_span_is_a_bug() -> None:
    with pytest.raises(ValueError, match="both a start and an end"):
        ProvenanceId("policy", 1, 3)
