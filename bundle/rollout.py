"""`make rollout`: another version of a model takes the place of the one that is served, and no request is lost.

    python -m bundle.rollout --model demo --version 2.0

The server must have been started by `make serve`. Each step is undone if a later one fails, so that the server is
left as it was found.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from bundle import BundleError, archive, canary, gate, ports, sources, startup_log, state
from bundle.management import Management, ManagementError, Version
from bundle.processes import idle
from bundle.sources import ModelSpec
from bundle.state import State

REGISTER_SECONDS = 120.0  # for hashing and unpacking an archive; 400 MB take ten
IDLE_SECONDS = 0.5
LOCK = "rollout.lock"


class Rollout:
    """One model's change from the version that is the default to another.

    Args:
        spec: what is to be served, under its new version.
        server: the running server.
        run: its folder.

    Attributes:
        old, new: the versions.
    """

    def __init__(self, spec: ModelSpec, server: State, run: Path) -> None:
        self.spec, self.server, self.run = spec, server, run
        self.name, self.new = spec.name, spec.version
        self.store = Path(server.store)
        self.management = Management(Path(server.management))
        self.weights = canary.Weights(run)
        self.old = self.management.default(self.name)
        self.built: Path | None = None
        self.began = time.monotonic()

    def to_new(self, clips: Sequence[gate.Clip], share: int) -> None:
        """Load the new version, check its answers, and make it the default; with a share, leave it at that.

        Args:
            clips: what both versions are asked.
            share: percent of the requests that the new version gets while the old one stays the default; 0 switches.

        Raises:
            BundleError: says which step failed and why; the server is as it was.
        """
        if self.new == self.old:
            raise BundleError(
                f"{self.name} {self.new} is the version that is served: choose another VERSION="
            )
        switched = False
        try:
            if self.new not in self.management.versions(self.name):
                self._load()
            self._check(clips)
            if share:
                self.weights.set(self.name, {self.new: share})
                self._say(f"{share} % of requests go to {self.new}, the others to {self.old}")
                return
            switched = True
            self.management.set_default(self.name, self.new)
            self._confirm(clips[0])
            self.weights.remove(self.name)
            self._say(f"requests go to {self.new}")
        except BaseException as exc:
            reason = str(exc) if isinstance(exc, BundleError) else type(exc).__name__
            self._say(f"rolling back: {reason}")
            self._back(switched)
            raise
        self._retire(self.old)
        archive.promote(self.store, self.name, self.old, self.new)
        self._say(f"the way back: make rollout MODEL={self.name} VERSION={self.old}")

    def abort(self) -> None:
        """End a canary: the new version gets no more requests, finishes those it has, and goes."""
        if self.new == self.old:
            raise BundleError(f"{self.name} {self.new} is the version that is served, and no canary")
        if self.new not in self.management.versions(self.name):
            raise BundleError(f"{self.name} {self.new} is not loaded: there is nothing to end")
        self._back(switched=False)

    def _load(self) -> None:
        file = archive.of_version(self.store, self.name, self.new)
        if file.is_file():
            self._say(f"{file.name} is in the store already and is used as it is")
        else:
            self.built = archive.build(self.spec, self.store, file=file)
        logged = startup_log.size(self.run / "logs")
        seconds = self.spec.torchserve.startupTimeout
        try:
            self.management.register(file.name, REGISTER_SECONDS + seconds)
        except ManagementError as exc:
            why = startup_log.refusal(self.run / "logs", logged) or exc
            raise BundleError(f"{self.name} {self.new} does not load: {why}") from exc

        def settled() -> bool:
            if why := startup_log.refusal(self.run / "logs", logged):
                raise BundleError(f"{self.name} {self.new} does not load: {why}")
            return self._version(self.new).ready

        if not self.management.wait(settled, seconds):
            raise BundleError(
                f"{self.name} {self.new} is not ready after {seconds} s (logs: {self.run}/logs)"
            )
        self._say(f"{self.new} is loaded and warm, beside {self.old}")

    def _check(self, clips: Sequence[gate.Clip]) -> None:
        before = gate.answers(self.server.inference_url, self.name, self.old, clips)
        after = gate.answers(self.server.inference_url, self.name, self.new, clips)
        self._say(gate.judge(clips, before, after, self.spec.min_agreement))

    def _confirm(self, clip: gate.Clip) -> None:
        """The first request that names no version is answered by the new one."""
        found = gate.answering_version(self.server.inference_url, self.name, clip)
        if found != self.new:
            raise BundleError(f"requests are answered by {found} although {self.new} is the default")

    def _retire(self, version: str) -> None:
        """Wait until a version has answered everything it was given, then unregister it."""
        described = self._version(version)
        patience = 2.0 * described.response_timeout

        def drained() -> bool:
            now = self._version(version)
            return now.pending == 0 and idle(now.pids, IDLE_SECONDS) and self._version(version).pending == 0

        if not self.management.wait(drained, patience):
            raise BundleError(
                f"{self.name} {version} still works on requests after {patience:.0f} s: it stays loaded, gets no new "
                f"ones, and goes with the server"
            )
        self.management.unregister(self.name, version)
        self._say(f"{version} has answered everything it was given and is gone")

    def _back(self, switched: bool) -> None:
        if switched:
            self.management.set_default(self.name, self.old)
        self.weights.remove(self.name)
        if self.new in self.management.versions(self.name):
            self._retire(self.new)
        if self.built:  # its number may be used again
            self.built.unlink(missing_ok=True)
        self._say(f"{self.old} is served as before")

    def _version(self, version: str) -> Version:
        return self.management.versions(self.name)[version]

    def _say(self, text: str) -> None:
        print(f"rollout: {time.monotonic() - self.began:5.1f} s  {text}", flush=True)


def running(name: str, port: int | None) -> tuple[Path, State]:
    """The folder and state of the latest server that serves a model, or of the one on a port.

    Raises:
        BundleError: there is none.
    """
    for file, found in state.states():
        if name in found.models and found.serve.alive and (not port or found.url.endswith(f":{port}")):
            return file.parent, found
    where = f" on port {port}" if port else ""
    raise BundleError(f"no running server serves {name}{where}: start one with `make serve MODEL={name}`")


def fits(spec: ModelSpec, running_version: Version, url: str) -> None:
    """Raises BundleError for what only a restart can change: the gateway's limits are made when it starts."""
    longest = running_version.response_timeout
    if spec.torchserve.responseTimeout > longest:
        raise BundleError(
            f"responseTimeout {spec.torchserve.responseTimeout} of the new version is above the {longest} s that the "
            f"gateway at {url} was started with: restart the server for it"
        )


def main() -> int:
    parser = argparse.ArgumentParser(prog="make rollout", description="Replace the version that is served.")
    parser.add_argument("--model", default="demo", help="as for `make serve`")
    parser.add_argument("--version", required=True, help="the new version's number, such as 2.0")
    parser.add_argument(
        "--canary", type=int, default=0, help="percent of requests for it, 1 to 99; 0 switches"
    )
    parser.add_argument("--abort", action="store_true", help="end the canary of this version")
    parser.add_argument(
        "--data", type=Path, help="folder SPEAKER/clip: the new version must be right as often as the old"
    )
    parser.add_argument("--port", type=ports.number, help="of the server, where several serve this model")
    args = parser.parse_args()
    try:
        if not 0 <= args.canary <= 99:
            raise BundleError(f"CANARY={args.canary} is no share: 1 to 99 percent, or nothing to switch")
        (spec,) = sources.resolve_all(f"{args.model}:{args.version}")
        run, server = running(spec.name, args.port)
        clips = gate.clips(args.data)
        with FileLock(run / LOCK, timeout=0):
            rollout = Rollout(spec, server, run)
            if args.abort:
                rollout.abort()
            else:
                fits(spec, rollout.management.versions(spec.name)[rollout.old], server.url)
                rollout.to_new(clips, args.canary)
    except Timeout:
        print(f"rollout: another roll-out on {server.url} is under way: wait for its end", file=sys.stderr)
        return 1
    except BundleError as exc:
        print(f"rollout: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return os.EX_TEMPFAIL
    return 0


if __name__ == "__main__":
    sys.exit(main())
