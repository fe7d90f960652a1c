"""Evidence as MCP resources, `evidence://ID` and `bundle://ID`: the same scope, grant and record as tools.

A step pass says which run is meant; with an agent's own key the URI says it (`?run_id=run_…`). What is listed
are the bundles that the credential's own run was shown. A resource that does not exist, belongs to another
run, or may not be read is one and the same error.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote

from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextResourceContents,
)

from tool_scopes.evidence import cite, reread_bundle, shown_bundles
from tool_scopes.house import Answer, Caller, House
from tool_scopes.refusals import Refused

MIME: Final = "application/json"
_LONGEST_URI: Final = 400
_MOST_AROUND: Final = 5


@dataclass(frozen=True, slots=True)
class _Named:
    scheme: str
    id: str
    run_id: str | None
    around: int


def templates(caller: Caller) -> ListResourceTemplatesResult:
    """The forms of URI that can be read; without a pass they name the run too."""
    run = "" if caller.run is not None else "run_id"
    evidence = ",".join(part for part in (run, "around") if part)
    return ListResourceTemplatesResult(
        resource_templates=[
            ResourceTemplate(
                name="evidence",
                uri_template=f"evidence://{{id}}{{?{evidence}}}",
                description="What a provenance id such as policy-14@3:120-188 stands for: quote, source,"
                " version, digest, standing, successor. `around` adds so many passages before and after.",
                mime_type=MIME,
            ),
            ResourceTemplate(
                name="bundle",
                uri_template="bundle://{id}" + ("{?run_id}" if run else ""),
                description="A bundle that the run was shown, byte for byte.",
                mime_type=MIME,
            ),
        ],
        ttl_ms=0,
        cache_scope="private",
    )


def listed(house: House, caller: Caller) -> ListResourcesResult:
    """The bundles that the run of this credential was shown."""
    return ListResourcesResult(
        resources=[
            Resource(name=bundle, uri=f"bundle://{bundle}", mime_type=MIME)
            for bundle in shown_bundles(house, caller)
        ],
        ttl_ms=0,
        cache_scope="private",
    )


async def read(house: House, caller: Caller, uri: str) -> ReadResourceResult:
    """One resource; raises the protocol's error where there is none for this caller."""
    named = _parse(uri)
    if named is None:
        raise unknown(uri)
    if named.scheme == "bundle":
        raw = await reread_bundle(house, caller, named.run_id, named.id)
        text = raw if isinstance(raw, Refused) else raw.decode()
    else:
        found = await cite(house, caller, named.run_id, named.id, named.around)
        text = (
            json.dumps(found.body, ensure_ascii=False, separators=(",", ":"))
            if isinstance(found, Answer)
            else found
        )
    if isinstance(text, Refused):
        raise _refused(text, uri)
    contents = TextResourceContents(uri=uri, mime_type=MIME, text=text)
    return ReadResourceResult(contents=[contents], ttl_ms=0, cache_scope="private")


def unknown(uri: str) -> MCPError:
    """The one answer for a resource that is not there for this caller (MCP: -32602)."""
    return MCPError(code=INVALID_PARAMS, message=f"Unknown resource: {uri[:_LONGEST_URI]}")


def _refused(refused: Refused, uri: str) -> MCPError:
    denial = refused.denial
    if denial.code == "unknown_tool":
        return unknown(uri)
    return MCPError(code=INVALID_PARAMS, message=denial.message, data={"code": denial.code, **denial.detail})


def _parse(uri: str) -> _Named | None:
    """What a URI names. Clients differ in what they escape, so an escaped id is the same id."""
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme not in ("evidence", "bundle") or len(uri) > _LONGEST_URI:
        return None
    name, _, query = rest.partition("?")
    asked = dict(parse_qsl(query, keep_blank_values=True))
    around = asked.pop("around", "0") if scheme == "evidence" else "0"
    run_id = asked.pop("run_id", None)
    if asked or not around.isdecimal() or int(around) > _MOST_AROUND:
        return None
    return _Named(scheme, unquote(name).strip("/"), run_id, int(around))
