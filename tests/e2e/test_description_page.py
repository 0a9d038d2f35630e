"""/docs in a real browser, for those who see little, use no mouse, or hold a phone."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Browser

from serving.gateway.envoy import Gateway
from tests.e2e.browsing import faults, opened, overflows

pytestmark = pytest.mark.e2e

LOOKS = {
    "light": {"color_scheme": "light"},
    "dark, on a phone": {"color_scheme": "dark", "viewport": {"width": 360, "height": 740}},
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_nobody_is_shut_out_and_nothing_needs_sideways_scrolling(
    browser: Browser, gateway: Gateway, look: dict[str, Any]
) -> None:
    with opened(browser, f"{gateway.url}/docs", **look) as page:
        for each in page.locator("summary").all():
            each.click()
        assert (faults(page), overflows(page)) == ([], False)


def test_the_keyboard_opens_a_path_and_skips_to_them(browser: Browser, gateway: Gateway) -> None:
    with opened(browser, f"{gateway.url}/docs") as page:
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert page.url.endswith("#main")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert page.locator("details[open] code").first.inner_text() == "/predictions/{model}"
