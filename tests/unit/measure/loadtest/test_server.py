from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from measure.loadtest import LoadTestError, server
from measure.loadtest.target import Clip
from serving.model_server import Spent
from tests.unit.measure.loadtest.endpoint import endpoint


def how(**options: object) -> Namespace:
    return Namespace(**{"form": "raw", "token": None, "timeout": 5.0, "model": "demo", **options})


def addresses(url: str, *models: str, **options: object) -> list[str]:
    return [target.url for target in server.targets(url, models, how(**options))]


def test_a_base_address_is_asked_for_each_model() -> None:
    assert addresses("http://h:8080") == ["http://h:8080/predictions/demo"]
    assert addresses("http://h:8080", model="superb/hubert-ks") == ["http://h:8080/predictions/hubert-ks"]
    assert addresses("http://h:8080/", "one", "two:2.0") == [
        "http://h:8080/predictions/one",
        "http://h:8080/predictions/two/2.0",
    ]


def test_a_url_with_a_path_is_taken_as_it_stands() -> None:
    assert addresses("https://h/v1/speakers") == ["https://h/v1/speakers"]
    with pytest.raises(LoadTestError, match=r"URL=https://h/v1 has a path.*leave MODELS= out"):
        addresses("https://h/v1", "one")


def test_grpc_takes_host_and_port() -> None:
    assert addresses("http://h:8080", "one", form="grpc") == ["h:8080/one"]
    with pytest.raises(LoadTestError, match="without encryption and path"):
        addresses("https://h", form="grpc")


@pytest.mark.parametrize("url", ["h:8080", "ftp://h", "http://", "predictions"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(LoadTestError, match="is no address: write it as URL=http://host:8080"):
        addresses(url)


def test_a_token_goes_into_the_authorization_header() -> None:
    (target,) = server.targets("http://h", [], how(token="secret"))
    assert target.headers == {"Authorization": "Bearer secret"}


def test_a_server_that_does_not_answer_is_said_before_the_load(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"audio")
    clip = Clip("a.wav", tmp_path / "a.wav", 1.0, "audio/wav")
    with endpoint(lambda _: (401, b"", {})) as seen, pytest.raises(LoadTestError) as refused:
        server.check(server.targets(seen.url, [], how()), clip)
    assert str(refused.value).endswith(
        "does not answer a.wav: http_401 (status 401): set SPEAKER_ID_TOKEN to a token that it takes"
    )
    with pytest.raises(LoadTestError, match=r"unreachable: is it running, and is that its address\?"):
        server.check(server.targets(seen.url, [], how()), clip)


def test_the_servers_means_are_those_between_two_looks() -> None:
    before, after = Spent(10.0, queue=0.001, worker=0.005), Spent(14.0, queue=0.041, worker=0.125)
    assert server.means(before, after) == {"queue": 10.0, "inference": 30.0}
    assert server.means(before, before) == {}
    assert server.means(None, None) == {}
