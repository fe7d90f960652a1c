"""Reading documents that are not plain text, each in a process of its own with limits.

`room` is the server's side and `worker` the other one; they share only what `contract` says. The libraries
that read formats are imported in the worker's process alone.
"""
