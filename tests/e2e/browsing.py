"""A page of ours in a real browser, which may ask our server alone and must not complain."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import soundfile
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from bundle.samples import samples

ROOT = Path(__file__).resolve().parents[2]
CLIPS = samples(ROOT / "models/demo/samples")
CLIP = CLIPS[0]  # the first sample that the page offers
# what the microphone hears: a voice for which a tone is not taken
HEARD = next(each for each in CLIPS if each.speaker == "carlo_flora")
TEXT = {"name": "minutes.txt", "mimeType": "text/plain", "buffer": b"these are words, and no sound\n" * 20}
INSECURE = "voices.example"  # the browser takes this machine for it, and no secure origin
# what Chromium says of 4xx and 5xx
REFUSED = "Failed to load resource: the server responded with a status of"


@contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """Debian's Chromium, whose microphone hears `HEARD`.

    Args:
        folder: for the recording, which Chromium reads as WAV.
    """
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("there is no chromium: apt-get install chromium")
    heard = folder / "voice.wav"
    soundfile.write(heard, *soundfile.read(HEARD.path), "PCM_16")
    given = ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    given += [f"--use-file-for-fake-audio-capture={heard}", f"--host-resolver-rules=MAP {INSECURE} 127.0.0.1"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=given)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, url: str, refused: int = 0, **context: Any) -> Iterator[Page]:
    """The page at a server's `/`; afterwards, that it asked no other host, and that the console has no error.

    Args:
        refused: how many answers of 400 and more are expected, which Chromium reports as errors.
    """
    asked: list[str] = []
    said: list[str] = []
    with browser.new_context(**context) as made:
        page = made.new_page()
        page.set_default_timeout(30_000)
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text) if message.type != "log" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(url)
        yield page
    hosts = {urlsplit(each).netloc for each in asked if urlsplit(each).scheme not in ("blob", "data")}
    assert hosts == {urlsplit(url).netloc}
    assert [each for each in said if not each.startswith(REFUSED)] == []
    assert len(said) == refused, said


def faults(page: Page) -> list[str]:
    """What axe-core finds, one line a fault."""
    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {node['html']}" for each in found for node in each["nodes"]]


def overflows(page: Page) -> bool:
    """Whether one must scroll sideways to read it."""
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


def answered(page: Page, label: str) -> None:
    """Wait for the answer, and check whom it names."""
    expect(page.locator("#best")).to_have_text(label)
    expect(page.locator("#working")).to_be_hidden()
