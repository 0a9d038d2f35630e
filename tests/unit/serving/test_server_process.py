"""Which model stores a model server takes."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from serving import model_servers
from serving.model_server import ModelServer, ServerError
from serving.server_process import ServerProcess


@pytest.fixture
def server(tmp_path: Path) -> ModelServer:
    (store := tmp_path / "store").mkdir()
    (store / "demo.mar").touch()
    store.chmod(0o2777)  # as the kubelet makes an emptyDir
    return model_servers.DEFAULT.server(store, ["demo"], tmp_path / "run")


def test_a_store_that_others_may_write_to_is_refused(server: ModelServer) -> None:
    with pytest.raises(ServerError, match=r"is writable by others: run chmod o-w on it$"):
        server.check_store()


def test_one_that_is_mounted_read_only_is_taken(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY))
    server.check_store()


@pytest.mark.parametrize(("writable", "folder"), [(True, "store"), (False, "temp")])
def test_workers_keep_measured_kernels_beside_the_archives_or_for_this_server(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writable: bool, folder: str
) -> None:
    monkeypatch.delenv("SPEAKER_ID_KERNELS")
    monkeypatch.setattr(os, "access", lambda *_: writable)
    server.temp = tmp_path / "temp"
    assert server.variables["SPEAKER_ID_KERNELS"] == str(tmp_path / folder / ".kernels")
    monkeypatch.setenv("SPEAKER_ID_KERNELS", "/elsewhere")
    assert server.variables["SPEAKER_ID_KERNELS"] == "/elsewhere"
