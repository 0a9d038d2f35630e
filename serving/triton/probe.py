"""One small request that a worker must answer: our adapter does within a millisecond."""

from __future__ import annotations

from http import HTTPStatus

from serving.host.ports import LOOPBACK
from serving.model_server import Reply
from serving.readiness.sent import SentProbe
from serving.triton import forms


class Probe(SentProbe):
    """A request in the gateway's form.

    Args:
        port: of Triton's inference API.
        model, version: which.
    """

    def __init__(self, port: int, model: str, version: str) -> None:
        super().__init__(LOOPBACK, port, forms.path(model, version), {forms.LENGTH: "0"})

    def judge(self, status: int, received: bytes, whole: bool) -> Reply | None:  # noqa: ARG002
        """Any other status is Triton's own: its queue is full, the worker has ended, the model is being loaded."""
        return Reply(status, answered=status == HTTPStatus.OK)
