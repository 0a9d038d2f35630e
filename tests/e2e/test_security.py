"""Attacks that are tried: the management API from outside, fetching, names that are paths."""

from __future__ import annotations

import contextlib
import socket
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import grpc
import pytest

from serving.control import ManagementError
from serving.gateway.envoy import Gateway
from serving.host import local_http
from serving.host.ports import LOOPBACK
from serving.torchserve.process import TorchServe
from tests.e2e.raw import refusal, send, send_over_http2

pytestmark = pytest.mark.e2e


class TestManagementFromOutside:
    """It has no route, so that whatever spells its paths is refused in the gateway's own words."""

    @pytest.mark.parametrize(
        "line",
        [
            "GET /./models",
            "GET /models/",
            "GET /MODELS",
            "GET /%6dodels",
            "GET /models;x=1",
            "GET /models?limit=9",
            "GET /%2e%2e/models",
            "GET /predictions/stub/../../models",
            "GET /predictions/stub/%2e%2e/%2e%2e/models",
            "GET /predictions/stub/..%5c..%5cmodels",
            "GET /predictions\\..\\..\\models",
            "GET /v2/../models/stub",
            "GET /v1/models/../../models/stub",
            "GET http://127.0.0.1/models",
            "GET http://torchserve_management/models",
            "POST /models?url=stub.mar",
            "PUT /models/stub?min_worker=0",
            "PUT /models/stub/1.0/set-default",
            "DELETE /models/stub",
            "DELETE /predictions/stub",
            "POST /workflows?url=stub.war",
            "OPTIONS /",
            "CONNECT 127.0.0.1:8081",
            "GET /stats",
            "POST /quitquitquit",
        ],
    )
    def test_no_spelling_of_its_paths_passes(self, stub_gateway: Gateway, line: str) -> None:
        answer = send(stub_gateway, f"{line} HTTP/1.1\r\nhost: any\r\ncontent-length: 0\r\n\r\n")
        assert answer.status in (400, 403, 404, 405)
        refusal(answer)

    @pytest.mark.parametrize(
        "header",
        [
            "x-envoy-original-path: /models",
            "x-original-url: /models",
            "x-rewrite-url: /models",
            "x-forwarded-path: /models",
            "x-forwarded-for: 127.0.0.1",
            "x-envoy-internal: true",
            "x-http-method-override: DELETE",
            "url_path: /models",
            "host: torchserve_management",
            "upgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABkAAQAAP__",
            "upgrade: websocket\r\nconnection: upgrade",
        ],
    )
    def test_no_header_leads_there(self, stub_gateway: Gateway, header: str) -> None:
        host = "" if header.startswith("host") else "host: any\r\n"
        answer = send(stub_gateway, f"GET /nothing HTTP/1.1\r\n{host}{header}\r\n\r\n")
        assert answer.status in (400, 403, 404)
        refusal(answer)

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"_path": "//models"},
            {"_path": "/predictions/../models"},
            {"_path": "http://127.0.0.1/models"},
            {"_authority": "torchserve_management"},
            {"_method": "DELETE", "_path": "/models/stub"},
            {"_method": "CONNECT", "_path": "/models"},
            {"_scheme": "file"},
        ],
        ids=str,
    )
    def test_nor_does_http_2(self, stub_gateway: Gateway, headers: dict[str, str]) -> None:
        assert send_over_http2(stub_gateway, **headers) in ("400", "404", "405", "reset")

    @pytest.mark.parametrize(
        "framing",
        [
            "content-length: 4\r\ntransfer-encoding: chunked",
            "transfer-encoding: chunked\r\ntransfer-encoding: identity",
            "transfer-encoding: xchunked",
            "content-length: 4\r\ncontent-length: 5",
        ],
    )
    def test_no_request_hides_in_the_body_of_another(self, stub_gateway: Gateway, framing: str) -> None:
        hidden = "0\r\n\r\nGET /models HTTP/1.1\r\nhost: any\r\n\r\n"
        answer = send(
            stub_gateway, f"POST /predictions/stub HTTP/1.1\r\nhost: any\r\n{framing}\r\n\r\n{hidden}"
        )
        assert answer.status in (400, 501)

    def test_envoys_admin_is_its_owners(self, stub_gateway: Gateway) -> None:
        assert stub_gateway.folder
        socket_file = stub_gateway.folder / "admin"
        assert socket_file.is_socket()
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (stub_gateway.folder, socket_file)]
        assert modes == [0o700, 0o600]

    def test_the_model_is_still_there(self, stub_server: TorchServe, stub_gateway: Gateway) -> None:
        assert len(stub_server.management.versions("stub")["1.0"].pids) == 1


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """What an attacker would have the server fetch from: nobody may come."""
    with socket.create_server((LOOPBACK, 0)) as listening:
        yield listening
        listening.settimeout(0.2)
        with pytest.raises(TimeoutError):
            listening.accept()


class TestNothingIsFetched:
    """CVE-2023-43654, from inside, by whoever reached the management API although it is out of reach."""

    @pytest.mark.parametrize(
        "url",
        [
            "http://127.0.0.1:{port}/evil.mar",
            "HTTP://127.0.0.1:{port}/evil.mar",
            "https://127.0.0.1:{port}/evil.mar",
            "ftp://127.0.0.1:{port}/evil.mar",
            "http://127.0.0.1:{port}/file://{store}/stub.mar",
            "http://127.0.0.1:{port}/#file://{store}/stub.mar",
            "file://127.0.0.1:{port}{store}/stub.mar",
            "file://{store}/../evil.mar",
            "file://{store}/%2e%2e/evil.mar",
            "file:///etc/passwd",
            "../evil.mar",
            "/etc/passwd",
        ],
    )
    def test_registering_by_address_is_refused(
        self, stub_server: TorchServe, listener: socket.socket, url: str
    ) -> None:
        address = url.format(port=listener.getsockname()[1], store=stub_server.store)
        with pytest.raises(ManagementError) as refused:
            stub_server.management.register(address, timeout=600)
        assert refused.value.status
        assert 400 <= refused.value.status < 500

    def test_a_workflow_is_fetched_from_nowhere(
        self, stub_server: TorchServe, listener: socket.socket
    ) -> None:
        query = urlencode({"url": f"http://127.0.0.1:{listener.getsockname()[1]}/evil.war"})
        answer = local_http.ask(
            local_http.unix(stub_server.management.path, 20), "POST", f"/workflows?{query}"
        )
        assert 400 <= answer.status < 600

    def test_neither_over_grpc(self, stub_server: TorchServe, listener: socket.socket) -> None:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/evil.mar".encode()
        with grpc.insecure_channel(f"{LOOPBACK}:{stub_server.ports.grpc_management}") as channel:
            call = channel.unary_unary(
                "/org.pytorch.serve.grpc.management.ManagementAPIsService/RegisterModel"
            )
            with pytest.raises(grpc.RpcError) as refused:
                call(bytes([9 << 3 | 2, len(url)]) + url, timeout=600)
        assert refused.value.code() is not grpc.StatusCode.UNKNOWN


class TestNamesThatArePaths:
    @pytest.fixture
    def evil(self, stub_server: TorchServe) -> Iterator[Path]:
        file = stub_server.store / "evil.mar"
        yield file
        file.unlink(missing_ok=True)
        with contextlib.suppress(ManagementError):
            stub_server.management.unregister("evil", "1.0")

    @pytest.mark.parametrize(
        "entry", ["../../../evil", "checkpoint/../../../../evil", "..\\..\\evil", "{tmp}/evil"]
    )
    def test_an_archive_writes_nothing_outside_its_folder(
        self, stub_server: TorchServe, evil: Path, tmp_path: Path, entry: str
    ) -> None:
        entry = entry.format(tmp=tmp_path)
        rewritten(stub_server.store / "stub.mar", evil, {entry: b"evil"})
        with contextlib.suppress(ManagementError):  # refused, or unpacked into its own folder
            stub_server.management.register("evil.mar", timeout=600)
        assert stub_server.temp
        folder = stub_server.temp / "models"
        found = [path for path in stub_server.temp.rglob("*evil") if folder not in path.parents]
        assert found + list(tmp_path.rglob("evil")) == []

    def test_a_link_in_an_archive_is_no_link_when_unpacked(
        self, stub_server: TorchServe, evil: Path, tmp_path: Path
    ) -> None:
        rewritten(stub_server.store / "stub.mar", evil, {"link": str(tmp_path).encode()}, links={"link"})
        with contextlib.suppress(ManagementError):
            stub_server.management.register("evil.mar", timeout=600)
        assert stub_server.temp
        assert [
            path for path in stub_server.temp.rglob("*") if path.name == "link" and path.is_symlink()
        ] == []

    def test_a_model_named_by_a_path_writes_nothing_there(
        self, stub_server: TorchServe, tmp_path: Path
    ) -> None:
        """TorchServe takes any name from whoever reaches the socket; none of its files is named by it."""
        with TorchServe(stub_server.store, ["stub"], tmp_path / "run") as server:
            server.start()
            server.wait_ready()
            query = urlencode({"url": "stub.mar", "model_name": "../../evil"})
            answer = local_http.ask(
                local_http.unix(server.management.path, 60), "POST", f"/models?{query}&synchronous=true"
            )
            assert answer.status == 200
            assert server.temp
            written = [
                *server.temp.parent.glob("*evil*"),
                *server.temp.rglob("*evil*"),
                *tmp_path.rglob("*evil*"),
            ]
            server.stop(0)
        assert written == []

    @pytest.mark.parametrize("name", ["..", "../..", "%2e%2e"])
    def test_the_folder_above_is_the_address_that_every_client_makes_of_it(
        self, stub_gateway: Gateway, name: str
    ) -> None:
        """By RFC 3986, 6.2.2.3, it is `/`, where the first model is asked; it gets as far as no file."""
        request = "POST {} HTTP/1.1\r\nhost: any\r\ncontent-length: 3\r\n\r\nabc"
        above, root = (send(stub_gateway, request.format(path)) for path in (f"/predictions/{name}", "/"))
        assert (above.status, above.read()) == (root.status, root.read())

    @pytest.mark.parametrize("name", ["../stub", "stub%00", "stub%0d%0aX-Evil:1", "a" * 10_000])
    def test_nor_asked_for_by_one(self, stub_gateway: Gateway, name: str) -> None:
        answer = send(
            stub_gateway, f"POST /predictions/{name} HTTP/1.1\r\nhost: any\r\ncontent-length: 3\r\n\r\nabc"
        )
        assert answer.status in (400, 404, 414)
        assert answer.headers["x-evil"] is None
        refusal(answer)


def rewritten(archive: Path, into: Path, added: dict[str, bytes], links: set[str] | None = None) -> None:
    """A copy of an archive with more entries."""
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(into, "w") as target:
        for item in source.infolist():
            target.writestr(item, source.read(item))
        for name, content in added.items():
            entry = zipfile.ZipInfo(name)
            entry.filename = name  # as it is: a constructor may mend it
            mode = stat.S_IFLNK | 0o777 if name in (links or ()) else stat.S_IFREG | 0o644
            entry.external_attr = mode << 16
            target.writestr(entry, content)
