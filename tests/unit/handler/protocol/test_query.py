"""Options behind the URL's question mark."""

from __future__ import annotations

import json
from typing import Any

import pytest
from speaker_id.errors import InvalidParameter
from speaker_id.protocol import Options, Payload, parse

from tests.unit.handler.protocol.bodies import AUDIO, B64, SETTINGS


def query(text: str, body: Any = AUDIO, **more: Any) -> Options:
    return parse(Payload({"body": body}, query=text, **more), SETTINGS).options


def test_the_query_sets_an_option() -> None:
    assert query("top_k=3&function_to_apply=none") == Options(3, "none")
    assert query("top_k=%33") == Options(3)


def test_whatever_else_gives_an_option_wins_over_the_query() -> None:
    assert query("top_k=3", headers={"X-Top-K": "2"}) == Options(2)
    assert query("top_k=3&function_to_apply=none", path="top_k/2") == Options(2, "none")
    assert query("top_k=3", json.dumps({"inputs": B64, "parameters": {"top_k": 1}}).encode()) == Options(1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("topk=3", "unknown query parameter 'topk'; known: top_k, function_to_apply"),
        ("token", "unknown query parameter 'token'"),
        ("window=3", "fpir, min_score, windows, hop"),
        ("hop=1.5", "query parameter 'hop' is of no use here: windows are of one recording"),
        ("top_k=", "top_k must be a whole number of at least 1, not ''"),
        ("top_k=3&top_k=4", "the query gives an option twice: 'top_k=3&top_k=4'"),
        ("&".join(f"a{n}=1" for n in range(17)), "the query has more than 16 parameters"),
    ],
)
def test_a_query_that_is_not_understood_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        query(text)
    assert said in caught.value.message
