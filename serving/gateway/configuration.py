"""Envoy's configuration for one server: envoy.yaml.j2 with its values, and the file of its TLS secrets."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bundle import private, shipped
from serving.gateway import cors, scripts, static, tls
from serving.gateway.options import GatewayOptions
from serving.gateway.static import StaticFile
from serving.host import logs, ports
from serving.model_server import Upstream

FOLDER = Path(__file__).resolve().parent
TEMPLATE = "envoy.yaml.j2"
# grpc.health.v1.HealthCheckResponse, in base64: field 1, an enumeration, is 1 or 2
SERVING, NOT_SERVING = (base64.b64encode(bytes([1 << 3, status])).decode() for status in (1, 2))
GRPC_FRAME = 5  # bytes before a message, which TorchServe's limit does not count
GRPC_HEALTH_BYTES = 1024  # of a HealthCheckRequest, which holds a name, and its frame


class Splitting(NamedTuple):
    """Sockets by which gateway and splitter ask each other.

    Attributes:
        listen: the splitter's.
        inner: the gateway's inner listener's.
    """

    listen: Path
    inner: Path


@dataclass(frozen=True)
class Configuration:
    """What Envoy is started with.

    Attributes:
        run: the server's folder, where it is written.
        admin: path of the admin interface's socket.
        upstream: where the model server listens.
        route_seconds: from a request's whole arrival to its whole answer.
        options: what the server was started with.
        files: what it answers by itself.
        splitting: the splitter's sockets; None without one.
    """

    run: Path
    admin: Path
    upstream: Upstream
    route_seconds: int
    options: GatewayOptions
    files: Sequence[StaticFile] = ()
    splitting: Splitting | None = None

    def write(self) -> Path:
        """Write it into the run folder; the file for Envoy's command line."""
        file = self.run / "envoy.yaml"
        private.write(file, self.render())
        if self.options.certificate:
            private.write(self.run / tls.SECRETS_FILE, tls.secrets(self.options.certificate.folder))
        static.write(self.files, self.run)
        return file

    def render(self) -> str:
        """The template's text with this server's values."""
        # nothing is escaped as HTML: it is YAML, and strings in it are `quoted`
        environment = Environment(
            loader=FileSystemLoader(FOLDER),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            autoescape=False,  # noqa: S701
        )
        environment.filters["quoted"] = quoted
        return environment.get_template(TEMPLATE).render(
            options=self.options,
            limits=self.options.limits,
            origins=cors.regex(self.options.origins),
            admin=self.admin,
            upstream=self.upstream,
            exporter=ports.reached_at(self.options.metrics_address).strip("[]"),
            access_log=self.run / logs.ACCESS,
            cancelled=self.run / logs.CANCELLED,
            secrets=self.run / tls.SECRETS_FILE,
            static=static.places(self.files, self.run),
            largest_static=static.LARGEST,
            scripts={name.removesuffix(".lua"): self.run / name for name in scripts.ALL},
            max_bytes=shipped.shipped("max_request_size"),
            grpc_frame=GRPC_FRAME,
            grpc_health_bytes=GRPC_HEALTH_BYTES,
            serving=SERVING,
            not_serving=NOT_SERVING,
            route_seconds=self.route_seconds,
            splitting=self.splitting,
        )


def quoted(value: object) -> str:
    """A string as JSON, which YAML reads."""
    return json.dumps(str(value), ensure_ascii=False)
