"""Tables that the database itself keeps from being changed, on either engine."""

from sqlalchemy import DDL, Table, event


def append_only(table: Table) -> None:
    """Make the database itself refuse UPDATE and DELETE on a table, whoever asks."""
    name = table.name
    sentence = f"{name} is append-only"
    for verb in ("UPDATE", "DELETE"):
        sqlite = DDL(
            f"CREATE TRIGGER {name}_refuses_{verb.lower()} BEFORE {verb} ON {name} "
            f"BEGIN SELECT RAISE(ABORT, '{sentence}'); END"
        )
        event.listen(table, "after_create", sqlite.execute_if(dialect="sqlite"))
    postgres = DDL(
        f"CREATE FUNCTION {name}_refuses() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{sentence}'; END $$; "
        f"CREATE TRIGGER {name}_refuses BEFORE UPDATE OR DELETE OR TRUNCATE ON {name} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {name}_refuses()"
    )
    event.listen(table, "after_create", postgres.execute_if(dialect="postgresql"))
