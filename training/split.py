"""Which prompts are for training and which are held out, so that no sentence is on both sides.

Everybody reads the same script: ``vm-goodbye`` is the same sentence from each voice, in her or his language.
So the split goes by the prompt's *name*, over all voices at once, and names that share a recording, bit for bit
or by ``ONE_TAKE``, go together.
"""

import hashlib
from collections.abc import Iterable

SPLITS = ("train", "validation", "test")
TEST_SHARE = 0.18
VALIDATION_SHARE = 0.08

# Names that share a take of the same words in at least one of the pinned packages, though not bit for bit: found
# and checked with ``python -m training.recordings``.
ONE_TAKE = (
    ("conf-adminmenu", "conf-usermenu"),
    ("conf-locked", "conf-lockednow"),
    ("confbridge-binaural-off", "confbridge-binaural-on"),
    ("confbridge-mute-extended", "confbridge-mute-out"),
    ("confbridge-rest-list-vol-in", "confbridge-rest-list-vol-out"),
    ("demo-instruct", "demo-thanks"),
    ("dictate/play_help", "dictate/playback_mode", "dictate/record_help"),
    ("dir-intro", "dir-intro-fn", "dir-welcome"),
    ("invalid", "pbx-invalid"),
    ("letters/ascii123", "letters/ascii125"),
    ("minutes", "queue-minutes", "vm-minutes"),
    ("please-try-again", "vm-pls-try-again"),
    ("queue-seconds", "seconds"),
    ("vm-incorrect", "vm-incorrect-mailbox"),
    ("vm-review", "vm-torerecord"),
    ("vm-tempgreeting", "vm-tempgreeting2"),
)


def split_prompts(recordings: Iterable[tuple[str, str]]) -> dict[str, str]:
    """(prompt name, digest of its recording) pairs → the split of every name.

    Names that share a recording or a group of ``ONE_TAKE``, directly or through others, are one group; its split
    is drawn from the sha256 of its first name in sorted order. So it depends neither on the order of the pairs
    nor on a seed.
    """
    group_of: dict[str, str] = {}

    def root(name: str) -> str:
        while group_of.setdefault(name, name) != name:
            name = group_of[name]
        return name

    name_of_recording: dict[str, str] = {}
    one_take = [(name, names[0]) for names in ONE_TAKE for name in names]
    for name, digest in [*one_take, *recordings]:
        ends = root(name), root(name_of_recording.setdefault(digest, name))
        group_of[max(ends)] = min(ends)
    return {name: _draw_split(root(name)) for name in group_of}


def _draw_split(name: str) -> str:
    draw = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 2**32
    return "test" if draw < TEST_SHARE else "validation" if draw < TEST_SHARE + VALIDATION_SHARE else "train"
