"""The gateway's spans, sent to an OpenTelemetry collector where one is named; W3C `traceparent` in and out."""

from __future__ import annotations

from bundle import BundleError

NOTHING = {"tracing": "", "tracing_cluster": ""}

_TRACING = """\
                tracing:
                  random_sampling: {{value: 100}}  # a caller's traceparent decides for its own request
                  provider:
                    name: envoy.tracers.opentelemetry
                    typed_config:
                      "@type": type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig
                      service_name: speaker-id
                      http_service:
                        http_uri: {{uri: "http://{host}:{port}/v1/traces", cluster: otlp, timeout: 2s}}
"""
_CLUSTER = """\
    - name: otlp  # the collector of traces
      type: STRICT_DNS
      connect_timeout: 2s
      load_assignment:
        cluster_name: otlp
        endpoints:
          - lb_endpoints:
              - endpoint: {{address: {{socket_address: {{address: {host}, port_value: {port}}}}}}}
"""


def fragments(otlp: str | None) -> dict[str, str]:
    """What envoy.yaml has in place of `tracing` and `tracing_cluster`.

    Args:
        otlp: host:port of a collector that takes OTLP over HTTP (4318 by convention); None traces nothing.

    Raises:
        BundleError: it is no host and port.
    """
    if otlp is None:
        return NOTHING
    host, _, port = otlp.rpartition(":")
    if (
        not host
        or not host.replace(".", "").replace("-", "").isalnum()
        or not port.isdecimal()
        or not 0 < int(port[:6]) < 1 << 16
    ):
        raise BundleError(
            f"OTLP={otlp} is no address: write it as OTLP=127.0.0.1:4318, with a port from 1 to 65535"
        )
    return {
        "tracing": _TRACING.format(host=host, port=port),
        "tracing_cluster": _CLUSTER.format(host=host, port=port),
    }
