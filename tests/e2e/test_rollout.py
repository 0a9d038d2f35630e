"""Another version takes the place of the one that is served, under load, and a bad one does not."""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copytree

import pytest
import requests

from bundle import BundleError, archive, sources, store
from bundle.samples import samples
from bundle.spec import ModelSpec
from serving import state
from serving.gateway.options import GatewayOptions
from serving.host import ports
from serving.rollout import agreement
from serving.rollout.rollout import Rollout
from serving.service import Service

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parent.parent.parent
RATE = 20.0  # requests a second, less than half of what two cores answer
SAMPLES = {sample.path.read_bytes(): sample.speaker for sample in samples(ROOT / "models/demo/samples")}
CLIPS = [agreement.Clip(sample.path) for sample in samples(ROOT / "models/demo/samples")]


@pytest.fixture(scope="module")
def demo() -> ModelSpec:
    return sources.resolve("demo", root=ROOT / "models")


@pytest.fixture(scope="module")
def service(demo: ModelSpec, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The demo model on a server of this module's own, whose versions come and go."""
    store = tmp_path_factory.mktemp("store")
    archive.build(demo, store)
    service = Service([demo], store, tmp_path_factory.mktemp("run"), GatewayOptions(ports.free(1)[0]))
    try:
        service.start()
        yield service
    finally:
        service.stop(0, hurry=lambda: True)


@pytest.fixture
def start(service: Service) -> Callable[[ModelSpec], Rollout]:
    def start(spec: ModelSpec) -> Rollout:
        running = state.read(service.run / state.FILE)
        assert running
        return Rollout(spec, running, service.run, declared="2.0")

    return start


@dataclass
class Load:
    """Open arrivals at a fixed rate: a request is sent when it is due, whatever became of those before."""

    url: str
    stop: threading.Event = field(default_factory=threading.Event)
    answers: Counter[str] = field(
        default_factory=Counter
    )  # by version; anything else than a right answer, in words
    sent: int = 0

    def __enter__(self) -> Load:
        self.thread = threading.Thread(target=self.send)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()

    def send(self) -> None:
        due, asked, futures = time.monotonic(), list(SAMPLES), list[Future[None]]()
        with ThreadPoolExecutor(64) as pool:
            while not self.stop.wait(max(0.0, due - time.monotonic())):
                futures.append(pool.submit(self.ask, asked[self.sent % len(asked)]))
                self.sent += 1
                due += 1 / RATE
            wait(futures)

    def ask(self, clip: bytes) -> None:
        headers = {"content-type": "application/octet-stream"}
        try:
            response = requests.post(self.url, clip, headers=headers, timeout=600)
        except requests.RequestException as exc:
            self.answers[type(exc).__name__] += 1
            return
        right = response.status_code == 200 and response.json()[0]["label"] == SAMPLES[clip]
        self.answers[
            response.headers["x-model-version"] if right else f"{response.status_code} {response.text}"
        ] += 1


def versions(service: Service) -> set[str]:
    return set(service.server.management.versions("demo"))


def quotations() -> list[str]:
    """What docs/operations.md says that a roll-out says."""
    page = " ".join((ROOT / "docs" / "operations.md").read_text("utf-8").split())
    steps = page[page.index("It takes six steps") : page.index("If a step up to 5 fails")]
    return [words.removesuffix(" …") for words in re.findall('"([^"]+)"', steps)]


def test_a_new_version_takes_over_at_half_capacity_and_no_request_fails(
    service: Service,
    demo: ModelSpec,
    start: Callable[[ModelSpec], Rollout],
    capfd: pytest.CaptureFixture[str],
) -> None:
    with Load(f"{service.gateway.url}/predictions/demo") as load:
        start(demo.model_copy(update={"version": "3.0"})).to_new(CLIPS, share=0)
    assert set(load.answers) == {"2.0", "3.0"}
    assert sum(load.answers.values()) == load.sent > 50
    assert versions(service) == {"3.0"}
    assert len(service.server.worker_pids()) == 1
    said, quoted = capfd.readouterr().out, quotations()
    assert len(quoted) == 7
    assert {words for words in quoted if words not in said} == {
        "demo-3.0.mar is in the store already and is used as it is"  # the next time
    }
    assert store.promoted(service.server.store, "demo") == store.Promoted("3.0", "2.0")
    assert store.version_of(service.server.store / "demo.mar") == "3.0"
    assert store.version_of(service.server.store / "demo-2.0.mar") == "2.0"


def test_a_version_that_answers_otherwise_is_rolled_back_and_no_request_fails(
    service: Service, start: Callable[[ModelSpec], Rollout], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The same model, whose labels somebody has mixed up."""
    (before,) = versions(service)
    folder = tmp_path / "demo"
    copytree(ROOT / "models/demo", folder, ignore=lambda *_: ["samples"])
    config = json.loads((folder / "config.json").read_text())
    names = list(config["id2label"].values())
    config["id2label"] = dict(zip(config["id2label"], names[1:] + names[:1], strict=True))
    config["label2id"] = {name: int(index) for index, name in config["id2label"].items()}
    (folder / "config.json").write_text(json.dumps(config))
    mixed_up = sources.resolve(str(folder)).model_copy(update={"version": "6.6"})
    refused = pytest.raises(BundleError, match="old and new version agree on 0 of 16 clips, fewer than the")
    with Load(f"{service.gateway.url}/predictions/demo") as load, refused:
        start(mixed_up).to_new(CLIPS, share=0)
    assert dict(load.answers) == {before: load.sent}
    assert versions(service) == {before}
    assert not store.of_version(service.server.store, "demo", "6.6").exists()
    assert f"{before} is served as before" in capfd.readouterr().out


def test_a_version_that_does_not_load_is_rolled_back(
    service: Service,
    demo: ModelSpec,
    start: Callable[[ModelSpec], Rollout],
    stub_archive: Callable[..., None],
    tmp_path: Path,
) -> None:
    (before,) = versions(service)
    stub_archive(tmp_path, "demo", version="7.0", stub={"value_error": "weights of another model"})
    (tmp_path / "demo.mar").rename(store.of_version(service.server.store, "demo", "7.0"))
    broken = start(demo.model_copy(update={"version": "7.0"}))
    with pytest.raises(BundleError, match=r"demo 7\.0 does not load: ValueError: weights of another model"):
        broken.to_new(CLIPS, share=0)
    assert versions(service) == {before}


def test_a_canary_gets_its_share_on_every_route_until_it_is_ended_or_takes_over(
    service: Service, demo: ModelSpec, start: Callable[[ModelSpec], Rollout]
) -> None:
    (before,) = versions(service)
    clip = CLIPS[0].path.read_bytes()

    def shares(path: str = "/predictions/demo", asked: int = 30) -> Counter[str]:
        with requests.Session() as session:
            found = (
                session.post(
                    f"{service.gateway.url}{path}",
                    clip,
                    headers={"content-type": "application/octet-stream"},
                    timeout=600,
                )
                for _ in range(asked)
            )
            return Counter(response.headers["x-model-version"] for response in found)

    canary = demo.model_copy(update={"version": "6.0"})
    start(canary).to_new(CLIPS, share=50)
    for path in ("/predictions/demo", "/v1/models/demo:predict", "/v2/models/demo/infer"):
        assert 3 <= shares(path)["6.0"] <= 27  # outside of it once in a hundred thousand
    assert shares(f"/predictions/demo/{before}", asked=10) == {before: 10}
    start(canary).abort()
    assert shares(asked=10) == {before: 10}
    assert versions(service) == {before}
    start(canary).to_new(CLIPS, share=50)
    start(canary).to_new(CLIPS, share=0)
    assert shares(asked=10) == {"6.0": 10}
    assert versions(service) == {"6.0"}


def test_the_version_that_is_served_is_no_new_one(
    service: Service, demo: ModelSpec, start: Callable[[ModelSpec], Rollout]
) -> None:
    (served,) = versions(service)
    with pytest.raises(BundleError, match=f"VERSION={served} is the version of demo that is served"):
        start(demo.model_copy(update={"version": served})).to_new(CLIPS, share=0)


def test_a_version_that_the_gateway_cannot_wait_for_needs_a_restart(
    service: Service, demo: ModelSpec, start: Callable[[ModelSpec], Rollout]
) -> None:
    slow = demo.torchserve.model_copy(update={"responseTimeout": 9999})
    before = versions(service)
    with pytest.raises(BundleError, match="responseTimeout 9999 of the new version is above the"):
        start(demo.model_copy(update={"version": "9.0", "torchserve": slow})).to_new(CLIPS, share=0)
    assert versions(service) == before


def test_a_second_canary_beside_a_running_one_is_refused(
    service: Service, demo: ModelSpec, start: Callable[[ModelSpec], Rollout]
) -> None:
    (before,) = versions(service)
    start(demo.model_copy(update={"version": "4.0"})).to_new(CLIPS, share=10)
    for share in (10, 0):
        with pytest.raises(
            BundleError, match=r"a canary of demo 4\.0 is running: promote it \(VERSION=4\.0\)"
        ):
            start(demo.model_copy(update={"version": "5.0"})).to_new(CLIPS, share)
    assert versions(service) == {before, "4.0"}
    start(demo.model_copy(update={"version": "4.0"})).abort()
    assert versions(service) == {before}
    assert not store.of_version(service.server.store, "demo", "4.0").exists()
