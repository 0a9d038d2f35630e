"""One small request that a worker must answer: our handler does within a millisecond, another handler as it does."""

from __future__ import annotations

from http import HTTPStatus

from serving.model_server import Reply
from serving.readiness.sent import SentProbe

UNANSWERED = (b"ServiceUnavailableException", b"Worker died.")


class Probe(SentProbe):
    """A request to one version.

    Args:
        host, port: of TorchServe's inference API.
        path: of the version.
    """

    def __init__(self, host: str, port: int, path: str) -> None:
        super().__init__(host, port, path, {})

    def judge(self, status: int, received: bytes, whole: bool) -> Reply | None:
        if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return Reply(status, answered=True)
        if not whole:
            return None
        return Reply(status, answered=not any(words in received for words in UNANSWERED))
