"""The demo: one governed run from trigger to executed write, shown to a person and observed from outside.

`stage` makes a data folder and an order desk, `agent` is a scripted MCP client without a model, `walk` is the
run itself, `observed` holds what has to be true, `telling` prints it, and `staying` lets a person be the
reviewer afterwards.
"""
