"""The newest release of a tenant, as the ledger has it: every read of texts asks for it first."""

from context_store.tables import release_head
from ledger.statements import fixed, param
from ledger.transaction import Reading

_HEAD = fixed(release_head.select().where(release_head.c.tenant == param("of_tenant")))


def head_release(reading: Reading, tenant: str) -> int:
    """The number of the newest release; 0 while nothing was published."""
    row = reading.one(_HEAD, {"of_tenant": tenant})
    return 0 if row is None else int(row.number)
