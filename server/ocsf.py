"""Entries of the log as events of the Open Cybersecurity Schema Framework, for a SIEM to read.

Each becomes an event of the class API Activity (6003, category Application Activity), version 1.4.0 of the
schema. What the log knows and the schema has no place for stays below `unmapped`, the entry itself included.
"""

from __future__ import annotations

from typing import Final

from ledger.canonical import JsonObject
from ledger.entries import WHOLE_FOLDER, StoredEntry

VERSION: Final = "1.4.0"
CLASS_UID: Final = 6003
CATEGORY_UID: Final = 6

_CREATE, _READ, _UPDATE, _DELETE = 1, 2, 3, 4
_NAMES: Final = {_CREATE: "Create", _READ: "Read", _UPDATE: "Update", _DELETE: "Delete"}

# The last word of a kind says what was done; what is not named here changed something.
_ACTIVITY: Final = {
    **dict.fromkeys(("created", "enrolled", "opened", "requested", "issued", "added", "proposed"), _CREATE),
    **dict.fromkeys(("answered", "served", "refused", "listed", "shown"), _READ),
    **dict.fromkeys(("revoked", "retired", "withdrawn", "cancelled"), _DELETE),
}

_SUCCESS, _FAILURE, _OTHER = 1, 2, 99
_STATUS: Final = {_SUCCESS: "Success", _FAILURE: "Failure", _OTHER: "Other"}
_INFORMATIONAL, _LOW, _MEDIUM = 1, 2, 3


def ocsf_event(entry: StoredEntry, origin: str, product_version: str) -> JsonObject:
    """The event of one entry of the log `origin`."""
    activity = _ACTIVITY.get(entry.kind.rpartition(".")[2], _UPDATE)
    status, severity = _outcome(entry)
    metadata: JsonObject = {
        "version": VERSION,
        "uid": f"{origin}/{entry.seq}",
        "sequence": entry.seq,
        "log_name": origin,
        "product": {"name": "Bailiwick", "vendor_name": "Bailiwick", "version": product_version},
    }
    if entry.tenant != WHOLE_FOLDER:
        metadata["tenant_uid"] = entry.tenant
    event: JsonObject = {
        "class_uid": CLASS_UID,
        "class_name": "API Activity",
        "category_uid": CATEGORY_UID,
        "category_name": "Application Activity",
        "activity_id": activity,
        "activity_name": _NAMES[activity],
        "type_uid": CLASS_UID * 100 + activity,
        "time": entry.at_ms,
        "severity_id": severity,
        "status_id": status,
        "status": _STATUS[status],
        "metadata": metadata,
        "actor": {"user": {"uid": entry.principal or "server"}},
        "api": {"operation": entry.kind, "service": {"name": "bailiwick"}},
        "src_endpoint": {"svc_name": "bailiwick", "uid": origin},
    }
    code = entry.body.get("code")
    if isinstance(code, str):
        event["status_code"] = code
    reason = entry.body.get("reason")
    if isinstance(reason, str) and reason:
        event["status_detail"] = reason
    if entry.run is not None:
        event["resources"] = [{"uid": entry.run, "type": "run"}]
    return event


def _outcome(entry: StoredEntry) -> tuple[int, int]:
    """Status and severity."""
    state = entry.body.get("state") if entry.kind == "execution.settled" else None
    if state == "in_doubt":
        return _OTHER, _MEDIUM
    if entry.kind.endswith(".refused") or state == "failed":
        return _FAILURE, _LOW
    return _SUCCESS, _INFORMATIONAL
