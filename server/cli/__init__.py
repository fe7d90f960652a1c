"""The command line: `bailiwick`.

Each group of commands has a file of its own. What is heavy is imported inside the commands, so that
`--help` answers at once. Ids and listings go to stdout; a failure is one sentence on stderr and an exit
code: 1 refused by a rule, 2 bad usage or input, 3 unavailable. No traceback reaches anybody.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer

from server.cli import (
    act,
    agent,
    approval,
    audit,
    demo,
    evidence,
    gate,
    installation,
    key,
    person,
    policy,
    release,
    run,
    serving,
    source,
    trigger,
    upstream,
    witness,
    workflow,
)
from server.cli.options import Proposed, log_to_stderr

app = typer.Typer(
    name="bailiwick",
    help="Each step of a workflow gets its evidence and its tools; writes need a human's approval.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for _module in (demo, installation, serving, evidence, gate):
    _module.add_to(app)
for _name, _group in (
    ("source", source.app),
    ("release", release.app),
    ("bundle", evidence.bundle_app),
    ("upstream", upstream.app),
    ("workflow", workflow.app),
    ("run", run.app),
    ("trigger", trigger.app),
    ("approval", approval.app),
    ("policy", policy.app),
    ("act", act.app),
    ("agent", agent.app),
    ("person", person.app),
    ("key", key.app),
    ("audit", audit.app),
    ("witness", witness.app),
):
    app.add_typer(_group, name=_name)


def main() -> None:
    """The entry point of the command."""
    code = execute(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything is closed by now. An ordinary exit would still let DuckDB's binding list on stderr what a
    # failed command's traceback holds, and a person should see one sentence.
    os._exit(code)


def execute(arguments: Sequence[str]) -> int:
    """Run one command line; its exit code. Whatever goes wrong comes out as one sentence on stderr."""
    if os.environ.get("BAILIWICK_LOG_LEVEL") == "debug":
        log_to_stderr("debug")
    try:
        code = app(list(arguments), prog_name="bailiwick", standalone_mode=False)
    except typer.Abort:
        return _say("Stopped.", 1)
    except typer.TyperException as error:
        return _usage(error)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has gone; there is nobody to tell
        return 0
    except Proposed as proposed:
        print(proposed.act)
        return _say(str(proposed), 1)
    except Exception as error:  # noqa: BLE001 - the one place where a failure becomes an exit code
        from server.errors import failure_of

        failure = failure_of(error)
        return _say(failure.sentence, failure.exit_code)
    return code if isinstance(code, int) else 0


def _usage(error: typer.TyperException) -> int:
    text = error.format_message()
    if "\n" in text:  # a group without a command: its help
        print(text)
        return 2
    context = getattr(error, "ctx", None)
    command = "bailiwick" if context is None else context.command_path
    return _say(f"{text.rstrip('.')}. See `{command} --help`.", error.exit_code)


def _say(sentence: str, code: int) -> int:
    print(f"bailiwick: {sentence}", file=sys.stderr)
    return code
