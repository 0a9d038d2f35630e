"""A server on a processor that lacks what its archive was built for, played by a double of what torch finds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bundle import archive, precision, sources
from bundle.precision import Comparison
from serving.model_server import ServerError
from serving.torchserve.process import TorchServe

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]


def test_an_archive_in_bf16_is_refused_in_one_line_where_the_processor_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def agree(*_: Any) -> Iterator[Comparison]:
        yield Comparison("a.wav", {"": "anna"}, {"": "anna"}, 0.0)

    monkeypatch.setattr(precision, "compare", agree)  # as on the machine that built it
    monkeypatch.chdir(tmp_path)
    spec = sources.resolve("demo", root=ROOT / "models")
    bf16 = spec.speaker_id.model_copy(update={"precision": "bf16"})
    archive.build(
        spec.model_copy(update={"speaker_id": bf16}), tmp_path, calibration=ROOT / "models/demo/samples"
    )
    double = tmp_path / "double"
    double.mkdir()
    # every Python that the server starts reads it
    (double / "sitecustomize.py").write_text(
        "import torch\ntorch.cpu.get_capabilities = lambda: {'avx2': True}\n"
    )
    server = TorchServe(tmp_path, ["demo"], tmp_path / "run", environment={"PYTHONPATH": str(double)})
    wanted = (
        "the model does not load: .*precision bf16: cpu has no bf16 arithmetic; serve with precision fp32"
    )
    with server:
        server.start()
        with pytest.raises(ServerError, match=wanted):
            server.wait_ready()
