"""The front desk: MCP over HTTP and stdio, the operations API, the command line, settings and telemetry.

It wires the lower floors together and decides nothing itself: what may be read, used or approved is answered
below. It may import every other floor, and no floor imports it.
"""
