"""DATA= → clips and their true speakers."""

from __future__ import annotations

from pathlib import Path

import pytest

from measure.evaluation import EvaluationError
from measure.evaluation.corpus import load

LINES = """\
1 id10001/aaa/00001.wav
2 id10001/aaa/00002.wav
3 id10001/bbb/00001.wav
3 id10270/ccc/00001.wav

3 id10270/ccc/00002.wav
"""


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


@pytest.fixture(params=["dev/wav", "wav", "vox1_dev_wav/wav", "."])
def voxceleb(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Speaker id10001 where the dev download may unpack to, id10270 where the test download does."""
    dev = tmp_path / request.param
    test = tmp_path / ("vox1_test_wav/wav" if request.param != "." else ".")
    touch(*(dev / "id10001" / name for name in ("aaa/00001.wav", "aaa/00002.wav", "bbb/00001.wav")))
    touch(*(test / "id10270" / "ccc" / name for name in ("00001.wav", "00002.wav")))
    return tmp_path


@pytest.mark.parametrize("name", ["veri_test_class.txt", "iden_split.txt"])
def test_the_test_split_of_voxceleb_is_what_the_split_file_says(voxceleb: Path, name: str) -> None:
    (voxceleb / name).write_text(LINES)
    found = load(voxceleb)
    assert found.name == "VoxCeleb1 test"
    assert [(clip.name, clip.speaker) for clip in found.clips] == [
        ("id10001/bbb/00001.wav", "id10001"),
        ("id10270/ccc/00001.wav", "id10270"),
        ("id10270/ccc/00002.wav", "id10270"),
    ]
    assert all(clip.path.is_file() for clip in found.clips)


@pytest.mark.parametrize(("split", "name", "count"), [(1, "VoxCeleb1 train", 1), (2, "VoxCeleb1 dev", 1)])
def test_other_splits_by_their_number(voxceleb: Path, split: int, name: str, count: int) -> None:
    (voxceleb / "iden_split.txt").write_text(LINES)
    found = load(voxceleb, split=split)
    assert (found.name, len(found.clips)) == (name, count)


def test_a_split_file_elsewhere_is_taken_by_name(
    voxceleb: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("lists") / "mine.txt"
    elsewhere.write_text(LINES)
    assert len(load(voxceleb, elsewhere).clips) == 3


def test_a_clip_whose_file_is_missing_stays_in_the_count(voxceleb: Path) -> None:
    (voxceleb / "iden_split.txt").write_text(LINES + "3 id10270/ccc/99999.wav\n")
    missing = load(voxceleb).clips[-1]
    assert (missing.name, missing.size()) == ("id10270/ccc/99999.wav", 0)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("4 id10001/aaa/00001.wav", "line 6: '4 id10001/aaa/00001.wav' is not"),
        ("id10001/aaa/00001.wav", "line 6"),
        ("3 id10001/bbb/00001.wav", "names id10001/bbb/00001.wav twice"),
    ],
)
def test_a_split_file_that_cannot_be_right_is_refused(tmp_path: Path, line: str, said: str) -> None:
    touch(tmp_path / "wav/id10001/bbb/00001.wav")
    (tmp_path / "iden_split.txt").write_text(LINES.replace("\n\n", "\n") + line + "\n")
    with pytest.raises(EvaluationError, match=said):
        load(tmp_path)


def test_voxceleb_without_its_split_file_says_where_to_get_it(tmp_path: Path) -> None:
    touch(tmp_path / "wav/id10001/bbb/00001.wav")
    with pytest.raises(
        EvaluationError, match=r"no veri_test_class.txt or iden_split.txt.*SPLIT_FILE=.*https://"
    ):
        load(tmp_path)


def test_a_split_file_beside_no_clip_at_all_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "iden_split.txt").write_text(LINES)
    with pytest.raises(EvaluationError, match="no folders wav/id10001"):
        load(tmp_path)
    touch(tmp_path / "wav/id19999/bbb/00001.wav")
    with pytest.raises(EvaluationError, match="none of the 3 clips of split 3"):
        load(tmp_path)


def test_a_split_that_there_is_not_is_refused(voxceleb: Path) -> None:
    (voxceleb / "iden_split.txt").write_text(LINES)
    with pytest.raises(EvaluationError, match="SPLIT=4"):
        load(voxceleb, split=4)


def test_any_folder_of_speakers(tmp_path: Path) -> None:
    touch(tmp_path / "bob/2.mp3", tmp_path / "ann/deep/1.WAV", tmp_path / "ann/notes.txt", tmp_path / "x.wav")
    found = load(tmp_path)
    assert [(clip.name, clip.speaker) for clip in found.clips] == [
        ("ann/deep/1.WAV", "ann"),
        ("bob/2.mp3", "bob"),
    ]


@pytest.mark.parametrize("column", ["label", "speaker"])
def test_a_table_of_clips_and_labels(tmp_path: Path, column: str) -> None:
    (tmp_path / "mine.csv").write_text(f"clip,{column}\na/1.wav,ann\nb.wav,bob\n")
    found = load(tmp_path / "mine.csv")
    assert [(clip.path, clip.speaker) for clip in found.clips] == [
        (tmp_path / "a/1.wav", "ann"),
        (tmp_path / "b.wav", "bob"),
    ]
    assert found.name == "mine"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("file,label\na.wav,ann\n", "must have the columns clip and label; it has file, label"),
        ("clip,label\na.wav,\n", "line 2: clip or label is empty"),
        ("clip,label\n", "no clips"),
        ("clip,label\na.wav,ann\na.wav,bob\n", "names a.wav twice"),
    ],
)
def test_a_table_that_cannot_be_right_is_refused(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "mine.csv").write_text(content)
    with pytest.raises(EvaluationError, match=said):
        load(tmp_path / "mine.csv")


def test_nothing_at_the_place_and_nothing_in_the_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="neither a folder nor a CSV"):
        load(tmp_path / "nowhere")
    with pytest.raises(EvaluationError, match=r"no speaker/clip\.wav below it"):
        load(tmp_path)


def test_a_sample_is_always_the_same_and_part_of_a_larger_one(tmp_path: Path) -> None:
    names = "".join(f"{number}.wav,ann\n" for number in range(200))
    (tmp_path / "mine.csv").write_text("clip,label\n" + names)
    found = load(tmp_path / "mine.csv")
    small, large = found.sample(20), found.sample(50)
    assert set(small.clips) < set(large.clips)
    assert (len(small.clips), small.total, found.sample(20)) == (20, 200, small)
    assert [clip.name for clip in small.clips] != [f"{number}.wav" for number in range(20)]
    assert found.sample(1000) == found
