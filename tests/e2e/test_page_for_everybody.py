"""The page at `/` for those who see little, use no mouse, or hold a phone."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Browser, expect

from serving.gateway.envoy import Gateway
from tests.e2e.browsing import CLIP, TEXT, answered, faults, opened, overflows

pytestmark = pytest.mark.e2e

PHONE = {"viewport": {"width": 360, "height": 740}}


def test_the_keyboard_alone_is_enough(browser: Browser, gateway: Gateway) -> None:
    with opened(browser, gateway.url) as page:
        page.wait_for_selector("#samples button")
        order = []
        for _ in range(4):
            page.keyboard.press("Tab")
            order.append(
                page.evaluate("document.activeElement.id || document.activeElement.innerText.split('\\n')[0]")
            )
            assert page.evaluate("document.activeElement.matches(':focus-visible')")
        assert order == ["API reference", "file", "record", CLIP.speaker]
        page.keyboard.press("Enter")
        answered(page, CLIP.speaker)
        expect(page.locator("#status")).to_contain_text(f"{CLIP.speaker} 99.")
        expect(page.locator("#seek")).to_be_enabled()
        while page.evaluate("document.activeElement.id") != "play":
            page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        page.keyboard.press("End")
        expect(page.locator("#seek")).to_have_attribute(
            "aria-valuetext", "0:04 of 0:04" if CLIP.seconds >= 4 else "0:03 of 0:04"
        )
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("#json")).to_be_visible()


@pytest.mark.parametrize(
    "look",
    [
        pytest.param({"color_scheme": "light"}, id="light"),
        pytest.param({"color_scheme": "dark"} | PHONE, id="dark, on a phone"),
        pytest.param(
            {"viewport": {"width": 640, "height": 450}, "device_scale_factor": 2}, id="zoomed to 200 %"
        ),
    ],
)
def test_nobody_is_shut_out_and_nothing_needs_sideways_scrolling(
    browser: Browser, gateway: Gateway, look: dict[str, Any]
) -> None:
    with opened(browser, gateway.url, refused=1, **look) as page:
        page.wait_for_selector("#samples button")
        assert (faults(page), overflows(page)) == ([], False)
        page.get_by_role("button", name=CLIP.speaker).click()
        answered(page, CLIP.speaker)
        for each in page.locator("summary").all():
            each.click()
        assert (faults(page), overflows(page)) == ([], False)
        page.set_input_files("#file", TEXT)
        expect(page.locator("#error")).to_be_visible()
        assert (faults(page), overflows(page)) == ([], False)


def test_letters_of_twice_the_size_need_no_sideways_scrolling_either(
    browser: Browser, gateway: Gateway
) -> None:
    with opened(browser, gateway.url, **PHONE) as page:
        page.get_by_role("button", name=CLIP.speaker).click()
        answered(page, CLIP.speaker)
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        assert not overflows(page)


def test_nothing_moves_for_those_who_ask_for_that(browser: Browser, gateway: Gateway) -> None:
    moves = "(each) => getComputedStyle(each).animationName !== 'none'"
    moving = f"[...document.querySelectorAll('*')].filter({moves}).length"
    with opened(browser, gateway.url) as page:
        assert page.evaluate(moving) > 0
    with opened(browser, gateway.url, reduced_motion="reduce") as page:
        assert page.evaluate(moving) == 0
