"""deploy/prometheus/rules.yaml as an object of the Prometheus operator, the only form in which it takes rules.

PYTHONPATH=handler .venv/bin/python -m deploy.prometheus.operator_rule | kubectl apply -f -

In another namespace than the overlays': --namespace NAME.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

RULES = Path(__file__).resolve().parent.parent.parent / "deploy" / "prometheus" / "rules.yaml"


def prometheus_rule(rules: Path = RULES, namespace: str = "speaker-id") -> dict[str, Any]:
    """The PrometheusRule with the groups of a Prometheus rule file."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "speaker-id", "namespace": namespace},
        "spec": yaml.safe_load(rules.read_text("utf-8")),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Print the alerts as a PrometheusRule.")
    parser.add_argument("--namespace", default="speaker-id", help="of the object; the overlays' by default")
    yaml.safe_dump(
        prometheus_rule(namespace=parser.parse_args().namespace),
        sys.stdout,
        sort_keys=False,
        allow_unicode=True,
        width=1000,
    )
