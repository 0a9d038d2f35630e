"""deploy/prometheus/rules.yaml as an object of the Prometheus operator, the only form in which it takes rules.

PYTHONPATH=handler .venv/bin/python -m deploy.prometheus.operator_rule    # writes it into components/monitoring
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).resolve().parent.parent
RULES = DEPLOY / "prometheus" / "rules.yaml"
OBJECT = DEPLOY / "kubernetes" / "components" / "monitoring" / "rules.yaml"
HEADER = "# Written by deploy/prometheus/operator_rule.py from deploy/prometheus/rules.yaml.\n"


class _Dumper(yaml.SafeDumper):
    """Text of several lines as it is written by hand."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def prometheus_rule(rules: Path = RULES) -> str:
    """A PrometheusRule with the groups of a Prometheus rule file, without a namespace, which the overlay sets."""
    content: dict[str, Any] = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "speaker-id", "labels": {"release": "kube-prometheus-stack"}},
        "spec": yaml.safe_load(rules.read_text("utf-8")),
    }
    dumped: str = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)
    return HEADER + dumped


if __name__ == "__main__":
    OBJECT.write_text(prometheus_rule(), encoding="utf-8")
