"""The split keeps every sentence on one side, and is the same tomorrow."""

import itertools

import pytest

from training.split import ONE_TAKE, SPLITS, split_prompts

NAMES = [f"prompt-{index}" for index in range(2000)]


def recordings(names: list[str]) -> list[tuple[str, str]]:
    return [(name, f"digest of {name}") for name in names]


def test_the_same_prompt_is_on_one_side_whoever_reads_it() -> None:
    """Six voices, six recordings, one name: a name has one split, and it is the one it has alone."""
    six = [(name, f"{name} by {voice}") for voice in range(6) for name in NAMES]
    assert split_prompts(six) == split_prompts(recordings(NAMES))


def test_names_of_one_recording_are_on_one_side_even_through_others() -> None:
    pairs = recordings(NAMES)
    chains = [NAMES[start : start + 4] for start in range(0, len(NAMES), 4)]
    for chain in chains:  # a–b, b–c, c–d share a recording in one voice or another
        pairs += [
            (name, f"{one} = {other}") for one, other in itertools.pairwise(chain) for name in (one, other)
        ]
    split = split_prompts(pairs)
    assert all(len({split[name] for name in chain}) == 1 for chain in chains)
    assert len({split[chain[0]] for chain in chains}) == len(SPLITS)


@pytest.mark.parametrize("names", ONE_TAKE, ids="+".join)
def test_names_known_to_share_a_take_are_on_one_side(names: tuple[str, ...]) -> None:
    split = split_prompts(recordings(list(names)))
    assert len({split[name] for name in names}) == 1


def test_the_order_of_the_recordings_does_not_matter() -> None:
    pairs = recordings(NAMES) + [(name, f"shared {index // 3}") for index, name in enumerate(NAMES)]
    assert split_prompts(pairs) == split_prompts(reversed(pairs))


def test_the_split_is_pinned() -> None:
    """A changed draw would train the next model on what this one's card calls held out."""
    names = ["vm-goodbye", "vm-marked-urgent", "unidentified-no-callback", "agent-newlocation", "dir-welcome"]
    split = split_prompts(recordings(names))
    assert [split[name] for name in names] == PINNED


PINNED = ["train", "test", "test", "train", "train"]


def test_the_shares_are_as_stated() -> None:
    split = split_prompts(recordings(NAMES))
    share = {side: sum(split[name] == side for name in NAMES) / len(NAMES) for side in SPLITS}
    assert share == pytest.approx({"train": 0.74, "validation": 0.08, "test": 0.18}, abs=0.03)
