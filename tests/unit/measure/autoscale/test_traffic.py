from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from measure import MeasureError
from measure.autoscale import traffic


def test_the_shipped_profile_is_what_its_function_makes() -> None:
    assert traffic.read_profile().tolist() == pytest.approx(traffic.make_profile().tolist())


def test_a_profile_is_relative_to_its_peak(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    traffic.write_profile(np.array([2.0, 5.0, 10.0]), file)
    assert traffic.read_profile(file).tolist() == [0.2, 0.5, 1.0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("minute,rate\n0,1\n1,many\n", "line 3"),
        ("minute,load\n0,1\n", "column rate"),
        ("minute,rate\n0,-1\n", "negative"),
        ("minute,rate\n", "finite"),
    ],
)
def test_a_broken_profile_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "broken.csv"
    file.write_text(text)
    with pytest.raises(MeasureError, match=said):
        traffic.read_profile(file)
    with pytest.raises(MeasureError, match="cannot be read"):
        traffic.read_profile(tmp_path / "none.csv")


def test_arrivals_are_those_of_a_poisson_process() -> None:
    rng = np.random.default_rng(0)
    counts = [len(traffic.arrivals(rng, 20.0, 0.0, 5.0)[0]) for _ in range(2000)]
    assert np.mean(counts) == pytest.approx(100, rel=0.01)
    assert np.var(counts) == pytest.approx(100, rel=0.1)
    times, audio = traffic.arrivals(rng, 1000.0, 5.0, 10.0)
    assert (np.diff(times) >= 0).all()
    assert times.min() >= 5.0
    assert times.max() < 10.0
    assert audio.mean() == pytest.approx(8.1, rel=0.05)  # VoxCeleb1's 8.2 s
