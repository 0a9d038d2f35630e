"""What a worker spends on reporting a batch: certainties, metrics and log lines, as TorchServe has it print them.

python -m measure.dashboard.cost
"""

from __future__ import annotations

import logging
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from speaker_id.certainty import certainties
from speaker_id.job import Outcome
from speaker_id.protocol import Model
from speaker_telemetry import Telemetry, TorchServeSink
from ts.metrics.metric_cache_yaml_impl import MetricsCacheYamlImpl

CLIPS = 8  # of a batch, one a request
LABELS = 1251
ROUNDS = 300


def seconds() -> tuple[float, float]:
    """Median seconds a batch: of the metrics, and of the log lines beside them."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "metrics.yaml"
        with file.open("wb") as declared:
            subprocess.run([sys.executable, "-m", "serving.torchserve"], stdout=declared, check=True)
        cache = MetricsCacheYamlImpl(config_file_path=str(file))
    cache.initialize_cache()
    model = Model("demo", "1.0")
    telemetry = Telemetry(TorchServeSink(cache, model), model)
    logits = [torch.randn(LABELS) for _ in range(CLIPS)]
    metrics, lines = [], []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        outcomes = [
            Outcome(b"", None, 8.0, 0.01, 0.4, clips=1, certainties=each) for each in certainties(logits, {})
        ]
        telemetry.batch(outcomes, [0.1] * CLIPS, 0.5)
        told = time.perf_counter()
        line = {"request": "0e13e030-5823-40bf-b6d0-190edc7d9a45", "status": 200, "code": "ok"}
        telemetry.event("request", *[line] * CLIPS)
        metrics.append(told - began)
        lines.append(time.perf_counter() - told)
    return statistics.median(metrics), statistics.median(lines)


def main() -> None:
    # as ts/model_service_worker.py sets it up, into a pipe that another process reads as Java does
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as reader:  # noqa: S607
        logging.basicConfig(stream=reader.stdin, format="%(message)s", level=logging.INFO)
        metrics, lines = seconds()
    print(f"a batch of {CLIPS} clips: metrics {1000 * metrics:.2f} ms, log lines {1000 * lines:.2f} ms")


if __name__ == "__main__":
    main()
