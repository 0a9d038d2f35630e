"""The audit says what was asked and what was answered, with stand-ins for the two tools."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bundle import audit

KNOWN = {"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["2.0"]}


def tool(folder: Path, name: str, code: str) -> None:
    (folder / name).write_text(f"#!{sys.executable}\nimport sys\n{code}\n")
    (folder / name).chmod(0o755)


def run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, answer: str, status: int = 0
) -> tuple[int, dict[str, Any]]:
    """Exit code and bill of materials, where pip-audit prints this."""
    bill = '{"components": [{"name": "torch"}]}'
    tool(folder, "cyclonedx-py", f"open(sys.argv[sys.argv.index('-o') + 1], 'w').write({bill!r})")
    tool(folder, "pip-audit", f"print({answer!r}); sys.exit({status})")
    out = folder / "reports" / "sbom.json"
    monkeypatch.setattr(sys, "argv", ["audit", "--tools", str(folder), "--out", str(out)])
    return audit.main(), json.loads(out.read_text())


def said(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": packages})


def test_nothing_known_is_0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, bill = run(tmp_path, monkeypatch, said({"name": "torch", "version": "1", "vulns": []}))
    assert (code, bill["components"][0]["name"]) == (0, "torch")


def test_something_known_is_1_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _ = run(tmp_path, monkeypatch, said({"name": "old", "version": "1", "vulns": [KNOWN]}), status=1)
    assert code == 1
    assert {"old", "PYSEC-1", "CVE-1", "2.0"} <= set(capsys.readouterr().out.replace(",", " ").split())


@pytest.mark.parametrize("answer", ["", said({"name": "torch", "skip_reason": "not found on PyPI"})])
def test_a_service_that_answered_for_no_package_is_3_not_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    assert run(tmp_path, monkeypatch, answer)[0] == 3


def test_a_package_that_was_not_asked_about_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    packages = ({"name": "own", "skip_reason": "not found"}, {"name": "torch", "version": "1", "vulns": []})
    assert run(tmp_path, monkeypatch, said(*packages))[0] == 0
    assert "does not have this version: own" in capsys.readouterr().out
