"""Clients that others wrote and that tests/e2e/test_clients.py runs: a table of what ran, with the pinned versions."""

from __future__ import annotations

import json
import re
from functools import cache

from measure import ROOT
from measure.pages.reference import table

FOLDER = ROOT / "tests" / "e2e" / "clients"
NONE = "any"
# the client, where its version is pinned, and what the test lets it do
RAN = (
    ("curl", NONE, "the clip as it is; its answer is what all others are compared with"),
    (
        "`tritonclient.http`",
        ("requirements.txt", "tritonclient"),
        "its defaults, which are binary tensors both ways; JSON; waveforms; gzip; `async_infer`; one output; "
        "`class_count`; metadata, configuration, statistics, readiness",
    ),
    ("`tritonclient.http.aio`", ("requirements.txt", "tritonclient"), "its defaults"),
    (
        "`perf_analyzer`",
        ("requirements-perf-analyzer.txt", "tritonclient"),
        "counts four requests of one clip as answered; it reads no answer",
    ),
    (
        "`kserve.InferenceRESTClient`",
        ("requirements.txt", "kserve"),
        "v1; v2 with `InferRequest` as JSON, in binary, and with binary outputs; liveness and readiness",
    ),
    (
        "`tritonclient.grpc`",
        ("requirements.txt", "tritonclient"),
        "its defaults, which are binary tensors both ways; waveforms; gzip; `async_infer`; `class_count`; what could "
        "load code or read memory is refused; on Triton also metadata, configuration, statistics, readiness",
    ),
    ("`kserve.InferenceGRPCClient`", ("requirements.txt", "kserve"), "a clip"),
    ("`grpc_health`", ("requirements.txt", "grpcio-health-checking"), "`Check` of the server and of a model"),
    (
        "`huggingface_hub.InferenceClient`",
        ("../../../requirements.txt", "huggingface_hub"),
        "`audio_classification` of bytes and of a file",
    ),
    ("the same, an old release", ("requirements.txt", "huggingface-hub"), "the same"),
    ("node's `fetch`", NONE, "bytes, a form, JSON, a stream"),
    ("`@huggingface/inference`", ("package.json", "@huggingface/inference"), "`audioClassification`"),
)


def clients() -> None:
    """What ran, in docs/api.md."""
    table(
        ("client", "version", "what it does in the test"),
        ((name, at if at == NONE else pinned(*at), what) for name, at, what in RAN),
    )


@cache
def pinned(file: str, package: str) -> str:
    """The version that a file of requirements or of npm pins."""
    text = (FOLDER / file).read_text("utf-8")
    if file.endswith(".json"):
        return str(json.loads(text)["dependencies"][package])
    found = re.search(rf"^{re.escape(package)}==([\w.]+)", text, re.MULTILINE)
    assert found, f"{file} does not pin {package}"
    return found[1]
