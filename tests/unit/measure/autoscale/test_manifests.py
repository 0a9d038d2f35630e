from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from measure import MeasureError
from measure.autoscale import RESULTS, manifests
from measure.autoscale.behaviour import DOWN, UP, Policy, Rules
from measure.autoscale.fleet import BUSY, CPU, CUMULATIVE, QUEUE
from measure.autoscale.hpa import Kind, Metric

RECOMMENDED = json.loads((RESULTS / "simulation.json").read_text("utf-8"))["recommended"]["targets"]


def test_the_hpa_has_the_recommended_thresholds() -> None:
    assert {it.signal: it.target for it in manifests.hpa().metrics} == RECOMMENDED


def test_the_scaled_object_has_the_recommended_thresholds() -> None:
    keda = manifests.scaled_object()
    assert {it.signal: it.target for it in keda.hpa.metrics} == RECOMMENDED
    assert keda.hpa.up == manifests.hpa().up
    assert keda.hpa.down == manifests.hpa().down


def test_to_zero_is_the_scaled_object_with_a_calendar() -> None:
    zero, base = manifests.to_zero(), manifests.scaled_object()
    assert (zero.least, zero.hpa.least) == (0, 1)
    assert zero.hpa.metrics == base.hpa.metrics
    assert zero.calendar is not None
    assert zero.calendar.start < zero.calendar.end


@pytest.mark.parametrize(
    ("value", "expected"), [("4", 4.0), ("600m", 0.6), ("7000000m", 7000.0), ("7k", 7000.0), (2, 2.0)]
)
def test_quantities(value: str | int, expected: float) -> None:
    assert manifests.quantity(value) == pytest.approx(expected)


def test_an_hpa_is_read_with_kubernetes_defaults(tmp_path: Path) -> None:
    metrics = [
        {
            "type": "Resource",
            "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
        },
        {
            "type": "External",
            "external": {
                "metric": {"name": "ts_queue_latency_microseconds"},
                "target": {"type": "Value", "value": "7000000m"},
            },
        },
        {
            "type": "Pods",
            "pods": {
                "metric": {"name": "speaker_id_busy"},
                "target": {"type": "AverageValue", "averageValue": "500m"},
            },
        },
    ]
    down = {
        "stabilizationWindowSeconds": 60,
        "policies": [{"type": "Percent", "value": 10, "periodSeconds": 60}],
    }
    content = {
        "kind": "HorizontalPodAutoscaler",
        "spec": {"maxReplicas": 7, "metrics": metrics, "behavior": {"scaleDown": down}},
    }
    (tmp_path / "hpa.yaml").write_text("kind: Other\n---\n" + yaml.safe_dump(content))
    found = manifests.hpa(tmp_path)
    assert (found.least, found.most, found.up) == (1, 7, UP)
    assert found.down == Rules(60.0, (Policy(True, 10, 60.0),))
    assert found.down != DOWN
    assert found.metrics == (
        Metric(CPU, 0.7, Kind.RESOURCE),
        Metric(CUMULATIVE, 7000.0, Kind.EXTERNAL_VALUE),
        Metric(BUSY, 0.5),
    )


def test_a_scaled_object_is_read_with_keda_s_defaults(tmp_path: Path) -> None:
    trigger = {"type": "prometheus", "metadata": {"query": "sum(speaker_id_queue_depth)", "threshold": "3"}}
    content = {"kind": "ScaledObject", "spec": {"triggers": [trigger]}}
    (tmp_path / "keda.yaml").write_text(yaml.safe_dump(content))
    found = manifests.scaled_object(tmp_path)
    assert (found.least, found.hpa.least, found.hpa.most, found.polling, found.cooldown) == (
        0,
        1,
        100,
        30.0,
        300.0,
    )
    assert found.hpa.metrics == (Metric(QUEUE, 3.0, Kind.EXTERNAL_AVERAGE),)
    assert found.activations[0].threshold == 0.0


def test_what_the_simulation_does_not_know_is_named(tmp_path: Path) -> None:
    with pytest.raises(MeasureError, match="no HorizontalPodAutoscaler"):
        manifests.hpa(tmp_path)
    with pytest.raises(MeasureError, match="temperature"):
        manifests.signal("temperature")
    with pytest.raises(MeasureError, match="Object"):
        manifests.metric({"type": "Object"})
    with pytest.raises(MeasureError, match="4 pods"):
        manifests.quantity("4 pods")
