"""Where the packed encoder's time on a processor goes, by kind of operation and by the clip's length:

python -m measure.bench.cpu_profile [--seconds 5,20]     writes cpu_profile.json and docs/results/benchmark.md

One thread computes one clip, so that nothing is hidden behind anything else. Each precision that the processor has is
profiled in a process of its own, and fp32 once more in one that is held to AVX2.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from speaker_id.clip import Waveform
from speaker_id.encoder.packed import tuning
from speaker_id.encoder.packed.onednn import FusedLinear
from speaker_id.encoder.packed.probe import DTYPES, precisions

from bundle.archive import prepare
from bundle.sources import resolve
from measure import command, machine, noise, workload
from measure.bench import RESULTS, flops, peak
from measure.bench.engines import Precision
from measure.bench.loaders import packed_encoder
from measure.bench.team import environment
from measure.document import Page, Table, join
from measure.machine import Machine

FILE, PAGE = "cpu_profile.json", Page.of("benchmark", "measure.bench.cpu_profile")
NOTHING = "No profile is recorded: `make bench` makes one."
LENGTHS = (5.0, 20.0, 60.0, 120.0)  # s
AUDIO = 40.0  # s that are profiled of each length, at least, in turns of which the fastest counts
SEED = 3
SOFTMAX, NORMS, COPIES, REST = "softmax apart from products", "layer norms", "copies", "everything else"
APART = "GELU and sums apart from products"
PARTS = (flops.FIRST, flops.CONVOLUTIONS, flops.POSITIONAL, flops.LINEARS, flops.ATTENTION)
KINDS = (*PARTS, SOFTMAX, NORMS, APART, COPIES, REST)
GELU = "of all this, GELU fused into products, about"
# a kind, by what its operators' names have in them; the first that fits
OPERATORS = {
    COPIES: ("copy",),
    SOFTMAX: ("softmax",),
    NORMS: ("layer_norm",),
    flops.LINEARS: ("linear", "addmm"),
    APART: ("gelu", "aten::add"),
    flops.ATTENTION: ("bmm", "flash"),
}
# torch's profiler writes two lines a turn to the terminal; NumPy's product is one of the large ones
VARIABLES = {"KINETO_LOG_LEVEL": "6", "OMP_NUM_THREADS": "1"}
LEAST_LOST = 0.01  # of the time, to be named
GELU_ROWS, GELU_TURNS = 256, 20


def profile(folder: Path, precision: Precision, lengths: Sequence[float]) -> dict[str, Any]:
    """Seconds by kind of operation for each length, in this process, beside the rate of one large product."""
    encoder, plan = packed_encoder(folder, 1, precision)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    rate = json.loads((folder / "preprocessor_config.json").read_text("utf-8"))["sampling_rate"]
    mark(encoder)
    clips = workload.work(workload.voices(rate), lengths, rate, SEED)
    before = peak.product_peaks(1, [precision])[precision]
    each_gelu = gelu_seconds(config["hidden_size"], config["intermediate_size"], DTYPES[precision])
    found = {}
    for seconds, clip in zip(lengths, clips, strict=True):
        encoder([clip])
        turns = [turn(encoder, clip, config["conv_kernel"][0]) for _ in range(max(1, round(AUDIO / seconds)))]
        found[f"{seconds:g}"] = {
            "seconds": min(turns, key=lambda each: sum(each.values())),
            "gelu": fused_gelus(encoder, config, len(clip)) * each_gelu,
            "flops": flops.by_part(config, len(clip)),
        }
    return {
        "machine": machine.describe().model_dump(),
        "precision": precision,
        "plan": str(plan),
        "peak_gflops": max(before, peak.product_peaks(1, [precision])[precision]),
        "lengths": found,
    }


def mark(encoder: Any) -> None:
    """Give what parts of the encoder compute the part's name in a profile."""

    def named(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def marked(*given: Any) -> Any:
            with torch.profiler.record_function(name):
                return call(*given)

        return marked

    stack = encoder.convolutions
    stack.compute, stack.fold = (
        named(flops.CONVOLUTIONS, stack.compute),
        stack.fold and named(flops.FIRST, stack.fold),
    )
    encoder.positional.embed = named(flops.POSITIONAL, encoder.positional.embed)
    for layer in encoder.layers:
        layer.attend = named(flops.ATTENTION, layer.attend)


def turn(encoder: Callable[[Sequence[Waveform]], Any], clip: Waveform, first_kernel: int) -> dict[str, float]:
    """Seconds of one pass by kind."""
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], record_shapes=True
    ) as taken:
        began = time.perf_counter()
        encoder([clip])
        total = time.perf_counter() - began
    spent = dict.fromkeys(KINDS, 0.0)
    for event in taken.events():
        spent[kind(event, first_kernel)] += event.self_cpu_time_total / 1e6
    spent[REST] += total - sum(spent.values())  # Python, between operators
    return spent


def kind(event: Any, first_kernel: int) -> str:
    """Which kind an event of torch's profiler is.

    Args:
        first_kernel: samples in a window of the first convolution, which is computed as a product.
    """
    part = event
    while part is not None and part.name not in PARTS:
        part = part.cpu_parent
    inside = None if part is None else part.name
    if inside in (flops.POSITIONAL, flops.FIRST):
        return str(inside)
    found = next((name for name, words in OPERATORS.items() if any(it in event.name for it in words)), REST)
    if found == flops.LINEARS and inside == flops.CONVOLUTIONS:
        return flops.FIRST if any(shape[1:] == [first_kernel] for shape in event.input_shapes) else inside
    return found


def gelu_seconds(inputs: int, outputs: int, dtype: torch.dtype) -> float:
    """What GELU adds to a product, for each value: the fastest of several turns with it, and without."""
    linear = FusedLinear(tuning.noisy(outputs, inputs), dtype, torch.device("cpu"))
    rows = tuning.noise(GELU_ROWS, inputs).to(dtype)

    def seconds(call: Callable[[torch.Tensor], torch.Tensor]) -> float:
        began = time.perf_counter()
        call(rows)
        return time.perf_counter() - began

    with torch.inference_mode():
        turns = [(seconds(linear.gelu), seconds(linear)) for _ in range(GELU_TURNS)]
    fused, plain = map(min, zip(*turns, strict=True))
    return float(max(0.0, fused - plain) / (GELU_ROWS * outputs))


def fused_gelus(encoder: Any, config: Mapping[str, Any], samples: int) -> int:
    """How many values of a clip go through GELU within a product."""
    plan, products, frames, channels = encoder.operators.plan, [], samples, 1
    for width, kernel, stride in zip(
        config["conv_dim"], config["conv_kernel"], config["conv_stride"], strict=True
    ):
        frames = (frames - kernel) // stride + 1
        if config["feat_extract_norm"] == "group":
            products.append((width, kernel * channels, frames))
        channels = width
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    products.append((inner, hidden, frames * config["num_hidden_layers"]))
    return sum(outputs * rows for outputs, inputs, rows in products if plan.of(outputs, inputs) == "fused")


def table(found: dict[str, Any]) -> str:
    """The Markdown of what `main` writes as JSON."""
    return join(noise.words(found["foreign_cores"]), *map(one, found["profiles"]))


def one(profiled: dict[str, Any]) -> str:
    """A processor at one precision: shares of the time, and how near the peak a kind's arithmetic is."""
    lengths, peak_rate = profiled["lengths"], profiled["peak_gflops"] * 1e9

    def share(kind: str, of: dict[str, Any]) -> str:
        spent = of["seconds"][kind]
        part = f"{spent / sum(of['seconds'].values()):.1%}"
        return (
            f"{part} at {of['flops'][kind] / spent / peak_rate:.0%}"
            if kind in of["flops"] and spent
            else part
        )

    def whole(of: dict[str, Any]) -> str:
        return f"{sum(of['flops'].values()) / sum(of['seconds'].values()) / peak_rate:.0%}"

    def cost(seconds: str, of: dict[str, Any]) -> str:
        return f"{sum(of['seconds'].values()) / float(seconds) * 1e3:.0f} ms"

    return join(
        f"**{profiled['precision']}**, {Machine(**profiled['machine']).words()}; kernels `{profiled['plan']}`. "
        f"One large product reaches {profiled['peak_gflops']:.0f} GFLOP/s.",
        Table(
            ["of the time, and of that product's speed", *(f"{seconds} s" for seconds in lengths)],
            [
                *([kind, *(share(kind, of) for of in lengths.values())] for kind in KINDS),
                [GELU, *(f"{of['gelu'] / sum(of['seconds'].values()):.1%}" for of in lengths.values())],
                ["all", *(whole(of) for of in lengths.values())],
                ["for a second of audio", *(cost(*each) for each in lengths.items())],
            ],
        ),
        " ".join(
            lost(seconds, lengths[seconds], peak_rate)
            for seconds in (min(lengths, key=float), max(lengths, key=float))
        ),
    )


def lost(seconds: str, of: dict[str, Any], peak_rate: float) -> str:
    """Which kinds take the time that the arithmetic would not take at the speed of one large product."""
    total = sum(of["seconds"].values())
    beyond = {kind: spent - of["flops"].get(kind, 0) / peak_rate for kind, spent in of["seconds"].items()}
    parts = [
        f"{kind} {share:.0%}"
        for kind, share in sorted(
            ((kind, each / total) for kind, each in beyond.items()), key=lambda it: -it[1]
        )
        if share >= LEAST_LOST
    ]
    return f"Beyond the arithmetic, of a clip of {seconds} s: {', '.join(parts)}."


def main(arguments: Sequence[str] | None = None) -> int:
    parser = command.parser("measure.bench.cpu_profile", "Profile the encoder on this processor.", RESULTS)
    parser.add_argument("--model", help="as MODEL= of make serve; default: the demo widened to full size")
    parser.add_argument("--seconds", type=command.names, help="lengths of clips (5,20,60,120)")
    chosen = parser.parse_args(arguments)
    return command.guarded("measure.bench.cpu_profile", lambda: run(chosen))


def run(chosen: argparse.Namespace) -> None:
    folder = prepare(resolve(chosen.model or command.widened(lambda text: print(text, flush=True))))
    lengths = [float(each) for each in chosen.seconds] if chosen.seconds else LENGTHS
    own = precisions(torch.device("cpu"))
    noise.check_quiet(print)
    neighbours = noise.Neighbours()
    with environment(VARIABLES):
        profiles = [command.apart(profile, folder, precision, lengths) for precision in own]
    if "avx512f" in machine.describe().cpu_flags:
        with environment(VARIABLES | machine.AVX2):
            profiles.append(command.apart(profile, folder, "fp32", lengths))
    found = {"foreign_cores": neighbours.cores(), "profiles": profiles}
    print(PAGE.record(found, table, chosen.results / FILE, RESULTS / FILE))


if __name__ == "__main__":
    sys.exit(main())
