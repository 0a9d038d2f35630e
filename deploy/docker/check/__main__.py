"""`make image-check`: can the image that deploy/docker/Dockerfile describes serve? Without a container engine.

Reads the file's own steps and runs them in an empty root, as `deploy.docker.check.sandbox` has it. Then its
ENTRYPOINT, as its USER, as process 1, on a read-only root: it must become ready by its own HEALTHCHECK, name the
speaker of a sample clip, and end with 0 on SIGTERM. What this cannot show: pulling the base image, layers, the
engine's own limits.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests

from bundle import BundleError, archived, samples
from bundle.command_line import Parser
from clients.identify import Client, ClientError
from deploy.docker.check import dockerfile, sandbox
from deploy.docker.check.builder import Builder, Built
from deploy.docker.check.dockerfile import Stage
from serving.host import ports, processes
from serving.host.leash import Leashed, watches
from serving.host.polling import wait_until
from serving.host.ports import LOOPBACK

DOCKERFILE = Path("deploy/docker/Dockerfile")
ROOT = Path("build/image")
TARGET = "server"
READY_SECONDS = 400.0  # more than the start period of the Dockerfile's HEALTHCHECK
SIGNAL = "speaker_id_queue_depth"
STOP_SECONDS = 100.0  # terminationGracePeriodSeconds of deploy/kubernetes


@dataclass
class Container:
    """A started server.

    Attributes:
        outer: the child of ours that ends as `inner` does.
        inner: the server, process 1 of its namespace.
        check: what runs the image's HEALTHCHECK beside it in the same root.
    """

    outer: subprocess.Popen[bytes]
    inner: psutil.Process
    check: list[str]


@contextlib.contextmanager
def started(
    server: Stage, built: Built, port: int, metrics_port: int, given: Mapping[str, Path]
) -> Iterator[Container]:
    """The ENTRYPOINT as a running process, which ends with the block."""
    # it shares this machine's network, where both ports may be taken
    words = [*server.exec_form("ENTRYPOINT"), "--port", str(port), "--metrics-port", str(metrics_port)]
    user = server.last("USER") or ""
    command = sandbox.command(
        built.root, words, built.where, built.variables, user, True, given, java=bool(given)
    )
    outer = Leashed(command)
    try:

        def inside() -> list[psutil.Process]:
            return [each for each in psutil.Process(outer.pid).children() if not watches(each)]

        wait_until(lambda: outer.poll() is not None or inside(), 10)
        if outer.poll() is not None or not (inner := inside()):
            raise BundleError("the entrypoint did not start")
        mapped = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        namespaces = ["nsenter", "--target", str(inner[0].pid), *mapped, "--mount", "--pid", "--root", "--wd"]
        check = server.exec_form("HEALTHCHECK")
        setting = [f"{name}={value}" for name, value in built.variables.items()]
        where = ["/usr/bin/env", f"--chdir={built.where}", "--ignore-environment", *setting]
        yield Container(outer, inner[0], [*namespaces, *where, *check])
    finally:
        if outer.poll() is None:
            processes.end(psutil.Process(outer.pid).children(recursive=True), grace=5.0)
        outer.kill()
        outer.wait()
        outer.release()


def serve(server: Stage, built: Built, given: Mapping[str, Path]) -> None:
    """Start, request, scrape, stop.

    Raises:
        BundleError: it does not become ready, answers wrongly, has no metrics, or does not end with 0.
    """
    port, metrics_port = ports.free(2)
    store, sample = f"{built.where}/model_store", samples.samples()[0]
    (spec,) = archived.read_store(given.get(store, built.root / store.lstrip("/")))
    with started(server, built, port, metrics_port, given) as container:

        def ready() -> bool:
            if container.outer.poll() is not None:
                raise BundleError(f"the server ended by itself with exit code {container.outer.returncode}")
            return subprocess.run(container.check, capture_output=True).returncode == 0

        if not wait_until(ready, READY_SECONDS, 0.5):
            raise BundleError(f"its HEALTHCHECK is not ready after {READY_SECONDS:.0f} s")
        with Client(f"http://{LOOPBACK}:{port}", spec.name) as client:
            best = client.identify(sample.path).labels[0].label
        if spec.demo and best != sample.speaker:
            raise BundleError(f"{sample.path.name} is by {sample.speaker}, but the server answers {best}")
        scraped = requests.get(f"http://{LOOPBACK}:{metrics_port}/metrics", timeout=10).text
        if f"\n{SIGNAL}{{" not in scraped:
            raise BundleError(f"its metrics lack {SIGNAL}, which the autoscalers use")
        print(f"ready by HEALTHCHECK; {sample.path.name}: {best}; {SIGNAL} is scraped", flush=True)
        family = [container.inner, *container.inner.children(recursive=True)]
        users = sorted({each.uids().real for each in family})
        began = time.monotonic()
        container.inner.send_signal(signal.SIGTERM)
        try:
            code = container.outer.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise BundleError(f"it still runs {STOP_SECONDS:.0f} s after SIGTERM") from None
        seconds = time.monotonic() - began
        print(
            f"{len(family)} processes as uid {', '.join(map(str, users))}; SIGTERM: {code} after {seconds:.1f} s"
        )
        if code:
            raise BundleError(f"it ended with exit code {code}")


def main() -> int:
    parser = Parser(prog="make image-check", description="Follow the Dockerfile and start it.")
    parser.add_argument(
        "--build-arg", action="append", default=[], metavar="NAME=VALUE", help="as docker build takes it"
    )
    parser.add_argument(
        "--root", type=Path, default=ROOT, help="where the stages are built (default: %(default)s)"
    )
    args = parser.parse_args()
    began = time.monotonic()
    try:
        if not sandbox.available():
            raise BundleError(
                "no permission for namespaces: run it as root, or where `unshare --user --mount` works"
            )
        shutil.rmtree(args.root, ignore_errors=True)
        arguments = dict(each.split("=", 1) for each in args.build_arg)
        stages = dockerfile.needed(dockerfile.read(DOCKERFILE, arguments), TARGET)
        builder = Builder(Path(), args.root, arguments)
        for stage in stages:
            print(f"stage {stage.name}, from {stage.base}", flush=True)
            builder.build(stage)
        serve(stages[-1], builder.built[TARGET], {})
    except (BundleError, ClientError) as exc:
        print(f"image-check: {exc}", file=sys.stderr)
        return 1
    print(f"image-check: every step was followed, in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
