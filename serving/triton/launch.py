"""How tritonserver is started: its command, its environment, and the declaration of its workers' metrics."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

import triton_metrics
from speaker_id import suspects

from bundle import private
from serving.host.ports import LOOPBACK
from serving.metrics.catalogue import CATALOGUE, TORCHSERVE_BUCKETS, WORKERS
from serving.triton.installation import Installation
from serving.triton.ports import Ports

REPOSITORY = "repository"  # in the temp folder, and in the command lines of the server and its workers
METRICS = "metrics"  # in the temp folder, which only its owner may access
SUSPECTS = "suspects"  # beside it
LOG = "handler_log.log"  # the workers' lines, in the folder of the logs
# of which Triton makes parameters of a request; the gateway drops every other header that begins with x-
HEADERS = "(?i)(x-.*|traceparent)"
RESTRICTED = "model-repository,shared-memory,logging,trace"
# What the user exported for other programs
NOT_PASSED_ON = {"PYTHONPATH", "PYTHONHOME", "PROMETHEUS_MULTIPROC_DIR"}
POLL_SECONDS = 1


def command(
    found: Installation, temp: Path, ports: Ports, exit_seconds: float, startup_seconds: int
) -> list[str]:
    """The command line of tritonserver.

    Its model repository is polled, and not changed over its API: who may write to a private folder decides what code
    runs, not who reaches a port. The APIs that can load, read memory or write files ask for a
    header with a word that is drawn here and not kept. Triton takes it on its command line alone, where this machine's
    other users can read it.

    Args:
        found: the server.
        temp: this server's temp folder, by which its processes are known.
        ports: where it listens.
        exit_seconds: for requests in flight, once it is asked to end.
        startup_seconds: for a worker to load.
    """
    word = secrets.token_urlsafe(32)
    return [
        str(found.executable),
        f"--model-repository={temp / REPOSITORY}",
        f"--backend-directory={found.backends}",
        "--model-control-mode=poll",
        f"--repository-poll-secs={POLL_SECONDS}",
        "--disable-auto-complete-config",  # which would load every model once more
        f"--http-address={LOOPBACK}",
        f"--http-port={ports.http}",
        f"--grpc-address={LOOPBACK}",
        f"--grpc-port={ports.grpc}",
        f"--metrics-address={LOOPBACK}",
        f"--metrics-port={ports.metrics}",
        "--allow-cpu-metrics=false",
        "--allow-sagemaker=false",  # these two listen on every address, and have no option for it
        "--allow-vertex-ai=false",
        f"--http-header-forward-pattern={HEADERS}",
        f"--grpc-header-forward-pattern={HEADERS}",
        f"--http-restricted-api={RESTRICTED}:x-admin={word}",
        f"--grpc-restricted-protocol={RESTRICTED}:x-admin={word}",
        f"--exit-timeout-secs={exit_seconds:.0f}",
        f"--backend-config=python,stub-timeout-seconds={startup_seconds}",
        f"--backend-config=python,shm-region-prefix-name={temp.name}-",
    ]


def environment(found: Installation, temp: Path, logs: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """Variables of the server and its workers.

    Args:
        found: the server.
        temp: this server's temp folder.
        logs: folder of its logs.
        variables: over what is inherited.
    """
    inherited = {key: value for key, value in os.environ.items() if key not in NOT_PASSED_ON}
    return {
        **inherited,
        **found.environment,
        "TMPDIR": str(temp),
        "SPEAKER_ID_LOG": str(logs / LOG),
        triton_metrics.FOLDER_VARIABLE: str(temp / METRICS),
        suspects.FOLDER_VARIABLE: str(temp / SUSPECTS),
        # nothing is fetched while serving: an archive that tries to do so fails when it is loaded
        "HF_HUB_OFFLINE": "1",
        **variables,
    }


def declare(temp: Path) -> None:
    """Create the folders that the workers write to, with what they observe, from the catalogue."""
    private.folder(temp / SUSPECTS)
    folder = private.folder(temp / METRICS)
    entries = [
        {
            "name": metric.name,
            "kind": metric.kind,
            "labels": metric.labels,
            "help": metric.help,
            "buckets": TORCHSERVE_BUCKETS if metric.kind == "histogram" else (),
        }
        for metric in CATALOGUE
        if metric.part == WORKERS
    ]
    private.write(folder / triton_metrics.DECLARATION, json.dumps(entries))
