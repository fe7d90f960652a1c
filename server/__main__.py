"""`python -m server` is `bailiwick`."""

from server.cli import main

main()
