"""What parsing costs: CPU time from a request's body to its clip, for one clip in each form that a caller may choose.

python -m measure.bench.forms [--seconds 8]     writes measure/bench/results/forms.json and docs/results/benchmark.md

Decoding and the model are not part of it, and cost the same whatever the form. CPU time, the best of several, so that
other work on the machine hardly affects it.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from speaker_id.clip import SAMPLING_RATE, Clip, EncodedAudio
from speaker_id.protocol import Payload, parse
from speaker_id.settings import Settings

from measure import command, machine, workload
from measure.bench import RESULTS
from measure.document import Page, Table, join
from measure.machine import Machine

SECONDS = 8.0  # VoxCeleb1's mean
TIMES = 9
FILE, PAGE = "forms.json", Page.of("benchmark", "measure.bench.forms")
WAVEFORM, JSON_WAVEFORM = "FP32, binary", "FP32, JSON"
SETTINGS = Settings.model_validate({})


def payloads(seconds: float) -> dict[str, Payload]:
    """One clip of noise in every form."""
    noise = (np.random.default_rng(0).standard_normal(round(seconds * SAMPLING_RATE)) * 0.1).astype("<f4")
    wav = workload.wav(noise)
    text = base64.b64encode(wav).decode()
    rate = {"parameters": {"sampling_rate": SAMPLING_RATE}}
    return {
        "WAV, bytes alone": Payload({"body": wav}),
        "WAV, BYTES, binary": with_tail("BYTES", [1], len(wav).to_bytes(4, "little") + wav),
        "WAV, base64 in JSON": Payload({"body": json.dumps({"inputs": text}).encode()}),
        WAVEFORM: with_tail("FP32", [len(noise)], noise.tobytes()),
        JSON_WAVEFORM: Payload({"body": v2("FP32", [len(noise)], {"data": noise.tolist(), **rate})}),
        "array of KServe v1": Payload(
            {
                "body": json.dumps(
                    {"instances": [{"array": noise.tolist(), "sampling_rate": SAMPLING_RATE}]}
                ).encode()
            }
        ),
    }


def v2(datatype: str, shape: list[int], more: dict[str, Any]) -> bytes:
    """The JSON of a request with one tensor."""
    return json.dumps({"inputs": [{"name": "x", "datatype": datatype, "shape": shape, **more}]}).encode()


def with_tail(datatype: str, shape: list[int], content: bytes) -> Payload:
    """A request with one binary tensor."""
    head = v2(
        datatype, shape, {"parameters": {"binary_data_size": len(content), "sampling_rate": SAMPLING_RATE}}
    )
    return Payload({"body": head + content}, {"Inference-Header-Content-Length": str(len(head))})


def cpu_seconds(payload: Payload, times: int = TIMES) -> float:
    """CPU time of parsing a body, the best of so many times."""
    return min(once(payload) for _ in range(times))


def once(payload: Payload) -> float:
    began = time.thread_time()
    (clip,) = parse(payload, SETTINGS).clips
    spent = time.thread_time() - began
    assert size(clip)
    return spent


def size(clip: Clip) -> int:
    return len(clip.data) if isinstance(clip, EncodedAudio) else clip.samples.size


def table(found: dict[str, Any]) -> str:
    """The Markdown of what `main` writes as JSON."""
    whole = found["forms"][JSON_WAVEFORM]["cpu_ms"]
    return join(
        f"{Machine(**found['machine']).words()}. One clip of {found['seconds']:g} s at {SAMPLING_RATE // 1000} kHz.",
        Table.of(
            list(found["forms"].items()),
            (
                ("form", lambda row: row[0]),
                ("body", lambda row: f"{row[1]['bytes'] / 1e3:,.0f} kB"),
                ("CPU time", lambda row: f"{row[1]['cpu_ms']:.3f} ms"),
                (f"of {JSON_WAVEFORM}", lambda row: f"{row[1]['cpu_ms'] / whole:.1%}"),
            ),
        ),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = command.parser("measure.bench.forms", "Measure what parsing each form costs.", RESULTS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of the clip (%(default)s)")
    chosen = parser.parse_args(arguments)
    return command.guarded("measure.bench.forms", lambda: run(chosen))


def run(chosen: argparse.Namespace) -> None:
    forms = {
        name: {"bytes": len(payload.parts["body"]), "cpu_ms": cpu_seconds(payload) * 1e3}
        for name, payload in payloads(chosen.seconds).items()
    }
    found = {"seconds": chosen.seconds, "machine": machine.describe().model_dump(), "forms": forms}
    print(PAGE.record(found, table, chosen.results / FILE, RESULTS / FILE))


if __name__ == "__main__":
    sys.exit(main())
