"""/v2/models/NAME/stats: each version's counts and times since the model server started, as Triton's statistics
extension words them. Of its fields, those that the workers do not measure are left out: the extension is not announced.

https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/protocol/extension_statistics.html
"""

from __future__ import annotations

import json
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from threading import Lock
from typing import Any

from prometheus_client import Metric

from serving.host import local_http

# s; the address is public, and a scrape of the workers costs some milliseconds
FRESH = 1.0
PATH = re.compile(r"/v2/models(?:/(?P<model>[\w.-]+?)(?:/versions/(?P<version>[\w.-]+))?)?/stats")
Key = tuple[str, str]  # model and version
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]  # of WSGI
NANOSECONDS = 1e9  # a second


class Statistics:
    """What is answered at the path.

    Args:
        collect: the workers' metrics now.
        heads: how many heads a model has, where there are several.
        clock: seconds, for tests.
    """

    def __init__(
        self,
        collect: Callable[[], Iterable[Metric]],
        heads: Mapping[str, int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._collect, self._heads, self._clock = collect, heads, clock
        self._lock = Lock()
        self._found: list[dict[str, Any]] | None = None
        self._until = -1.0

    def answer(self, path: str) -> tuple[str, dict[str, Any]] | None:
        """The status and JSON for a path; None for one of something else."""
        asked = PATH.fullmatch(path)
        if asked is None:
            return None
        model, version = asked["model"], asked["version"]
        found = self._now()
        if found is None:
            return "503 Service Unavailable", {
                "error": "the model server does not answer",
                "code": "unavailable",
            }
        chosen = [
            each for each in found if model in (None, each["name"]) and version in (None, each["version"])
        ]
        if model and not chosen:
            named = model[:64] + (f", version {version[:64]}" if version else "")
            said = f"no such model, or no such version of it: {named}"
            return "404 Not Found", {"error": said, "code": "model_not_found"}
        return "200 OK", {"model_stats": chosen}

    def before(self, other: Application) -> Application:
        """The WSGI application that answers the path, and passes on every other request."""

        def application(environment: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
            found = self.answer(environment.get("PATH_INFO", ""))
            if found is None:
                return other(environment, start)
            status, value = found
            content = json.dumps(value).encode()
            start(status, [("Content-Type", "application/json"), ("Content-Length", str(len(content)))])
            return [content] if environment.get("REQUEST_METHOD") != "HEAD" else []

        return application

    def _now(self) -> list[dict[str, Any]] | None:
        """What was collected in the last second; None if that failed, which the requests that waited for it share."""
        with self._lock:
            if self._clock() >= self._until:
                try:
                    self._found = by_version(self._collect(), self._heads)
                except (*local_http.FAULTS, ValueError):
                    self._found = None
                self._until = self._clock() + FRESH
            return self._found


def by_version(families: Iterable[Metric], heads: Mapping[str, int]) -> list[dict[str, Any]]:
    """What Triton calls model_stats.

    Args:
        families: the workers' metrics.
        heads: how many heads a model has, where there are several.
    """
    found: defaultdict[str, defaultdict[Key, float]] = defaultdict(lambda: defaultdict(float))
    for family in families:
        for sample in family.samples:
            key = (sample.labels.get("model", ""), sample.labels.get("version", ""))
            if sample.name == "speaker_id_requests_total":
                found["ok" if sample.labels["code"] == "ok" else "failed"][key] += sample.value
            elif not sample.name.endswith("_bucket"):
                found[sample.name][key] += sample.value

    def duration(name: str, key: Key) -> dict[str, int]:
        seconds = found[f"speaker_id_{name}_seconds_sum"][key]
        return {
            "count": round(found[f"speaker_id_{name}_seconds_count"][key]),
            "ns": round(seconds * NANOSECONDS),
        }

    return [
        {
            "name": key[0],
            "version": key[1],
            # each clip that was answered has one margin a head
            "inference_count": round(found["speaker_id_answer_margin_count"][key] / heads.get(key[0], 1)),
            "execution_count": round(found["speaker_id_batch_seconds_count"][key]),
            "inference_stats": {
                "success": {"count": round(found["ok"][key])},
                "fail": {"count": round(found["failed"][key])},
                "queue": duration("queue", key),
                "compute_input": duration("decode", key),
                "compute_infer": duration("inference", key),
            },
        }
        for key in sorted(found["ok"].keys() | found["failed"].keys())
    ]
