"""The `calculate` tool of both domains: the four operations and parentheses, and nothing else of Python."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping

from tests.foreign.tau.database import Refused

_OPERATIONS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: lambda one, other: one + other,
    ast.Sub: lambda one, other: one - other,
    ast.Mult: lambda one, other: one * other,
    ast.Div: lambda one, other: one / other,
}


def calculate(expression: str) -> str:
    """The value of an expression, rounded to two places."""
    try:
        return str(round(_value(ast.parse(expression, mode="eval").body), 2))
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, OverflowError):
        raise Refused("invalid expression") from None


def _value(node: ast.expr) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.UnaryOp(op=ast.USub()):
            return -_value(node.operand)
        case ast.BinOp() if type(node.op) in _OPERATIONS:
            return _OPERATIONS[type(node.op)](_value(node.left), _value(node.right))
        case _:
            raise ValueError(ast.dump(node))
