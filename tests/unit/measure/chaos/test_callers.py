"""The verdict on an answer to a body that nobody knows the right answer of."""

import pytest
from requests.structures import CaseInsensitiveDict

from measure.chaos.callers import verdict
from measure.chaos.verdict import Verdict
from measure.http import Reply

OUTPUTS = b'{"outputs":[]}'


@pytest.mark.parametrize(
    ("status", "body", "length", "expected"),
    [
        (200, OUTPUTS, None, Verdict.RIGHT),
        (200, OUTPUTS + b"\x05\x00\x00\x00alice", len(OUTPUTS), Verdict.RIGHT),
        (200, OUTPUTS + b"\x05\x00\x00\x00alice", None, Verdict.WRONG),
        (200, b'{"detail":"?"}', None, Verdict.WRONG),
        (422, b'{"error":"no audio","code":"empty_audio"}', None, Verdict.RIGHT),
        (500, b'{"error":"no audio","code":"empty_audio"}', None, Verdict.WRONG),
        (0, b"", None, Verdict.LOST),
    ],
)
def test_a_fuzzed_body_gets_an_answer_of_a_known_form_or_an_error_that_is_its_own(
    status: int, body: bytes, length: int | None, expected: Verdict
) -> None:
    headers = CaseInsensitiveDict({} if length is None else {"Inference-Header-Content-Length": str(length)})
    assert verdict(Reply(0.0, 1.0, status, body, headers=headers)) is expected
