"""Windows' answers → turns, JSON and RTTM: values computed by hand."""

from itertools import pairwise
from typing import Any

import pytest
from speaker_id.errors import InvalidParameter

from serving.recordings.turns import Answered, Turn, answer, rttm, turns


def ranked(label: str, score: float) -> list[dict[str, Any]]:
    return [{"label": label, "score": score}, {"label": "other", "score": 1 - score}]


def windows(*labels: str, seconds: float = 3.0, hop: float = 3.0, score: float = 0.5) -> list[Answered]:
    return [
        Answered(number * hop, number * hop + seconds, ranked(label, score))
        for number, label in enumerate(labels)
    ]


def test_adjacent_windows_of_one_label_are_a_turn_whose_score_is_their_mean() -> None:
    found = [
        Answered(0.0, 3.0, ranked("anna", 0.5)),
        Answered(3.0, 6.0, ranked("anna", 1.0)),
        Answered(6.0, 9.0, ranked("ben", 0.75)),
        Answered(9.0, 10.5, ranked("anna", 0.25)),
    ]
    assert turns(found) == [
        Turn(0.0, 6.0, "anna", 0.75),
        Turn(6.0, 9.0, "ben", 0.75),
        Turn(9.0, 10.5, "anna", 0.25),
    ]


def test_unknown_is_a_label_too() -> None:
    assert turns(windows("anna", "unknown", "unknown")) == [
        Turn(0.0, 3.0, "anna", 0.5),
        Turn(3.0, 9.0, "unknown", 0.5),
    ]


def test_overlapping_windows_meet_in_the_middle_of_what_they_share() -> None:
    # 0–3, 1.5–4.5, 3–6: the second speaks for 2.25 to 3.75
    assert turns(windows("anna", "ben", "anna", hop=1.5)) == [
        Turn(0.0, 2.25, "anna", 0.5),
        Turn(2.25, 3.75, "ben", 0.5),
        Turn(3.75, 6.0, "anna", 0.5),
    ]


def test_windows_that_overlap_more_than_twice_speak_for_one_hop_around_their_middle() -> None:
    # 0–3, 1–4, 2–5, 3–6: the second speaks for 2 to 3, the third for 3 to 4
    assert turns(windows("anna", "ben", "anna", "anna", hop=1.0)) == [
        Turn(0.0, 2.0, "anna", 0.5),
        Turn(2.0, 3.0, "ben", 0.5),
        Turn(3.0, 6.0, "anna", 0.5),
    ]


def test_turns_cover_the_recording_without_gap_or_overlap() -> None:
    found = windows(*"abbacaab", seconds=2.0, hop=0.75)
    found.append(Answered(6.0, 7.4, ranked("c", 0.5)))
    merged = turns(found)
    assert isinstance(merged, list)
    assert merged[0].start == 0
    assert merged[-1].end == 7.4
    assert all(before.end == after.start for before, after in pairwise(merged))
    assert all(turn.start < turn.end for turn in merged)


def test_the_answer_has_windows_and_turns() -> None:
    assert answer([Answered(0.0, 3.0000000001, ranked("anna", 0.5))]) == {
        "windows": [{"start": 0.0, "end": 3.0, "ranking": ranked("anna", 0.5)}],
        "turns": [{"start": 0.0, "end": 3.0, "label": "anna", "score": 0.5}],
    }


def test_of_several_heads_rankings_and_turns_are_by_their_names() -> None:
    both = [
        Answered(0.0, 3.0, {"speaker": ranked("anna", 0.5), "language": ranked("de", 1.0)}),
        Answered(3.0, 6.0, {"speaker": ranked("ben", 0.5), "language": ranked("de", 0.5)}),
    ]
    found = answer(both)
    assert found["windows"][0]["ranking"] == both[0].rankings
    assert found["turns"] == {
        "speaker": [
            {"start": 0.0, "end": 3.0, "label": "anna", "score": 0.5},
            {"start": 3.0, "end": 6.0, "label": "ben", "score": 0.5},
        ],
        "language": [{"start": 0.0, "end": 6.0, "label": "de", "score": 0.75}],
    }


def test_no_windows_are_no_turns() -> None:
    assert answer([]) == {"windows": [], "turns": []}


def test_rttm_has_a_line_a_turn_and_none_of_unknown() -> None:
    found = turns(windows("anna lee", "unknown", "ben"))
    assert rttm("call 7", found) == (
        "SPEAKER call_7 1 0.000 3.000 <NA> <NA> anna_lee 0.5000 <NA>\n"
        "SPEAKER call_7 1 6.000 3.000 <NA> <NA> ben 0.5000 <NA>\n"
    )


def test_rttm_is_of_one_head() -> None:
    two = {"speaker": turns(windows("anna")), "language": turns(windows("de"))}
    with pytest.raises(InvalidParameter, match="of one head: choose one with heads=, of speaker, language"):
        rttm("x", two)  # type: ignore[arg-type]
