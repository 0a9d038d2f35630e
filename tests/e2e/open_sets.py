"""A model that may answer "unknown", behind a real server: what the tests of galleries and of guards share."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import soundfile
from speaker_id.clip import Waveform

from bundle import BundleError, archive, archived
from bundle.spec import ModelSpec
from serving.gateway.options import GatewayOptions
from serving.host import ports
from serving.model_servers import Chosen
from serving.service import Service
from serving.torchserve.process import TorchServe
from serving.triton import setup
from serving.triton.installation import FOLDER
from serving.triton.process import Triton


def on_each_server(metafunc: pytest.Metafunc) -> None:
    """Parametrise the fixture `service`: TorchServe, and what --server says."""
    other = metafunc.config.getoption("--server")
    metafunc.parametrize("service", dict.fromkeys((TorchServe.name, other)), indirect=True, scope="module")


@contextmanager
def served(
    spec: ModelSpec, server: str, checkpoints: Path, factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """One model, until the end of the block."""
    if server == Triton.name:
        try:
            setup.set_up(FOLDER)
        except BundleError as exc:
            pytest.skip(f"no Triton: {exc}")
    store = factory.mktemp("store")
    spec = archived.read(archive.build(spec, store, checkpoints=checkpoints))
    options = GatewayOptions(ports.free(1)[0], metrics_port=ports.free(1)[0])
    service = Service([spec], store, factory.mktemp("run"), options, Chosen(server))
    try:
        service.start()
        yield service
    finally:
        service.stop(0, hurry=lambda: True)


def wav(waveform: Waveform) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, waveform, 16_000, format="WAV", subtype="FLOAT")
    return buffer.getvalue()
