"""A limit on time for what reads the store: one thread looks after all readers and stops those that overstay.

Registering costs a reader two dictionary operations. The thread starts with the first reader, looks twice a
second, and ends when there was nobody to look after for a while.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

LOOK_S: Final = 0.5
IDLE_LOOKS: Final = 4


@dataclass(slots=True, eq=False)
class Watched:
    """One reader: until when it may read, and how it is stopped."""

    deadline: float
    stop: Callable[[], object]


@dataclass(slots=True)
class Watch:
    """The readers of one store."""

    _readers: dict[int, Watched] = field(default_factory=dict[int, Watched])
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _thread: threading.Thread | None = None

    def enter(self, limit_s: float, stop: Callable[[], object]) -> Watched:
        """Look after a reader from now on, until `leave`."""
        reader = Watched(time.monotonic() + limit_s, stop)
        with self._lock:
            self._readers[id(reader)] = reader
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="store-watch", daemon=True)
                self._thread.start()
        return reader

    def leave(self, reader: Watched) -> None:
        """The reader is done; from here on it is not stopped any more."""
        with self._lock:
            self._readers.pop(id(reader), None)

    def _look(self) -> None:
        idle = 0
        while True:
            time.sleep(LOOK_S)
            with self._lock:
                idle = 0 if self._readers else idle + 1
                if idle > IDLE_LOOKS:
                    self._thread = None
                    return
                now = time.monotonic()
                for reader in self._readers.values():
                    if reader.deadline <= now:
                        # Again at each look: between two statements there is nothing to stop.
                        reader.stop()
