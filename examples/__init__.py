"""What the demo runs on: a refund desk as a real upstream MCP server, a corpus, a workflow and an agent.

Nothing in the product imports it but ``bailiwick demo``; it ships so that the demo works after an install.
"""
