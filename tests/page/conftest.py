"""A server with an approval page that the tests of a module share, and Debian's Chromium to open it with."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest
from anyio.from_thread import start_blocking_portal

from tests.conftest import chromium
from tests.page.site import Site
from tests.rooms.stage import found_stage, served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Generator[Site]:
    place = tmp_path_factory.mktemp("site")
    stage = found_stage(place / "data")
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(served(stage)) as room:
        yield Site(portal, room, place)


@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    # Not for longer: as long as it lives, no other test of this process can run an event loop of its own.
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Its own sandbox wants rights that a container does not give; it opens nothing but the server here.
        browser = playwright.chromium.launch(executable_path=chromium(), chromium_sandbox=False)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Generator[BrowserContext]:
    """A browser profile of a test's own."""
    context = browser.new_context()
    context.set_default_timeout(30_000)
    yield context
    context.close()


@pytest.fixture
def faults() -> list[str]:
    """What the browser complains about in `page`: a script that fails, something that the policy forbids."""
    return []


@pytest.fixture
def page(context: BrowserContext, faults: list[str]) -> Page:
    page = context.new_page()
    page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    return page
