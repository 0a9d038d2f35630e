"""Every metric that the exporter serves: one table for the exporter, the rules, the dashboard and the documentation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]
MODEL, VERSION = "model", "version"
BY_VERSION = (MODEL, VERSION)

# Of TorchServe's histograms, fixed in its frontend: what is observed has to be seconds, or numbers of that size.
TORCHSERVE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
# Seconds of a request. Too few: percentiles are guesses between two bounds. Too many: a series each, per model.
REQUEST_BUCKETS = (
    0.025,
    0.05,
    0.1,
    0.2,
    0.3,
    0.5,
    0.75,
    1.0,
    1.5,
    2.0,
    3.0,
    5.0,
    7.5,
    10.0,
    30.0,
    60.0,
    120.0,
)


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: as it is scraped; a histogram's samples end in _bucket, _sum and _count.
        kind: counter, gauge or histogram.
        labels: their names; a histogram's buckets have `le` beside them.
        part: who knows it.
        help: what it is, with its unit.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    part: str
    help: str


# What the workers observe goes through their server, which has counters of its own besides.
WORKERS, TORCHSERVE, MANAGEMENT = "workers", "torchserve", "management"
GATEWAY, ACCESS_LOG, SPLITTER, EXPORTER = "gateway", "access_log", "splitter", "exporter"

CATALOGUE = (
    Metric(
        "speaker_id_requests_total",
        "counter",
        (*BY_VERSION, "code"),
        WORKERS,
        "Requests that a worker has answered, by the code of their error, or ok.",
    ),
    Metric(
        "speaker_id_queue_seconds",
        "histogram",
        BY_VERSION,
        WORKERS,
        "Seconds from a request's whole arrival at the gateway until a worker has it.",
    ),
    Metric(
        "speaker_id_decode_seconds",
        "histogram",
        BY_VERSION,
        WORKERS,
        "Seconds spent on decoding a request's clips, summed over threads.",
    ),
    Metric(
        "speaker_id_inference_seconds",
        "histogram",
        BY_VERSION,
        WORKERS,
        "Encoder seconds of the micro-batches that held the request's clips.",
    ),
    Metric(
        "speaker_id_batch_seconds",
        "histogram",
        BY_VERSION,
        WORKERS,
        "Seconds that a worker took over a batch, decoding included.",
    ),
    Metric("speaker_id_batch_clips", "histogram", BY_VERSION, WORKERS, "Clips in a batch."),
    Metric(
        "speaker_id_batch_audio_seconds",
        "histogram",
        BY_VERSION,
        WORKERS,
        "Seconds of audio in a batch; its sum is all the audio that was worked on.",
    ),
    Metric(
        "speaker_id_answer_surprise_nats",
        "histogram",
        BY_VERSION,
        WORKERS,
        "-ln of the best label's softmax score, of every clip and head: 0 is certain, ln(labels) is a guess.",
    ),
    Metric(
        "speaker_id_answer_margin",
        "histogram",
        BY_VERSION,
        WORKERS,
        "Best softmax score less the second best, of every clip and head.",
    ),
    Metric(
        "speaker_id_answer_entropy_nats",
        "histogram",
        BY_VERSION,
        WORKERS,
        "Entropy of the softmax scores, of every clip and head.",
    ),
    Metric(
        "speaker_id_skipped_frames_total",
        "counter",
        BY_VERSION,
        WORKERS,
        "Damaged frames that were left out of answered clips.",
    ),
    Metric(
        "speaker_id_decoder_faults_total",
        "counter",
        (*BY_VERSION, "kind"),
        WORKERS,
        "Clips over which a decoder process crashed, reached a limit or was killed, by kind.",
    ),
    Metric(
        "speaker_id_worker_starts_total",
        "counter",
        BY_VERSION,
        WORKERS,
        "Workers that have loaded their model; each beyond those wanted is a restart.",
    ),
    Metric(
        "speaker_id_torchserve_requests_total",
        "counter",
        (MODEL,),
        TORCHSERVE,
        "Requests as TorchServe counts them, gRPC's and the readiness watch's included.",
    ),
    Metric(
        "speaker_id_torchserve_queue_seconds_total",
        "counter",
        (MODEL,),
        TORCHSERVE,
        "Seconds that requests waited in TorchServe's queue.",
    ),
    Metric(
        "speaker_id_torchserve_inference_seconds_total",
        "counter",
        (MODEL,),
        TORCHSERVE,
        "Seconds that requests spent with a worker, the batch's other clips included.",
    ),
    Metric(
        "speaker_id_queue_depth",
        "gauge",
        BY_VERSION,
        MANAGEMENT,
        "Requests in the model server's queue now; those that a worker has are not among them.",
    ),
    Metric(
        "speaker_id_queue_capacity",
        "gauge",
        BY_VERSION,
        MANAGEMENT,
        "Requests that the queue holds at most; beyond it callers get 429.",
    ),
    Metric(
        "speaker_id_workers_ready",
        "gauge",
        BY_VERSION,
        MANAGEMENT,
        "Workers that are loaded, alive and have answered lately.",
    ),
    Metric("speaker_id_workers_wanted", "gauge", BY_VERSION, MANAGEMENT, "Workers that there should be."),
    Metric(
        "speaker_id_responses_total",
        "counter",
        (MODEL, "status"),
        ACCESS_LOG,
        "Answers as callers got them, by HTTP status; neither health probes nor what is over its caller's share are "
        "counted.",
    ),
    Metric(
        "speaker_id_request_seconds",
        "histogram",
        (MODEL,),
        ACCESS_LOG,
        "Seconds from a request's whole arrival to its whole answer, of those answered with 2xx.",
    ),
    Metric(
        "speaker_id_gateway_requests_total",
        "counter",
        ("class",),
        GATEWAY,
        "Answers of the gateway by class of status, health probes included.",
    ),
    Metric("speaker_id_gateway_active_requests", "gauge", (), GATEWAY, "Requests that are not answered whole."),
    Metric("speaker_id_gateway_connections", "gauge", (), GATEWAY, "Connections of callers that are open."),
    Metric(
        "speaker_id_gateway_retries_total",
        "counter",
        (),
        GATEWAY,
        "Attempts after a request's first, because a worker ended over it or, with Triton, another is being loaded.",
    ),
    Metric(
        "speaker_id_gateway_overflows_total",
        "counter",
        (),
        GATEWAY,
        "Requests that the gateway's own limit refused with 429, before the model server's queue saw them.",
    ),
    Metric(
        "speaker_id_gateway_connect_failures_total",
        "counter",
        (),
        GATEWAY,
        "Connections to the model server that failed.",
    ),
    Metric(
        "speaker_id_caller_requests_total",
        "counter",
        ("caller", "outcome"),
        GATEWAY,
        "Requests for inference by the name of their token: `admitted`, or refused with 429 as `over_requests` or "
        "`over_audio`. Tokens without a name are `unnamed`, those after the first 100 names `other`, all addresses "
        "`address`.",
    ),
    Metric(
        "speaker_id_caller_audio_seconds_total",
        "counter",
        ("caller",),
        GATEWAY,
        "Seconds of audio that were charged to this caller's share.",
    ),
    Metric("speaker_id_gateway_memory_bytes", "gauge", (), GATEWAY, "Memory that Envoy has allocated."),
    Metric(
        "speaker_id_split_requests_total",
        "counter",
        ("kind",),
        SPLITTER,
        "Requests that the splitter got: `clips` and `recording` are answered in groups, `passed` go on unchanged.",
    ),
    Metric(
        "speaker_id_split_groups_total",
        "counter",
        (),
        SPLITTER,
        "Groups that the splitter sent, each a request to the model server.",
    ),
    Metric("speaker_id_split_windows_total", "counter", (), SPLITTER, "Windows of recordings in them."),
    Metric(
        "speaker_id_split_groups_in_flight", "gauge", (), SPLITTER, "Groups that are sent and not answered now."
    ),
    Metric(
        "speaker_id_splitter_starts_total",
        "counter",
        (),
        SPLITTER,
        "Starts of the splitter; each beyond the first is a restart, at which its other counts begin again.",
    ),
    Metric("speaker_id_up", "gauge", ("part",), EXPORTER, "1 if this part told its metrics at this scrape."),
    Metric(
        "speaker_id_scrape_seconds", "gauge", ("part",), EXPORTER, "Seconds that this part took at this scrape."
    ),
)  # fmt: skip

BY_NAME = {metric.name: metric for metric in CATALOGUE}


def samples_of(metric: Metric) -> tuple[str, ...]:
    """The names under which a metric's samples are queried."""
    if metric.kind != "histogram":
        return (metric.name,)
    return tuple(f"{metric.name}_{end}" for end in ("bucket", "sum", "count"))
