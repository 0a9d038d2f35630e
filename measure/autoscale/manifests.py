"""The autoscalers' numbers as deploy/kubernetes has them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from measure import ROOT, MeasureError
from measure.autoscale.behaviour import DOWN, UP, Policy, Rules
from measure.autoscale.fleet import BUSY, CPU, CUMULATIVE, QUEUE, REQUESTS
from measure.autoscale.hpa import Hpa, Kind, Metric
from measure.autoscale.keda import Activation, Calendar, ScaledObject

FOLDER = ROOT / "deploy" / "kubernetes"
SUFFIXES = {"m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6}
SIGNAL_NAMES = (  # what a metric's name or query has in it, the first that fits
    (r"(?<!rate\()ts_queue_latency_microseconds", CUMULATIVE),
    (r"queue", QUEUE),
    (r"inference|busy|batch_seconds", BUSY),
    (r"requests|upstream_rq", REQUESTS),
)


def documents(folder: Path = FOLDER) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every object in the folder's YAML files, with its file."""
    for path in sorted(folder.rglob("*.yaml")):
        for content in yaml.safe_load_all(path.read_text("utf-8")):
            if isinstance(content, dict):
                yield path, content


def find(kind: str, key: str, folder: Path = FOLDER) -> dict[str, Any]:
    """The spec of the first object of a kind that has this key in it, as the overlays' patches do not.

    Raises:
        MeasureError: there is none.
    """
    for _, content in documents(folder):
        if content.get("kind") == kind and key in content.get("spec", {}):
            spec: dict[str, Any] = content["spec"]
            return spec
    raise MeasureError(f"there is no {kind} with spec.{key} in {folder}")


def hpa(folder: Path = FOLDER) -> Hpa:
    """The HorizontalPodAutoscaler.

    Raises:
        MeasureError: it is missing, or has a metric that the simulation does not know.
    """
    spec = find("HorizontalPodAutoscaler", "metrics", folder)
    return Hpa(
        int(spec.get("minReplicas", 1)),
        int(spec["maxReplicas"]),
        tuple(metric(entry) for entry in spec["metrics"]),
        *behaviour(spec.get("behavior", {})),
    )


def scaled_object(folder: Path = FOLDER) -> ScaledObject:
    """KEDA's ScaledObject; raises as `hpa` does."""
    spec = find("ScaledObject", "triggers", folder)
    least = int(spec.get("minReplicaCount", 0))
    metrics, activations = [], []
    for trigger in spec["triggers"]:
        if trigger["type"] == "prometheus":
            it = trigger["metadata"]
            name = signal(str(it.get("query", it.get("metricName", ""))))
            metrics.append(Metric(name, quantity(it["threshold"]), Kind.EXTERNAL_AVERAGE))
            activations.append(Activation(name, quantity(it.get("activationThreshold", 0))))
    configured = spec.get("advanced", {}).get("horizontalPodAutoscalerConfig", {})
    rules = behaviour(configured.get("behavior", {}))
    made = Hpa(max(1, least), int(spec.get("maxReplicaCount", 100)), tuple(metrics), *rules)
    times = (float(spec.get("pollingInterval", 30)), float(spec.get("cooldownPeriod", 300)))
    return ScaledObject(least, made, tuple(activations), *times)


def to_zero(folder: Path = FOLDER) -> ScaledObject:
    """The ScaledObject after the component that lets it scale to zero, in whose hours a calendar holds replicas."""
    for path, content in documents(folder / "components" / "keda-to-zero"):
        for patch in content.get("patches", []):
            changes = {change["path"]: change.get("value") for change in yaml.safe_load(patch["patch"])}
            hours = changes["/spec/triggers/-"]["metadata"]
            replicas = int(quantity(hours["desiredReplicas"]))
            calendar = Calendar(clock(hours["start"]), clock(hours["end"]), replicas)
            least = int(changes["/spec/minReplicaCount"])
            base = scaled_object(folder)
            return replace(base, least=least, hpa=replace(base.hpa, least=max(1, least)), calendar=calendar)
        raise MeasureError(f"{path} patches nothing")
    raise MeasureError(f"there is no keda-to-zero in {folder}")


def clock(cron: str) -> float:
    """Seconds of the day of a cron line that begins with a minute and an hour."""
    minute, hour, *_ = cron.split()
    return 3600.0 * int(hour) + 60.0 * int(minute)


def probe_period(folder: Path = FOLDER) -> float:
    """periodSeconds of the Deployment's readiness probe; Kubernetes' default of 10 where there is none."""
    for _, content in documents(folder):
        if content.get("kind") == "Deployment":
            for container in content["spec"].get("template", {}).get("spec", {}).get("containers", []):
                if "readinessProbe" in container:
                    return float(container["readinessProbe"].get("periodSeconds", 10))
    return 10.0


def metric(entry: Mapping[str, Any]) -> Metric:
    """One of spec.metrics."""
    kind = entry["type"]
    if kind == "Resource" and entry["resource"]["name"] == "cpu":
        return Metric(CPU, int(entry["resource"]["target"]["averageUtilization"]) / 100, Kind.RESOURCE)
    if kind in ("Pods", "External"):
        body = entry[kind.lower()]
        target = body["target"]
        average = target["type"] == "AverageValue"
        value = quantity(target["averageValue" if average else "value"])
        external = Kind.EXTERNAL_AVERAGE if average else Kind.EXTERNAL_VALUE
        return Metric(signal(body["metric"]["name"]), value, Kind.PODS if kind == "Pods" else external)
    raise MeasureError(f"the simulation has no metric of type {kind!r}: use Pods, External, or Resource cpu")


def signal(text: str) -> str:
    """Which of the simulation's signals a metric's name or a PromQL query reads."""
    for pattern, name in SIGNAL_NAMES:
        if re.search(pattern, text):
            return name
    raise MeasureError(f"{text!r} reads no signal of the simulation: a queue, inference seconds or requests")


def quantity(value: str | int | float) -> float:
    """A Kubernetes quantity: 600m is 0.6."""
    found = re.fullmatch(r"(-?\d+(?:\.\d+)?)([mkM]?)", str(value))
    if not found:
        raise MeasureError(f"{value!r} is not a quantity such as 4 or 600m")
    return float(found[1]) * SUFFIXES[found[2]]


def behaviour(content: Mapping[str, Any]) -> tuple[Rules, Rules]:
    """spec.behavior → scaleUp, scaleDown; what is not set has Kubernetes' default."""
    return _rules(content.get("scaleUp", {}), UP), _rules(content.get("scaleDown", {}), DOWN)


def _rules(content: Mapping[str, Any], default: Rules) -> Rules:
    policies = tuple(
        Policy(it["type"] == "Percent", int(it["value"]), float(it["periodSeconds"]))
        for it in content.get("policies") or ()
    )
    return Rules(
        float(content.get("stabilizationWindowSeconds", default.stabilization)),
        policies or default.policies,
        content.get("selectPolicy", default.select),
    )
