"""Measurements of Bailiwick against plain peers, taken side by side in one run.

`python -m benchmarks NAME…` prints a table and, with `--json FILE`, writes the rows. What matters in a row is
its ratio: both of its numbers come from the same machine, the same minutes and the same loader, so it means
something on another machine too.
"""
