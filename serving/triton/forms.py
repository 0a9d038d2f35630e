"""The gateway's form of a request, as handler/triton_model.py has it: for probes and roll-outs, which ask Triton."""

from __future__ import annotations

from bundle.repository import HTTP
from serving.host.local_http import Answer

LENGTH = "inference-header-content-length"
RAW = {LENGTH: "0", "content-type": "application/octet-stream"}
PREFIX = 4  # bytes of an element's length


def path(model: str, version: str | None) -> str:
    """Where a body is sent: to a version, or to the default."""
    return f"/v2/models/{model}{HTTP}{f'.{version}' if version else ''}/infer"


def restored(answer: Answer) -> Answer:
    """The answer of our handler inside Triton's; one that Triton gives itself is returned as it is."""
    length = answer.headers.get(LENGTH)
    if answer.status != 200 or length is None:
        return answer
    element = answer.body[int(length) + PREFIX :]
    head, _, body = element.partition(b"\n\n")
    status, *lines = head.decode("ascii").split("\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Answer(int(status.split(" ")[0]), headers, body)
