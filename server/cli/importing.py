"""Bringing many documents in: files, folders and addresses, in batches, with progress on a terminal.

Each batch is whole or not there at all. So an import that is interrupted is resumed by the same command: what
is in already is found unchanged.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from server.cli.options import Desk, Printed
from server.cli.printing import plain, tell

BATCH: Final = 100
"""How many documents go together at most; the operation takes no more."""

BATCH_BYTES: Final = 4 * 1024 * 1024
"""How many bytes a batch has, unless one document has more."""

FEW: Final = 20
"""Up to how many documents each is told about; of more, only those with something to say."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A document to bring in: what to call it, how to get it, or why it cannot be had."""

    name: str
    get: Callable[[], Printed]
    why_not: str | None = None


def wanted(places: Sequence[str], data: Path, *, allow_private: bool) -> list[Wanted]:
    """What the arguments of the command name; never what lies in the data folder itself.

    Raises `ImportRefused` for a file that cannot be read, and for a folder in which nothing can be imported.
    """
    from context_store.errors import ImportRefused
    from context_store.fetch import is_address
    from context_store.folders import files_in

    found: list[Wanted] = []
    for text in places:
        path = Path(text)
        if is_address(text):
            found.append(Wanted(text, lambda text=text: _fetched(text, allow_private=allow_private)))
        elif path.is_dir():
            inside = list(files_in(path, data))
            if all(one.passed_over for one in inside):
                raise ImportRefused(f"{path} holds no file that can be imported; name another folder.")
            found += [
                Wanted(one.name, lambda one=one: _read(one.path, one.name), one.why_not)
                for one in inside
                if not one.passed_over
            ]
            if over := sum(one.passed_over for one in inside):
                files = "1 file" if over == 1 else f"{over} files"
                tell(f"  {files} of no kind that is read here {'was' if over == 1 else 'were'} passed over.")
        else:
            # Who names a file means it: if one cannot be read, nothing is brought in.
            named = _read(path, path.name)
            found.append(Wanted(path.name, lambda named=named: named))
    return found


def bring_in(desk: Desk, documents: Sequence[Wanted], how: dict[str, Any]) -> Iterator[Printed]:
    """The result for each document, in order, as its batch is done; a refusal is a result too."""
    from context_store.errors import ImportRefused

    def refused(one: Wanted, why: str) -> Printed:
        return {"name": one.name, "refused": why}

    with desk.asking() as ask:

        def settled(batch: Sequence[Wanted | Printed]) -> Iterator[Printed]:
            sent = [one for one in batch if isinstance(one, dict) and "content" in one]
            done = iter(ask("source.import", {"documents": sent, **how})["documents"] if sent else ())
            for one in batch:
                yield next(done) if isinstance(one, dict) and "content" in one else one  # type: ignore[misc]

        batch: list[Any] = []
        size = 0
        for one in documents:
            try:
                got = refused(one, one.why_not) if one.why_not else one.get()
            except ImportRefused as error:
                got = refused(one, str(error))
            length = len(got.get("content", ""))
            if batch and (len(batch) == BATCH or size + length > BATCH_BYTES * 4 // 3):
                yield from settled(batch)
                batch, size = [], 0
            batch.append(got)
            size += length
        yield from settled(batch)


@contextmanager
def progress(total: int) -> Generator[Callable[[Iterable[Printed]], Iterator[Printed]]]:
    """Wraps results so that a terminal shows how far the import is; elsewhere it shows nothing."""
    if total <= FEW or not sys.stderr.isatty():
        yield iter
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("importing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("importing", total=total)

        def shown(results: Iterable[Printed]) -> Iterator[Printed]:
            for result in results:
                bar.advance(task)
                yield result

        yield shown


def tell_all(results: Iterable[Printed], total: int, *, json: bool) -> list[Printed]:
    """Print ids and tell about the documents as they come; all results. The only one's refusal is raised."""
    from context_store.errors import ImportRefused

    done: list[Printed] = []
    try:
        with progress(total) as shown:
            for result in shown(results):
                if total == 1 and "refused" in result:
                    raise ImportRefused(result["refused"])
                done.append(result)
                if not json:
                    if "refused" not in result:
                        print(result["id"])
                    tell_result(result, few=total <= FEW)
    except KeyboardInterrupt:
        tell(f"Stopped at {len(done)} of {total}: {summary(done)}. Run it again to go on.")
        raise
    if total > FEW:
        tell(f"{total} documents: {summary(done)}")
    return done


def tell_result(result: Printed, *, few: bool) -> None:
    """What the person should know of one document."""
    if "refused" in result:
        tell(f"  {plain(result['refused'])}")
        return
    if few or result["ignored"] or result["duplicates"]:
        tell(_said(result))


def summary(results: Sequence[Printed]) -> str:
    """How many came to what."""
    words = {"new": "new", "changed": "changed", "unchanged": "unchanged", "refused": "refused"}
    counts = dict.fromkeys(words, 0)
    for result in results:
        counts["refused" if "refused" in result else result["outcome"]] += 1
    return ", ".join(f"{count} {words[word]}" for word, count in counts.items() if count)


def _said(result: Printed) -> str:
    words = {"new": "new", "changed": "a new version", "unchanged": "unchanged; nothing was written"}
    text = f"  {plain(result['title'])}: {words[result['outcome']]}, {result['passages']} passages"
    if result["ignored"]:
        ignored = plain(", ".join(result["ignored"]))
        text += f"; its front matter also says {ignored}, which means nothing here"
    for other in result["duplicates"]:
        alike = "the same text as" if other["kind"] == "exact" else f"{other['share']:.0%} alike with"
        text += f"\n    {alike} {other['id']}"
    return text


def _read(path: Path, name: str) -> Printed:
    from context_store.extract import read_file

    return document(name, path.absolute().as_uri(), read_file(path))


def _fetched(address: str, *, allow_private: bool) -> Printed:
    from context_store.fetch import fetch

    got = fetch(address, allow_private=allow_private)
    return document(got.name, got.origin, got.raw)


def document(name: str, origin: str, raw: bytes) -> Printed:
    """A document as the operation takes it."""
    return {"name": name, "origin": origin, "content": base64.b64encode(raw).decode()}
