"""Sentences whose numbers stand in recorded results: each prints Markdown, for cog to put into a page."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable

from measure import ROOT, bench, compare
from measure.bench import findings
from measure.bench.results import newest_run as newest_bench
from measure.bench.targets import verdicts as bench_verdicts
from measure.compare.contenders import OURS_BF16, OURS_FP32, USUAL
from measure.compare.results import newest_run as newest_contest
from measure.compare.targets import best as best_peer
from measure.compare.targets import verdicts as contest_verdicts
from measure.pages import picture
from measure.verdict import Verdict

WIDTH = 118
NAMES = {
    "bentoml": "BentoML",
    "litserve": "LitServe",
    "fastapi": "FastAPI",
    "ray": "Ray Serve",
    "mlserver": "MLServer",
}


def against_other_servers() -> None:
    """What `make compare` has measured."""
    rows, _ = newest_contest(compare.RESULTS)
    found = _measured(it for it in contest_verdicts(rows) if it.at == "capacity")
    best, ours = best_peer(rows, "capacity"), {row.name: row for row in rows}
    assert best is not None
    fp32, bf16 = (found[f"{name.name} against {best.name}"] for name in (OURS_FP32, OURS_BF16))
    padded32, padded16 = (found[f"{name.name} against {USUAL.name}"] for name in (OURS_FP32, OURS_BF16))
    answers = sum(ours[it.name].answers for it in (OURS_FP32, OURS_BF16))
    changed = sum(ours[it.name].changed for it in (OURS_FP32, OURS_BF16))
    _say(
        f"At the published model's size, with equal weights and load, it sustains {fp32:.2f} (fp32) and "
        f"{bf16:.2f} (bf16) times the requests a second of the best other server with correct answers "
        f"({NAMES[best.name.split('-')[0]]}, one clip at a time), and {padded32:.2f} and {padded16:.2f} times those "
        f"of the usual padded TorchServe handler. {changed or 'None'} of its {answers} answers differs from the "
        f"clip's own ({rows[0].cores} cores of {_short(rows[0].cpu)}; [comparison](docs/results/compare.md))."
    )


def encoder() -> None:
    """What `make bench` has measured."""
    found = _measured(bench_verdicts(*newest_bench(bench.RESULTS)))
    fp32, bf16 = (found[f"packed-{it} against hf-one, each at its best"] for it in ("fp32", "bf16"))
    _say(
        f"At the published model's size, the encoder answers {fp32:.2f}× (fp32) and {bf16:.2f}× (bf16) the audio of "
        "Hugging Face's model one clip at a time in its best set-up, "
        f"{found['packed-fp32 against hf-padded8-random']:.1f}× (fp32) that of padded batches of eight, and "
        f"{found['packed-bf16 against openvino-bf16']:.2f}× (bf16) that of OpenVINO's bf16 (`make bench`)."
    )


def padding() -> None:
    _say(
        f"In random batches of eight clips of VoxCeleb1's lengths, {picture.padding():.0%} of what a padded "
        "batch computes is padding."
    )


def two_workers() -> None:
    _say(findings.two_workers(newest_bench(bench.RESULTS)[0]))


def jemalloc() -> None:
    _say(findings.jemalloc(newest_bench(bench.RESULTS)[0]))


def memory() -> None:
    ours = next(row for row in newest_contest(compare.RESULTS)[0] if row.name == OURS_FP32.name)
    assert ours.peak_mb is not None
    _say(
        f"Memory: {ours.peak_mb / 1000:.1f} GB for a model of wav2vec2-base's size under load (`make compare`), less "
        "for the demo."
    )


def demo_accuracy() -> None:
    clean = json.loads((ROOT / "models" / "demo" / "evaluation.json").read_text("utf-8"))["conditions"][
        "clean"
    ]
    _say(
        f"It names {clean['named']} of {clean['clips']} held-out clips of the six rightly, and {clean['right']} where "
        "it may not say unknown (`make demo-model`)."
    )


def _measured(verdicts: Iterable[Verdict]) -> dict[str, float]:
    return {it.what: it.measured for it in verdicts if it.measured is not None}


def _short(cpu: str) -> str:
    return cpu.partition(" (")[0]


def _say(text: str) -> None:
    print(textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False))
