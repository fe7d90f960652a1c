"""The rooms: workflows and their steps, the catalogue, runs, scopes, envelopes, checkpoints and executions.

Work that spans the lower floors, such as a tool call or a bundle for a step, is a use case of this floor. It
may import ``context_store``, ``policies`` and ``ledger``; never ``server``. Only ``tool_scopes.upstream``
speaks MCP.
"""
