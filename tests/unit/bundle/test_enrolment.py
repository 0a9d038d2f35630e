"""`make enrol`: recordings of voices → a gallery, what it measured, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from speaker_id.calibrated import Maker
from speaker_id.gallery import Gallery

from bundle import BundleError
from bundle.enrolment import __main__ as command
from bundle.enrolment import options, report
from bundle.enrolment.calibration import fit, thresholds
from bundle.enrolment.embedder import Embedder
from bundle.enrolment.enrol import Embedded, apart, enrol
from bundle.enrolment.intervals import by_person, share
from bundle.enrolment.recordings import Reader, speech_seconds
from bundle.enrolment.sounds import sounds
from bundle.enrolment.trials import against_each_other, genuine

ROOT = Path(__file__).resolve().parents[3]
DEMO = ROOT / "models" / "demo"
RATE = 16_000
DIM = 16


def clips(person: str, direction: int, count: int = 8, spread: float = 0.3) -> list[Embedded]:
    """Embeddings near one axis."""
    rng = np.random.default_rng(direction)
    vectors = np.eye(DIM)[direction] + spread * rng.standard_normal((count, DIM)) / np.sqrt(DIM)
    return [
        Embedded(person, f"{person}-{index}.wav", 3.0, vector / np.linalg.norm(vector))
        for index, vector in enumerate(vectors)
    ]


MAKER = Maker(model="m", sha256="a" * 64, dim=DIM)
VOICES = {name: clips(name, index) for index, name in enumerate(("anna", "ben", "cleo"))}
SOUNDS = np.eye(DIM)[12:]
STRANGERS = [clip for index in range(3, 12) for clip in clips(f"s{index}", index)]


def test_a_clip_is_left_out_of_its_own_voice() -> None:
    vectors = np.eye(4)[[0, 1]]
    scores, owners = genuine([vectors, np.eye(4)[[2, 2]]])
    assert owners.tolist() == [0, 0, 1, 1]
    assert scores[0] == pytest.approx([0.0, 0.0])  # the voice's only other clip is at a right angle
    assert scores[2] == pytest.approx([0.0, 1.0])


def test_an_enrolled_voice_is_a_stranger_to_the_others() -> None:
    scores = against_each_other([np.eye(4)[[0, 0]], np.eye(4)[[1, 1]]])
    assert scores[0].tolist() == [-np.inf, 0.0]
    assert scores[3].tolist() == [0.0, -np.inf]


def test_the_neutral_threshold_is_where_a_voice_is_as_likely_as_a_stranger() -> None:
    rng = np.random.default_rng(0)
    mine = np.column_stack([rng.normal(0.7, 0.1, 4000), np.full(4000, -1.0)])
    theirs = np.column_stack([rng.normal(0.3, 0.1, 4000), np.full(4000, -1.0)])
    found = fit(mine, np.zeros(4000, np.int64), theirs)
    # two normals of one spread: the log-likelihood ratio is (0.7 − 0.3) / 0.1² · (score − 0.5)
    assert found.neutral == pytest.approx(0.5, abs=0.01)
    assert found.slope == pytest.approx(40, rel=0.1)


def test_perfectly_separated_trials_give_a_finite_slope() -> None:
    found = fit(np.full((20, 1), 0.9), np.zeros(20, np.int64), np.full((20, 1), 0.1))
    assert 0 < found.slope < 200
    assert 0.1 < found.neutral < 0.9


def test_a_threshold_is_the_strangers_own_quantile_where_enough_were_heard() -> None:
    found = {each.fpir: each for each in thresholds(np.linspace(0, 1, 1001))}
    assert found[0.1].observed
    assert found[0.1].score == pytest.approx(0.9)
    assert not found[0.001].observed
    assert found[0.001].score >= found[0.002].score >= found[0.01].score


def test_strangers_are_unknown_and_voices_are_named() -> None:
    found = enrol(VOICES, STRANGERS, MAKER, 0.05, SOUNDS, "2026-01-01")
    assert found.detected.value == 1
    assert found.false_alarms.value < 0.2
    assert found.people == 9
    assert [voice.label for voice in found.gallery.manifest.voices] == ["anna", "ben", "cleo"]
    assert found.gallery.manifest.voices[0].enrolled == "2026-01-01"
    text = "\n".join(report.lines(found))
    assert "anna: 8 clips, 24.0 s of speech" in text
    assert "named rightly: 100.0 %" in text


def test_without_strangers_the_voices_stand_in_for_them() -> None:
    found = enrol(VOICES, [], MAKER, 0.2, SOUNDS)
    assert found.people == 0
    assert found.strangers == 24
    assert "give STRANGERS=folder" in "\n".join(report.lines(found))


def test_a_sound_amidst_a_voice_does_not_outvote_it() -> None:
    """An embedding may put a hum where a voice is: as a vector of "unknown" it would refuse that voice's clips."""
    amidst = np.stack([clip.vector for clip in VOICES["anna"]]).mean(axis=0)
    found = enrol(VOICES, STRANGERS, MAKER, 0.05, np.vstack([SOUNDS, amidst / np.linalg.norm(amidst)]))
    assert found.unheard == 1
    assert np.allclose(found.gallery.sounds, SOUNDS)
    assert found.detected.value == 1
    assert "1 sounds without a voice are as near" in "\n".join(report.lines(found))
    alone = enrol(VOICES, STRANGERS, MAKER, 0.05, np.stack([amidst / np.linalg.norm(amidst)]))
    assert len(alone.gallery.sounds) == 0
    assert alone.detected.value == 1


def test_sounds_together_outvote_few_clips() -> None:
    """Each is nearest to another clip: one of 24 may be outvoted, and not three by three sounds."""
    axes = np.eye(24)
    clips_of_axes = [Embedded("anna", f"{index}.wav", 3.0, axis) for index, axis in enumerate(axes)]
    assert apart(clips_of_axes, axes[:3], np.full(24, 0.5)).tolist() == axes[:1].tolist()
    assert len(apart(clips_of_axes, axes[:3], np.full(24, 1.5))) == 3


def test_a_clip_of_another_voice_is_named() -> None:
    wrong = Embedded("anna", "mixed-up.wav", 3.0, VOICES["ben"][0].vector)
    found = enrol({**VOICES, "anna": [*VOICES["anna"], wrong]}, STRANGERS, MAKER, 0.05, SOUNDS)
    assert [(doubt.voice, doubt.clip, doubt.nearest) for doubt in found.doubts] == [
        ("anna", "mixed-up.wav", "ben")
    ]
    assert "anna/mixed-up.wav: 0.0" in "\n".join(report.lines(found))


def test_too_few_strangers_are_refused() -> None:
    with pytest.raises(BundleError, match="5 clips of strangers cannot place a threshold: give at least 20"):
        enrol(VOICES, STRANGERS[:5], MAKER, 0.01, SOUNDS)
    with pytest.raises(BundleError, match="one voice alone has no strangers"):
        enrol({"anna": VOICES["anna"]}, [], MAKER, 0.01, SOUNDS)


def test_an_interval_is_over_people_not_clips() -> None:
    passed = np.array([1, 1, 1, 1, 0.0])
    of_two = by_person([["a", "a", "a", "a", "b"]], lambda rows: float(passed[rows].mean()))
    assert (of_two.value, of_two.low, of_two.high) == (0.8, 0.0, 1.0)  # one of two people drawn twice


def test_what_no_clip_showed_has_an_exact_bound_by_people() -> None:
    people = ["a", "a", "b", "c"]
    none, every = share(people, np.zeros(4, bool)), share(people, np.ones(4, bool))
    # none of three people shows it with probability 0.975 or less, up to p = 1 − 0.025^(1/3)
    assert (none.value, none.low, none.high) == (0, 0, pytest.approx(0.7076, abs=1e-4))
    assert (every.value, every.low, every.high) == (1, pytest.approx(0.2924, abs=1e-4), 1)


def test_a_stranger_who_is_nearer_to_a_sound_than_to_a_voice_is_no_false_alarm() -> None:
    between = np.eye(DIM)[0] + 1.1 * np.eye(DIM)[12]  # near anna, nearer to a sound
    humming = [Embedded("h", f"h{index}.wav", 3.0, between / np.linalg.norm(between)) for index in range(8)]
    outside = [*STRANGERS, *humming]
    assert enrol(VOICES, outside, MAKER, 0.05, SOUNDS).false_alarms.value == 0
    assert enrol(VOICES, outside, MAKER, 0.05, SOUNDS[1:]).false_alarms.value > 0


def save(path: Path, seconds: float, level: float = 0.1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    soundfile.write(path, level * rng.standard_normal(int(seconds * RATE)), RATE)


def test_speech_is_what_is_near_the_loudest() -> None:
    loud = np.sin(np.arange(RATE) / 5).astype(np.float32)
    assert speech_seconds(np.concatenate([loud, 0.001 * loud]), RATE) == pytest.approx(1.0)
    assert speech_seconds(np.zeros(RATE, np.float32), RATE) == 0


def test_too_little_speech_is_refused_saying_how_much_is_missing(tmp_path: Path) -> None:
    save(tmp_path / "anna" / "1.wav", 4.0)
    for number in range(3):
        save(tmp_path / "ben" / f"{number}.wav", 4.0)
    with pytest.raises(BundleError) as caught:
        Reader(RATE, print).voices(tmp_path)
    assert str(caught.value) == (
        "too little speech to enrol: anna has 4.0 s of speech in 1 clips and needs 2 more clips and 6.0 s more speech "
        "(at least 10 s in 3)"
    )


def test_speech_that_is_nearly_enough_is_not_said_to_be_enough(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, seconds in enumerate((3.34, 3.32, 3.32)):
        save(tmp_path / "anna" / f"{number}.wav", seconds)
    with pytest.raises(
        BundleError, match=r"anna has 9\.9 s of speech in 3 clips and needs 0\.1 s more speech"
    ):
        Reader(RATE, print).voices(tmp_path)
    assert capsys.readouterr().out == ""  # no progress where there is no terminal


def test_what_is_no_audio_is_left_out_by_name(tmp_path: Path) -> None:
    for number in range(3):
        save(tmp_path / "ben" / f"{number}.wav", 4.0)
    (tmp_path / "ben" / "bad.wav").write_bytes(b"no audio")
    said: list[str] = []
    assert len(Reader(RATE, said.append).voices(tmp_path)["ben"]) == 3
    assert len(said) == 1
    assert "bad.wav" in said[0]


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("nowhere", "is no folder"),
        ("empty", "holds no folders"),
        ("taken", "can be named"),
        ("lines", "cannot be a label"),
    ],
)
def test_folders_that_hold_no_voices_are_refused(tmp_path: Path, folder: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "taken" / "unknown").mkdir(parents=True)
    (tmp_path / "lines" / "two\nlines").mkdir(parents=True)
    with pytest.raises(BundleError, match=message):
        Reader(RATE, print).voices(tmp_path / folder)


def test_too_few_strangers_are_refused_before_anything_is_embedded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Embedder, "__call__", lambda *_: pytest.fail("embedded"))
    for number in range(3):
        save(tmp_path / "voices" / "ben" / f"{number}.wav", 4.0)
        save(tmp_path / "others" / f"{number}.wav", 4.0)
    arguments = ["--model", str(DEMO), "--voices", str(tmp_path / "voices")]
    arguments += ["--checkpoints", str(tmp_path / "checkpoints"), "--out", str(tmp_path)]
    assert command.main(arguments) == 1
    assert "one voice alone has no strangers" in capsys.readouterr().err
    assert command.main([*arguments, "--strangers", str(tmp_path / "others")]) == 1
    assert "3 clips of strangers cannot place a threshold" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["file/gallery", "folder"])
def test_where_a_gallery_cannot_be_written_is_said_in_a_line(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    found = enrol(VOICES, STRANGERS, MAKER, 0.05, SOUNDS)
    with pytest.raises(BundleError, match="cannot be written"):
        options.written(tmp_path / place, found.gallery.write)


def test_the_demo_is_enrolled_from_its_samples(tmp_path: Path) -> None:
    for clip in (DEMO / "samples").glob("*.flac"):
        name = clip.name.partition("-")[0]
        folder = tmp_path / ("voices" if name == "allison_smith" else "strangers") / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / clip.name).symlink_to(clip)
    for number in range(8):
        save(tmp_path / "strangers" / f"{number}.wav", 1.0, level=0.01 * (number + 1))
    arguments = ["--model", str(DEMO), "--voices", str(tmp_path / "voices"), "--out", str(tmp_path)]
    arguments += ["--checkpoints", str(tmp_path / "checkpoints")]
    assert command.main([*arguments, "--strangers", str(tmp_path / "strangers"), "--fpir", "10%"]) == 0
    gallery = Gallery.read(tmp_path / "gallery.safetensors")
    assert gallery.labels == ("allison_smith", "unknown")
    (folder,) = (tmp_path / "checkpoints").glob("demo-*")
    gallery.check(Embedder(folder).maker)
    assert gallery.manifest.fpir == 0.1
    embedder = Embedder(folder)
    for silent in (np.zeros(RATE, np.float32), np.full(3 * RATE, 0.1, np.float32)):
        assert gallery.logits(torch.empty(1, 0), torch.from_numpy(embedder(silent))[None]).argmax() == 1


def test_a_clip_that_is_nearer_to_a_sound_than_to_its_voice_is_not_named() -> None:
    humming = Embedded("ben", "hum.wav", 3.0, np.eye(DIM)[12])
    found = enrol({**VOICES, "ben": [*VOICES["ben"], humming]}, STRANGERS, MAKER, 0.05, SOUNDS)
    assert found.detected.value == pytest.approx(24 / 25)


def test_sounds_without_a_voice_are_of_three_seconds_and_finite() -> None:
    found = list(sounds(8_000))
    assert len(found) > 20
    assert {(each.shape, each.dtype.name) for each in found} == {((24_000,), "float32")}
    assert not found[0].any()
    assert all(0.001 < np.abs(each).max() < 2 for each in found[1:])
    loud, louder = found[-2:]  # one noise at two levels
    assert np.allclose(loud / np.abs(loud).max(), louder / np.abs(louder).max(), atol=1e-5)
