"""What rests on a text: found from the log's own edges, within the tenant."""

from context_store.grants import CurationGrant
from context_store.impact import Impact, impact_of
from context_store.provenance import ProvenanceId
from ledger.entries import Entry, RestsOn
from tests.context_store.library import TENANT, Library

NEED = "How many days until refunds are paid?"


def impact(library: Library, cited: str, tenant: str = TENANT) -> Impact:
    parsed = ProvenanceId.parse(cited)
    assert parsed is not None
    return library.ledger.read(lambda reading: impact_of(reading, CurationGrant(tenant, "carol"), parsed))


def used(library: Library) -> tuple[str, int]:
    """A bundle that a run was shown, an approval that considered it, and what was executed under it."""
    library.add("Refunds are paid within 30 days.\n\nAsk Bob about lamps.")
    bundle = library.bundle(NEED)
    name = library.show(bundle)
    [item] = bundle.items
    library.ledger.append_now(
        Entry("approval.requested", TENANT, {}, rests_on=(RestsOn("req_1", "considers", bundle.digest),)),
        Entry("execution.begun", TENANT, {}, rests_on=(RestsOn("exe_1", "authorised_by", "req_1"),)),
        Entry("step.submitted", TENANT, {}, rests_on=(RestsOn("run_2/read#1", "cites", str(item.id)),)),
        Entry("step.submitted", TENANT, {}, rests_on=(RestsOn("run_3/read#1", "cites", "policy-1@1:0-9"),)),
    )
    assert item.id.end is not None
    return name, item.id.end


def test_bundles_runs_envelopes_approvals_and_executions_that_rest_on_a_version_are_found(
    library: Library,
) -> None:
    name, end = used(library)
    whole = Impact((name,), ("run_1", "run_2"), ("run_2/read#1",), ("req_1",), ("exe_1",))
    assert impact(library, "policy@1") == whole
    assert impact(library, "policy@1:3-9") == whole
    assert impact(library, f"policy@1:{end}-{end + 5}") == Impact((), (), (), (), ())
    assert impact(library, "policy@2") == Impact((), (), (), (), ())


def test_another_tenants_source_of_the_same_id_has_its_own_impact(library: Library) -> None:
    used(library)
    assert impact(library, "policy@1", "globex") == Impact((), (), (), (), ())
