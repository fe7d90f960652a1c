"""The library: sources, versions, spans, curation, releases, search and bundles. The only owner of DuckDB.

Every read takes a read grant and applies it inside its query; facts about runs and steps come in as values.
It may import ``policies`` and ``ledger``; never ``tool_scopes`` or ``server``.
"""
