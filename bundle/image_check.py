"""`make image-check`: follow deploy/docker/Dockerfile without a container engine, then start what comes out of it.

Reads the file's own steps and runs them in an empty root, as `bundle.sandbox` has it. Then its ENTRYPOINT, as its USER,
as process 1, on a read-only root: it must become ready by its own HEALTHCHECK, name the speaker of a sample clip, and
end with 0 on SIGTERM. What this cannot show: pulling the base image, layers, the engine's own limits.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

import psutil

from bundle import BundleError, dockerfile, ports, processes, samples, sandbox
from bundle.dockerfile import Stage
from clients.identify import Client, ClientError

DOCKERFILE = Path("deploy/docker/Dockerfile")
ROOT = Path("build/image")
TARGET = "server"
READY_SECONDS = 400.0  # more than the start period of the Dockerfile's HEALTHCHECK
STOP_SECONDS = 100.0  # terminationGracePeriodSeconds of deploy/kubernetes
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# how this machine reaches its package index; no more of its environment gets in
PASSED_ON = ("PIP_", "SSL_CERT_", "REQUESTS_CA_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


@dataclass
class Built:
    """What a stage left: its files, and the environment that it ends in."""

    root: Path
    where: str
    variables: dict[str, str]


class Builder:
    """Follows stages, one after the other.

    Args:
        context: the folder that COPY takes from; tracked files and those that git does not ignore.
        roots: where each stage gets a root of its own.
        arguments: what --build-arg would give.
        given: folders of this machine in place of what RUN would make, by their place; no RUN is run then.
    """

    def __init__(
        self,
        context: Path,
        roots: Path,
        arguments: Mapping[str, str],
        given: Mapping[str, Path] | None = None,
    ) -> None:
        self.context = context
        self.roots = roots
        self.arguments = dict(arguments)
        self.given = dict(given or {})
        self.built: dict[str, Built] = {}

    def build(self, stage: Stage) -> Built:
        """Follow one stage; those it needs have been built.

        Raises:
            BundleError: a step fails; says which line.
        """
        root = self.roots / stage.name
        if stage.base in self.built:
            base = self.built[stage.base]
            # links, not copies: packages are gigabytes, and pip replaces files rather than writing into them
            shutil.copytree(base.root, root, symlinks=True, copy_function=os.link)
            now = Built(root, base.where, dict(base.variables))
        else:
            root.mkdir(parents=True)
            sandbox.make_root(root)
            now = Built(root, "/", {"PATH": PATH})
        for step in stage.steps:
            if step.instruction == "WORKDIR":
                now.where = step.value
                (root / step.value.lstrip("/")).mkdir(parents=True, exist_ok=True)
            elif step.instruction == "ARG":
                now.variables |= dockerfile.argument(step.value, self.arguments)
            elif step.instruction == "ENV":
                now.variables |= dockerfile.variables(step.value, now.variables)
            elif step.instruction == "COPY":
                self.copy(now, Template(step.value).safe_substitute(now.variables), step.line)
            elif step.instruction == "RUN" and not self.given:
                print(f"line {step.line}: RUN {step.value}", flush=True)
                self.run(now, step.value, step.line)
        self.built[stage.name] = now
        return now

    def run(self, now: Built, line: str, number: int) -> None:
        passed = {name: value for name, value in os.environ.items() if name.upper().startswith(PASSED_ON)}
        variables = {"HOME": "/tmp", **passed, **now.variables}  # noqa: S108  # of the root's own
        done = subprocess.run(sandbox.command(now.root, ["/bin/sh", "-c", line], now.where, variables))
        if done.returncode:
            raise BundleError(f"line {number}: RUN {line} exits with {done.returncode}")

    def copy(self, now: Built, value: str, number: int) -> None:
        words = shlex.split(value)
        options = [word for word in words if word.startswith("--")]
        *sources, target = [word for word in words if not word.startswith("--")]
        origin = self.context
        for option in options:
            name, _, stage = option.partition("=")
            if name != "--from":
                raise BundleError(f"line {number}: COPY {name} is not followed by this check")
            origin = self.built[stage].root
        place = now.root / now.where.lstrip("/") / target
        for source in sources:
            found = sorted(origin.glob(source.lstrip("/")))
            if not found and self.given and "--from" in value:
                place.mkdir(parents=True, exist_ok=True)  # what a RUN would have made: mounted there instead
            elif not found:
                raise BundleError(f"line {number}: COPY {source}: there is no such file")
            for each in found:
                copy_one(each, place, into=target.endswith("/"), link=origin != self.context)


def copy_one(source: Path, place: Path, into: bool, link: bool) -> None:
    """A file to a place or into it; of a folder, as COPY has it, what is in it."""
    function = os.link if link else shutil.copy2
    if source.is_dir():
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info") if not link else None
        shutil.copytree(
            source, place, symlinks=True, ignore=ignored, copy_function=function, dirs_exist_ok=True
        )
    else:
        goal = place / source.name if into or place.is_dir() else place
        goal.parent.mkdir(parents=True, exist_ok=True)
        function(source, goal)


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
def started(server: Stage, built: Built, port: int, given: Mapping[str, Path]) -> Iterator[Container]:
    """The ENTRYPOINT as a running process; ended with the block, whatever it does."""
    # the network is this machine's, where both ports may be taken
    words = [*server.exec_form("ENTRYPOINT"), "--port", str(port), "--metrics-port", str(ports.free(1)[0])]
    user = server.last("USER") or ""
    command = sandbox.command(
        built.root, words, built.where, built.variables, user, True, given, java=bool(given)
    )
    outer = subprocess.Popen(command, start_new_session=True)
    try:
        deadline = time.monotonic() + 10
        while not (inner := psutil.Process(outer.pid).children()):
            if outer.poll() is not None or time.monotonic() > deadline:
                raise BundleError("the entrypoint did not start")
            time.sleep(0.05)
        namespaces = ["nsenter", "--target", str(inner[0].pid), "--mount", "--pid", "--root", "--wd"]
        check = server.exec_form("HEALTHCHECK")
        setting = [f"{name}={value}" for name, value in built.variables.items()]
        where = ["/usr/bin/env", f"--chdir={built.where}", "--ignore-environment", *setting]
        yield Container(outer, inner[0], [*namespaces, *where, *check])
    finally:
        if outer.poll() is None:
            processes.end(psutil.Process(outer.pid).children(recursive=True), grace=5.0)
        outer.kill()
        outer.wait()


def serve(server: Stage, built: Built, given: Mapping[str, Path]) -> None:
    """Start, ask, stop.

    Raises:
        BundleError: it does not become ready, answers wrongly, or does not end with 0.
    """
    port, sample = ports.free(1)[0], samples.samples()[0]
    with started(server, built, port, given) as container:
        deadline = time.monotonic() + READY_SECONDS
        while subprocess.run(container.check, capture_output=True).returncode:
            if container.outer.poll() is not None:
                raise BundleError(f"the server ended by itself, with {container.outer.returncode}")
            if time.monotonic() > deadline:
                raise BundleError(f"not ready after {READY_SECONDS:.0f} s by its HEALTHCHECK")
            time.sleep(0.5)
        with Client(f"http://127.0.0.1:{port}", "demo") as client:
            best = client.identify(sample.path).labels[0].label
        if best != sample.speaker:
            raise BundleError(f"{sample.path.name} is {sample.speaker}, and the server says {best}")
        print(f"ready by HEALTHCHECK; {sample.path.name}: {best}, which is right", flush=True)
        family = [container.inner, *container.inner.children(recursive=True)]
        users = sorted({each.uids().real for each in family})
        began = time.monotonic()
        container.inner.send_signal(signal.SIGTERM)
        try:
            code = container.outer.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise BundleError(f"it runs still, {STOP_SECONDS:.0f} s after SIGTERM") from None
        seconds = time.monotonic() - began
        print(
            f"{len(family)} processes as uid {', '.join(map(str, users))}; SIGTERM: {code} after {seconds:.1f} s"
        )
        if code:
            raise BundleError(f"it ended with {code}")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="make image-check", description="Follow the Dockerfile and start it."
    )
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
            raise BundleError("no namespaces here: run it as root, or where `unshare --user --mount` works")
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
