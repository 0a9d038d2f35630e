"""What each condition does to a voice."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from speaker_id.errors import UnsupportedMedia

from measure.evaluation.conditions import CLEAN, CONDITIONS, recording
from measure.evaluation.corpus import LabelledClip
from training import SAMPLE_RATE

SECONDS = 6


@pytest.fixture
def clip(tmp_path: Path) -> LabelledClip:
    """Six seconds of a voice-like sound, a fifth of full scale."""
    time = np.arange(SECONDS * SAMPLE_RATE) / SAMPLE_RATE
    voice = (
        sum(0.1 / n * np.sin(2 * np.pi * 150 * n * time) for n in range(1, 12)) * (1 + np.sin(8 * time)) / 2
    )
    soundfile.write(tmp_path / "voice.flac", voice, SAMPLE_RATE)
    return LabelledClip("ann/voice.flac", tmp_path / "voice.flac", "ann")


def heard(clip: LabelledClip, condition: str) -> np.ndarray:
    content = recording(clip, condition)
    with soundfile.SoundFile(io.BytesIO(content)) as file:
        if condition != CLEAN:
            assert (file.samplerate, file.subtype, file.channels) == (SAMPLE_RATE, "PCM_16", 1)
        return file.read(dtype="float32")


def power(samples: np.ndarray) -> float:
    return float(np.mean(np.square(samples, dtype=np.float64)))


def test_as_recorded_is_the_file_byte_for_byte(clip: LabelledClip) -> None:
    assert recording(clip, CLEAN) == clip.path.read_bytes()


@pytest.mark.parametrize("condition", CONDITIONS)
def test_the_same_clip_sounds_the_same_every_time_and_lasts_as_long_as_said(
    clip: LabelledClip, condition: str
) -> None:
    content = recording(clip, condition)
    assert content == recording(clip, condition)
    expected = {"first 5 s": 5, "first 3 s": 3, "first 2 s": 2, "first 1 s": 1, "1 s of silence first": 7}
    assert len(heard(clip, condition)) == expected.get(condition, SECONDS) * SAMPLE_RATE


@pytest.mark.parametrize("condition", ["8 kHz and back", "MP3, 32 kbit/s", "Opus, 16 kbit/s"])
def test_a_codec_changes_the_samples_and_keeps_the_sound(clip: LabelledClip, condition: str) -> None:
    before, after = heard(clip, CLEAN), heard(clip, condition)
    assert power(after) == pytest.approx(power(before), rel=0.2)
    assert np.corrcoef(before, after)[0, 1] > 0.9
    assert np.abs(after - before).max() > 1e-4


@pytest.mark.parametrize(("condition", "ratio"), [("noise, 20 dB below", 100), ("noise, 10 dB below", 10)])
def test_noise_is_as_far_below_the_voice_as_it_says(clip: LabelledClip, condition: str, ratio: float) -> None:
    before, after = heard(clip, CLEAN), heard(clip, condition)
    assert power(before) / power(after - before) == pytest.approx(ratio, rel=0.02)


def test_two_clips_do_not_get_the_same_noise(clip: LabelledClip) -> None:
    other = LabelledClip("bob/voice.flac", clip.path, "bob")
    assert recording(clip, "noise, 20 dB below") != recording(other, "noise, 20 dB below")


def test_quieter_is_a_tenth_and_louder_is_cut_off_at_full_scale(clip: LabelledClip) -> None:
    before = heard(clip, CLEAN)
    assert heard(clip, "20 dB quieter") == pytest.approx(before / 10, abs=1 / 32768)
    assert heard(clip, "20 dB louder, clipped") == pytest.approx(np.clip(10 * before, -1, 1), abs=1 / 32767)
    assert np.abs(10 * before).max() > 1


def test_silence_comes_first_and_the_beginning_is_the_beginning(clip: LabelledClip) -> None:
    before = heard(clip, CLEAN)
    late = heard(clip, "1 s of silence first")
    assert not late[:SAMPLE_RATE].any()
    assert np.array_equal(late[SAMPLE_RATE:], before)
    assert np.array_equal(heard(clip, "first 2 s"), before[: 2 * SAMPLE_RATE])


def test_what_is_no_audio_cannot_be_changed_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "notes.wav").write_text("no audio")
    with pytest.raises(UnsupportedMedia):
        recording(LabelledClip("notes.wav", tmp_path / "notes.wav", "ann"), "first 1 s")
