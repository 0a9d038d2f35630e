"""Ask a server for every clip of an archive that has no answer yet."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from queue import Queue
from typing import Any

from clients import identify
from clients.batch.answers import Answers, BatchError, Entry
from clients.batch.pace import Pace
from clients.identify import Answer, Client, ClientError, Refused, TimedOut, Unreachable

NOT_NOW = {429, 503}  # says nothing of the clip: it is asked again
NO_CLIP_PASSES = {401, 403, 404, 405}
PAUSE_SECONDS = 5.0  # between attempts to reach a server that is not there


@dataclass
class Batch:
    """One run.

    Args:
        client: shared by the threads.
        answers: where they go.
        pace: how many are asked at once.
        patience: seconds that the server may be away or refuse for lack of room.
        options: of `Client.identify`.
    """

    client: Client
    answers: Answers
    pace: Pace
    patience: float = 600.0
    options: dict[str, Any] = field(default_factory=dict)

    def run(self, wanted: list[Entry]) -> Iterator[Entry]:
        """Ask what is not answered yet, and yield each clip once its line is written.

        Raises:
            BatchError: no clip would pass, or the server stays away.
        """
        remaining = iter([entry for entry in wanted if entry.name not in self.answers.done])
        turn, ended = threading.Lock(), threading.Event()
        done: Queue[Entry | BaseException | None] = Queue()

        def following() -> Entry | None:
            with turn:
                return None if ended.is_set() else next(remaining, None)

        def work() -> None:
            try:
                while entry := following():
                    self.answers.add(entry, self.ask(entry, ended))
                    done.put(entry)
                done.put(None)
            except BaseException as exc:
                done.put(exc)

        threads = [threading.Thread(target=work, daemon=True) for _ in range(self.pace.most)]
        for thread in threads:
            thread.start()
        try:
            for _ in threads:
                while (found := done.get()) is not None:
                    if isinstance(found, BaseException):
                        raise found
                    yield found
        finally:
            ended.set()  # what is in flight is not waited for: a later run asks again

    def ask(self, entry: Entry, ended: threading.Event) -> dict[str, Any]:
        """The record of one clip, however long the server keeps it waiting within the patience."""
        until = time.monotonic() + self.patience
        while True:
            try:
                with self.pace.turn() as watch:
                    answer = watch(self.client.identify(entry.path, **self.options))
                return _record(answer)
            except OSError as exc:
                return {"error": f"cannot be read: {exc.strerror or exc}", "code": "unreadable_file"}
            except TimedOut as exc:
                return {"error": str(exc), "code": exc.code}
            except (Unreachable, Refused) as exc:
                status = exc.status if isinstance(exc, Refused) else 0
                if status in NO_CLIP_PASSES:
                    raise BatchError(str(exc)) from exc
                if status and status not in NOT_NOW:
                    return {"error": str(exc), "code": exc.code, "status": status}
                if time.monotonic() > until:
                    raise BatchError(f"{exc}, for {self.patience:g} s", 3) from exc
            except ClientError as exc:
                return {"error": str(exc), "code": exc.code}
            if ended.wait(PAUSE_SECONDS):
                raise BatchError("ended", 3)


def _record(answer: Answer) -> dict[str, Any]:
    found = {
        "labels": [identify.record(label) for label in answer.labels],
        "audio_seconds": answer.audio_seconds,
        "model_version": answer.model_version,
        "request_id": answer.request_id,
    }
    return {name: value for name, value in found.items() if value is not None}
