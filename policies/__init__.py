"""The gate: principals and their keys, the Cedar policy set, decisions, the canonical call, approvals and
tokens.

Verification is pure: facts and a time in milliseconds come in, a decision or a denial goes out. It may
import ``ledger`` only: evidence digests and a target's version are passed in as values, never fetched from
above.
"""
