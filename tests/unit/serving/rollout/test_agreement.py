"""What a new version must answer before it gets callers."""

from __future__ import annotations

from pathlib import Path

import pytest

from bundle import BundleError
from serving.rollout import agreement
from serving.rollout.agreement import Answers, Clip

UNKNOWN = [Clip(Path(f"{name}.wav")) for name in "abcd"]
KNOWN = [Clip(Path(f"{name}.wav"), speaker) for name, speaker in zip("abcd", "xxyy", strict=True)]


def answers(text: str, known: str = "") -> Answers:
    """One label a clip, of one head, whose labels are known or not."""
    return Answers([{"": label} for label in text], {"": tuple(known)} if known else {})


def test_versions_that_agree_often_enough_pass() -> None:
    assert (
        agreement.judge(UNKNOWN, answers("xxyy"), answers("xxyx"), 0.75)
        == "old and new version agree on 3 of 4 clips"
    )


def test_versions_that_agree_too_rarely_do_not_and_the_changed_clips_are_named() -> None:
    with pytest.raises(
        BundleError, match=r"agree on 3 of 4 clips, fewer than the required 80\.0%: d\.wav y → x"
    ):
        agreement.judge(UNKNOWN, answers("xxyy"), answers("xxyx"), 0.8)


def test_where_the_speakers_are_known_being_right_as_often_is_enough_whatever_the_answers() -> None:
    verdict = agreement.judge(KNOWN, answers("xxzz"), answers("zzyy"), 1.0)
    assert verdict == "the new version is right on 2 of 4 clips, the old version on 2"


def test_where_the_speakers_are_known_being_right_less_often_is_refused() -> None:
    with pytest.raises(BundleError, match="right on 1 of 4 clips, the old version on 2"):
        agreement.judge(KNOWN, answers("xxzz"), answers("zzyz"), 0.0)


def test_of_several_heads_every_best_label_counts() -> None:
    ranking = [{"label": "a", "score": 0.9}, {"label": "b", "score": 0.1}]
    assert agreement.best(ranking) == {"": "a"}
    assert agreement.best({"action": ranking, "object": ranking[::-1]}) == {"action": "a", "object": "b"}


def test_a_voice_that_went_or_came_is_not_compared() -> None:
    """a and b know x, y and unknown (u); z came, w went."""
    before, after = answers("xwyu", "xyuw"), answers("xuyz", "xyuz")
    assert agreement.judge(UNKNOWN, before, after, 1.0) == (
        "old and new version agree on 2 of 2 clips, labels of voices that came or went left out: 2"
    )
    with pytest.raises(
        BundleError,
        match=r"agree on 1 of 2 clips, labels of voices .*: 2, fewer .* required 100\.0%: c\.wav y → u",
    ):
        agreement.judge(UNKNOWN, before, answers("xuuz", "xyuz"), 1.0)


def test_unknown_is_no_voice_that_came_or_went() -> None:
    """A guard joins or leaves a classifier: what it makes unknown, or no more, is a change."""
    closed, strict = [
        Answers([{"speaker": label} for label in labels], {"speaker": known})
        for labels, known in (
            (tuple("xxyy"), tuple("xy")),
            (("x", "x", "y", "unknown"), ("x", "y", "unknown")),
        )
    ]
    for before, after, change in ((closed, strict, "y → unknown"), (strict, closed, "unknown → y")):
        with pytest.raises(
            BundleError, match=rf"agree on 3 of 4 clips, fewer .* required 80\.0%: d\.wav {change}"
        ):
            agreement.judge(UNKNOWN, before, after, 0.8)
        assert agreement.judge(UNKNOWN, before, after, 0.75) == "old and new version agree on 3 of 4 clips"


def test_a_check_that_compares_no_clip_is_refused() -> None:
    with pytest.raises(BundleError, match=r"cannot be compared on any clip, labels .* left out: 4: .* DATA="):
        agreement.judge(UNKNOWN, answers("xxxx", "xu"), answers("uuuu", "u"), 0.5)


def test_a_head_that_came_is_not_compared_and_the_others_are() -> None:
    old = Answers([{"speaker": label} for label in "xxyy"])
    new = Answers([{"speaker": label, "enrolled": "u"} for label in "xxyy"])
    assert agreement.judge(UNKNOWN, old, new, 1.0) == "old and new version agree on 4 of 4 clips"
    assert agreement.judge(UNKNOWN, new, old, 1.0) == "old and new version agree on 4 of 4 clips"
    named = Answers([{"classifier": label, "enrolled": "u"} for label in "xxyx"])
    with pytest.raises(BundleError, match=r"agree on 3 of 4 clips"):
        agreement.judge(UNKNOWN, answers("xxyy"), named, 1.0)


def test_a_voice_that_went_leaves_the_clips_other_heads_to_compare() -> None:
    old = Answers([{"language": "en", "enrolled": label} for label in "xxyy"], {"enrolled": tuple("xyu")})
    new = Answers([{"language": "en", "enrolled": label} for label in "uuyy"], {"enrolled": tuple("yu")})
    assert agreement.judge(UNKNOWN, old, new, 1.0) == (
        "old and new version agree on 4 of 4 clips, labels of voices that came or went left out: 2"
    )
    foreign = Answers([{"language": "de", "enrolled": label} for label in "uuyy"], {"enrolled": tuple("yu")})
    with pytest.raises(BundleError, match="agree on 0 of 4 clips, labels"):
        agreement.judge(UNKNOWN, old, foreign, 1.0)


def test_versions_without_a_head_in_common_are_refused() -> None:
    new = Answers([{"enrolled": "u"}] * 4)
    with pytest.raises(BundleError, match="the old version's heads are one without a name, now enrolled"):
        agreement.judge(UNKNOWN, answers("xxyy"), new, 0.0)


def test_a_speaker_that_went_is_no_fault_of_the_new_version() -> None:
    assert agreement.judge(KNOWN, answers("xxyy", "xyu"), answers("uuyy", "yu"), 1.0) == (
        "the new version is right on 2 of 2 clips, the old version on 2, clips of voices that came or went left out: 2"
    )
    with pytest.raises(BundleError, match="right on 1 of 2 clips, the old version on 2"):
        agreement.judge(KNOWN, answers("xxyy", "xyu"), answers("uuyu", "yu"), 1.0)
    with pytest.raises(BundleError, match="right on 0 of 0 clips"):
        agreement.judge(KNOWN, answers("xxyy", "xyu"), answers("uuuu", "u"), 1.0)


def test_a_folder_of_speakers_says_who_speaks(tmp_path: Path) -> None:
    for name in ("anna/1.wav", "bert/deep/2.wav"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    assert [(clip.path.name, clip.speaker) for clip in agreement.clips(tmp_path)] == [
        ("1.wav", "anna"),
        ("2.wav", "bert"),
    ]


def test_without_a_folder_the_demos_clips_are_asked_unlabelled() -> None:
    found = agreement.clips(None)
    assert (len(found), {clip.speaker for clip in found}) == (16, {None})


def test_a_clip_outside_a_speakers_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "1.wav").touch()
    with pytest.raises(BundleError, match=r"SPEAKER/clip\.wav"):
        agreement.clips(tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"DATA=.*gone is not a folder"):
        agreement.clips(tmp_path / "gone")
    with pytest.raises(BundleError, match=r"DATA=.* holds no audio files"):
        agreement.clips(tmp_path)
