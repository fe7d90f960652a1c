"""The approval page: where a person judges in a browser. Served beside MCP, under an identity of its own."""
