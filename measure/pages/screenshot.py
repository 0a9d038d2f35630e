"""README's screenshot: the page at `/` of a served demo, with a sample's answer.

python -m measure.pages.screenshot
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from rich.console import Console

from bundle import sources
from bundle.command_line import exit_status
from measure import ROOT
from serving.temporary import serving

FILE = ROOT / "docs" / "images" / "page.png"
WIDTH, HEIGHT = 1100, 900  # CSS pixels
SPEAKER = "carlo_flora"


def photograph(url: str, path: Path) -> None:
    """Open the page, identify a sample twice, so that nothing is cold, and take its picture."""
    from playwright.sync_api import expect, sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto(url)
        for _ in range(2):
            page.get_by_role("button", name=SPEAKER).click()
            expect(page.locator("#best")).to_have_text(SPEAKER)
            expect(page.locator("#working")).to_be_hidden()
        expect(page.locator("#health")).to_have_text("Ready")
        page.mouse.move(0, 0)
        page.screenshot(path=path, full_page=True, animations="disabled")
        browser.close()


def main() -> int:
    if shutil.which("chromium") is None:
        print("screenshot: there is no chromium: apt-get install chromium", file=sys.stderr)
        return 1
    return exit_status("screenshot", of_a_server)


def of_a_server() -> None:
    with serving([sources.resolve("demo")], "screenshot", Console()) as service:
        photograph(service.gateway.url, FILE)


if __name__ == "__main__":
    sys.exit(main())
