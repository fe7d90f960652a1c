"""The client side of MCP: one long-lived session to each upstream server, one frame for each call.

Only this package speaks MCP on this floor. `tools` and `servers` are plain values and import nothing heavy;
`session` is one upstream; `fleet` runs all of a catalogue.
"""
