"""The machine's peak is that of the fastest library, not of torch's alone."""

from __future__ import annotations

import pytest
import torch

from measure.bench import peak


def test_numpys_product_is_one_of_the_large_ones_in_fp32_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    multiplied: list[str] = []
    monkeypatch.setattr(peak, "SIZE", 64)
    monkeypatch.setattr(peak.np, "matmul", lambda left, right: multiplied.append(str(left.dtype)))
    before = torch.get_num_threads()
    try:
        found = peak.product_peaks(before, ["fp32", "bf16"])
    finally:
        torch.set_num_threads(before)
    assert set(multiplied) == {"float32"}
    assert found["fp32"] > 0
