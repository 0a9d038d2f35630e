"""Windows of a recording: what callers may ask for, and where the samples are cut."""

import numpy as np
import pytest
from speaker_id.errors import InvalidParameter

from serving.recordings.windows import Windows, cut, from_header, from_parameter, from_query

RATE = 100  # Hz
LEAST = 10  # samples


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"seconds": 3, "hop": 1.5}, Windows(3, 1.5)),
        ({"seconds": 3}, Windows(3, 3)),
        ({"seconds": 3, "hop": None}, Windows(3, 3)),
        (3, Windows(3, 3)),
        (0.5, Windows(0.5, 0.5)),
    ],
)
def test_a_parameter_is_an_object_or_the_seconds_alone(given: object, expected: Windows) -> None:
    assert from_parameter(given) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("3", Windows(3, 3)), ("3;hop=1.5", Windows(3, 1.5)), (" 2.5 ; hop = 1 ", Windows(2.5, 1))],
)
def test_a_header_is_the_seconds_and_perhaps_the_hop(text: str, expected: Windows) -> None:
    assert from_header(text) == expected


def test_a_query_has_windows_and_perhaps_hop() -> None:
    assert from_query({"windows": "3", "hop": "1.5", "top_k": "1"}) == Windows(3, 1.5)
    assert from_query({"windows": "3"}) == Windows(3, 3)
    assert from_query({"top_k": "1"}) is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"seconds": 0.1}, "windows: seconds must be a number from 0.5 to 60, not 0.1"),
        ({"seconds": 61}, "windows: seconds must be a number from 0.5 to 60, not 61"),
        ({"seconds": True}, "windows: seconds must be a number from 0.5 to 60, not true"),
        ({"seconds": float("nan")}, "windows: seconds must be a number from 0.5 to 60, not nan"),
        ({"seconds": 3, "hop": 3.1}, "windows: hop must be a number from 0.25 to 3, not 3.1"),
        ({"seconds": 3, "hop": 0.2}, "windows: hop must be a number from 0.25 to 3, not 0.2"),
        ({"seconds": 3, "step": 1}, "unknown key of windows 'step'; known: seconds, hop"),
        ({"hop": 3}, 'windows needs its length: {"seconds": 3}'),
        ([3], "windows: seconds must be a number from 0.5 to 60, not a list"),
    ],
)
def test_what_is_not_allowed_is_named(given: object, message: str) -> None:
    with pytest.raises(InvalidParameter, match=r".*") as raised:
        from_parameter(given)
    assert raised.value.message == message


@pytest.mark.parametrize("text", ["", "3;step=1", "3;hop=", "3;hop=1;hop=2", "3,1.5", "three"])
def test_a_header_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter):
        from_header(text)


def test_a_hop_without_windows_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="hop is of windows"):
        from_query({"hop": "1"})


@pytest.mark.parametrize("block", [1, 7, 100, 10_000])
@pytest.mark.parametrize(
    ("seconds", "asked", "expected"),
    [
        (9.0, Windows(3, 3), [(0, 3), (3, 6), (6, 9)]),
        (7.5, Windows(3, 3), [(0, 3), (3, 6), (6, 7.5)]),
        (6.09, Windows(3, 3), [(0, 3), (3, 6)]),
        (6.10, Windows(3, 3), [(0, 3), (3, 6), (6, 6.1)]),
        (6.0, Windows(3, 1.5), [(0, 3), (1.5, 4.5), (3, 6)]),
        (6.5, Windows(3, 1.5), [(0, 3), (1.5, 4.5), (3, 6), (4.5, 6.5)]),
        (2.0, Windows(3, 1.5), [(0, 2)]),
        (0.09, Windows(3, 3), []),
        (2.0, Windows(1, 0.333), [(0, 1), (0.33, 1.33), (0.67, 1.67), (1, 2)]),
    ],
)
def test_windows_begin_at_multiples_of_the_hop_and_the_one_that_reaches_the_end_is_the_last(
    block: int, seconds: float, asked: Windows, expected: list[tuple[float, float]]
) -> None:
    samples = np.arange(round(seconds * RATE), dtype=np.float32)
    blocks = (samples[at : at + block] for at in range(0, len(samples), block))
    windows = list(cut(blocks, asked, RATE, LEAST))
    assert [(each.start, each.end) for each in windows] == expected
    for each in windows:
        at = round(each.start * RATE)
        assert np.array_equal(each.samples, samples[at : round(each.end * RATE)])
    assert len(windows) in (asked.count(seconds), asked.count(seconds) - 1)


def test_windows_are_cut_as_blocks_arrive() -> None:
    drawn = []

    def blocks():
        for number in range(100):
            drawn.append(number)
            yield np.zeros(RATE, np.float32)

    windows = cut(blocks(), Windows(3, 3), RATE, LEAST)
    next(windows)
    assert len(drawn) == 3


def test_a_window_does_not_keep_its_block() -> None:
    block = np.zeros(60 * RATE, np.float32)
    assert all(each.samples.base is None for each in cut([block], Windows(3, 1), RATE, LEAST))


@pytest.mark.parametrize("asked", [Windows(3, 3), Windows(3, 1.5), Windows(2, 0.25)])
def test_what_fits_is_the_longest_recording_of_so_much_to_encode(asked: Windows) -> None:
    for encoded in (10.0, 100.0, 3600.0):
        fits = asked.fitting(encoded)
        assert asked.encoded_seconds(fits) <= encoded < asked.encoded_seconds(fits + asked.hop)
    assert asked.fitting(asked.seconds / 2) == 0
