"""A roll-out that ends in the middle, by whatever: the server is as it was, or the next command makes it so."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from bundle import BundleError, store
from bundle.samples import samples
from serving import state
from serving.gateway import canary
from serving.gateway.options import GatewayOptions
from serving.host import ports
from serving.host.polling import wait_until
from serving.rollout import rollout
from serving.rollout.agreement import Clip
from serving.rollout.journal import Journal
from serving.rollout.rollout import Rollout
from serving.service import Service
from tests.e2e.rollout_stub import EFFECTS, SPEC, restamp
from tests.e2e.started import ROOT, Run, StartServe

pytestmark = pytest.mark.e2e

PROGRAM = str(Path(__file__).with_name("rollout_stub.py"))
CLIPS = [Clip(sample.path) for sample in samples(ROOT / "models/demo/samples")][:2]
SLOW = ("--stub", '{"load_seconds": 60}')  # so that there is time to interrupt it

CALLERS = 48  # at once, so that each of Java's threads has connections of some
LOAD_SECONDS = 10  # of the version that callers must not wait for


def rolling(checkout: Path, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    """A roll-out of the stub as a process."""
    given = {"env": os.environ, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    given["env"] = given["env"] | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'handler'}"}
    return subprocess.Popen([sys.executable, PROGRAM, *arguments], cwd=checkout, text=True, **given)


class Server:
    """A running stub, and what is true of it between two roll-outs."""

    def __init__(self, checkout: Path) -> None:
        self.checkout = checkout
        self.store = checkout / "model_store"
        port = ports.free(1)[0]
        self.run = checkout / state.RUN / str(port)
        self.service = Service([SPEC], self.store, self.run, GatewayOptions(port))

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        return rolling(self.checkout, *arguments, **options)

    @property
    def default(self) -> str:
        return self.service.server.management.default("stub")

    def rollout(self, version: str) -> Rollout:
        running = state.read(self.run / state.FILE)
        assert running
        return Rollout(SPEC.model_copy(update={"version": version}), running, self.run, declared="1.0")

    def assert_settled(self, served: set[str]) -> None:
        """One version is loaded and serves, a restart would serve it too, and each that ever did has its archive."""
        default = self.default
        assert set(self.service.server.management.versions("stub")) == {default}
        found = store.promoted(self.store, "stub")
        assert found.version if found else default == "1.0"
        assert store.version_of(self.store / "stub.mar") == default
        for version in served - {default}:
            assert store.version_of(store.of_version(self.store, "stub", version)) == version
        assert Journal(self.run, "stub").read() is None
        assert canary.Weights(self.run).of("stub") == {}
        assert [file.name for file in self.run.iterdir() if file.stat().st_mode & 0o077] == []
        response = requests.post(f"{self.service.gateway.url}/predictions/stub", b"abc", timeout=600)
        assert response.headers["x-model-version"] == default


@contextlib.contextmanager
def started(checkout: Path, stub_archive: Callable[..., None]) -> Iterator[Server]:
    stub_archive(checkout / "model_store", "stub", batchSize=64)
    server = Server(checkout)
    try:
        server.service.start()
        yield server
    finally:
        server.service.stop(0, hurry=lambda: True)


@pytest.fixture
def server(
    checkout: Path, stub_archive: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    """One of this test's own, which may leave another version on it."""
    monkeypatch.chdir(checkout)
    with started(checkout, stub_archive) as server:
        yield server


@pytest.fixture(scope="module")
def lasting(stub_archive: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    checkout = tmp_path_factory.mktemp("check out, é")
    (checkout / "model_store").mkdir()
    (checkout / "models").symlink_to(ROOT / "models")
    with started(checkout, stub_archive) as server:
        yield server


@pytest.fixture
def settled(lasting: Server) -> Server:
    """One that serves 1.0, for roll-outs that are undone: the next test finds it as it was."""
    lasting.assert_settled({"1.0"})
    return lasting


@pytest.mark.timeout(1800)  # a dozen and more roll-outs
@pytest.mark.parametrize("follower", ["the same", "another", "abort"])
def test_killed_between_any_two_steps_the_next_roll_out_recovers(server: Server, follower: str) -> None:
    """Every third step here, so that each is killed after once, and each kind of step before each kind of follower."""
    served, number = {"1.0"}, ["abort", "the same", "another"].index(follower) - 2
    while True:
        number += 3
        version = f"2.{number}"
        killed = server.start("--kill-after", str(number), "--version", version)
        _, said = killed.communicate(timeout=600)
        if killed.returncode == 0:
            break
        assert killed.returncode == -signal.SIGKILL, said
        served.add(server.default)
        wanted = f"3.{number}" if follower == "another" else version
        again = server.start("--version", wanted, *(["--abort"] if follower == "abort" else []))
        _, said = again.communicate(timeout=600)
        if follower == "abort":  # ended, or finished where it had come that far
            assert again.returncode == 0 or "there is nothing to end" in said or "not a canary" in said, said
        elif again.returncode != 0:  # the killed one had done all except its last word
            assert f"VERSION={version} is the version of stub that is served" in said
        else:
            assert server.default == wanted
        served.add(server.default)
        server.assert_settled(served)
    assert number > 12, (server.checkout / EFFECTS).read_text()
    server.assert_settled(served | {version})


def test_a_killed_canary_runs_on_or_has_not_begun(server: Server) -> None:
    killed = server.start("--version", "2.0", "--canary", "10", "--kill-at", "replace canary")
    killed.communicate(timeout=600)
    assert killed.returncode == -signal.SIGKILL
    assert canary.Weights(server.run).of("stub") == {"2.0": 10}
    taken_over = server.start("--version", "2.0")
    taken_over.communicate(timeout=600)
    assert (taken_over.returncode, server.default) == (0, "2.0")
    server.assert_settled({"1.0", "2.0"})


def loading(server: Server, version: str) -> None:
    management = server.service.server.management
    assert wait_until(lambda: version in management.versions("stub"), 600)


def test_two_signals_at_once_are_one(settled: Server) -> None:
    running = settled.start("--version", "2.0", *SLOW)
    loading(settled, "2.0")
    running.send_signal(signal.SIGTERM)
    time.sleep(0.001)  # as make passes on what its whole group has received too
    running.send_signal(signal.SIGTERM)
    said, _ = running.communicate(timeout=600)
    assert "1.0 is served as before" in said
    settled.assert_settled({"1.0"})


def test_after_a_recovery_a_signal_interrupts_as_before(settled: Server) -> None:
    killed = settled.start("--version", "2.0", "--kill-after", "2")
    killed.communicate(timeout=600)
    assert killed.returncode == -signal.SIGKILL
    again = settled.start("--version", "3.0", *SLOW)
    loading(settled, "3.0")
    again.send_signal(signal.SIGINT)
    said, _ = again.communicate(timeout=600)
    assert "1.0 is served as before" in said
    settled.assert_settled({"1.0"})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_while_it_loads_is_undone(settled: Server, number: signal.Signals) -> None:
    running = settled.start("--version", "2.0", *SLOW)
    loading(settled, "2.0")
    running.send_signal(number)
    said, complained = running.communicate(timeout=600)
    assert (running.returncode, complained) == (os.EX_TEMPFAIL, "rollout: interrupted\n")
    assert said.endswith("1.0 is served as before\n")
    settled.assert_settled({"1.0"})
    assert not store.of_version(settled.store, "stub", "2.0").exists()


@pytest.mark.parametrize("fails", [False, True])
def test_nobody_who_reads_what_it_says_changes_nothing(server: Server, fails: bool) -> None:
    read, write = os.pipe()
    os.close(read)
    broken = ("--stub", '{"value_error": "weights of another model → é"}') if fails else ()
    running = server.start("--version", "2.0", *broken, stdout=write)
    os.close(write)
    _, complained = running.communicate(timeout=600)
    assert running.returncode == int(fails), complained
    assert server.default == ("1.0" if fails else "2.0")
    server.assert_settled({"1.0", server.default})


def test_a_terminal_that_is_not_utf_8_changes_nothing(settled: Server) -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    running = settled.start(
        "--version", "2.0", "--stub", '{"value_error": "weights of another model → é"}', env=environment
    )
    said, complained = running.communicate(timeout=600)
    assert running.returncode == 1
    assert "1.0 is served as before" in said
    assert complained.startswith("rollout: stub 2.0 does not load: ValueError: weights of another model")
    settled.assert_settled({"1.0"})


def test_an_old_version_that_works_on_for_too_long_is_ended_by_the_same_command_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    restamp(server.store / "stub.mar", store.of_version(server.store, "stub", "2.0"), "2.0", {})
    with monkeypatch.context() as context:
        context.setattr(rollout, "PATIENCE", 0.1)  # times responseTimeout
        context.setattr(rollout, "working", lambda _: True)
        with pytest.raises(
            BundleError, match=r"stub 1\.0 is still working on requests.*the same command again ends it"
        ):
            server.rollout("2.0").to_new(CLIPS, share=0)
    assert server.default == "2.0"
    assert store.promoted(server.store, "stub") == store.Promoted("2.0", "1.0")  # a restart would serve it
    server.rollout("2.0").to_new(CLIPS, share=0)
    server.assert_settled({"1.0", "2.0"})


@pytest.mark.parametrize(
    ("at", "serves"), [("set-default", "1.0"), ("replace .stub.promoted", "2.0"), ("min_worker=0", "2.0")]
)
def test_stop_and_serve_recover_what_a_killed_roll_out_left(
    serve: StartServe, run: Run, checkout: Path, at: str, serves: str
) -> None:
    running = serve()
    belongings = running.belongings()
    killed = rolling(checkout, "--version", "2.0", "--kill-at", at)
    killed.communicate(timeout=600)
    assert killed.returncode == -signal.SIGKILL
    assert run("-m", "serving.stop").returncode == 0
    running.assert_gone(*belongings)
    again = serve()
    assert again.ask(b"abc").headers["x-model-version"] == serves
    assert again.folder != running.folder or not list(again.folder.glob("rollout.*.json"))
    assert store.version_of(checkout / "model_store" / "stub.mar") == serves
    finished = rolling(checkout, "--version", "2.0", "--port", str(again.port))
    _, said = finished.communicate(timeout=600)
    assert (finished.returncode == 0) == (serves == "1.0"), said
    assert again.ask(b"abc").headers["x-model-version"] == "2.0"


def test_callers_are_not_held_up_while_a_version_is_loaded(server: Server) -> None:
    """The p99 of callers during a roll-out is within twice of what it was before, or far below what loading takes.

    Each request waits for a second in the handler. One that waits for loading too, as one did for each connection of a
    blocked thread of Java's, takes all of it and more (12 s, measured): half of it is far from that, and from what a
    busy machine adds to a second.
    """
    with ThreadPoolExecutor(CALLERS) as pool:

        def ask() -> float:
            response = requests.post(f"{server.service.gateway.url}/predictions/stub", b"wait 1", timeout=600)
            assert response.status_code == 200
            return response.elapsed.total_seconds()

        def p99(done: Callable[[], bool]) -> float:
            seconds: list[float] = []
            while not done():
                seconds += [each.result() for each in [pool.submit(ask) for _ in range(CALLERS)]]
            return sorted(seconds)[int(0.99 * len(seconds))]

        rounds = iter(range(3))
        before = p99(lambda: next(rounds, None) is None)
        running = server.start("--version", "2.0", "--stub", f'{{"load_seconds": {LOAD_SECONDS}}}')
        during = p99(lambda: running.poll() is not None)
        said, complained = running.communicate(timeout=600)
        assert running.returncode == 0, said + complained
    assert server.default == "2.0"
    assert during < max(2 * before, LOAD_SECONDS / 2)
