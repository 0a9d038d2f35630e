"""Why a target against the peers is missed: what the machine itself could do, by the newest run of `make bench`."""

from __future__ import annotations

from collections.abc import Sequence

from measure import bench
from measure.bench.results import BenchmarkRow
from measure.bench.results import newest_run as newest_bench
from measure.compare.contenders import OURS_BF16, OURS_FP32, USUAL
from measure.compare.results import ContenderRow
from measure.compare.targets import AGAINST_BEST, AGAINST_USUAL, best
from measure.document import Table, join


def limits(rows: Sequence[ContenderRow]) -> str:
    """The Markdown; nothing where one of the two runs, or one of those that decide, is missing."""
    of_bench = newest_bench(bench.RESULTS)[0]
    present = {row.name: row for row in rows if row.throughput}
    right = best(rows, "throughput")
    deciding = [present.get(it.name) for it in (OURS_FP32, OURS_BF16, USUAL)]
    if not of_bench or right is None or None in deciding or right.throughput is None:
        return ""
    ours32, ours16, usual = (row for row in deciding if row)
    most = {it: peak(of_bench, it) / work(of_bench) for it in ("fp32", "bf16")}
    wanted = [
        (name, factor, other)
        for targets, other in ((AGAINST_BEST, right), (AGAINST_USUAL, usual))
        for name, factor in targets.items()
    ]
    return join(
        f"The best peer that answers right and the usual handler answer {right.throughput:.1f} and "
        f"{usual.throughput:.1f} seconds of audio a second here. One large matrix product reaches "
        f"{peak(of_bench, 'fp32'):.0f} GFLOP/s in fp32 and {peak(of_bench, 'bf16'):.0f} in bf16 "
        f"([benchmark](benchmark.md)), and a second of audio is {work(of_bench):.1f} GFLOP, so no server can answer "
        f"more than {most['fp32']:.1f} (fp32) or {most['bf16']:.1f} (bf16) seconds of audio a second, even if the "
        f"whole model were one matrix product. This server answers {ours32.throughput:.1f} and "
        f"{ours16.throughput:.1f}.",
        Table(
            ("target at saturation", "would be, audio s/s", "at most possible", "of it"),
            [
                (
                    f"{name} at {factor:g}× {other.name}",
                    f"{factor * (other.throughput or 0):.1f}",
                    f"{most[present[name].precision]:.1f}",
                    f"{factor * (other.throughput or 0) / most[present[name].precision]:.0%}",
                )
                for name, factor, other in wanted
            ],
        ),
    )


def peak(rows: Sequence[BenchmarkRow], precision: str) -> float:
    """GFLOP/s of one large product."""
    return next(row.peak_gflops for row in rows if row.precision == precision)


def work(rows: Sequence[BenchmarkRow]) -> float:
    """GFLOP of a second of audio."""
    return rows[0].gflops / rows[0].throughput
