"""An order desk as a real MCP server of its own: orders and refunds in SQLite, and five tools.

Nothing of Bailiwick is in it. `python -m examples.refund_desk --db FILE` serves it on standard input and
output; `python -m examples.refund_desk.seed FILE` makes a fresh database with a handful of orders.
"""
