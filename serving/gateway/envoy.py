"""The gateway process: Envoy on the public port in front of one model server, and how it is drained."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from bundle import private
from bundle.spec import answer_seconds
from serving.gateway import canary, scripts, shares
from serving.gateway.executable import executable
from serving.gateway.options import GatewayOptions
from serving.gateway.static import StaticFile
from serving.host import local_http, logs, ports, scratch
from serving.host.leash import Leashed
from serving.host.polling import wait_until
from serving.model_server import ModelServer, ServerError
from serving.readiness.watch import Watch
from serving.recordings import configuration as recordings
from serving.recordings.configuration import Served
from serving.recordings.process import SplitterProcess

ADMIN = "admin"  # the admin interface's socket, in a folder of the owner's
START_SECONDS = 60.0  # it takes a second on an idle machine
STOP_SECONDS = 5.0
SOON = 0.02  # s between two checks of what is mostly that quick
ROTATE_SECONDS = 1.0  # for Envoy to open new logs; a suspended Envoy must not block the watch for longer
# Milliseconds until a line is in a log; Envoy's default is 10 s. Too high: workers do what was cancelled before they
# know. Too low: a write for every request, and an idle gateway that wakes up for nothing.
LOG_DELAY = 50
THREADS = 2  # they move bytes; Envoy's default is one a core, with memory for each


class Gateway:
    """Envoy in front of a model server.

    Args:
        server: where requests go.
        options: addresses, access, limits, tracing.
        response_timeout: the longest responseTimeout of the models served, in seconds.
        models: settings and workers by name; without them nothing is split.
        static: makes what it answers by itself, without the server; called at each start.

    Attributes:
        url: base address for callers, without a slash at the end.
        folder: the temp folder of the admin socket, while it runs.
        watch: whether requests can be answered, while it runs.
        splitter: cuts long requests, while it runs; None where splitting is off.
    """

    def __init__(
        self,
        server: ModelServer,
        options: GatewayOptions,
        response_timeout: int,
        models: Mapping[str, Served] | None = None,
        static: Callable[[], Sequence[StaticFile]] = tuple,
    ) -> None:
        self.server = server
        self.options = options
        self.port, self.url = options.port, options.url
        self.route_seconds = answer_seconds(response_timeout)
        self.models = dict(models or {})
        self.splitter: SplitterProcess | None = None
        self.static = static
        self.log = server.run / logs.GATEWAY
        self.access_log = server.run / logs.ACCESS
        self.cancelled = server.run / logs.CANCELLED
        self.folder: Path | None = None  # of the admin socket, whose path is limited to 107 bytes
        self._logged = 0  # bytes of the log that a former gateway wrote
        self._reopen = False  # logs were renamed, and Envoy must reopen them
        self.watch: Watch | None = None
        self._program: Path | None = None  # Envoy's, that `prepare` found
        self._envoy: Leashed | None = None
        self.accepts = False  # whether a start was over, so that there may be requests to drain

    def __enter__(self) -> Gateway:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def splits(self) -> bool:
        """Whether there is a splitter while it runs."""
        return self.options.split and bool(self.models)

    @property
    def traces(self) -> tuple[str, ...]:
        """What the splitter has in its command line, and no other process, whichever it is by now."""
        return (str(self.splitter.configuration.listen.with_name(recordings.FILE)),) if self.splitter else ()

    def split_counts(self) -> tuple[dict[str, int], int]:
        """What the splitter has counted, and how often it was started. Raises OSError while there is none."""
        if self.splitter is None:
            raise ConnectionError("there is no splitter")
        return self.splitter.counts(), self.splitter.starts

    def news(self) -> str | None:
        """What has happened to the splitter, in one line, each once; to be called repeatedly."""
        return self.splitter.news() if self.splitter else None

    @property
    def pid(self) -> int | None:
        return self._envoy.pid if self._envoy else None

    @property
    def running(self) -> bool:
        return self._envoy is not None and self._envoy.poll() is None

    @property
    def heads(self) -> dict[str, tuple[str, ...]]:
        """Names of the heads of those models that have several, by model; "" is the default one's."""
        every = {name: served.settings for name, served in self.models.items()}
        return {name: settings.output_heads for name, settings in every.items() if settings.heads}

    def check_port(self) -> None:
        """Raises BundleError if another process listens on the public port."""
        ports.refuse_taken(self.port, "PORT")

    def prepare(self) -> None:
        """Find Envoy, and create the folder of the admin socket, so that it can be recorded before there is a process.

        Raises:
            ServerError: Envoy is not installed.
        """
        self._program = executable()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{scratch.PREFIX}gateway-"))

    def start(self) -> None:
        """Start Envoy and return once it accepts connections. Raises BundleError as `launch` and `wait_ready` do."""
        self.launch()
        self.wait_ready()

    def launch(self) -> None:
        """Start Envoy; `wait_ready` says when it accepts connections.

        Raises:
            BundleError: as `prepare`, which is called first if it has not been; or the port is taken.
        """
        # here, not above: jinja2 is imported while the model server starts
        from serving.gateway.configuration import Configuration, Splitting

        self.check_port()
        if self.folder is None:
            self.prepare()
        assert self.folder is not None
        assert self._program is not None
        static = tuple(self.static())
        splitting = None
        if self.splits:
            splitting = Splitting(self.folder / "splitter", self.folder / "inner")
            most = self.options.recording_bytes
            asked = recordings.Configuration(*splitting, self.models, self.route_seconds, most)
            self.splitter = SplitterProcess(asked, self.server.run / logs.SPLITTER)
            self.splitter.start()
        config = Configuration(
            self.server.run,
            self.folder / ADMIN,
            self.server.upstream,
            self.route_seconds,
            self.options,
            static,
            splitting,
        ).write()
        found = self.folder / "found"
        self.watch = Watch(self.server, found, lambda: self.splitter.degraded if self.splitter else None)
        self.watch.start()
        canary.forget(self.server.run)
        logs.empty(self.cancelled)  # not removed: a worker, or another gateway, may have it open
        memory = self.folder / shares.FILE
        shares.create(memory)
        scripts.write(
            self.server,
            self.options,
            heads=self.heads,
            found=found,
            state=memory,
            files=static,
        )
        command = [str(self._program), "--config-path", str(config), "--concurrency", str(THREADS)]
        command += ["--disable-hot-restart", "--log-level", "warning", "--log-path", str(self.log)]
        command += ["--file-flush-interval-msec", str(LOG_DELAY)]
        self._logged = self.log.stat().st_size if self.log.exists() else 0
        self._envoy = Leashed(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, umask=private.UMASK
        )

    def wait_ready(self) -> None:
        """Return once Envoy accepts connections.

        Raises:
            ServerError: it has ended, or takes too long.
        """

        def ready() -> bool:
            if not self.running:
                raise ServerError(f"the gateway ended while starting: {self._last_words()}")
            with contextlib.suppress(*local_http.FAULTS):
                return self._admin("GET", "/ready").strip() == "LIVE"
            return False

        if not wait_until(ready, START_SECONDS, SOON):
            raise ServerError(f"the gateway is not ready after {START_SECONDS:.0f} s (log: {self.log})")
        self.accepts = True

    def drain(self, grace: float, hurry: Callable[[], bool] = lambda: False) -> int:
        """Refuse new connections, close existing ones after their next answer, and wait for requests in flight.

        Args:
            grace: seconds to wait at most.
            hurry: polled while waiting; True ends the wait.

        Returns:
            How many requests are still unanswered; 0 unless the grace was too short.
        """
        self.stop_accepting()
        wait_until(lambda: self.active() == 0 or hurry(), grace, SOON)
        return self.active()

    def not_ready(self) -> None:
        """Answer readiness probes with 503 from now on, and all other requests as before."""
        self._admin("POST", "/healthcheck/fail")

    def stop_accepting(self) -> None:
        """Refuse new connections; requests on existing ones are still answered, with `connection: close`."""
        self.not_ready()
        self._admin("POST", "/drain_listeners?inboundonly")  # the inner one is needed until they are answered

    def usable(self, model: str, version: str) -> int | None:
        """Workers of a version that can answer; None if that is not known."""
        return self.watch.workers(model, version) if self.watch else None

    def stats(self, path: str) -> str:
        """Envoy's answer to one of its read-only admin paths."""
        return self._admin("GET", path)

    def active(self) -> int:
        """Requests that have begun to arrive and are not completely answered."""
        if not self.running:
            return 0
        stats = self._admin("GET", f"/stats?filter={quote('^http.public.downstream_rq_active$')}")
        return int(stats.rsplit(":", 1)[1])

    def rotate_logs(self, limit: int = logs.LARGEST) -> None:
        """Start new logs in place of those that have become too large; the previous one of each is kept.

        Raises:
            OSError, http.client.HTTPException: Envoy does not answer, or writing fails. Envoy keeps the old logs, and
                the next call continues from there.
        """
        for log in (self.log, self.access_log):
            if logs.too_large(log, limit):
                log.replace(logs.rotated(log))
                self._reopen = True
        if logs.too_large(self.cancelled, logs.LARGEST_CANCELLED):
            logs.empty(self.cancelled)
        if self.splitter is not None:
            logs.cut(self.splitter.log, limit)
        if self._reopen:
            self._admin("POST", "/reopen_logs", ROTATE_SECONDS)
            self._reopen = False

    def stop(self) -> None:
        """Stop Envoy at once; call `drain` before."""
        self.accepts = False
        if self._envoy is not None:
            self._envoy.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._envoy.wait(STOP_SECONDS)
            self._envoy.kill()
            self._envoy.wait()
            self._envoy.release()
            self._envoy = None
        if self.splitter is not None:
            self.splitter.stop()
            self.splitter = None
        if self.watch is not None:
            self.watch.stop()
            self.watch = None
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None

    def _last_words(self) -> str:
        said = self.log.read_bytes()[self._logged :].decode("utf-8", "replace") if self.log.exists() else ""
        # an entry begins with [ and may have several lines
        last = re.split(r"^\[", said, flags=re.MULTILINE)[-1]
        return " ".join(last.split()) or "it printed no reason"

    def _admin(self, method: str, path: str, timeout: float = local_http.SECONDS) -> str:
        assert self.folder is not None
        return local_http.ask(local_http.unix(self.folder / ADMIN, timeout), method, path).text
