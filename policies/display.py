"""Text as a person must see it before signing: nothing invisible, nothing that reorders, nothing that poses
as something else.

An approval view shows arguments that an agent chose. Bidirectional controls can make them read differently
from what is sent, zero-width characters hide, look-alikes from another script pose. The bytes are never
changed; only what is shown is escaped, and flagged, so a reviewer sees that there is something to see.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from ledger.canonical import JsonValue

SuspicionKind = Literal["bidi", "invisible", "control", "look-alike"]

# UAX #9, section 2: explicit embeddings, overrides, isolates and marks.
_BIDI: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Invisible although their general category does not say so: fillers, the combining joiner, the braille blank.
_BLANK: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_SCRIPTS_THAT_POSE: Final = frozenset({"CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU"})
_FORMS_THAT_POSE: Final = ("FULLWIDTH ", "MATHEMATICAL ", "MODIFIER LETTER ")


@dataclass(frozen=True, slots=True)
class Suspicion:
    """One character to look at: its place (in code points of the text), the character's name, and what it
    may do.
    """

    at: int
    kind: SuspicionKind
    name: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A text made safe to show, and what is suspicious in the original. `text` is one line of printable
    characters.
    """

    text: str
    suspicions: tuple[Suspicion, ...]


def suspicious_characters(text: str) -> Shown:
    """`text` with every suspicious character, and every backslash and line break, escaped as `\\u{…}`,
    `\\\\`, `\\n` and so on.

    A look-alike is a letter of another script, or a styled form, inside a word that also has plain Latin
    letters: whole words in Greek or Cyrillic are not flagged.
    """
    look_alikes = frozenset(_look_alikes(text))
    shown: list[str] = []
    suspicions: list[Suspicion] = []
    for at, character in enumerate(text):
        kind = "look-alike" if at in look_alikes else _kind_of(character)
        if kind is not None:
            suspicions.append(Suspicion(at, kind, unicodedata.name(character, f"U+{ord(character):04X}")))
        shown.append(_escaped(character, suspicious=kind is not None))
    return Shown("".join(shown), tuple(suspicions))


def suspicious_values(value: JsonValue, place: str = "") -> Iterator[tuple[str, Shown]]:
    """Every text in a JSON value, keys too, that holds something suspicious, with its place such as
    `items[0].note`.
    """
    match value:
        case str():
            shown = suspicious_characters(value)
            if shown.suspicions:
                yield place, shown
        case list():
            for index, item in enumerate(value):
                yield from suspicious_values(item, f"{place}[{index}]")
        case dict():
            for key, item in value.items():
                inner = f"{place}.{suspicious_characters(key).text}".removeprefix(".")
                yield from suspicious_values(key, f"{inner} (key)")
                yield from suspicious_values(item, inner)
        case _:
            pass


def _kind_of(character: str) -> SuspicionKind | None:
    if character in _BIDI:
        return "bidi"
    category = unicodedata.category(character)
    # Cf: zero-width characters, tags, the soft hyphen; Zl, Zp and all spaces but the plain one; unassigned
    # and private use.
    if character in _BLANK or category in {"Cf", "Zl", "Zp", "Cn", "Co", "Cs"}:
        return "invisible"
    if category == "Zs" and character != " ":
        return "invisible"
    if "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef":
        return "invisible"
    if category == "Cc" and character not in "\n\t":
        return "control"
    return None


def _look_alikes(text: str) -> Iterator[int]:
    word: list[int] = []
    for at, character in enumerate(text + " "):
        if character.isalnum() or unicodedata.category(character) in {"Mn", "Cf"}:
            word.append(at)
            continue
        if any(text[index].isascii() and text[index].isalpha() for index in word):
            yield from (index for index in word if _poses(text[index]))
        word.clear()


def _poses(character: str) -> bool:
    if character.isascii():
        return False
    name = unicodedata.name(character, "")
    return name.split(" ", 1)[0] in _SCRIPTS_THAT_POSE or name.startswith(_FORMS_THAT_POSE)


def _escaped(character: str, *, suspicious: bool) -> str:
    if suspicious:
        return f"\\u{{{ord(character):04x}}}"
    match character:
        case "\\":
            return "\\\\"
        case "\n":
            return "\\n"
        case "\t":
            return "\\t"
        case _:
            return character
