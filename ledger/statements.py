"""Statements that are built once, compiled once for each engine, and run often.

Running a built statement through SQLAlchemy costs some 33 µs on SQLite, nine tenths of it in Python; the same
text handed to the driver costs 4 µs. A governed call runs a dozen to two dozen statements. So what stands on
its path is a constant of its module, made by `fixed`, with `param` where a value goes.
"""

from __future__ import annotations

import operator
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

from sqlalchemy import BindParameter, Connection, Dialect, Executable, Insert, bindparam
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import NullType

AnyRow: TypeAlias = Any
"""A result row: by position, or by column name as an attribute."""

Values: TypeAlias = Mapping[str, Any]
"""What is given for the places of a statement, by name."""


_NOT_GIVEN = object()


def param(name: str) -> BindParameter[Any]:
    """A place for a value that is given by this name when the statement runs.

    In an UPDATE the name must not be that of a column: those belong to what is set.
    """
    return bindparam(name, _NOT_GIVEN, NullType())


def fixed(statement: Executable) -> Fixed:
    """Make a statement one that is compiled once. An INSERT without values takes those that it is given."""
    return Fixed(statement)


class Fixed:
    """A statement of which each engine's text is kept.

    Values go to the driver, and rows come from it, as they are: only whole numbers, texts, bytes and None.
    """

    __slots__ = ("_plans", "_statement")

    def __init__(self, statement: Executable) -> None:
        """Use `fixed`."""
        self._statement = statement
        self._plans: dict[tuple[str, ...], _Plan] = {}

    def rows(self, connection: Connection, values: Values) -> list[AnyRow]:
        """Run it and fetch everything."""
        plan, cursor = self._run(connection, values)
        return plan.rows_of(cursor)

    def run(self, connection: Connection, values: Values) -> None:
        """Run it for its effect."""
        self._run(connection, values)

    def run_many(self, connection: Connection, many: Sequence[Values]) -> None:
        """Run it for each of several sets of values, which all name the same places."""
        plan = self._plan(connection.dialect, many[0])
        many_in_order = [plan.order(values) for values in many]
        try:
            driver_of(connection).cursor().executemany(plan.sql, many_in_order)
        except connection.dialect.loaded_dbapi.Error as error:
            raise as_sqlalchemy_says(connection, error, plan.sql) from error

    def _run(self, connection: Connection, values: Values) -> tuple[_Plan, Any]:
        plan = self._plan(connection.dialect, values)
        return plan, execute(connection, plan.sql, plan.order(values))

    def _plan(self, dialect: Dialect, values: Values) -> _Plan:
        key = (dialect.name, *values)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = _Plan(self._statement, dialect, tuple(values))
        return plan


class _Plan:
    """The text of a statement for one engine, and how values get into it and rows out of it."""

    __slots__ = ("_row", "order", "sql")

    def __init__(self, statement: Executable, dialect: Dialect, names: tuple[str, ...]) -> None:
        columns = list(names) if isinstance(statement, Insert) else None
        # render_postcompile spells out `IN (…)`, whose values stand in the statement itself.
        compiled: Any = cast("Any", statement).compile(
            dialect=dialect, column_keys=columns, compile_kwargs={"render_postcompile": True}
        )
        self.sql: str = str(compiled)
        own = {
            name: value
            for name, value in compiled.params.items()
            if name not in names and value is not _NOT_GIVEN
        }
        places: list[str] = compiled.positiontup if compiled.positional else list(compiled.params)
        self.order: Callable[[Values], Any] = _by_place(places, own) if compiled.positional else _by_name(own)
        self._row: Callable[[Sequence[Any]], AnyRow] | None = None

    def rows_of(self, cursor: Any) -> list[AnyRow]:
        found: list[Sequence[Any]] = cursor.fetchall()
        if not found:
            return found
        row = self._row
        if row is None:
            named: Any = namedtuple
            row = self._row = named("Row", [column[0] for column in cursor.description], rename=True)._make
        return [row(values) for values in found]


def _by_place(places: Sequence[str], own: Values) -> Callable[[Values], Sequence[Any]]:
    """For drivers that take values in order."""
    if own or not places:
        return lambda values: [own[name] if name in own else values[name] for name in places]
    if len(places) == 1:
        only = places[0]
        return lambda values: (values[only],)
    return operator.itemgetter(*places)


def _by_name(own: Values) -> Callable[[Values], Values]:
    """For drivers that take values by name."""
    return (lambda values: {**own, **values}) if own else (lambda values: values)


def execute(connection: Connection, sql: str, values: Sequence[Any] | Values = ()) -> Any:
    """Run a text of the driver's own on it; the driver's cursor. Errors are those of SQLAlchemy."""
    try:
        return driver_of(connection).execute(sql, values)
    except connection.dialect.loaded_dbapi.Error as error:
        raise as_sqlalchemy_says(connection, error, sql) from error


def driver_of(connection: Connection) -> Any:
    """The driver's own connection below one of SQLAlchemy."""
    return connection.connection.driver_connection


def as_sqlalchemy_says(connection: Connection, error: Exception, sql: str | None = None) -> BaseException:
    """A driver's error as SQLAlchemy would have raised it, without the values: they may be anything."""
    dialect: Any = connection.dialect
    return DBAPIError.instance(
        sql, None, error, dialect.loaded_dbapi.Error, hide_parameters=True, dialect=dialect
    )
