"""The clients speak to the same stage as the tests of the rooms."""

from __future__ import annotations

from tests.rooms.conftest import anyio_backend, behaving, founded, item, room

__all__ = ["anyio_backend", "behaving", "founded", "item", "room"]
