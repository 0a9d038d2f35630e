"""The file of shares that the gateway reads at every request."""

from __future__ import annotations

from pathlib import Path

from serving.gateway.canary import FILE, Weights


def test_shares_are_a_line_a_version_and_other_models_keep_theirs(tmp_path: Path) -> None:
    weights = Weights(tmp_path)
    weights.set("demo", {"2.0": 10})
    weights.set("demo.two", {"3.0": 50})
    weights.set("demo", {"2.0": 25, "2.1": 5})
    assert (tmp_path / FILE).read_text() == "demo.two 3.0 50\ndemo 2.0 25\ndemo 2.1 5\n"


def test_without_a_share_the_default_gets_everything(tmp_path: Path) -> None:
    weights = Weights(tmp_path)
    weights.remove("demo")
    weights.set("demo", {"2.0": 10})
    weights.remove("demo")
    assert (tmp_path / FILE).read_text() == ""
