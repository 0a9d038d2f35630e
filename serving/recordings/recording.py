"""A recording → the answer about its windows, in constant memory: decoded, cut and sent as it is read from the disk."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from itertools import islice

from speaker_id.clip import SAMPLING_RATE, RawAudio  # a model's workers resample where its rate is another
from speaker_id.decoders.recording import Recordings
from speaker_id.errors import AudioTooShort, RecordingTooLong
from speaker_id.protocol import check_size

from serving.recordings import merging, tensors
from serving.recordings.asked import Recording
from serving.recordings.configuration import Served
from serving.recordings.counts import Counts
from serving.recordings.groups import group_seconds
from serving.recordings.sending import Group, Refused, Sending, Target
from serving.recordings.spool import Spooled
from serving.recordings.turns import Answered
from serving.recordings.upstream import SECONDS, Reply
from serving.recordings.windows import Window, Windows, cut

MIN_SAMPLES = 400  # of the last window: a frame of these models
# the same where enrolled voices may be asked for: the frames that an x-vector looks at
MIN_EMBEDDING_SAMPLES = 5_000
BLOCK_SECONDS = 10.0  # of decoded audio that is read at once
# Part of the time that there is for an answer, after which none is begun that does not fit. Too high: recordings that
# do not fit get 504 at its end. Too low: recordings that would fit are refused.
USABLE = 0.9


class Progress:
    """How fast a recording is being worked on.

    Args:
        asked: the windows.
        seconds: that there are for the answer.
        length: of the recording, in seconds; None where that is not known before it is decoded.
    """

    def __init__(self, asked: Windows, seconds: float, length: float | None = None) -> None:
        self.asked, self.usable, self.length = asked, USABLE * seconds, length
        self.began, self.encoded, self.groups = time.monotonic(), 0.0, 0

    def add(self, encoded: float, depth: int) -> None:
        """Note a group that has been answered.

        Args:
            encoded: seconds of its windows together.
            depth: groups that are in flight together: the rate is known once so many have been answered.

        Raises:
            RecordingTooLong: the rest does not fit.
        """
        self.encoded, self.groups = self.encoded + encoded, self.groups + 1
        passed = time.monotonic() - self.began
        rate = self.encoded / max(passed, 1e-3)
        needed = max(passed, self.asked.encoded_seconds(self.length or 0.0) / rate)
        if self.groups >= depth and needed > self.usable:
            fits = self.asked.fitting(rate * self.usable)
            raise RecordingTooLong(
                f"the windows of this recording take more than {self.usable:.0f} s at the rate that the server gives "
                f"now, {rate:.1f} s of audio a second: send at most {fits:.0f} s at a time, or a larger hop",
                seconds=round(fits, 3),
            )


class Reading:
    """The windows of a spooled recording, each group in a thread's turn.

    Args:
        recordings: decoder processes.
        spooled: the upload.
        asked: the windows.
        least: samples of the last one.
    """

    def __init__(self, recordings: Recordings, spooled: Spooled, asked: Windows, least: int) -> None:
        self.opened = recordings.open(spooled.file.fileno(), block_seconds=BLOCK_SECONDS)
        self.windows: Iterator[Window] = cut(self.opened, asked, SAMPLING_RATE, least)

    async def take(self, count: int) -> list[Window]:
        """Return the next windows; fewer at the recording's end."""
        return await asyncio.to_thread(lambda: list(islice(self.windows, count)))


async def answer(
    asked: Recording,
    spooled: Spooled,
    recordings: Recordings,
    sending: Sending,
    target: Target,
    served: Served,
) -> tuple[list[Answered], list[Reply]]:
    """Return a recording's windows with their rankings, and the replies that they are from, without bodies.

    Raises:
        RequestError: what is wrong with the recording, or that it is too long.
        Refused, Replaced: a group has no answer.
    """
    settings, wanted = served.settings, asked.windows
    progress = Progress(wanted, target.left or math.inf)
    least = MIN_EMBEDDING_SAMPLES if settings.open_sets else MIN_SAMPLES
    count = max(1, min(int(group_seconds(settings) / wanted.seconds), settings.max_request_clips))
    opening = asyncio.ensure_future(asyncio.to_thread(Reading, recordings, spooled, wanted, least))
    try:
        reading = await asyncio.shield(opening)
    except asyncio.CancelledError:
        await asyncio.wait([opening])  # the thread goes on, with the file, and starts a process
        if opening.exception() is None:
            opening.result().opened.close()
        raise
    taken: dict[int, list[Window]] = {}
    found, replies, size = list[Answered](), list[Reply](), 0
    try:
        whole = sending.answers(_groups(reading, count, asked, taken, sending.counts), target)
        async with aclosing(whole) as answers:
            async for group, reply in answers:
                part = tensors.part(reply.body, reply.headers)
                pairs = zip(taken.pop(group.first), merging.predictions(asked.request, part), strict=True)
                found += [Answered(window.start, window.end, rankings) for window, rankings in pairs]
                size += len(reply.body)  # the answer is larger still
                check_size(size, settings.max_response_bytes)
                replies.append(Reply(reply.status, reply.headers, b""))
                progress.length = reading.opened.seconds
                progress.add(float(reply.headers.get(SECONDS, 0)), sending.depth)
    except Refused as refused:
        raise Refused(refused.reply, None) from None  # a window is no instance of the request
    finally:
        reading.opened.close()
    if not found:
        raise AudioTooShort(
            f"the recording has less than {1e3 * least / SAMPLING_RATE:g} ms of audio, the least that is answered"
        )
    return found, replies


async def _groups(
    reading: Reading, count: int, asked: Recording, taken: dict[int, list[Window]], counts: Counts
) -> AsyncGenerator[Group, None]:
    first = 0
    while windows := await reading.take(count):
        clips = [RawAudio(window.samples, SAMPLING_RATE) for window in windows]
        # without their samples, which are sent
        taken[first] = [window._replace(samples=window.samples[:0]) for window in windows]
        counts.windows += len(windows)
        yield Group(first, tensors.body(asked.request, clips))
        first += len(windows)
