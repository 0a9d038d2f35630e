"""What int8 brought on each processor: the verdict, and the Markdown of docs/results/benchmark.md."""

from __future__ import annotations

from typing import Any

from measure.bench.int8.encoders import ROUNDS, SPEED_CLIPS
from measure.bench.int8.products import ROWS, SECONDS
from measure.bench.targets import INT8, KEPT
from measure.document import Page, Table, join
from measure.machine import Machine
from measure.verdict import Verdict

FILE, PAGE = "int8.json", Page.of("benchmark", "measure.bench.int8")


def verdicts(found: dict[str, Any]) -> list[Verdict]:
    """Of one processor: both bars must be met for int8 to be served."""
    precision = found["products"]["precision"]
    kept = [each["int8"]["agreement"] for each in found["agreement"].values()]
    return [
        Verdict(f"int8 against {precision}, the whole encoder", INT8[precision], found["whole"]["ratio"]),
        Verdict("answers kept", 100 * KEPT, 100 * min(kept), unit=" %"),
    ]


def table(found: dict[str, Any]) -> str:
    """The Markdown of what `main` writes as JSON: a part for each processor."""
    return join(*(one(each) for each in found.values()))


def one(found: dict[str, Any]) -> str:
    products, whole = found["products"], found["whole"]
    precision, judged = products["precision"], verdicts(found)
    served = "is worth serving" if all(it.met for it in judged) else "is not served"
    columns = (precision, "int8", "quantising")
    rows = [
        [name, *(f"{ms[it]:.2f} ms" for it in columns), f"{ms[precision] / ms['int8']:.2f}×"]
        for name, ms in products["products_ms"].items()
    ]
    compared = (precision, "int8")
    answers = [
        [
            model,
            *(f"{each[it]['agreement']:.2%}" for it in compared),
            *(f"{each[it]['drift']:.0e}" for it in compared),
        ]
        for model, each in found["agreement"].items()
    ]
    speeds = {name: f"{speed:.1f}" for name, speed in whole["audio_seconds_a_second"].items()}
    return join(
        f"**{Machine(**found['machine']).words()}**: int8 {served}.",
        Table(
            (f"product, {ROWS} rows, one thread", precision, "int8", "its input → uint8", "int8 faster by"),
            rows,
        ),
        f"These products are {products['linear_share']:.0%} of a clip of {SECONDS:g} s in {precision}. With int8's "
        f"times in their place the encoder would be {products['bound']:.2f} times as fast if activations were in int8 "
        f"already, {products['bound_with_quantising']:.2f} times with their quantisation. Measured as a whole, "
        f"{ROUNDS} rounds of {SPEED_CLIPS} clips in turns: {whole['ratio']:.2f} times, {min(whole['ratios']):.2f} to "
        f"{max(whole['ratios']):.2f} by round ({speeds['int8']} s of audio a "
        f"second, {precision} {speeds[precision]}).",
        Table(
            (
                f"answers, {found['clips']} clips",
                f"kept, {precision}",
                "kept, int8",
                f"logits off by, {precision}",
                "int8",
            ),
            answers,
        ),
        Table(("target", "wanted", "measured", ""), [(it.what, *it.cells(".2f")) for it in judged], "lrrl"),
    )
