"""What the two sides of an extraction say to each other.

The server's side sends a job: one line of JSON, then the document's bytes. The worker answers with one line
of JSON: how many bytes follow, and then those, a `Reading` or a refusal as JSON.
"""

import json
from dataclasses import asdict, dataclass
from typing import Final, Literal

Form = Literal["markdown", "pages"]
Kind = Literal["html", "pdf", "docx", "xlsx", "csv", "json"]

MAX_TEXT: Final = 5 * 1024 * 1024
"""The longest text that a document may yield, in bytes of UTF-8."""

MAX_ANSWER: Final = 4 * MAX_TEXT
"""The longest answer of a worker: the text as JSON, where a character can take six bytes."""


class Unreadable(Exception):
    """A document that cannot be read. The message goes on where a document's name begins a sentence."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one extraction may use: memory in bytes, seconds of the processor, seconds by the clock."""

    memory: int = 768 * 1024 * 1024
    cpu_s: int = 30
    wall_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Job:
    """One document to read."""

    kind: Kind
    size: int
    limits: Limits

    def line(self) -> bytes:
        """The job as its line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"


def read_job(line: bytes) -> Job:
    """The job that a line says."""
    said = json.loads(line)
    return Job(said["kind"], said["size"], Limits(**said["limits"]))


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read: the parts of the text (one for Markdown, else one for each page), and the title that the
    document gives itself.
    """

    form: Form
    parts: tuple[str, ...]
    title: str | None = None

    def as_bytes(self) -> bytes:
        """The reading as JSON."""
        return json.dumps({"form": self.form, "parts": self.parts, "title": self.title}).encode()


def refusal(why: str) -> bytes:
    """A refusal as JSON."""
    return json.dumps({"refused": why}).encode()
