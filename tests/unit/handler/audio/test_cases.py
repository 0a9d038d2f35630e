"""Files that people have and that were answered wrongly once, through the demo model.

Each is made from two of its sample clips, A = june_wallack-fr-confbridge-locked and B =
carlo_flora-it-vm-starmain, after a public report about some decoder. Right is what the model answers on what FFmpeg
decodes: native rate, mean of the channels, soxr HQ.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from speaker_id.pipeline import Pipeline
from speaker_id.protocol import Model, Payload
from speaker_id.settings import Settings

from bundle import archive
from tests.doubles.demo import demo_speaker

ROOT = Path(__file__).resolve().parents[4]
FOLDER = Path(__file__).parent / "cases"
# file → seconds, label, its score, frames that were skipped
RIGHT = {
    "chained.opus": (4.881, "carlo_flora", 0.8416, 0),  # libsndfile#277
    # Equal serial numbers. Right is A and B one after the other, 4.8809 s, and so is this within the codec's loss;
    # FFmpeg 5.1 keeps the filling of the first link's last block and makes it 4.897 s.
    "chained_vorbis.ogg": (4.8809, "carlo_flora", 0.8503, 0),
    "mp3_concat_id3_inside.mp3": (5.007, "carlo_flora", 0.7239, 0),  # MPD#1200
    "mp3_midframe.mp3": (2.268, "june_wallack", 0.9954, 0),  # Symphonia#96
    "one_bad_frame.mp3": (2.232, "june_wallack", 0.9962, 1),  # minimp3#60
    "data_is_filesize.wav": (2.2095, "june_wallack", 0.9957, 0),  # llfbandit/record#96
    "opus16k_ffmpeg51.webm": (2.2095, "june_wallack", 0.9959, 0),  # ladybird#6685
    "video_opus16k_ffmpeg51.webm": (2.040, "june_wallack", 0.9701, 0),
    "x.au": (2.2095, "june_wallack", 0.9957, 0),
    "x.sph": (2.2095, "june_wallack", 0.9957, 0),
    "x.caf": (2.2095, "june_wallack", 0.9957, 0),
}


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    folder = archive.prepare(demo_speaker(), tmp_path_factory.mktemp("cases") / "build")
    return Pipeline.load(folder, "cpu", Settings(), Model("demo", "1.0"))


@pytest.mark.parametrize("name", RIGHT)
def test_each_file_is_answered_as_what_ffmpeg_decodes_of_it(name: str, pipeline: Pipeline) -> None:
    seconds, label, score, skipped = RIGHT[name]
    (outcome,) = pipeline.identify([Payload({"body": (FOLDER / name).read_bytes()})])
    assert outcome.error is None
    assert outcome.audio_seconds == pytest.approx(seconds, abs=6e-4)
    assert outcome.body[0]["label"] == label
    assert outcome.body[0]["score"] == pytest.approx(score, abs=2e-3)
    assert outcome.skipped_frames == skipped
