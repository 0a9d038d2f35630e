"""What serving costs: the clips that are sent, and how medians and ratios are told."""

from __future__ import annotations

import pytest
from speaker_id.clip import EncodedAudio

from measure.bench.null_server import KINDS, Served
from measure.bench.recordings import CLIP_SECONDS, recordings
from measure.bench.served import ratios, summary, table
from tests.decoding import shared


@pytest.mark.parametrize("name", recordings())
def test_every_clip_is_as_long_as_the_table_says(name: str) -> None:
    decoded = shared().decode(EncodedAudio(recordings()[name]), min_samples=400, cpu_seconds=60.0)
    assert len(decoded.waveform) / 16000 == pytest.approx(CLIP_SECONDS, abs=0.15)


def served(name: str, rates: list[float], lone: list[float]) -> Served:
    cpu = dict.fromkeys(KINDS, 1.25)
    return Served(name, 0, 0, {"wav": rates}, {"wav": lone}, {"wav": cpu})


def test_ratios_are_of_neighbours_in_time_and_medians_of_all_else() -> None:
    ours, other = (
        served("this", [100.0, 50.0, 30.0], [4.0, 8.0]),
        served("other", [50.0, 50.0, 10.0], [3.0, 5.0]),
    )
    (first, second) = summary([ours, other])
    assert (first["requests/s"], first["lone ms"], first["worker ms"]) == (50.0, 6.0, 1.2)
    assert (second["requests/s"], second["lone ms"]) == (50.0, 4.0)
    (ratio,) = ratios(ours, other)
    assert (ratio["requests/s"], ratio["lone ms"]) == (2.0, 1.5)


def test_a_ratio_has_no_figure_where_there_is_none_to_tell() -> None:
    ours = served("this", [1.0], [1.0])
    machine = {"cpu": "x", "cpu_flags": "", "cores": 2, "versions": "v", "commit": "c", "dirty": False}
    found = {"machine": machine, "rows": summary([ours]) + ratios(ours, ours), "decoders MB": ["1"]}
    assert "| wav | this by this | 1.0 | 1.0 |  |  |  |  |  |" in table(found)
