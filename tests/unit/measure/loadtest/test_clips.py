from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from measure.loadtest import LoadTestError
from measure.loadtest.clips import default_mix, load


@pytest.fixture(scope="module")
def mix_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mix")


def test_the_default_mix_is_the_samples_and_clips_as_long_as_voxcelebs(mix_folder: Path) -> None:
    mix = default_mix(mix_folder, seed=0)
    samples = [clip for clip in mix if not clip.name.startswith("voxceleb-")]
    seeded = [clip for clip in mix if clip.name.startswith("voxceleb-")]
    assert (len(samples), len(seeded)) == (16, 32)
    assert min(clip.seconds for clip in seeded) >= 4
    assert 6 < sum(clip.seconds for clip in seeded) / len(seeded) < 10
    assert {clip.path.suffix for clip in seeded} == {".wav", ".flac", ".mp3", ".ogg", ".opus"}
    again = load(mix_folder)  # all of them decode, and are as long as they say
    assert {clip.name: clip.media_type for clip in again} == {clip.name: clip.media_type for clip in mix}
    lengths = {clip.name: clip.seconds for clip in mix}
    assert all(clip.seconds == pytest.approx(lengths[clip.name], abs=0.1) for clip in again)


def test_a_folder_is_searched_for_audio_files(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    soundfile.write(tmp_path / "deep" / "b.FLAC", np.zeros(8000, np.float32), 8000, format="FLAC")
    soundfile.write(tmp_path / "a.wav", np.zeros(32000, np.float32), 16000)
    (tmp_path / "notes.txt").write_text("no audio")
    assert [(clip.name, clip.seconds) for clip in load(tmp_path)] == [("a.wav", 2.0), ("deep/b.FLAC", 1.0)]


def test_what_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    with pytest.raises(LoadTestError, match=r"there is no folder .*nowhere: name one .* CLIPS=recordings/"):
        load(tmp_path / "nowhere")
    with pytest.raises(LoadTestError, match="no audio files in"):
        load(tmp_path)
    (tmp_path / "a.wav").write_bytes(b"no audio")
    with pytest.raises(LoadTestError, match=r"a\.wav cannot be decoded \(unsupported_media\): take it out"):
        load(tmp_path)
