"""The model store's state: what is promoted, what is kept, and what a kill between two steps of it leaves."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pytest

from bundle import store
from serving import clean

NAME = "demo"


def mar(folder: Path, stem: str, version: str, name: str = NAME) -> Path:
    with zipfile.ZipFile(folder / f"{stem}.mar", "w") as archive:
        archive.writestr(store.MANIFEST, json.dumps({"model": {"modelName": name, "modelVersion": version}}))
    return folder / f"{stem}.mar"


def held(folder: Path) -> dict[str, str | None]:
    return {file.name: store.version_of(file) for file in sorted(folder.glob("*.mar"))}


def test_a_promotion_is_what_the_next_start_takes_and_keeps_the_way_back(tmp_path: Path) -> None:
    mar(tmp_path, NAME, "1.0")
    mar(tmp_path, f"{NAME}-2.0", "2.0")
    store.promote(tmp_path, NAME, "2.0", declared="1.0")
    assert held(tmp_path) == {"demo-1.0.mar": "1.0", "demo-2.0.mar": "2.0", "demo.mar": "2.0"}
    assert store.promoted(tmp_path, NAME) == store.Promoted("2.0", "1.0")
    store.promote(tmp_path, NAME, "1.0", declared="1.0")
    assert store.promoted(tmp_path, NAME) == store.Promoted("1.0", "1.0")
    assert held(tmp_path)["demo.mar"] == "1.0"


@pytest.mark.parametrize("step", range(5))
def test_a_promotion_that_was_killed_after_any_step_is_whole_or_has_not_begun(
    tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call that changes the store is one step; the process ends after so many of them."""
    mar(tmp_path, NAME, "1.0")
    mar(tmp_path, f"{NAME}-2.0", "2.0")
    store.mark(tmp_path, NAME, "2.0")
    done = 0

    class Killed(BaseException):
        pass

    def counted(what: str) -> None:
        real = getattr(os, what)

        def call(*args: object, **named: object) -> object:
            nonlocal done
            if done == step:
                raise Killed
            done += 1
            return real(*args, **named)

        monkeypatch.setattr(os, what, call)

    with monkeypatch.context() as context:
        for name in ("link", "replace", "unlink"):
            counted(name)
        try:
            store.promote(tmp_path, NAME, "2.0", declared="1.0")
        except Killed:
            pass
        else:
            pytest.fail("there are fewer steps than that: lower the range")
        del context
    monkeypatch.undo()
    found = store.promoted(tmp_path, NAME)
    assert held(tmp_path)["demo.mar"] == (found.version if found else "1.0")
    assert "1.0" in held(tmp_path).values()
    store.promote(tmp_path, NAME, "2.0", declared="1.0")  # again, as a rerun does
    assert store.promoted(tmp_path, NAME) == store.Promoted("2.0", "1.0")
    assert held(tmp_path) == {"demo-1.0.mar": "1.0", "demo-2.0.mar": "2.0", "demo.mar": "2.0"}


def test_the_only_copy_of_what_serves_is_never_overwritten(tmp_path: Path) -> None:
    mar(tmp_path, NAME, "1.7")  # put there by hand, say
    mar(tmp_path, f"{NAME}-2.0", "2.0")
    store.promote(tmp_path, NAME, "2.0", declared="1.0")
    assert held(tmp_path)["demo-1.7.mar"] == "1.7"


def test_a_record_whose_archive_has_gone_is_none(tmp_path: Path) -> None:
    mar(tmp_path, f"{NAME}-2.0", "2.0")
    store.promote(tmp_path, NAME, "2.0", declared="1.0")
    (tmp_path / "demo.mar").unlink()
    (tmp_path / "demo-2.0.mar").unlink()
    assert store.promoted(tmp_path, NAME) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": "2.0"}'])
def test_a_record_that_says_nothing_is_none(tmp_path: Path, content: str) -> None:
    mar(tmp_path, NAME, "1.0")
    (tmp_path / f".{NAME}.promoted").write_text(content)
    assert store.promoted(tmp_path, NAME) is None


def test_a_draft_goes_with_its_roll_out_and_nothing_else_does(tmp_path: Path) -> None:
    mar(tmp_path, f"{NAME}-2.0", "2.0")
    store.discard(tmp_path, NAME, "2.0")  # somebody else's
    assert (tmp_path / "demo-2.0.mar").exists()
    store.mark(tmp_path, NAME, "2.0")
    store.discard(tmp_path, NAME, "2.0")
    assert held(tmp_path) == {}
    assert not store.marked(tmp_path, NAME, "2.0")


def test_clean_keeps_what_cannot_be_built_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mar(tmp_path, NAME, "1.0")
    mar(tmp_path, "other-model", "1.0", name="other-model")
    mar(tmp_path, f"{NAME}-3.0", "3.0")
    store.mark(tmp_path, NAME, "3.0")
    mar(tmp_path, f"{NAME}-2.0", "2.0")
    (tmp_path / "broken.mar").write_bytes(b"")
    (tmp_path / "triton" / "demo").mkdir(parents=True)
    (tmp_path / ".kernels").mkdir()
    store.promote(tmp_path, NAME, "2.0", declared="1.0")
    clean.clean(tmp_path, everything=False)
    assert not (tmp_path / "triton").exists()
    assert not (tmp_path / ".kernels").exists()
    assert sorted(held(tmp_path)) == ["demo-1.0.mar", "demo-2.0.mar", "demo.mar"]
    assert "kept, because a roll-out stored them: demo-1.0.mar, demo-2.0.mar, demo.mar (ALL=1" in (
        capsys.readouterr().out
    )
    clean.clean(tmp_path, everything=True)
    assert list(tmp_path.iterdir()) == []


def test_make_clean_first_removes_what_a_killed_server_has_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cleared: list[Path] = []
    monkeypatch.setattr(clean.state, "states", lambda *_: [])
    monkeypatch.setattr(clean.orphans, "clear_all", lambda run: cleared.append(run) or [])
    clean.clean(tmp_path, everything=False)
    assert cleared == [clean.state.RUN]
