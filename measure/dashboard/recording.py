"""Scrapes of one run, kept in a file: a row a series, a column a scrape."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from prometheus_client.parser import text_string_to_metric_families

Values = npt.NDArray[np.float64]
Labels = tuple[tuple[str, str], ...]  # sorted by name


@dataclass(frozen=True)
class Recording:
    """What a Prometheus would know of one run.

    Attributes:
        times: of the scrapes, in seconds from the first; shape (scrapes,).
        series: name and labels → value at each scrape, NaN where the series was not there; shape (scrapes,) each.
    """

    times: Values
    series: Mapping[tuple[str, Labels], Values]

    def named(self, name: str) -> dict[Labels, Values]:
        """All series of one name."""
        return {labels: values for (found, labels), values in self.series.items() if found == name}


def of_scrapes(times: Sequence[float], texts: Sequence[str]) -> Recording:
    """Scrapes as they were received.

    Args:
        times: seconds, ascending, one a scrape.
        texts: in Prometheus' format.
    """
    series: dict[tuple[str, Labels], Values] = {}
    for place, text in enumerate(texts):
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                key = sample.name, tuple(sorted(sample.labels.items()))
                series.setdefault(key, np.full(len(texts), np.nan))[place] = sample.value
    return Recording(np.array(times) - times[0], series)


def write(recording: Recording, path: Path) -> None:
    """As gzipped CSV: equal recordings give equal bytes."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["name", "labels", *(f"{time:.3f}" for time in recording.times)])
    for (name, labels), values in sorted(recording.series.items()):
        shown = ("" if np.isnan(value) else f"{value:.9g}" for value in values)
        rows.writerow([name, json.dumps(dict(labels)), *shown])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))


def read(path: Path) -> Recording:
    """A recording that `write` wrote."""
    rows = csv.reader(io.StringIO(gzip.decompress(path.read_bytes()).decode()))
    _, _, *times = next(rows)
    series = {
        (name, tuple(sorted(json.loads(labels).items()))): np.array(
            [float(value or "nan") for value in values]
        )
        for name, labels, *values in rows
    }
    return Recording(np.array(list(map(float, times))), series)
