"""Rows of an imagined run."""

from measure.bench.results import BenchmarkRow, GrowthRow

DEFAULTS = {
    "ratio_same_layout": 1.0,
    "ratio_best": 1.0,
    "engine": "hf-one",
    "layout": "1×2",
    "allocator": "glibc",
    "precision": "fp32",
    "backend": "transformers",
    "throughput": 5.0,
    "throughputs": "4.0 5.0 6.0",
    "latency_3s": 0.5,
    "latency_8s": 1.25,
    "latency_20s": 4.0,
    "peak_mb": 1000.0,
    "max_logit_difference": 0.0,
    "top1_agreement": 1.0,
    "gflops": 73.0,
    "peak_gflops": 200.0,
    "peak_fraction": 0.365,
    "model": "imagined",
    "clips": "48 clips",
    "run": "2030-01-02T03:04:05Z",
    "complete": True,
    "commit": "0123456789ab",
    "dirty": False,
    "cpu": "a processor",
    "cpu_flags": "avx512f avx512_bf16",
    "cores": 2,
    "foreign_cores": 0.01,
    "versions": "torch 2",
}


def row(**changed: object) -> BenchmarkRow:
    return BenchmarkRow.model_validate(DEFAULTS | changed)


def growth(name: str, **costs: float) -> list[GrowthRow]:
    """`s5=100.0`: 100 ms a second of audio in a clip of 5 s."""
    return [
        GrowthRow(
            name=name,
            clip_seconds=float(length[1:]),
            ms_per_audio_second=cost,
            run="2030-01-02T03:04:05Z",
            complete=True,
        )
        for length, cost in costs.items()
    ]
