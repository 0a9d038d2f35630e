"""The scrape address: queries every component of the server at every scrape, and serves what was received in time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Lock, Thread
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Metric, start_http_server
from prometheus_client.registry import Collector

from serving.host import ports
from serving.metrics import families
from serving.metrics.statistics import Statistics

Part = Callable[[], Iterable[Metric]]
# Seconds for all components together; Prometheus' own timeout is 10 s. Too high: one that hangs makes the whole scrape
# fail. Too low: components of a busy server are reported as down.
DEADLINE = 4.0


class Exporter(Collector):
    """Serves /metrics in Prometheus' format.

    Args:
        parts: name → its metrics now. One that raises, or exceeds the deadline, is down for this scrape.
        address, port: where it listens: on loopback, unless Prometheus runs on another machine or in another pod.
        deadline: seconds for all components together.
        statistics: what else is answered there, for the gateway.
    """

    def __init__(
        self,
        parts: Mapping[str, Part],
        address: str,
        port: int,
        deadline: float = DEADLINE,
        statistics: Statistics | None = None,
    ) -> None:
        self.parts = dict(parts)
        self.port = port
        self.address = address
        self.deadline = deadline
        self.statistics = statistics
        self.url = f"http://{ports.reached_at(address)}:{port}/metrics"
        self._lock = Lock()
        self._busy: dict[str, Future[tuple[list[Metric], float]]] = {}
        self._pool = ThreadPoolExecutor(len(parts), thread_name_prefix="metrics")
        self._server: tuple[WSGIServer, Thread] | None = None

    def check_port(self) -> None:
        """Raises BundleError if another process listens on the port."""
        ports.refuse_taken(self.port, "METRICS_PORT")

    def start(self) -> None:
        """Listen.

        Raises:
            BundleError: the port is taken.
        """
        self.check_port()
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        self._server = start_http_server(self.port, addr=self.address, registry=registry)
        server, _ = self._server
        if self.statistics and (scraped := server.get_app()):
            server.set_app(self.statistics.before(scraped))

    def stop(self) -> None:
        if self._server is not None:
            server, thread = self._server
            server.shutdown()
            server.server_close()
            thread.join()
            self._server = None
        self._pool.shutdown(wait=False, cancel_futures=True)

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        up, seconds = families.gauge("speaker_id_up"), families.gauge("speaker_id_scrape_seconds")
        with self._lock:  # one scrape at a time, so that several scrapers do not multiply the queries
            asked = {name: self._ask(name) for name in self.parts}
            wait(asked.values(), self.deadline)
            for name, future in asked.items():
                good = future.done() and future.exception() is None
                up.add_metric([name], float(good))
                if good:
                    found, took = future.result()
                    seconds.add_metric([name], took)
                    yield from found
        yield from (up, seconds)

    def _ask(self, name: str) -> Future[tuple[list[Metric], float]]:
        """Start to query a component, unless the query of an earlier scrape has not returned."""
        pending = self._busy.get(name)
        if pending is None or pending.done():
            pending = self._busy[name] = self._pool.submit(_timed, self.parts[name])
        return pending


def _timed(part: Part) -> tuple[list[Metric], float]:
    began = time.monotonic()
    return list(part()), time.monotonic() - began
