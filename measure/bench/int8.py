"""Is int8 worth serving? Its products alone, what they allow at best, and the whole encoder against what is served.

python -m measure.bench.int8 [--processor avx2]     writes int8.json and docs/results/benchmark.md

Speed is measured at full size, agreement there and with the trained demo model. The bar, which was set
beforehand, is `targets.INT8`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bundle.archive import prepare
from bundle.sources import resolve
from measure import command, machine, workload
from measure.bench import RESULTS
from measure.bench.targets import INT8, KEPT
from measure.bench.team import environment
from measure.document import Page, Table, join
from measure.machine import Machine
from measure.noise import check_quiet
from measure.verdict import Verdict

FILE, PAGE = "int8.json", Page.of("benchmark", "measure.bench.int8")
ROWS = 256  # of a timed product, as the encoder computes them
REPEATS, ROUNDS, BATCH = 15, 3, 8
SECONDS = 8.0  # of the clip whose cost is divided, VoxCeleb1's mean
CLIPS, SHORT = 200, 4.0  # for agreement: clips, and the seconds of each
SPEED_CLIPS, SEED = 16, 7


def products(folder: Path, threads: int) -> dict[str, Any]:
    """One thread's milliseconds for each linear layer's product, and for a whole clip; bounds what int8 can bring."""
    import torch
    from speaker_id.encoder.packed.operators import Linear
    from speaker_id.encoder.packed.probe import DTYPES
    from speaker_id.encoder.packed.tuning import noise, noisy
    from torch import Tensor

    from measure.bench.loaders import checkpoint
    from measure.bench.quantised import Int8Linear

    loaded = checkpoint(folder, threads)
    precision, _, encoder = served(loaded)
    dtype = DTYPES[precision]
    hidden, inner = loaded.model.config.hidden_size, loaded.model.config.intermediate_size
    shapes = {
        "query, key, value": (3 * hidden, hidden, "rows"),
        "attention's output": (hidden, hidden, "add"),
        "feed-forward, first": (inner, hidden, "gelu"),
        "feed-forward, second": (hidden, inner, "add"),
    }

    def run(linear: Linear, use: str, rows: Tensor, residual: Tensor) -> Tensor:
        if use == "add":
            return linear.add(rows, residual)
        return linear.gelu(rows) if use == "gelu" else linear(rows)

    found: dict[str, dict[str, float]] = {}
    with torch.inference_mode():
        for name, (outputs, inputs, use) in shapes.items():
            affine = noisy(outputs, inputs)
            rows, residual = noise(ROWS, inputs).to(dtype), noise(ROWS, outputs).to(dtype)
            plain, reduced = encoder.operators.linear(affine), Int8Linear(affine, -1.0, 1.0, dtype)
            whole = reduced.quantise(rows)
            candidates: dict[str, Callable[[], object]] = {
                precision: partial(run, plain, use, rows, residual),
                "int8": partial(run, reduced, use, whole, residual),
                "quantising": partial(reduced.quantise, rows),
            }
            found[name] = fastest(candidates)
        clip = noise(round(SECONDS * loaded.sampling_rate)).numpy()
        whole_ms = fastest({"clip": partial(encoder, [clip])}, repeats=5)["clip"]
    times: float = loaded.model.config.num_hidden_layers * frames_of(loaded.model, len(clip)) / ROWS

    def total(each: str) -> float:
        return times * sum(ms[each] for ms in found.values())

    # GELU's results are quantised by the product that makes them: the second product gets them as they are
    quantising = total("quantising") - times * found["feed-forward, second"]["quantising"]
    rest = whole_ms - total(precision)
    return {
        "precision": precision,
        "products_ms": found,
        "clip_ms": whole_ms,
        "linear_share": total(precision) / whole_ms,
        "bound": whole_ms / (rest + total("int8")),
        "bound_with_quantising": whole_ms / (rest + total("int8") + quantising),
    }


def whole(folder: Path, threads: int) -> dict[str, Any]:
    """Both encoders in turns on the same clips: seconds of audio a second, and the median ratio of the rounds."""
    from measure.bench.loaders import checkpoint
    from measure.bench.quantised import quantised

    loaded = checkpoint(folder, threads)
    precision, plan, encoder = served(loaded)
    encoders = {precision: encoder, "int8": quantised(loaded, precision, plan)}
    voices = workload.voices(loaded.sampling_rate)
    seconds = list(workload.durations(SPEED_CLIPS, SEED))
    clips = workload.work(voices, seconds, loaded.sampling_rate, SEED)
    times: dict[str, list[float]] = {name: [] for name in encoders}
    for each in encoders.values():
        each(clips[:BATCH])
    for _ in range(ROUNDS):
        for name, each in encoders.items():
            began = time.perf_counter()
            for start in range(0, len(clips), BATCH):
                each(clips[start : start + BATCH])
            times[name].append(time.perf_counter() - began)
    ratios = [mine / its for mine, its in zip(times[precision], times["int8"], strict=True)]
    speeds = {name: sum(seconds) / statistics.median(each) for name, each in times.items()}
    return {"ratio": statistics.median(ratios), "audio_seconds_a_second": speeds}


def agreement(folder: Path, threads: int, count: int) -> dict[str, Any]:
    """Share of clips whose best label is that in fp32, and the largest change of a logit by the clip's largest one."""
    import torch
    from speaker_id.encoder.packed import PackedEncoder

    from measure.bench.loaders import checkpoint
    from measure.bench.quantised import quantised

    loaded = checkpoint(folder, threads)
    precision, plan, encoder = served(loaded)
    exact = PackedEncoder(loaded.model, loaded.feature_extractor, "cpu", "fp32")
    encoders = {"fp32": exact, precision: encoder, "int8": quantised(loaded, precision, plan)}
    voices = workload.voices(loaded.sampling_rate)
    clips = workload.work(voices, [SHORT] * count, loaded.sampling_rate, SEED + 1)
    logits = {
        name: torch.cat([each(clips[start : start + BATCH]) for start in range(0, count, BATCH)])
        for name, each in encoders.items()
    }
    largest = logits["fp32"].abs().amax(1)
    return {
        name: {
            "agreement": (found.argmax(1) == logits["fp32"].argmax(1)).float().mean().item(),
            "drift": ((found - logits["fp32"]).abs().amax(1) / largest).max().item(),
        }
        for name, found in logits.items()
        if name in (precision, "int8")
    }


def served(loaded: Any) -> tuple[Any, Any, Any]:
    """The fastest precision that is served on this processor, the kernels, and the encoder with both."""
    import torch
    from speaker_id.encoder import plans
    from speaker_id.encoder.packed import PackedEncoder
    from speaker_id.encoder.packed.probe import precisions

    precision = precisions(torch.device("cpu"))[-1]
    plan = plans.plan("auto", loaded.model.config, precision, "cpu", None)
    return precision, plan, PackedEncoder(loaded.model, loaded.feature_extractor, "cpu", precision, plan=plan)


def alone(work: Callable[..., dict[str, Any]], folder: Path, threads: int, *more: int) -> dict[str, Any]:
    """What the work finds in a process of its own, with so many threads."""
    with environment({"OMP_NUM_THREADS": str(threads)}):
        return command.apart(work, folder, threads, *more)


def frames_of(model: Any, samples: int) -> int:
    frames: int = model._get_feat_extract_output_lengths(samples).item()
    return frames


def fastest(works: Mapping[str, Callable[[], object]], repeats: int = REPEATS) -> dict[str, float]:
    """Milliseconds of processor time of each one's fastest run: in turns, after a run that prepares.

    Of one thread: what else the machine does hardly matters.
    """
    for work in works.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            began = time.process_time()
            work()
            times[name].append(1000 * (time.process_time() - began))
    return {name: min(each) for name, each in times.items()}


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
        f"{ROUNDS} rounds of {SPEED_CLIPS} clips in turns: {whole['ratio']:.2f} times ({speeds['int8']} s of audio a "
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


def main(arguments: Sequence[str] | None = None) -> int:
    parser = command.parser("measure.bench.int8", "Measure whether int8 is worth serving.", RESULTS)
    command.add_processor_option(parser)
    parser.add_argument("--clips", type=int, default=CLIPS, help="for agreement (%(default)s)")
    chosen = parser.parse_args(arguments)
    return command.guarded("measure.bench.int8", lambda: run(chosen))


def run(chosen: argparse.Namespace) -> None:
    command.hold(chosen.processor)
    say, file = command.progress(), chosen.results / FILE
    described = machine.describe()
    check_quiet(say)
    full, demo = prepare(resolve(command.widened(say))), prepare(resolve("demo"))
    say("products")
    found: dict[str, Any] = {"machine": described.model_dump(), "products": alone(products, full, 1)}
    say("the whole encoder, in turns")
    found["whole"] = alone(whole, full, described.cores)
    say(f"int8 is {found['whole']['ratio']:.2f} times as fast")
    say(f"agreement on {chosen.clips} clips, twice")
    found["clips"] = chosen.clips
    found["agreement"] = {
        name: alone(agreement, folder, described.cores, chosen.clips)
        for name, folder in (("demo, as trained", demo), ("demo, widened", full))
    }
    everything = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    everything[described.cpu] = found
    print(PAGE.record(everything, table, file, RESULTS / FILE))


if __name__ == "__main__":
    sys.exit(main())
