"""Refused envelopes, counted per principal, workflow and subject over all runs: whoever opens a new run for
the same thing goes on counting. A human's look at one of those runs ends the count.
"""

from __future__ import annotations

from ledger.canonical import digest
from ledger.statements import fixed, param
from ledger.transaction import Reading, Transaction
from tool_scopes.runs import Run
from tool_scopes.tables import retry_counts
from tool_scopes.workflows import Workflow

_c = retry_counts.c
_SAME = (
    _c.tenant == param("of_tenant"),
    _c.principal == param("of_principal"),
    _c.workflow == param("of_workflow"),
    _c.subject == param("about"),
)
_COUNT = fixed(retry_counts.select().where(*_SAME))
_FIRST = fixed(retry_counts.insert())
_MORE = fixed(retry_counts.update().where(*_SAME).values(retries=param("so_many")))
_FORGET = fixed(retry_counts.delete().where(*_SAME))


def retries_about(reading: Reading, workflow: Workflow, run: Run) -> int:
    """How many envelopes of this principal about this subject were refused since a human last looked."""
    row = reading.one(_COUNT, _same(workflow, run))
    return 0 if row is None else int(row.retries)


def count_retry_about(tx: Transaction, workflow: Workflow, run: Run) -> int:
    """Note one more, and give how many that makes."""
    same, so_far = _same(workflow, run), retries_about(tx, workflow, run)
    if so_far:
        tx.run(_MORE, {**same, "so_many": so_far + 1})
    else:
        row = {"tenant": run.tenant, "principal": run.principal, "workflow": workflow.name}
        tx.run(_FIRST, {**row, "subject": same["about"], "retries": 1})
    return so_far + 1


def forget_retries(tx: Transaction, workflow: Workflow, run: Run) -> None:
    """A human looked: counting begins again."""
    tx.run(_FORGET, _same(workflow, run))


def _same(workflow: Workflow, run: Run) -> dict[str, str]:
    subject = run.input_digest
    if workflow.subject is not None:
        subject = digest("bailiwick-run-subject-v1", run.state[workflow.subject])
    return {
        "of_tenant": run.tenant,
        "of_principal": run.principal,
        "of_workflow": workflow.name,
        "about": subject,
    }
