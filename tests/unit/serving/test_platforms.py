"""What a platform gives becomes options of `serve`: the table alone decides, and options that are given come first."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving import arguments, platforms
from serving.platforms import KILL_SECONDS, PLATFORMS, STOPPING, Kind
from serving.torchserve.process import JVM_STOP_SECONDS

CONTAINER = ["--archived", "model_store", "--address", "0.0.0.0", "--container"]


def parsed(*words: str, **environment: str) -> dict[str, object]:
    return vars(arguments.parse([*CONTAINER, *words], environment))


def test_nothing_is_taken_from_the_environment_but_in_a_container() -> None:
    outside = vars(arguments.parse([], {"PORT": "1234", "AIP_HTTP_PORT": "1235"}))
    assert outside == vars(arguments.parse([], {}))


def test_a_container_without_a_platform_is_served_as_before() -> None:
    plain = vars(arguments.parse(CONTAINER[:-1], {}))
    assert parsed() | {"container": None} == plain


@pytest.mark.parametrize(
    ("words", "environment", "expected"),
    [
        (["serve"], {}, {"port": 8080}),
        (["serve"], {"SAGEMAKER_BIND_TO_PORT": "9000"}, {"port": 9000}),
        ([], {"AIP_HTTP_PORT": "8081", "AIP_STORAGE_URI": ""}, {"port": 8081, "weights": ""}),
        (
            [],
            {"AIP_HEALTH_ROUTE": "/v1/endpoints/1/deployedModels/2"},
            {"health_route": "/v1/endpoints/1/deployedModels/2"},
        ),
        ([], {"AIP_PREDICT_ROUTE": "/v1/e/1:predict"}, {"predict_route": "/v1/e/1:predict"}),
        ([], {"AIP_STORAGE_URI": "/mnt/m"}, {"weights": "/mnt/m"}),
        ([], {"PORT": "80"}, {"port": 80}),
        ([], {"AZUREML_MODEL_DIR": "/var/m"}, {"weights": "/var/m"}),
    ],
)
def test_each_is_taken_and_a_stop_fits_the_platform(
    words: list[str], environment: dict[str, str], expected: dict[str, object]
) -> None:
    found = parsed(*words, **environment)
    assert {key: found[key] for key in expected} == expected
    assert (found["stop_delay"], found["grace"]) == tuple(STOPPING.values())


def test_an_option_that_is_given_comes_before_the_platform_s() -> None:
    found = parsed("--port", "7000", "--grace", "5", AIP_HTTP_PORT="8081")
    assert (found["port"], found["grace"]) == (7000, 5)


def test_a_folder_counts_if_something_is_in_it(tmp_path: Path) -> None:
    for folder in ("opt/ml/model", "repository"):
        (tmp_path / folder).mkdir(parents=True)
    assert platforms.found(None, {}, tmp_path) == []
    (tmp_path / "repository" / "config.json").touch()
    (found,) = platforms.found(None, {}, tmp_path)
    assert (found.platform, found.value) == ("Hugging Face Inference Endpoints", str(tmp_path / "repository"))
    assert found.text == f"--weights {tmp_path}/repository: folder /repository of {found.platform}"


def test_every_option_of_the_table_is_one_of_serve_s() -> None:
    known = {option for action in arguments.parser()._actions for option in action.option_strings}
    assert {given.option for rows in PLATFORMS.values() for given in rows if given.option} <= known


def test_everything_has_ended_before_a_platform_kills_it() -> None:
    assert sum(STOPPING.values()) + JVM_STOP_SECONDS <= KILL_SECONDS


@pytest.mark.parametrize("route", ["health", "/a b", "/x?y", '/"', "/ä\n"])
def test_a_route_that_is_no_path_is_refused(route: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed(AIP_HEALTH_ROUTE=route)
    captured = capsys.readouterr()
    assert "variable AIP_HEALTH_ROUTE of Vertex AI" in captured.out
    assert "is not a path of letters" in captured.err


def test_kinds_are_used() -> None:
    assert {given.kind for rows in PLATFORMS.values() for given in rows} == set(Kind)
