"""A request of many clips → its answer, from those of its groups."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from speaker_id.errors import RequestTooLarge
from speaker_id.protocol import Request
from speaker_id.protocol.render import Answer
from speaker_id.settings import Settings

from serving.recordings import groups, merging, tensors
from serving.recordings.sending import Group, Sending, Target
from serving.recordings.upstream import SECONDS, Reply


async def answer(
    asked: Request, sending: Sending, target: Target, settings: Settings
) -> tuple[Answer, list[Reply]]:
    """Return the answer in the caller's form, and the replies that it is made of.

    Raises:
        RequestTooLarge: the clips are longer together than those of one request may be.
        Refused, Replaced, DeadlineExceeded: a group has no answer.
    """
    parts, replies, seconds = list[tensors.Part](), list[Reply](), 0.0
    async with aclosing(sending.answers(_groups(asked, settings), target)) as answers:
        async for _, reply in answers:
            replies.append(reply)
            parts.append(tensors.part(reply.body, reply.headers))
            seconds += float(reply.headers.get(SECONDS, 0))
            if seconds > (most := settings.max_request_seconds):
                raise RequestTooLarge(
                    f"the request's clips are longer than {most:g} s together, the most that one request may have"
                )
    return merging.merged(asked, parts), replies


async def _groups(asked: Request, settings: Settings) -> AsyncIterator[Group]:
    for each in groups.cut(asked.clips, settings):
        yield Group(each.start, tensors.body(asked, asked.clips[each.start : each.stop]))
