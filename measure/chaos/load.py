"""Correct clips at open arrivals: when each is sent does not depend on the answers, and each answer is judged."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from measure.chaos.verdict import Scores, Verdict, judge
from measure.http import Reply, Sender

MOST_IN_FLIGHT = 256  # the gateway takes as many
EVERY_LABEL = {"Content-Type": "application/octet-stream", "X-Top-K": "100"}


@dataclass(frozen=True)
class KnownClip:
    """A correct clip, and what the undisturbed server says of it."""

    name: str
    content: bytes
    expected: Scores


class Load:
    """Poisson arrivals of clips at one model, for as long as the block lasts.

    Args:
        sender: to the gateway.
        model: who is asked, unless `ask` says otherwise.
        clips: what is sent, in random order.
        rate: arrivals a second.
        seed: of arrivals and clips.
    """

    def __init__(
        self, sender: Sender, model: str, clips: Sequence[KnownClip], rate: float, seed: int
    ) -> None:
        self.model, self.clips, self.rate = model, clips, rate
        self.down = threading.Event()  # set while the whole server is known to be gone
        self.replies: list[tuple[Reply, Verdict]] = []
        self._sender = sender
        self._random = random.Random(seed)  # noqa: S311  # arrivals, no secret
        self._pool = ThreadPoolExecutor(MOST_IN_FLIGHT, thread_name_prefix="load")
        self._over = threading.Event()
        self._arrivals = threading.Thread(target=self._arrive, daemon=True)

    def __enter__(self) -> Load:
        self._arrivals.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._over.set()
        self._arrivals.join()
        # after Ctrl-C no answer is waited for: the server's end closes the connections
        self._pool.shutdown(wait=kind is None, cancel_futures=kind is not None)

    def ask(self, clip: KnownClip | None = None, **headers: str) -> Future[Reply]:
        """One more request, counted and judged like the others; `x_request_id="chaos.oom.t"` becomes a header."""
        chosen = clip or self._random.choice(self.clips)
        given = EVERY_LABEL | {name.replace("_", "-"): value for name, value in headers.items()}
        return self._pool.submit(self._send, chosen, given)

    def burst(self, count: int) -> float:
        """Send so many requests at once; returns answers a second, from the first request to the last answer."""
        asked = [self.ask() for _ in range(count)]
        replies = [each.result() for each in asked]
        return count / (max(r.finished for r in replies) - min(r.sent for r in replies))

    def count(self, verdict: Verdict) -> int:
        return sum(each is verdict for _, each in list(self.replies))

    def right_since(self, moment: float) -> float | None:
        """When the first right answer to a request sent after that time was received."""
        finished = (
            reply.finished
            for reply, verdict in list(self.replies)
            if verdict is Verdict.RIGHT and reply.sent >= moment
        )
        return min(finished, default=None)

    @contextlib.contextmanager
    def server_down(self) -> Iterator[None]:
        """For the block, and until its requests are answered, a refused connection does not count as lost."""
        self.down.set()
        try:
            yield
        finally:
            self.down.clear()

    def _send(self, clip: KnownClip, headers: Mapping[str, str]) -> Reply:
        down = self.down.is_set()
        reply = self._sender.post(f"/predictions/{self.model}", clip.content, headers)
        down |= self.down.is_set()
        self.replies.append((reply, judge(reply, clip.expected, down)))
        return reply

    def _arrive(self) -> None:
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            self.ask()
            due += self._random.expovariate(self.rate)
