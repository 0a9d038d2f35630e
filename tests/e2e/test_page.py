"""The page at `/`, used in a real browser on a real server."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import soundfile

pytest.importorskip("playwright")
from playwright.sync_api import Browser, Route, expect

from bundle import sources
from serving.gateway import tokens
from serving.gateway.envoy import Gateway
from serving.gateway.options import GatewayOptions
from serving.gateway.page import assembly
from serving.host import ports
from serving.torchserve.process import TorchServe
from tests.e2e.browsing import CLIP, HEARD, INSECURE, TEXT, answered, faults, opened

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "a-token-of-this-test-0123456789"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.fixture(scope="module")
def guarded(server: TorchServe, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A second gateway, which asks for a token."""
    file = tmp_path_factory.mktemp("tokens") / "tokens"
    file.touch(0o600)
    file.write_text(TOKEN)
    options = GatewayOptions(ports.free(1)[0], tokens=tokens.read(file))
    static = assembly.files([sources.resolve("demo", root=ROOT / "models")], options)
    with Gateway(server, options, response_timeout=120, static=lambda: static) as running:
        running.start()
        yield running


def test_a_browser_gets_one_small_strict_file(gateway: Gateway) -> None:
    answer = requests.get(gateway.url, headers={"accept": BROWSER}, timeout=600)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert len(answer.content) < 60_000
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'self'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["permissions-policy"].startswith("microphone=(self)")
    assert (answer.headers["x-content-type-options"], answer.headers["referrer-policy"]) == (
        "nosniff",
        "no-referrer",
    )
    assert "Accept" in answer.headers["vary"]


@pytest.mark.parametrize(
    "accept", ["*/*", "application/json", "application/json, text/html;q=0.5", "text/html;q=0", None]
)
def test_who_does_not_ask_for_html_first_gets_none(gateway: Gateway, accept: str | None) -> None:
    answer = requests.get(gateway.url, headers={"accept": accept}, timeout=600)
    assert answer.headers["content-type"] == "application/json"
    assert (answer.json(), answer.headers["vary"]) == ({"status": "alive"}, "Accept")


def test_without_the_page_a_browser_gets_none(stub_gateway: Gateway) -> None:
    answer = requests.get(stub_gateway.url, headers={"accept": BROWSER}, timeout=600)
    assert answer.headers["content-type"] == "application/json"
    assert requests.get(f"{stub_gateway.url}/page.json", timeout=600).status_code == 404


def test_a_sample_is_identified_and_everything_about_it_is_shown(
    browser: Browser, gateway: Gateway, tmp_path: Path
) -> None:
    with opened(browser, gateway.url) as page:
        expect(page.locator("#demo")).to_have_text(
            "Demo: it knows six voices, and may mistake a stranger for one of them."
        )
        expect(page.locator("#health")).to_have_text("Ready")
        page.get_by_role("button", name=CLIP.speaker).click()
        answered(page, CLIP.speaker)
        expect(page.locator("#true-speaker")).to_have_text("✓ Right: the sample is this voice.")
        expect(page.locator("#version")).to_have_text("demo, version 2.0")
        expect(page.locator("#rankings li")).to_have_count(5)
        assert page.locator("#times dt").all_inner_texts() == [
            *("Queue", "Decoding", "Inference", "Transfer", "Total", "Clip"),
        ]
        expect(page.locator("#times dd").last).to_have_text(f"{CLIP.seconds:.2f} s")
        shown = json.loads(page.locator("#json").text_content() or "")
        command = page.locator("#curl").text_content() or ""
        page.locator("#play").click()
        expect(page.locator("#play")).to_have_accessible_name("Pause")
        expect(page.locator("#time")).to_have_text("0:01 / 0:04")
        page.get_by_role("button", name="a stranger").click()
        answered(page, "Nobody it knows")
        expect(page.locator("#true-speaker")).to_have_text("✓ Right: the sample is a stranger.")
    ran = subprocess.run(["sh", "-ec", command], cwd=tmp_path, capture_output=True, check=True)
    assert json.loads(ran.stdout) == shown
    assert shown[0]["label"] == CLIP.speaker


def test_a_file_is_uploaded_with_progress(browser: Browser, gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "it's a long one.wav"
    samples, rate = soundfile.read(CLIP.path)
    soundfile.write(file, [*samples] * 10, rate)
    with opened(browser, gateway.url) as page:
        slow = page.context.new_cdp_session(page)
        slow.send("Network.enable")
        limits = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 1_000_000}
        slow.send("Network.emulateNetworkConditions", limits)
        page.set_input_files("#file", file)
        expect(page.locator("#working-what")).to_have_text(re.compile(r"Uploading \d{3} kB of 1\.2 MB"))
        assert 0 < float(page.locator("#progress").get_attribute("value") or 0) < 1
        answered(page, CLIP.speaker)
        expect(page.locator("#curl")).to_contain_text("-T 'it'\\''s a long one.wav' http://")


def test_a_file_may_be_dropped(browser: Browser, gateway: Gateway) -> None:
    with opened(browser, gateway.url) as page:
        page.wait_for_selector("#columns:not([hidden])")
        page.evaluate(
            """async (path) => {
              const given = new DataTransfer();
              given.items.add(new File([await (await fetch(path)).blob()], "dropped.flac"));
              for (const type of ["dragenter", "drop"]) {
                const event = new DragEvent(type, {dataTransfer: given, bubbles: true, cancelable: true});
                document.body.dispatchEvent(event);
              }
            }""",
            f"/samples/demo/{CLIP.path.name}",
        )
        answered(page, CLIP.speaker)
        expect(page.locator("#clip-name")).to_have_text("dropped.flac")


def test_the_microphone_is_heard(browser: Browser, gateway: Gateway) -> None:
    with opened(browser, gateway.url) as page:
        page.get_by_role("button", name="Record").click()
        expect(page.locator("#stop")).to_be_focused()
        expect(page.locator("#seconds")).to_have_text("0:03 of at most 2:00")
        assert page.evaluate("recording.loudest") > 0.5
        assert faults(page) == []
        page.locator("#stop").click()
        answered(page, HEARD.speaker)
        expect(page.locator("#record")).to_be_focused()
        page.get_by_text("The same request with curl").click()
        with page.expect_download() as saved:
            page.locator("#save-link").click()
        assert saved.value.suggested_filename == "recording.webm"


def test_a_recording_may_be_discarded(browser: Browser, gateway: Gateway) -> None:
    with opened(browser, gateway.url) as page:
        page.locator("#record").click()
        page.locator("#discard").click()
        expect(page.locator("#microphone")).to_have_text("Discarded.")
        expect(page.locator("#empty")).to_be_visible()


def test_where_the_microphone_is_refused_the_page_says_so(browser: Browser, gateway: Gateway) -> None:
    with opened(browser, gateway.url) as page:
        refuse = "async () => { throw new DOMException('', 'NotAllowedError'); }"
        page.evaluate(f"() => {{ navigator.mediaDevices.getUserMedia = {refuse}; }}")
        page.locator("#record").click()
        expect(page.locator("#microphone")).to_have_text("The browser was not allowed to use the microphone.")
        expect(page.locator("#record")).to_be_focused()


def test_where_the_origin_is_not_secure_the_button_says_why(browser: Browser, gateway: Gateway) -> None:
    with opened(browser, f"http://{INSECURE}:{gateway.port}") as page:
        expect(page.locator("#record")).to_be_disabled()
        expect(page.locator("#record")).to_have_accessible_description(
            f"Recording needs HTTPS, or localhost: browsers keep the microphone from http://{INSECURE}:{gateway.port}."
        )
        page.get_by_role("button", name=CLIP.speaker).click()
        answered(page, CLIP.speaker)


def test_an_error_is_told_in_our_words(browser: Browser, gateway: Gateway) -> None:
    with opened(browser, gateway.url, refused=1) as page:
        page.set_input_files("#file", TEXT)
        expect(page.locator("#error-title")).to_have_text(
            "This file is not a recording that the server can read"
        )
        expect(page.locator("#error-text")).to_contain_text("The body is not in a supported audio format")
        expect(page.locator("#error-code")).to_contain_text("415 · unsupported_media · request ")
        expect(page.locator("#again")).to_be_hidden()
        expect(page.locator("#player")).to_be_hidden()


def test_what_is_too_large_or_empty_is_not_sent(browser: Browser, gateway: Gateway) -> None:
    with opened(browser, gateway.url) as page:
        page.wait_for_selector("#columns:not([hidden])")
        page.evaluate("about.max_request_bytes = 1e6; take([new File([new Uint8Array(2e6)], 'long.wav')])")
        expect(page.locator("#error-title")).to_have_text("The recording is too large")
        expect(page.locator("#error-text")).to_contain_text(
            "It has 2,000,000 bytes; at most 1,000,000 are accepted"
        )
        page.evaluate("take([new File([], 'nothing.wav')])")
        expect(page.locator("#error-title")).to_have_text("The recording is empty")
        expect(page.locator("#error-text")).to_have_text("It has 0 bytes: choose another file.")


def test_what_may_succeed_later_can_be_tried_again(browser: Browser, gateway: Gateway) -> None:
    busy = json.dumps({"error": "too many requests are waiting; try again in a moment", "code": "overloaded"})
    with opened(browser, gateway.url, refused=1) as page:
        page.route("**/predictions/*", lambda route: route.fulfill(status=429, body=busy), times=1)
        page.get_by_role("button", name=CLIP.speaker).click()
        expect(page.locator("#error-title")).to_have_text("The server is busy")
        page.locator("#again").click()
        answered(page, CLIP.speaker)


def test_a_token_is_asked_for_and_kept_in_memory_alone(browser: Browser, guarded: Gateway) -> None:
    with opened(browser, guarded.url, refused=3) as page:
        expect(page.locator("#token")).to_be_focused()
        expect(page.locator("#columns")).to_be_hidden()
        assert faults(page) == []
        page.keyboard.type("not-one-of-its-tokens\n")
        expect(page.locator("#access-why")).to_have_text("This is not one of the server's tokens.")
        page.keyboard.type(f"{TOKEN}\n")
        page.get_by_role("button", name=CLIP.speaker).click()
        answered(page, CLIP.speaker)
        expect(page.locator("#curl")).to_contain_text('-H "Authorization: Bearer $TOKEN"')
        assert TOKEN not in page.content()
        assert page.evaluate("[document.cookie, localStorage.length, sessionStorage.length]") == ["", 0, 0]
        page.reload()
        expect(page.locator("#token")).to_be_focused()


def test_labels_are_text_and_heads_have_a_ranking_each(browser: Browser, gateway: Gateway) -> None:
    """Names and labels are what a checkpoint's author wrote."""
    hostile = "<img src=x onerror=alert(1)>"
    models = [
        {
            "name": name,
            "demo": False,
            "description": hostile,
            "licence": "",
            "max_clip_seconds": 60,
            "samples": [],
        }
        for name in ("first", "second")
    ]
    answer = {
        "action": [{"label": hostile, "score": 7.5}, {"label": "b", "score": -2.5}],
        "object": [{"label": "c", "score": 0.5}],
    }
    asked: list[str] = []

    def predict(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(json=answer, headers={"x-model-name": "second", "x-model-version": hostile})

    with browser.new_context() as context, context.new_page() as page:
        page.route(
            "**/page.json", lambda route: route.fulfill(json={"max_request_bytes": 1e6, "models": models})
        )
        page.route("**/predictions/*", predict)
        page.goto(gateway.url)
        page.get_by_label("Model").select_option("second")
        page.set_input_files("#file", {"name": hostile, "mimeType": "audio/wav", "buffer": b"x"})
        answered(page, f"{hostile}, c")
        assert asked == [f"{gateway.url}/predictions/second"]
        assert page.locator("#rankings h3").all_inner_texts() == ["action", "object"]
        assert page.locator("#rankings .number").all_inner_texts() == ["7.500", "-2.500", "50.0 %"]
        expect(page.locator("#clip-name")).to_have_text(hostile)
        expect(page.locator("#about")).to_have_text(hostile)
        assert page.locator("img").count() == 0
        expect(page.locator("#samples")).to_be_hidden()
        expect(page.locator("#demo")).to_be_hidden()


def test_nobody_is_named_where_the_model_says_unknown(gateway: Gateway, browser: Browser) -> None:
    """And another model's label of that name is a label."""
    shown = {"description": "", "licence": "", "max_clip_seconds": 60, "samples": [], "demo": True}
    models = [{"name": "open", "unknown": True, **shown}, {"name": "closed", "unknown": False, **shown}]
    answer = [{"label": "unknown", "score": 0.9}, {"label": "anna", "score": 0.1}]
    about = {"max_request_bytes": 1e6, "models": models}
    with browser.new_context() as context, context.new_page() as page:
        page.route("**/page.json", lambda route: route.fulfill(json=about))
        page.route("**/predictions/*", lambda route: route.fulfill(json=answer))
        page.goto(gateway.url)
        expect(page.locator("#demo")).to_contain_text("may mistake a stranger for one of them")
        page.set_input_files("#file", {"name": "a.wav", "mimeType": "audio/wav", "buffer": b"x"})
        answered(page, "Nobody it knows")
        assert page.locator("#rankings .unknown").all_inner_texts() == ["unknown"]
        page.get_by_label("Model").select_option("closed")
        answered(page, "unknown")
        assert page.locator("#rankings .unknown").count() == 0
