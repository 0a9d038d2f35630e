"""All metrics of a running server, at one address: `http://127.0.0.1:METRICS_PORT/metrics`."""
