"""What the command refuses, and how it says so."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from bundle.samples import FOLDER
from measure.loadtest.__main__ import main
from measure.loadtest.options import duration, parser
from serving.signals import SIGNALS


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """The command takes over signals; afterwards they are pytest's again."""
    before = [signal.getsignal(number) for number in SIGNALS]
    yield
    for number, handler in zip(SIGNALS, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rate", "0"], "RATE=0 for 30 s: both must be more than 0"),
        (["--rate", "0.01"], "RATE=0.01 for 30 s is 0.3 requests"),
        (["--slo", "p99"], "SLO has 'p99', which is no bound"),
        (["--clips", "nowhere"], "there is no folder nowhere"),
        (["--models", "demo demo"], "would serve two models as demo"),
        (["--url", "http://127.0.0.1:9"], "http://127.0.0.1:9/predictions/demo does not answer"),
        (["--model", "no such"], "no such"),
        (["--closed", "0"], "a closed loop has 1 to 200 callers"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_run_is_one_line_and_exit_code_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--clips", str(FOLDER), *arguments]) == 2
    words = capsys.readouterr().err
    assert words.startswith("loadtest: ")
    assert words.count("\n") == 1
    assert said in words


def test_durations_are_seconds_or_minutes() -> None:
    assert [duration(text) for text in ("30", "30s", "1.5m")] == [30, 30, 90]
    with pytest.raises(SystemExit):
        parser().parse_args(["run", "--duration", "an hour"])


def test_the_token_is_the_clients_variable_and_never_among_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SPEAKER_ID_TOKEN", "secret")
    assert parser().parse_args(["run"]).token == "secret"
