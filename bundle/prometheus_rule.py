"""deploy/prometheus/rules.yaml as an object of the Prometheus operator, which takes rules in no other form.

PYTHONPATH=handler .venv/bin/python -m bundle.prometheus_rule | kubectl apply -f -
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

RULES = Path(__file__).resolve().parent.parent / "deploy" / "prometheus" / "rules.yaml"


def prometheus_rule(rules: Path = RULES) -> dict[str, Any]:
    """The PrometheusRule with the groups of a Prometheus rule file."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "speaker-id", "namespace": "speaker-id"},
        "spec": yaml.safe_load(rules.read_text("utf-8")),
    }


if __name__ == "__main__":
    yaml.safe_dump(prometheus_rule(), sys.stdout, sort_keys=False, allow_unicode=True, width=1000)
