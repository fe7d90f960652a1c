"""Tables as records: each row says by itself what its cells mean, so that one row is evidence enough.

`- Category: Furniture; Window: 30 days`. The first row names the columns where each of its cells is a text of
its own; else they are called by their letters.
"""

from collections.abc import Iterable, Iterator, Sequence

from context_store.extractors.cleaning import one_line


def records(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A line for each row that holds anything, in order."""
    filled = ([one_line(cell) for cell in row] for row in rows)
    rest = iter([row for row in filled if any(row)])
    first = next(rest, None)
    if first is None:
        return
    names = _names(first)
    if names is None:
        names = [_letter(number) for number in range(len(first))]
        yield _record(names, first)
    for row in rest:
        yield _record(names, row)


def _names(row: Sequence[str]) -> list[str] | None:
    cells = list(row)
    while cells and not cells[-1]:
        cells.pop()
    named = all(cells) and len(set(cells)) == len(cells) and not any(_is_number(cell) for cell in cells)
    return cells if named and len(cells) > 1 else None


def _record(names: Sequence[str], row: Sequence[str]) -> str:
    said = [
        f"{names[number] if number < len(names) else _letter(number)}: {cell}"
        for number, cell in enumerate(row)
        if cell
    ]
    return f"- {'; '.join(said)}"


def _letter(number: int) -> str:
    """0 is A, 25 is Z, 26 is AA, as spreadsheets have it."""
    letters = ""
    number += 1
    while number:
        number, digit = divmod(number - 1, 26)
        letters = chr(ord("A") + digit) + letters
    return letters


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True
