"""The README's picture of packing, and the share of padding beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from measure.pages import picture


def test_padding_is_what_is_computed_beside_the_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 4.0]  # 12 s of clips, 32 s computed
    monkeypatch.setattr(picture, "durations", lambda count, seed: np.array(batch * (count // 8)))
    assert picture.padding() == pytest.approx(20 / 32)


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    picture.draw(tmp_path / "packing.png")
    assert (tmp_path / "packing.png").read_bytes().startswith(b"\x89PNG")
