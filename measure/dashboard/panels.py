"""The dashboard's panels, row by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from measure.dashboard.queries import Now, Quantile, Query, Rate, Ratio, mean

# Grafana's names of units
Unit = Literal["s", "reqps", "short", "percentunit", "none"]


@dataclass(frozen=True)
class Panel:
    """One panel: its queries by their legend, with {{label}} in it where the answer has several lines."""

    title: str
    unit: Unit
    help: str
    curves: Mapping[str, Query]
    stacked: bool = False


def _quantiles(histogram: str, *quantiles: float) -> dict[str, Query]:
    return {f"p{100 * each:g}": Quantile(each, histogram) for each in quantiles}


ROWS: dict[str, tuple[Panel, ...]] = {
    "What callers see": (
        Panel(
            "Answers by status",
            "reqps",
            "Every answer of the gateway except to health probes, by HTTP status.",
            {"{{status}}": Rate("speaker_id_responses_total", ("status",))},
            stacked=True,
        ),
        Panel(
            "Time to the answer",
            "s",
            "From the request's whole arrival to the whole answer, of those answered with 2xx.",
            _quantiles("speaker_id_request_seconds", 0.5, 0.95, 0.99),
        ),
        Panel(
            "Refused by a worker",
            "reqps",
            "Requests that a worker answered with an error of ours, by its code.",
            {"{{code}}": Rate("speaker_id_requests_total", ("code",), {"code": "ok"})},
            stacked=True,
        ),
    ),
    "Queue and workers": (
        Panel(
            "Queue",
            "short",
            "Requests that wait for a worker, and how many may.",
            {"waiting": Now("speaker_id_queue_depth"), "capacity": Now("speaker_id_queue_capacity")},
        ),
        Panel(
            "Time in the queue",
            "s",
            "From the request's whole arrival until a worker has it.",
            _quantiles("speaker_id_queue_seconds", 0.5, 0.95, 0.99),
        ),
        Panel(
            "Workers",
            "short",
            "Workers that are loaded and warm, and how many should be.",
            {"ready": Now("speaker_id_workers_ready"), "wanted": Now("speaker_id_workers_wanted")},
        ),
    ),
    "Work": (
        Panel(
            "Where the time goes",
            "s",
            "Mean seconds of a request in each stage.",
            {
                "inference": mean("speaker_id_inference_seconds"),
                "decoding": mean("speaker_id_decode_seconds"),
                "queue": mean("speaker_id_queue_seconds"),
            },
            stacked=True,
        ),
        Panel(
            "Audio worked on",
            "none",
            "Seconds of audio a second, by model and version.",
            {"{{model}} {{version}}": Rate("speaker_id_batch_audio_seconds_sum", ("model", "version"))},
        ),
        Panel(
            "Clips in a batch",
            "none",
            "Mean clips that a worker takes at once: batches fill by themselves once there is a queue.",
            {"mean": mean("speaker_id_batch_clips")},
        ),
    ),
    "Answers": (
        Panel(
            "Surprise of the best label",
            "none",
            "−ln of the best score, in nats: 0 is certain. A shift says that recordings or speakers have changed.",
            _quantiles("speaker_id_answer_surprise_nats", 0.5, 0.9),
        ),
        Panel(
            "Margin and entropy",
            "none",
            "Best score less the second best, and entropy in nats; means.",
            {"margin": mean("speaker_id_answer_margin"), "entropy": mean("speaker_id_answer_entropy_nats")},
        ),
        Panel(
            "Real-time factor",
            "none",
            "A worker's seconds for a second of audio.",
            {
                "factor": Ratio(
                    Rate("speaker_id_batch_seconds_sum"), Rate("speaker_id_batch_audio_seconds_sum")
                )
            },
        ),
    ),
    "Gateway": (
        Panel(
            "In flight",
            "short",
            "Requests that are not answered whole, and connections of callers.",
            {
                "requests": Now("speaker_id_gateway_active_requests"),
                "connections": Now("speaker_id_gateway_connections"),
            },
        ),
        Panel(
            "Second tries",
            "reqps",
            "Requests sent again after a worker ended over them, and starts of workers.",
            {
                "tried again": Rate("speaker_id_gateway_retries_total"),
                "worker starts": Rate("speaker_id_worker_starts_total"),
                "no connection": Rate("speaker_id_gateway_connect_failures_total"),
            },
        ),
        Panel(
            "Parts that tell their metrics",
            "short",
            "1 where the part answered at the scrape.",
            {"{{part}}": Now("speaker_id_up", ("part",))},
        ),
    ),
}
PANELS = tuple(panel for row in ROWS.values() for panel in row)
