"""What the form of a request costs before its audio is decoded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from speaker_id.clip import RawAudio
from speaker_id.protocol import parse

from measure.bench import forms
from measure.results import load_json


def test_a_waveform_in_binary_costs_less_than_a_third_of_its_json() -> None:
    """CPU time of this thread, each the best of several: about a hundredth, on any machine."""
    found = forms.payloads(forms.SECONDS)
    binary = forms.cpu_seconds(found[forms.WAVEFORM])
    assert binary < forms.cpu_seconds(found[forms.JSON_WAVEFORM], 3) / 3


def test_both_are_the_same_waveform() -> None:
    found = forms.payloads(0.1)
    (one,), (other,) = (
        parse(found[name], forms.SETTINGS).clips for name in (forms.WAVEFORM, forms.JSON_WAVEFORM)
    )
    assert isinstance(one, RawAudio)
    assert isinstance(other, RawAudio)
    np.testing.assert_array_equal(one.samples, other.samples)


def test_the_command_writes_a_row_a_form(tmp_path: Path) -> None:
    assert forms.main(["--seconds", "0.1", "--results", str(tmp_path)]) == 0
    found = load_json(tmp_path / forms.FILE, "measure.bench.forms")
    assert found["forms"].keys() == forms.payloads(0.1).keys()
    assert all(name in forms.table(found) for name in found["forms"])
