"""Which routes are probes stands in four places, in three languages: they agree."""

from __future__ import annotations

import re

from serving.gateway.configuration import FOLDER
from serving.gateway.options import GatewayOptions
from serving.metrics.access_log import _HEALTH
from tests.unit.serving.gateway.configured import connection_manager, rendered

HEALTH = (FOLDER / "health.lua").read_text()
PLAIN = dict(re.findall(r'\["(/[^"]*)"\] = (\w+)', HEALTH))  # path → what answers it
OF_A_MODEL = {
    "/v1/models/demo": "model_ready",
    "/v2/models/demo": "metadata",
    "/v2/models/demo/ready": "model_ready",
    "/v2/models/demo/versions/1.0": "metadata",
    "/v2/models/demo/versions/1.0/ready": "model_ready",
}
ANSWERED = PLAIN | OF_A_MODEL
READINESS = {path for path, answer in ANSWERED.items() if answer in ("ping", "server_ready", "model_ready")}
CLIPS = [
    "/predictions/demo",
    "/predictions/demo/1.0",
    "/v1/models/demo:predict",
    "/v2/models/demo/infer",
    "/v2/models/demo/versions/1.0/infer",
]


def test_they_are_read_from_health_lua() -> None:
    assert {"/", "/v1", "/ping", "/v2", "/v2/health/live", "/v2/health/ready"} <= set(PLAIN)
    assert '"^/v1/models/([%w._-]+)$"' in HEALTH
    assert '"^/v2/models/([%w._-]+)(.*)$"' in HEALTH


def test_what_health_lua_answers_is_counted_as_no_request() -> None:
    assert [path for path in ANSWERED if not _HEALTH.fullmatch(path)] == []
    assert [path for path in CLIPS if _HEALTH.fullmatch(path)] == []


def test_what_asks_for_readiness_is_503_while_the_gateway_drains() -> None:
    manager = connection_manager(rendered(GatewayOptions(8080)))
    (health,) = (each for each in manager["http_filters"] if each["name"].endswith(".health_check"))
    draining = re.compile(health["typed_config"]["headers"][0]["string_match"]["safe_regex"]["regex"])
    assert {path for path in [*ANSWERED, *CLIPS] if draining.fullmatch(path)} == READINESS


def test_probes_need_no_token_where_they_name_no_model() -> None:
    (opened,) = re.findall(r"^local OPEN = {(.*?)}", (FOLDER / "tokens.lua").read_text(), re.MULTILINE)
    probes = {path for path, answer in PLAIN.items() if answer in ("alive", "live", "ping", "server_ready")}
    assert set(re.findall(r'\["(.*?)"\]', opened)) == probes
