"""The book: canonical JSON, the server's key ring, transactions, the append-only Merkle log and its signed heads.

It owns the SQL ledger, in which the log and the state that must change atomically with it stand together.
The lowest floor: it imports no other.
"""
