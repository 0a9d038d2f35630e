"""Sentences about the encoders whose numbers are in the rows of one run, for every page that says them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from speaker_id.clip import SAMPLING_RATE

from measure.bench.engines import PEERS
from measure.bench.flops import flops
from measure.bench.results import BenchmarkRow
from measure.bench.targets import KEPT, best_peer
from measure.results import ratio

OURS = ("packed-fp32", "packed-bf16")
HF = "hf-one"


def winner(rows: Sequence[BenchmarkRow]) -> str:
    """Who is fastest of those that keep the answers, in all and by precision, and by how much."""
    served = [row for row in rows if row.engine in OURS]
    ours = max(served, key=lambda row: row.throughput)
    peers = [row for row in rows if row.engine in PEERS]
    rival = best_peer(rows)
    if rival is None:
        return "no other software took part."
    lost = sorted({row.engine for row in peers if row.top1_agreement < KEPT})
    changed = f" Not compared, since they change answers: {', '.join(lost)}." if lost else ""
    return f"{beside(ours, rival)}{''.join(by_precision(served, peers))}{changed}"


def beside(ours: BenchmarkRow, rival: BenchmarkRow) -> str:
    times = ratio(ours.rounds, rival.rounds)
    first, second, by = (ours, rival, times) if times >= 1 else (rival, ours, 1 / times)
    return (
        f"of what is served here and other software that keeps {KEPT:.1%} of the answers, {first.name} is fastest with "
        f"{first.throughput:.1f} s of audio a second, {by:.2f} times as fast as {second.name}, the best of "
        f"{'other software' if first is ours else 'ours'}."
    )


def by_precision(served: Sequence[BenchmarkRow], peers: Sequence[BenchmarkRow]) -> Iterator[str]:
    """Ours against the best of other software in each precision that ours serves in."""
    for precision in dict.fromkeys(row.precision for row in served):
        mine = max((row for row in served if row.precision == precision), key=lambda row: row.throughput)
        same = [row for row in peers if row.precision == precision and row.top1_agreement >= KEPT]
        if same:
            rival = max(same, key=lambda row: row.throughput)
            yield f" In {precision} ours is {ratio(mine.rounds, rival.rounds):.2f} times as fast as {rival.name}."


def int8(rows: Sequence[BenchmarkRow]) -> str:
    """Every engine in int8: its speed against the fastest that is served, and what it costs in answers."""
    served = max((row for row in rows if row.engine in OURS), key=lambda row: row.throughput)
    found = [
        f"{row.engine} {ratio(row.rounds, served.rounds):.2f} times, {row.top1_agreement:.1%} of the answers kept, "
        f"logits off by {row.max_logit_difference:.0e}"
        for row in sorted(rows, key=lambda row: -row.throughput)
        if row.precision == "int8"
    ]
    return (
        f"against {served.name}: {'; '.join(found)}."
        if found
        else "no engine in int8 took part in this race."
    )


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
    ours = [row for it in OURS if (row := found.get(f"{it} 2×1 glibc"))]
    reach = " and ".join(f"{row.peak_fraction:.0%} in {row.precision}" for row in ours)
    limits = " and ".join(
        f"{ratio(row.rounds, hf.rounds) / row.peak_fraction:.2f} in {row.precision}" for row in ours
    )
    return (
        "the targets against Hugging Face in the same layout were set where it reached about half of what one large "
        f"product reaches; in two workers it reaches {hf.peak_fraction:.0%} here. Packed reaches {reach}: at 100 % the "
        f"ratio in 2×1 would be {limits}. The rest is spent in products that are smaller than that one, in "
        "attention, and outside products, on norms, GELU, softmax and memory traffic, by the shares above."
    )


def grows() -> str:
    """Why a second of audio costs more in a longer clip."""
    from transformers import Wav2Vec2Config  # its defaults are wav2vec2-base

    config = Wav2Vec2Config().to_dict()
    short, long = (flops(config, seconds * SAMPLING_RATE) / seconds for seconds in (5, 60))
    return (
        f"A second of audio in a clip of 60 s is {long / short:.2f} times the arithmetic of one in a clip of 5 s, as "
        "attention grows with the square of the length: a lower growth than that means that a "
        "short clip reaches less of the processor's speed than a long one."
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
