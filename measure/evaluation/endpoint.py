"""Clips → rankings, over HTTP: the client that consumers copy, several clips at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from clients.identify import Client, ClientError, TimedOut, Unreachable
from measure.evaluation import TOP
from measure.evaluation.journal import Entry, Identity
from measure.evaluation.question import Question, probe

RETRIES = 8  # with back-off: they wait for a server that is overloaded for a minute
CONNECT_SECONDS = 5.0
AHEAD = 2  # clips handed to the threads, a thread: one in flight, one about to be


class Endpoint:
    """A server's model.

    Args:
        url: base address of the server.
        model: the name it is served under.
        concurrency: clips in flight at once.
        token: sent as a bearer token.
        timeout: seconds to wait for an answer. Too low: long clips fail on a slow server. Too high: a hung server is
            noticed late.
    """

    def __init__(
        self, url: str, model: str, concurrency: int, token: str | None = None, timeout: float = 300.0
    ) -> None:
        self.url, self.model = url, model
        self._concurrency = concurrency
        self._client = Client(url, model, token=token, timeout=(CONNECT_SECONDS, timeout), retries=RETRIES)

    def identity(self) -> Identity:
        """Raises ClientError when the server does not answer the probe."""
        answer = self._client.identify(probe(), top_k=TOP, function_to_apply="none")
        logits = [(each.label, each.score) for each in answer.labels]
        return Identity(self.model, answer.model_version or "unknown", "endpoint", logits)

    def answers(self, questions: Iterable[Question]) -> Iterator[Entry]:
        """An entry a question, in the order in which they are answered.

        Raises:
            Unreachable: the server is gone. Its answers have been yielded, those to clips in flight too.
        """
        pool = ThreadPoolExecutor(self._concurrency)
        pending: set[Future[Entry]] = set()
        try:
            for question in questions:
                pending.add(pool.submit(self._ask, question))
                if len(pending) >= AHEAD * self._concurrency:
                    done, pending = wait(pending, return_when=FIRST_COMPLETED)
                    yield from results(done)
            while pending:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                yield from results(done)
        except Unreachable:
            pool.shutdown(cancel_futures=True)  # waits for the clips in flight
            started = [future for future in pending if not future.cancelled()]
            yield from results(future for future in started if future.exception() is None)
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    def _ask(self, question: Question) -> Entry:
        content = question.content()
        if isinstance(content, Entry):
            return content
        try:
            answer = self._client.identify(content, top_k=TOP)
        except ClientError as exc:
            if isinstance(exc, Unreachable) and not isinstance(exc, TimedOut):
                raise
            return question.entry([], (exc.code, str(exc)))
        return question.entry([(each.label, each.score) for each in answer.labels], None, answer.seconds)


def results(done: Iterable[Future[Entry]]) -> Iterator[Entry]:
    """Answers before any exception, so that none is lost."""
    for future in sorted(done, key=lambda future: future.exception() is not None):
        yield future.result()
