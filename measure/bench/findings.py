"""Sentences about the encoders whose numbers are in the rows of one run, for every page that says them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from speaker_id.clip import SAMPLING_RATE

from measure.bench.flops import flops
from measure.bench.results import BenchmarkRow
from measure.results import ratio

OURS = ("packed-fp32", "packed-bf16")
HF = "hf-one"


def two_workers(rows: Sequence[BenchmarkRow]) -> str:
    """Two workers of one thread against one worker of two, on two cores."""
    pairs = [pair(rows, it) for it in OURS]
    memory = [two.peak_mb / one.peak_mb for one, two in pairs]
    waits = [late / early for one, two in pairs for early, late in zip(lone(one), lone(two), strict=True)]
    answers = span((more(rows, it) for it in OURS), ".0f")
    return (
        f"On two cores, two workers of one thread each answer {answers} % more audio "
        f"than one of two threads, take {span(memory, '.1f')} times the memory, and a lone clip waits "
        f"{span(waits, '.1f')} times as long."
    )


def jemalloc(rows: Sequence[BenchmarkRow]) -> str:
    found = named(rows)
    slower = [
        100 * (1 - ratio(found[f"{it} 2×1 jemalloc"].rounds, found[f"{it} 2×1 glibc"].rounds)) for it in OURS
    ]
    less = [
        100 * (1 - found[f"{HF} {it} jemalloc"].peak_mb / found[f"{HF} {it} glibc"].peak_mb)
        for it in ("2×1", "1×2")
    ]
    return (
        f"With `ALLOCATOR=jemalloc` the packed encoder is {span(slower, '.0f')} % slower; Hugging Face's model takes "
        f"{span(less, '.0f')} % less memory and is no faster."
    )


def reached(rows: Sequence[BenchmarkRow]) -> str:
    """How near the ratios are to those that a machine allows which does nothing but products."""
    found = named(rows)
    hf = found[f"{HF} 2×1 glibc"]
    ours = [found[f"{it} 2×1 glibc"] for it in OURS]
    limits = [
        hf_times / it.peak_fraction for it, hf_times in ((it, ratio(it.rounds, hf.rounds)) for it in ours)
    ]
    return (
        "the targets against Hugging Face in the same layout were set where it reached about half of what one large "
        f"product reaches; in two workers it reaches {hf.peak_fraction:.0%} here. Packed fp32 reaches "
        f"{ours[0].peak_fraction:.0%}, bf16 {ours[1].peak_fraction:.0%}: at 100 % the ratio in 2×1 would be "
        f"{limits[0]:.2f} in fp32 and {limits[1]:.2f} in bf16. The rest is spent outside matrix products, on norms, "
        "GELU, softmax and memory traffic."
    )


def grows() -> str:
    """Why a second of audio costs more in a longer clip."""
    from transformers import Wav2Vec2Config  # its defaults are wav2vec2-base

    config = Wav2Vec2Config().to_dict()
    short, long = (flops(config, seconds * SAMPLING_RATE) / seconds for seconds in (5, 60))
    return (
        f"A second of audio in a clip of 60 s is {long / short:.2f} times the arithmetic of one in a clip of 5 s, as "
        "attention grows with the square of the length: a lower growth than that means that attention is computed "
        "faster than the rest."
    )


def more(rows: Sequence[BenchmarkRow], engine: str) -> float:
    """Percent that two workers of one thread answer more than one of two."""
    one, two = pair(rows, engine)
    return 100 * (two.throughput / one.throughput - 1)


def pair(rows: Sequence[BenchmarkRow], engine: str) -> tuple[BenchmarkRow, BenchmarkRow]:
    """One worker of two threads, and two workers of one."""
    found = named(rows)
    return found[f"{engine} 1×2 glibc"], found[f"{engine} 2×1 glibc"]


def named(rows: Sequence[BenchmarkRow]) -> dict[str, BenchmarkRow]:
    return {row.name: row for row in rows}


def lone(row: BenchmarkRow) -> list[float]:
    return [value for value in (row.latency_3s, row.latency_8s, row.latency_20s) if value is not None]


def span(values: Iterable[float], form: str) -> str:
    found = list(values)
    least, most = (format(each(found), form) for each in (min, max))
    return least if least == most else f"{least} to {most}"
