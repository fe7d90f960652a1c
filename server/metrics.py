"""What the server counts, in Prometheus' format. docs/metrics.md lists the same, which a test holds.

Labels hold names of ours alone: tools of the catalogue and the desk, codes, methods. What a caller made up is
`other`, so nobody can make series without end. No label names a principal or a run: the log does.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ledger.clock import system_now_ms
from ledger.errors import LedgerError
from ledger.statements import fixed, param
from ledger.transaction import Reading
from policies.gate_state import GateState, read_gate
from policies.tables import approval_requests
from server.desk import DESK
from tool_scopes.house import House
from tool_scopes.tables import executions, runs

disable_created_metrics()  # a second series for each one, with the time of its first value

OTHER: Final = "other"
METHODS: Final = frozenset(
    {
        *("initialize", "server/discover", "ping", "tools/list", "tools/call", "completion/complete"),
        *("resources/list", "resources/templates/list", "resources/read", "prompts/list", "prompts/get"),
        "subscriptions/listen",
    }
)
"""Methods that have a series of their own."""

_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

_OPEN_REQUESTS = fixed(
    approval_requests.select()
    .with_only_columns(approval_requests.c.state)
    .where(
        approval_requests.c.state.in_(("pending", "approved")), approval_requests.c.expires_ms > param("now")
    )
)
_UNFINISHED = fixed(
    executions.select()
    .with_only_columns(executions.c.state)
    .where(executions.c.state.in_(("executing", "in_doubt")))
)
_AT_WORK = fixed(runs.select().with_only_columns(runs.c.status).where(runs.c.status.in_(("open", "waiting"))))


class Metrics:
    """The series of one server. Each has its own registry: there may be several servers in one process."""

    def __init__(self, house: House, version: str) -> None:
        self._tools = frozenset(house.catalogue.views) | DESK.keys()
        self._registry = CollectorRegistry()
        known = self._registry
        self._calls = Counter(
            "bailiwick_calls", "Tool calls by tool and code of the answer.", ("tool", "code"), registry=known
        )
        self._seconds = Histogram(
            "bailiwick_request_seconds",
            "How long MCP requests took.",
            ("method",),
            buckets=_BUCKETS_S,
            registry=known,
        )
        self._refused = Counter(
            "bailiwick_http_refused",
            "Requests that did not get as far as MCP, by reason.",
            ("why",),
            registry=known,
        )
        self._under_way = Gauge(
            "bailiwick_requests_under_way", "MCP requests that are being answered.", registry=known
        )
        self._registry.register(_State(house, version))

    def began(self) -> None:
        """A request is being answered."""
        self._under_way.inc()

    def answered(self, method: str, seconds: float) -> None:
        """It was answered, whatever the answer."""
        self._under_way.dec()
        self._seconds.labels(method if method in METHODS else OTHER).observe(seconds)

    def called(self, tool: str, code: str) -> None:
        """A tool call had this outcome."""
        self._calls.labels(tool if tool in self._tools else OTHER, code).inc()

    def refused(self, why: str) -> None:
        """A request was turned away before MCP: `invalid_token`, `insufficient_scope`, or a limit."""
        self._refused.labels(why).inc()

    def text(self) -> bytes:
        """Everything, as it stands now; blocks while the ledger is read."""
        return generate_latest(self._registry)

    def names(self) -> Iterable[str]:
        """The names of all series, as they are documented."""
        return [_name(metric) for metric in self._registry.collect()]


def _name(metric: Metric) -> str:
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


class _State(Collector):
    """What the ledger and the upstreams say at the moment of asking. An unreadable ledger is a fact too."""

    def __init__(self, house: House, version: str) -> None:
        self._house = house
        self._version = version

    def collect(self) -> Iterator[Metric]:
        """The series, each with its values of now."""
        house = self._house
        build = GaugeMetricFamily("bailiwick_build", "Always 1; which version runs.", labels=["version"])
        build.add_metric([self._version], 1)
        yield build
        up = GaugeMetricFamily(
            "bailiwick_upstream_up", "Whether an upstream can be called.", labels=["upstream"]
        )
        for name, upstream in house.upstreams.items():
            up.add_metric([name], upstream.failure is None)
        yield up
        yield from self._of_ledger()

    def _of_ledger(self) -> Iterator[Metric]:
        readable = GaugeMetricFamily("bailiwick_ledger_up", "Whether the ledger can be read.")
        approvals = GaugeMetricFamily(
            "bailiwick_approval_requests", "Approval requests that are open.", labels=["state"]
        )
        writes = GaugeMetricFamily("bailiwick_executions", "Writes under way or in doubt.", labels=["state"])
        at_work = GaugeMetricFamily("bailiwick_runs", "Runs that are open or wait.", labels=["status"])
        frozen = GaugeMetricFamily("bailiwick_frozen", "How many things an admin has stopped.")
        current = GaugeMetricFamily(
            "bailiwick_files_in_force", "Whether this server's files are those in force."
        )
        entries = CounterMetricFamily("bailiwick_log_entries", "Entries of the log under a signed head.")
        try:
            requests, doubts, open_runs, gate = self._house.ledger.read(_look)
            head = self._house.ledger.head()
        except LedgerError:
            readable.add_metric([], 0)
        else:
            readable.add_metric([], 1)
            for family, found, states in (
                (approvals, requests, ("pending", "approved")),
                (writes, doubts, ("executing", "in_doubt")),
                (at_work, open_runs, ("open", "waiting")),
            ):
                for state in states:
                    family.add_metric([state], found[state])
            frozen.add_metric([], len(gate.frozen))
            current.add_metric([], self._house.outdated(gate) is None)
            entries.add_metric([], 0 if head is None else head.size)
        yield from (readable, approvals, writes, at_work, frozen, current, entries)


def _look(reading: Reading) -> tuple[Tally[str], Tally[str], Tally[str], GateState]:
    return (
        Tally(row.state for row in reading.all(_OPEN_REQUESTS, {"now": system_now_ms()})),
        Tally(row.state for row in reading.all(_UNFINISHED)),
        Tally(row.status for row in reading.all(_AT_WORK)),
        read_gate(reading),
    )
