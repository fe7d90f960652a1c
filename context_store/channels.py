"""The ways of searching that there are, and whether each is used here: what `doctor` and the logs say."""

from dataclasses import dataclass

from context_store.weights import Weights


@dataclass(frozen=True, slots=True)
class Channel:
    """A way of searching: whether it is used, and with what, or why not."""

    name: str
    used: bool
    reason: str


def search_channels(found: Weights | str) -> tuple[Channel, ...]:
    """By words, always; and by meaning, with these weights, or not because of this."""
    semantic = (
        Channel("semantic", False, found)
        if isinstance(found, str)
        else Channel("semantic", True, f"{found.name} from {found.origin} ({found.revision[:16]}…)")
    )
    return Channel("lexical", True, "BM25 over the words of passages, their headings and titles"), semantic
