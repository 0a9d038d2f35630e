"""One server's exporter: how each component is queried."""

from __future__ import annotations

from collections.abc import Sequence

from bundle.spec import ModelSpec
from serving.gateway.envoy import Gateway
from serving.metrics import gateway as envoy
from serving.metrics import models, splitter
from serving.metrics.access_log import AccessLog
from serving.metrics.catalogue import ACCESS_LOG, GATEWAY, MANAGEMENT, SPLITTER
from serving.metrics.exporter import Exporter
from serving.metrics.served import Served
from serving.metrics.statistics import Statistics
from serving.model_server import ModelServer


def exporter(server: ModelServer, gateway: Gateway, specs: Sequence[ModelSpec]) -> Exporter:
    """The exporter of a model server and its gateway; to be created before the gateway starts to write its log."""
    served = Served({spec.name: [spec.version] for spec in specs})
    log = AccessLog(gateway.access_log, served)
    parts = {
        server.name: lambda: server.metrics(served),
        MANAGEMENT: lambda: models.collect(
            lambda model: server.management.versions(model), served, gateway.usable
        ),
        GATEWAY: lambda: envoy.collect(gateway.stats(envoy.PATH)),
        ACCESS_LOG: log.collect,
    }
    if gateway.splits:
        parts[SPLITTER] = lambda: splitter.collect(*gateway.split_counts())
    heads = {spec.name: len(spec.speaker_id.heads) for spec in specs if spec.speaker_id.heads}
    statistics = Statistics(lambda: server.metrics(served), heads)
    options = gateway.options
    return Exporter(parts, options.metrics_address, options.metrics_port, statistics=statistics)
