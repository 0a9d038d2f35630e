"""Replace the served version of a model without losing a request.

The server must have been started by `make serve`. If a step up to the promotion fails, those before it are undone, so
that the server is as before. What a killed roll-out left is finished or undone by the next one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from speaker_id.manifest import CheckpointError

from bundle import BundleError, archive, archived, store
from bundle.spec import ModelSpec
from bundle.terminal import say
from serving import model_servers
from serving.control import Version
from serving.gateway import canary
from serving.host.polling import wait_until
from serving.rollout import agreement
from serving.rollout.drain import working
from serving.rollout.journal import Change, Journal
from serving.signals import Interrupted, Stopper
from serving.state import State

# times responseTimeout, for an old version to answer its requests: one batch, and one queued
PATIENCE = 2.0


class Rollout:
    """One model's change from the version that is the default to another.

    Args:
        spec: what is to be served, under its new version.
        server: the running server.
        run: its folder.
        declared: the version of the model's model.yaml.
        stopper: handles this process's signals, if they are handled.

    Attributes:
        new: the version that is to serve.
    """

    def __init__(
        self, spec: ModelSpec, server: State, run: Path, declared: str, stopper: Stopper | None = None
    ) -> None:
        self.spec, self.server, self.declared, self.stopper = spec, server, declared, stopper
        self.name, self.new = spec.name, spec.version
        self.store = Path(server.store)
        self.control = model_servers.of(server.server).control(server, run)
        self.weights = canary.Weights(run)
        self.journal = Journal(run, spec.name)
        self.began = time.monotonic()

    def to_new(self, clips: Sequence[agreement.Clip], share: int) -> None:
        """Load the new version and check its answers; then make it the default, or with a share a canary.

        Args:
            clips: those that both versions must answer.
            share: percent of the requests that the canary gets, while the old version remains the default; 0 switches.

        Raises:
            BundleError: names the step that failed and why. Up to the promotion the server is as before; after it, the
                same command again finishes the rest.
        """
        finished = self.recover()
        if self.stopper:
            self.stopper.let_go()
        change = Change(self.control.default(self.name), self.new)
        if change.new == change.old:
            if finished == change.new:
                return
            raise BundleError(
                f"VERSION={self.new} is the version of {self.name} that is served: choose another"
            )
        for other in self.weights.of(self.name):
            if other != self.new:
                raise BundleError(
                    f"a canary of {self.name} {other} is running: promote it (VERSION={other}) or end it "
                    f"(VERSION={other} ARGS=--abort) before VERSION={self.new}"
                )
        self._fits(change.old)
        try:
            if self.new not in self.weights.of(self.name):
                self.journal.begin(change)
                self._load(change)
            self._check(change, clips)
            if share:
                self.weights.set(self.name, {self.new: share})
                self._say(f"{share} % of requests go to {self.new}, the others to {change.old}")
                return
            self._switch(change, clips[0])
        except BaseException as exc:
            self._undo_because(change, exc)
            raise
        self._finish(change)

    def recover(self) -> str | None:
        """Finish or undo a roll-out that was killed or could not end; a running canary stays.

        Returns:
            The version that serves, if there was something to recover.
        """
        change = self.journal.read()
        if change is None:
            return None
        if change.new in self.weights.of(self.name) and not self._default(change.new):
            return None
        self._hold()
        if not self._default(change.new):
            self._undo(change)
            self._say(f"undid an interrupted roll-out to {change.new}: {change.old} is served")
            return change.old
        self._say(f"finishing an interrupted roll-out to {change.new}")
        self._promote(change)
        self._finish(change)
        return change.new

    def abort(self) -> None:
        """End a canary: the new version gets no more requests, answers those it has, and is unloaded."""
        if self.recover():
            return
        change = Change(self.control.default(self.name), self.new)
        if change.new == change.old:
            raise BundleError(f"VERSION={self.new} is the version that is served, not a canary")
        if self.new not in self.control.versions(self.name):
            raise BundleError(f"VERSION={self.new} of {self.name} is not loaded: there is nothing to end")
        self._hold()
        self._undo(change)
        self._say(f"{change.old} is served as before")

    def _load(self, change: Change) -> None:
        file = store.of_version(self.store, self.name, self.new)
        if file.is_file() and not store.marked(self.store, self.name, self.new):
            self._say(f"{file.name} is in the store already and is used as it is")
        else:
            store.mark(self.store, self.name, self.new)
            archive.build(self.spec, self.store, file=file)
        self.control.load(self.name, self.new, file.name, self.spec.torchserve.startupTimeout)
        self._say(f"{self.new} is loaded and warm, beside {change.old}")

    def _check(self, change: Change, clips: Sequence[agreement.Clip]) -> None:
        before, after = (
            agreement.answers(self.control, self.name, version, clips, self._labels(version))
            for version in (change.old, change.new)
        )
        self._say(agreement.judge(clips, before, after, self.spec.min_agreement))
        for head in sorted({*before.known} ^ {*after.known}):
            news = "is new" if head in after.known else "is gone"
            self._say(
                f"head {head or 'without a name'} {news}: /openapi.json and metadata follow at the next start"
            )

    def _labels(self, version: str) -> Mapping[str, Sequence[str]]:
        """A version's labels by head, from its archive; none where that cannot be read."""
        kept = store.of_version(self.store, self.name, version)
        try:
            return archived.labels(kept if kept.is_file() else self.store / f"{self.name}.mar")
        except (BundleError, CheckpointError):
            return {}

    def _switch(self, change: Change, clip: agreement.Clip) -> None:
        """Send requests to the new version, check that it answers them, and record it for the next start."""
        self.control.set_default(self.name, change.new)
        found = agreement.answering_version(self.control, self.name, clip)
        if found != change.new:
            raise BundleError(f"requests are answered by {found} although {change.new} is the default")
        self._hold()
        self._promote(change)

    def _promote(self, change: Change) -> None:
        store.promote(self.store, self.name, change.new, self.declared)

    def _finish(self, change: Change) -> None:
        """The steps after the promotion, which are never undone."""
        self.weights.remove(self.name)
        self._say(f"requests go to {change.new}")
        self._retire(change.old)
        self.journal.end()
        self._say(f"the way back: make rollout MODEL={self.name} VERSION={change.old}")

    def _retire(self, version: str) -> None:
        """Wait until a version has answered all its requests, then unregister it."""
        described = self.control.versions(self.name).get(version)
        if described is None:
            return
        patience = PATIENCE * described.response_timeout

        def drained() -> bool:
            if self.stopper and self.stopper.again:
                raise Interrupted
            now = self._version(version)
            return now.pending == 0 and not working(now.pids) and self._version(version).pending == 0

        if not wait_until(drained, patience):
            raise BundleError(
                f"{self.name} {version} is still working on requests after {patience:.0f} s: it stays loaded and gets "
                f"no new ones; the same command again ends it"
            )
        self.control.unload(self.name, version)
        self._say(f"{version} has answered everything it was given and is gone")

    def _undo_because(self, change: Change, exc: BaseException) -> None:
        """Undo first, and print after: neither output nor a signal may interrupt it."""
        self._hold()
        reason = str(exc) if isinstance(exc, BundleError) else type(exc).__name__
        try:
            self._undo(change)
        except (BundleError, Interrupted) as also:
            stopped = str(also) or "it was interrupted again"
            raise BundleError(
                f"{reason}; undoing it was interrupted: {stopped}; the next roll-out continues with that"
            ) from exc
        self._say(f"rolled back: {reason}")
        self._say(f"{change.old} is served as before")

    def _undo(self, change: Change) -> None:
        if self._default(change.new):
            self.control.set_default(self.name, change.old)
        record = store.promoted(self.store, self.name)
        if record and record.version == change.new:  # the promotion itself failed part-way
            store.promote(self.store, self.name, change.old, self.declared)
        self.weights.remove(self.name)
        self._retire(change.new)
        store.discard(self.store, self.name, change.new)
        self.journal.end()

    def _hold(self) -> None:
        """From now on signals do not interrupt steps that must be completed; only waiting ends at the next one."""
        if self.stopper:
            self.stopper.hold()

    def _default(self, version: str) -> bool:
        return self.control.default(self.name) == version

    def _version(self, version: str) -> Version:
        return self.control.versions(self.name)[version]

    def _fits(self, old: str) -> None:
        """Raises BundleError for what needs a restart: the gateway's timeouts are set when it starts."""
        longest = self._version(old).response_timeout
        if self.spec.torchserve.responseTimeout > longest:
            raise BundleError(
                f"responseTimeout {self.spec.torchserve.responseTimeout} of the new version is above the {longest} s "
                f"that the gateway at {self.server.url} was started with: restart the server for it"
            )

    def _say(self, text: str) -> None:
        say(f"rollout: {time.monotonic() - self.began:5.1f} s  {text}")
