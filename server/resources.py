"""What a run may read again, as MCP resources: `evidence://`, `bundle://`, `run://`, `approval://`.

The scope, the grant and the record are those of the tools. A step pass says which run is meant; with an
agent's own key the URI says it (`?run_id=run_…`). What is listed is what the credential's own run holds. A
resource that does not exist, belongs to another run, or may not be read is one and the same error.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Final, cast
from urllib.parse import parse_qsl, unquote

from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    ListResourcesResult,
    ListResourceTemplatesResult,
    PaginatedRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextResourceContents,
)

from ledger.canonical import JsonObject
from server.paging import page
from tool_scopes.approval_view import see_approval
from tool_scopes.evidence import cite, reread_bundle
from tool_scopes.house import Answer, Caller, House
from tool_scopes.own_things import own_bundles, own_requests, own_runs
from tool_scopes.refusals import Refused
from tool_scopes.steps import current_step

MIME: Final = "application/json"
_LONGEST_URI: Final = 400
_MOST_AROUND: Final = 5
_IN_WORDS: Final = {
    "evidence": "What a provenance id such as policy-14@3:120-188 stands for: quote, source, version, digest,"
    " standing, successor. `around` adds so many passages before and after.",
    "bundle": "A bundle that the run was shown, byte for byte.",
    "run": "Where the run is: its step, rules, tools and state, as current_step says it.",
    "approval": "How far the humans are with an approval request (req_…) of the run.",
}


@dataclass(frozen=True, slots=True)
class Named:
    """What a URI names. `run_id` is the run that it says, beside or in place of the credential's."""

    scheme: str
    id: str
    run_id: str | None
    around: int = 0


def templates(caller: Caller) -> ListResourceTemplatesResult:
    """The forms of URI that can be read; without a pass they name the run too."""
    run = "" if caller.run is not None else "run_id"
    forms: list[ResourceTemplate] = []
    for scheme, words in _IN_WORDS.items():
        asked = [part for part in (run if scheme != "run" else "", "around") if part]
        query = ",".join(asked if scheme == "evidence" else asked[:-1])
        form = f"{scheme}://{{id}}" + (f"{{?{query}}}" if query else "")
        forms.append(ResourceTemplate(name=scheme, uri_template=form, description=words, mime_type=MIME))
    return ListResourceTemplatesResult(resource_templates=forms, ttl_ms=0, cache_scope="private")


def listed(house: House, caller: Caller, params: PaginatedRequestParams | None) -> ListResourcesResult:
    """The run of this credential, the bundles that it was shown and its approval requests."""
    uris: list[tuple[str, str]] = []
    if caller.run is not None:
        uris += [("run", run) for run in house.ledger.read(lambda reading: own_runs(reading, caller))]
        uris += [("bundle", bundle) for bundle in own_bundles(house, caller, None)]
        uris += [("approval", request) for request in own_requests(house, caller, None)]
    found, following = page(uris, params)
    return ListResourcesResult(
        resources=[Resource(name=name, uri=f"{scheme}://{name}", mime_type=MIME) for scheme, name in found],
        next_cursor=following,
        ttl_ms=0,
        cache_scope="private",
    )


async def read(house: House, caller: Caller, uri: str) -> ReadResourceResult:
    """One resource; raises the protocol's error where there is none for this caller."""
    named = parse(uri)
    if named is None:
        raise unknown(uri)
    text = await _text(house, caller, named)
    if isinstance(text, Refused):
        raise refused(text, unknown(uri))
    contents = TextResourceContents(uri=uri, mime_type=MIME, text=text)
    return ReadResourceResult(contents=[contents], ttl_ms=0, cache_scope="private")


async def _text(house: House, caller: Caller, named: Named) -> str | Refused:
    if named.scheme == "bundle":
        raw = await reread_bundle(house, caller, named.run_id, named.id)
        return raw if isinstance(raw, Refused) else raw.decode()
    if named.scheme == "evidence":
        found = await cite(house, caller, named.run_id, named.id, named.around)
    elif named.scheme == "run":
        found = await current_step(house, caller, named.id)
    else:
        found = await see_approval(house, caller, named.run_id, named.id)
        if isinstance(found, Answer):
            (one,) = cast("list[JsonObject]", found.body["approvals"])
            found = replace(found, body=one)
    return as_text(found.body) if isinstance(found, Answer) else found


def as_text(body: JsonObject) -> str:
    """A resource's JSON, as it is read and as it is embedded."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def unknown(uri: str) -> MCPError:
    """The one answer for a resource that is not there for this caller (MCP: -32602)."""
    named = uri[:_LONGEST_URI]
    return MCPError(code=INVALID_PARAMS, message=f"Unknown resource: {named}", data={"uri": named})


def refused(refused: Refused, absent: MCPError) -> MCPError:
    """The protocol's error for a refusal: its code stands in `data`, and what is out of scope is absent."""
    denial = refused.denial
    if denial.code == "unknown_tool":
        return absent
    return MCPError(code=INVALID_PARAMS, message=denial.message, data={"code": denial.code, **denial.detail})


def parse(uri: str) -> Named | None:
    """What a URI names. Clients differ in what they escape, so an escaped id is the same id."""
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme not in _IN_WORDS or len(uri) > _LONGEST_URI:
        return None
    name, _, query = rest.partition("?")
    asked = dict(parse_qsl(query, keep_blank_values=True))
    around = asked.pop("around", "0") if scheme == "evidence" else "0"
    run_id = asked.pop("run_id", None) if scheme != "run" else None
    if asked or not around.isdecimal() or int(around) > _MOST_AROUND:
        return None
    return Named(scheme, unquote(name).strip("/"), run_id, int(around))
