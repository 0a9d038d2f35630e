"""What `measure.bench.gpu` recorded → the tables of docs/results/gpu.md:

python -m measure.bench.gpu_report
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measure.bench import RESULTS
from measure.document import Page, Table, join
from measure.machine import Machine
from measure.results import load_json, ratio
from measure.verdict import Verdict

FILE, PAGE = "gpu.json", Page.of("gpu", "measure.bench.gpu")
HF_ONE, HF_PADDED = "Hugging Face one by one, fp32", "Hugging Face padded, 32 clips, bf16"
FP32, BEST = "batched, fused, fp32", "batched, fused, bf16, three callers"
FOUR, APART = "four heads, one pass", "four models, one after the other"
WANTED, GOAL = 10_000.0, 25_000.0  # s of audio a second


def row_of(found: dict[str, Any], name: str) -> dict[str, Any]:
    row: dict[str, Any] = next(row for row in found["rows"] if row["name"] == name)
    return row


def speed(found: dict[str, Any], name: str) -> float:
    return float(statistics.median(row_of(found, name)["audio_seconds_per_second"]))


def against(found: dict[str, Any], name: str, other: str) -> float:
    """The median over the rounds of the ratio within a round."""
    return ratio(*(row_of(found, each)["audio_seconds_per_second"] for each in (name, other)))


def verdicts(found: dict[str, Any]) -> list[Verdict]:
    best = row_of(found, BEST)
    served = max(row["audio_seconds_per_second"] for row in found["served"])
    return [
        Verdict("bf16", WANTED, speed(found, BEST), unit=" s of audio a second"),
        Verdict("bf16, the goal", GOAL, speed(found, BEST), unit=" s of audio a second"),
        Verdict("bf16 names Hugging Face's fp32 label", 0.995, best["agreement"], unit=""),
        Verdict("fp32, from Hugging Face's", 1e-4, row_of(found, FP32)["largest_difference"], False, unit=""),
        Verdict("fp32, in company from alone", 2e-5, found["company"][FP32], False, unit=""),
        Verdict("the pipeline at its best, of the encoder", 0.9, served / speed(found, BEST)),
        Verdict("four heads in one pass, of four models", 3.5, against(found, FOUR, APART)),
    ]


def text(found: dict[str, Any]) -> str:
    """The Markdown of what the command wrote."""
    gpu = ", ".join(value if key == "name" else f"{key} {value}" for key, value in found["gpu"].items())
    rows = [
        (
            row["name"],
            f"{speed(found, row['name']):,.0f}",
            f"{against(found, row['name'], HF_ONE):.1f}",
            f"{against(found, row['name'], HF_PADDED):.1f}",
            f"{row['peak_mb']:,.0f} MB",
            f"{row['agreement']:.1%}",
            f"{row['largest_difference']:.0e}",
        )
        for row in found["rows"]
    ]
    headings = ("", "audio s/s", "× one by one", "× padded", "memory", "answers kept", "logits off by")
    company = ", ".join(f"{value:.0e} ({name})" for name, value in found["company"].items())
    return join(
        f"{gpu}; {Machine(**found['machine']).words()}; {found['date']}. "
        f"Model: {found['model']}. Work: {found['work']}, "
        f"{found['rounds']} rounds; ours in batches of {found['batch_seconds']:g} s of audio unless the row says "
        "another.",
        Table(headings, rows, "l"),
        Table(
            ("target", "wanted", "measured", ""),
            [(it.what, *it.cells(".3g" if it.wanted < 1e3 else ",.0f")) for it in verdicts(found)],
            "lrrl",
        ),
        f"In company a clip's logits differ from those it gets alone by {company} of their spread.",
        profile(found["profile"]) if found["profile"] else "",
        "The pipeline, from WAV bodies to answers, by the number of workers, each a process:",
        Table(
            ("workers", "audio s/s", "clips/s", *(f"{stage}" for stage in stages(found))),
            [
                (
                    str(row["workers"]),
                    f"{row['audio_seconds_per_second']:,.0f}",
                    f"{row['clips_per_second']:,.0f}",
                    *(f"{row['stages'].get(stage, 0):.0%}" for stage in stages(found)),
                )
                for row in found["served"]
            ],
            "r",
        ),
    )


def stages(found: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(stage for row in found["served"] for stage in row["stages"]))


def profile(taken: dict[str, Any]) -> str:
    total = sum(taken["ms"].values())
    reached = taken["tflop"] / total * 1e3
    return join(
        f"One batch of {taken['audio_seconds']:.0f} s keeps the GPU busy for {total:.1f} ms; its matrix products alone "
        "are "
        f"{taken['tflop']:.1f} TFLOP, so {reached:.0f} TFLOP/s over all, where one large bf16 product reaches "
        f"{taken['product_tflops']:.0f}.",
        Table(
            ("kernels", "ms", "of all"),
            [
                (kind, f"{spent:.2f}", f"{spent / total:.0%}")
                for kind, spent in sorted(taken["ms"].items(), key=lambda it: -it[1])
            ],
        ),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    def written(folder: Path) -> str:
        return text(load_json(folder / FILE, "python -m measure.bench.gpu"))

    return PAGE.main(written, RESULTS, arguments)


if __name__ == "__main__":
    sys.exit(main())
