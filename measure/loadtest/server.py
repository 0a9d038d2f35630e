"""The server under load, as the options name it: its targets, and the model server's own counters."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from rich.console import Console

from bundle import sources
from clients.identify import ENVIRONMENT_TOKEN
from measure.loadtest import LoadTestError
from measure.loadtest.clips import Clip
from measure.loadtest.drive import drive, plan
from measure.loadtest.target import OVER_GRPC, Target
from measure.server import chosen
from serving.model_server import ModelServer, Spent

HINTS = {
    "unreachable": "is it running, and is that its address?",
    "model_not_found": "name a model that it serves, by MODEL= or MODELS=",
    **dict.fromkeys(
        ("unauthorized", "http_401", "http_403"), f"set {ENVIRONMENT_TOKEN} to a token that it takes"
    ),
}


@dataclass(frozen=True)
class Endpoint:
    """What is loaded.

    Attributes:
        server: where this command started it.
    """

    targets: Sequence[Target]
    server: ModelServer | None = None

    def spent(self) -> Spent | None:
        """The server's own counts since its start."""
        return self.server.spent() if self.server else None


@contextmanager
def endpoint(args: argparse.Namespace, screen: Console, clips: Sequence[Clip]) -> Iterator[Endpoint]:
    """The server that the options name, one that runs, or one of our own for the block; it has answered once.

    Raises:
        LoadTestError, BundleError: it does not start, or does not answer.
    """
    models, specs = args.models.split(), []
    if args.url:
        targets(args.url, models, args)  # refuse a wrong address before anything is printed
    elif models:
        specs = sources.resolve_all(args.models)
    else:
        specs = [sources.resolve(args.model, args.revision or None)]
    with chosen(args.url, specs, "loadtest", screen, running=not args.revision, server=args.server) as (
        url,
        service,
    ):
        found = targets(url, [spec.name for spec in specs] or models, args)
        check(found, clips[0])
        yield Endpoint(found, service.server if service else None)


def targets(url: str, models: Sequence[str], args: argparse.Namespace) -> list[Target]:
    """One target a model at a base address, NAME or NAME:VERSION, else MODEL='s; a URL with a path is one itself.

    Raises:
        LoadTestError: the URL is none, or has a path although models are named.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise LoadTestError(f"URL={url} is no address: write it as URL=http://host:8080")
    headers = {"Authorization": f"Bearer {args.token}"} if args.token else {}
    names = models or [Path(args.model).name]
    whole = parts.path not in ("", "/")
    if args.form in OVER_GRPC:
        if whole or parts.scheme == "https":
            raise LoadTestError(
                f"URL={url}: gRPC takes an address without encryption and path, http://host:8080"
            )
        addresses = [f"{parts.netloc}/{model}" for model in names]
    elif whole:
        if models:
            raise LoadTestError(f"URL={url} has a path, so it names the model already: leave MODELS= out")
        addresses = [url]
    else:
        base = url.rstrip("/")
        addresses = [f"{base}/predictions/{quote(model.replace(':', '/'))}" for model in names]
    return [Target(address, args.form, headers, args.timeout) for address in addresses]


def check(targets: Sequence[Target], clip: Clip) -> None:
    """One request to each target.

    Raises:
        LoadTestError: the answer is an error or no ranking; names it.
    """
    for target in targets:
        (record,) = drive(plan([clip], [target], [0.0], 0.0, 0))
        if record.error:
            hint = f": {HINTS[record.error]}" if record.error in HINTS else ""
            status = f" (status {record.status})" if record.status else ""
            raise LoadTestError(f"{target.url} does not answer {clip.name}: {record.error}{status}{hint}")


def means(before: Spent | None, after: Spent | None) -> dict[str, float]:
    """Milliseconds a request between two readings of the counters: in the queue, and in the worker with its batch."""
    if before is None or after is None:
        return {}
    requests, worker = after.requests - before.requests, after.worker - before.worker
    if not requests or not worker:  # TorchServe counts gRPC's, but does not time them
        return {}
    return {"queue": 1000 * (after.queue - before.queue) / requests, "inference": 1000 * worker / requests}
