"""config.properties as shipped, and as rendered for one server."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from bundle.shipped import SHIPPED
from serving.torchserve.ports import Ports
from serving.torchserve.properties import archives_of, escaped, render

PORTS = Ports(inference=1001, metrics=1003, grpc_inference=1004, grpc_management=1005)
SOCKET = Path("/tmp/speaker-id-x/management")
METRICS = Path("/srv/run, é/metrics.yaml")


def settings(text: str) -> dict[str, str]:
    lines = (line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))
    return dict(lines)


def test_the_rendered_file_has_this_servers_ports_on_loopback() -> None:
    rendered = settings(render(SHIPPED.read_text(), PORTS, Path("/srv/store"), SOCKET, METRICS))
    assert rendered["inference_address"] == "http://127.0.0.1:1001"
    assert rendered["metrics_address"] == "http://127.0.0.1:1003"
    assert (rendered["grpc_inference_address"], rendered["grpc_inference_port"]) == ("127.0.0.1", "1004")
    assert (rendered["grpc_management_address"], rendered["grpc_management_port"]) == ("127.0.0.1", "1005")


def test_the_management_api_is_on_a_socket_where_models_may_be_registered_and_on_no_port() -> None:
    rendered = settings(render(SHIPPED.read_text(), PORTS, Path("/srv/store"), SOCKET, METRICS))
    assert rendered["management_address"] == f"unix:{SOCKET}"
    assert rendered["enable_model_api"] == "true"


def test_everything_else_is_used_as_shipped() -> None:
    shipped = settings(SHIPPED.read_text())
    rendered = settings(render(SHIPPED.read_text(), PORTS, Path("/srv/store"), SOCKET, METRICS))
    changed = {key for key in shipped if rendered[key] != shipped[key]}
    assert rendered.keys() - shipped.keys() == {"metrics_config"}
    assert rendered["metrics_config"] == r"/srv/run, \u00e9/metrics.yaml"
    assert changed == {
        "inference_address",
        "management_address",
        "metrics_address",
        "grpc_inference_port",
        "grpc_management_port",
        "allowed_urls",
        "enable_model_api",
    }


def test_the_shipped_file_opens_nothing_by_itself() -> None:
    shipped = settings(SHIPPED.read_text())
    assert all("127.0.0.1" in value for key, value in shipped.items() if key.endswith("_address"))
    assert shipped["enable_model_api"] == "false"
    assert shipped["install_py_dep_per_model"] == "false"
    assert not re.fullmatch(shipped["allowed_urls"], "http://example.com/model.mar")


def test_a_request_may_hold_the_longest_clip_in_base64() -> None:
    longest = 120 * 48_000 * 2 * 2 + 44  # seconds × rate × channels × bytes, and WAV's header
    in_json = (longest + 2) // 3 * 4 + len('{"inputs":""}')
    assert in_json <= int(settings(SHIPPED.read_text())["max_request_size"])


def test_every_setting_is_explained_above_it() -> None:
    lines = SHIPPED.read_text().splitlines()
    firsts = [(above, line) for above, line in pairwise(lines) if "=" in line and not line.startswith("#")]
    assert len(firsts) == len(settings(SHIPPED.read_text()))
    unexplained = [line for above, line in firsts if not above or (above.startswith("# ----"))]
    assert unexplained == []


def test_a_setting_that_is_not_there_to_replace_is_an_error() -> None:
    without = SHIPPED.read_text().replace("metrics_address=", "metrics_addresses=")
    with pytest.raises(ValueError, match="metrics_address 0 times"):
        render(without, PORTS, Path("/srv/store"), SOCKET, METRICS)


@pytest.mark.parametrize(
    "store", ["/srv/store", "/home/a b/model store", "/srv/{1,2}/(x)+[y]", "/home/josé/mödels"]
)
def test_only_archives_directly_in_the_store_match(store: str) -> None:
    patterns = archives_of(Path(store)).split(",")  # where TorchServe cuts
    assert len(patterns) == 1
    allowed = re.compile(patterns[0], re.IGNORECASE)  # as TorchServe compiles it
    assert allowed.fullmatch(f"file://{store}/demo.mar")
    for url in (
        f"file://{store}/../secret.mar",
        f"file://{store}/sub/demo.mar",
        f"file://{store}/demo.zip",
        f"file://{store}demo.mar",
        "file:///etc/demo.mar",
        "https://example.com/demo.mar",
        f"https://example.com/?file://{store}/demo.mar",
    ):
        assert not allowed.fullmatch(url), url


def test_values_are_escaped_as_java_reads_properties_files() -> None:
    assert escaped(r"a\.b") == r"a\\.b"
    assert escaped("josé") == r"jos\u00e9"
    assert escaped("𝄞") == r"\ud834\udd1e"
