"""The description as a gateway serves it: it says what is so."""

from __future__ import annotations

import itertools
import re

import pytest
import requests

from serving.api.paths import CLIPS, DESCRIPTION, OF_THE_PAGE, PAGE, QUESTIONS
from serving.gateway.envoy import Gateway
from tests.fuzz import api

pytestmark = [pytest.mark.e2e, pytest.mark.any_server]

CLIP = "allison_smith-en-confbridge-dec-list-vol-out.flac"
VALUES = {"model": "demo", "version": "2.0", "top_k": "3", "function_to_apply": "none", "clip": CLIP}
SENT = {each.path.format(**VALUES) for each in CLIPS}
ASKED = {each.path.format(**VALUES) for each in (*QUESTIONS, *OF_THE_PAGE)}
DESCRIBED = re.compile(
    "|".join(re.sub(r"{\w+}", "[^/:]+", each.path) for each in (*CLIPS, *QUESTIONS, *OF_THE_PAGE))
)
COUNTED = "/stats$"  # the exporter answers there, which the gateway of these tests has not
# what servers of models answer to, ours and others
BEGINNINGS = [
    *("", "/predictions", "/predictions/demo", "/predictions/demo/2.0", "/v1", "/v1/models", "/v1/models/demo"),
    *("/v2", "/v2/health", "/v2/models", "/v2/models/demo", "/v2/models/demo/versions"),
    "/v2/models/demo/versions/2.0",
]  # fmt: skip
ENDS = [
    *("", "/", ":predict", ":explain", "/api", "/config", "/docs", "/explain", "/favicon.ico", "/generate", "/health"),
    *("/index.html", "/infer", "/invocations", "/live", "/load", "/metrics", "/models", "/openapi.json", "/ping"),
    *("/predict", "/ready", "/redoc", "/repository/index", "/samples", "/stats", "/trace/setting", "/versions"),
]  # fmt: skip


def test_both_files_are_served_as_what_they_are(gateway: Gateway) -> None:
    for path, kind in {DESCRIPTION: "application/json", PAGE: "text/html; charset=utf-8"}.items():
        answer = requests.get(gateway.url + path, timeout=600)
        assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
        assert requests.head(gateway.url + path, timeout=600).headers["content-length"] == str(
            len(answer.content)
        )
    document = requests.get(gateway.url + DESCRIPTION, timeout=600).json()
    assert document["openapi"].startswith("3.1")
    assert document["components"]["schemas"]["ModelName"]["enum"] == ["demo"]
    assert document["servers"] == [{"url": "/"}]


def test_the_page_may_fetch_nothing_and_run_nothing(gateway: Gateway) -> None:
    headers = requests.get(gateway.url + PAGE, timeout=600).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert (policy["default-src"], policy["script-src"]) == ("'self'", "'none'")
    assert re.fullmatch(r"'sha256-.{44}'", policy["style-src"])
    assert headers["x-content-type-options"] == "nosniff"


def test_the_servers_metadata_links_to_it(gateway: Gateway) -> None:
    links = requests.get(f"{gateway.url}/v2", timeout=600).links
    assert {name: link["url"] for name, link in links.items()} == {
        "service-desc": DESCRIPTION,
        "service-doc": PAGE,
    }


@pytest.mark.parametrize("path", sorted(SENT | ASKED))
def test_every_described_path_is_served_with_the_methods_described(gateway: Gateway, path: str) -> None:
    answer = requests.get(gateway.url + path, timeout=600)
    if path in ASKED:
        assert answer.status_code == (503 if re.search(COUNTED, path) else 200)
    else:
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST, PUT")


def test_a_path_that_is_served_is_described(gateway: Gateway) -> None:
    served = set()
    with requests.Session() as session:
        for beginning, end in itertools.product(BEGINNINGS, ENDS):
            path = "/" + re.sub("/+$", "", beginning + end).removeprefix(
                "/"
            )  # the gateway drops a slash at the end
            answer = session.get(gateway.url + path, timeout=600)
            if (
                answer.headers["content-type"] != "application/json"
                or answer.json().get("code") != "not_found"
            ):
                served.add(path)
    options = re.compile("/predictions/demo/2.0/.+")  # whatever stands after a version is read as options
    assert {path for path in served if not DESCRIBED.fullmatch(path) and not options.fullmatch(path)} == set()


def test_requests_made_from_the_description_are_answered_as_it_says(gateway: Gateway) -> None:
    pytest.importorskip("schemathesis", reason="needs Python 3.11")
    found = api.fuzz(gateway.url, 100, ["fuzzing"], leave_out=COUNTED)  # `make fuzz-api` sends 2,000
    assert not found.failed, found.said
    assert sum(found.clips.values()) + sum(found.questions.values()) >= 100
    assert found.clips["200"] >= 10, "audio is among the bodies"
