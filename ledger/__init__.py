"""The book: an append-only, signed log, and the state that must change in the same breath as it.

This is the lowest floor. It knows canonical JSON, keys of the server, transactions, a Merkle log and its
signed heads; it knows nothing of agents, documents or tools. It is the only owner of the SQL ledger.
"""
