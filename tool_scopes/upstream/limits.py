"""What an upstream may cost us: every size and every wait of this package, in one place.

An upstream is somebody else's program. Each limit turns a flood, a hang or an oversized answer into one
clear failure for those who called it, and into nothing for everybody else.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes are in bytes of UTF-8 JSON unless they say otherwise; waits are in seconds."""

    frame_bytes: int = 4 * 1024 * 1024
    """The longest single message that is read. An upstream that sends a longer one is restarted."""
    result_bytes: int = 1024 * 1024
    """The largest result of one call. A larger one fails that call; the upstream lives on."""
    tools: int = 1_000
    """How many tools one upstream may list."""
    pages: int = 100
    """How many pages a tool list may have."""
    tool_bytes: int = 48 * 1024
    """The largest definition of one tool, schemas included."""
    unasked_burst: int = 2_000
    """How many messages that nobody asked for may come at once (log lines, progress, requests)."""
    unasked_per_second: float = 200.0
    """How fast that allowance grows again."""
    start_s: float = 30.0
    """From spawn or connect to a complete tool list."""
    write_s: float = 30.0
    """How long one message may wait for an upstream that does not read its input."""
    stop_s: float = 2.0
    """From closing an upstream's input to ending its process group, and again until the group is killed."""
    restart_s: tuple[float, ...] = (0.0, 1.0, 5.0, 15.0)
    """The pause before each attempt to start again; the last one repeats."""
    look_again_s: float = 60.0
    """How long a tool list is believed when the upstream says nothing of a change."""
    look_s: float = 30.0
    """How long a look at the tools of a running upstream may take. One that hangs is restarted after that."""
    look_pause_s: float = 5.0
    """From one look at the tools to the next one at least, however often they are said to have changed."""


DEFAULT = Limits()
