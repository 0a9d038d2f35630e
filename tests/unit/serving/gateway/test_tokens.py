"""The file of bearer tokens is checked before a server starts on it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bundle import BundleError
from serving.gateway import scripts, tokens
from serving.gateway.options import GatewayOptions
from serving.torchserve.process import TorchServe

TOKEN = "0123456789abcdef"


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    file = folder / "tokens"
    file.write_text(text)
    file.chmod(mode)
    return file


def test_tokens_stand_one_a_line_beside_comments(tmp_path: Path) -> None:
    file = written(tmp_path, f"# a comment\n\n{TOKEN}\n  second-{TOKEN}  \n")
    assert tokens.read(file) == tokens.Tokens(file, (TOKEN, f"second-{TOKEN}"))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(BundleError, match=f"may be read by other users .mode {mode:o}.: chmod 600"):
        tokens.read(written(tmp_path, TOKEN, mode))


def test_a_secret_of_root_that_our_group_may_read_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, TOKEN, 0o440)
    monkeypatch.setattr(os, "geteuid", lambda: file.stat().st_uid + 1)
    assert tokens.read(file).each == (TOKEN,)
    file.chmod(0o444)
    with pytest.raises(BundleError, match="may be read by other users"):
        tokens.read(file)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "contains no token"),
        ("# only words\n", "contains no token"),
        (f"{TOKEN}\nshort\n", "line 2 is not a token: 16 to 512"),
        (f"{TOKEN} {TOKEN}\n", "line 1 is not a token"),
        (33 * TOKEN, "line 1 is not a token"),
        ("ümlaut-0123456789\n", "line 1 is not a token"),
    ],
)
def test_what_is_no_token_is_named_by_its_line_and_never_shown(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BundleError, match=said) as caught:
        tokens.read(written(tmp_path, text))
    assert TOKEN not in str(caught.value)


def test_the_longest_token_is_taken_and_the_gateway_compares_as_many_bytes(tmp_path: Path) -> None:
    file = written(tmp_path, 32 * TOKEN)
    assert tokens.read(file).each == (32 * TOKEN,)
    options = GatewayOptions(8080, tokens=tokens.read(file))
    server = TorchServe(tmp_path, ["demo"], tmp_path)
    scripts.write(server, options, heads={}, found=tmp_path / "found", state=tmp_path / "shares")
    assert "\nSHORTEST, LONGEST = 16, 512\n" in (tmp_path / scripts.TOKENS).read_text()


def test_a_file_that_is_not_there_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="openssl rand"):
        tokens.read(tmp_path / "nothing")


@pytest.mark.parametrize("text", [None, "", "# only words\n", "short\n", f"{TOKEN} {TOKEN}\n", 33 * TOKEN])
def test_a_file_that_locks_everybody_out_while_serving_is_told_once_and_its_return_too(
    tmp_path: Path, text: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "LOOK_SECONDS", 0.0)
    file = written(tmp_path, TOKEN)
    watch = tokens.Watch(tokens.read(file))
    assert watch.news() is None
    if text is None:
        file.unlink()
    else:
        written(tmp_path, text)
    assert [watch.news(), watch.news()] == [
        f"TOKENS={file} holds no usable token: every caller gets 401",
        None,
    ]
    written(tmp_path, f"# changed\n\n  {TOKEN}\t\r\n")
    assert [watch.news(), watch.news()] == [f"TOKENS={file} is valid again", None]


def test_a_line_that_is_left_out_while_serving_is_told_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "LOOK_SECONDS", 0.0)
    watch = tokens.Watch(tokens.read(written(tmp_path, TOKEN)))
    file = written(tmp_path, f"{TOKEN}\nsecond-{TOKEN} requests=many\n")
    told = watch.news()
    assert told is not None
    assert told.startswith(
        f"TOKENS={file} line 2: 'requests=many' is not one of requests, requests_burst, audio"
    )
    assert told.endswith("; the line is left out")
    assert TOKEN not in told


def test_a_server_without_tokens_has_no_file_to_look_at() -> None:
    assert tokens.Watch(None).news() is None


def test_the_file_is_not_read_at_every_call(tmp_path: Path) -> None:
    file = written(tmp_path, TOKEN)
    watch = tokens.Watch(tokens.read(file))
    assert watch.news() is None
    file.unlink()
    assert watch.news() is None
