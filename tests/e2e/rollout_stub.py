"""`make rollout` around stub_handler.py, in a folder whose model_store has stub.mar, killed where a test wants it.

    rollout_stub.py [--kill-after N] [--kill-at TEXT] [--stub JSON] --version 2.0 [rollout's options]

Only what is packed is another: stub.mar under the new number, with `--stub` as its handler's settings. Every change of
the store, of the server's folder and of TorchServe is an effect; after the N-th, or after the first whose description
has the text, the process kills itself. It writes the descriptions to the file `effects`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from bundle import archive, sources
from bundle.spec import ModelSpec, TorchServeSettings
from bundle.store import MANIFEST
from serving.rollout import __main__ as command
from serving.rollout import agreement
from serving.torchserve.management import Management

EFFECTS = Path("effects")
SPEC = ModelSpec(
    name="stub",
    source="stub",
    torchserve=TorchServeSettings(responseTimeout=30),  # as conftest's stubs have it
)


def restamp(source: Path, target: Path, version: str, stub: dict[str, Any]) -> Path:
    """A copy of a stub's archive under another version and with other settings of its handler."""
    draft = target.with_name(f".{target.name}.draft")
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(draft, "w") as new:
        manifest = json.loads(old.read(MANIFEST))
        config = manifest["model"]["configFile"]
        manifest["model"]["modelVersion"] = version
        for name in old.namelist():
            content = old.read(name)
            if name == MANIFEST:
                content = json.dumps(manifest).encode()
            elif name == config:
                content = yaml.safe_dump(yaml.safe_load(content) | {"stub": stub}).encode()
            new.writestr(name, content)
    draft.replace(target)
    return target


def count(kill_after: int, kill_at: str) -> None:
    """Patch what changes anything, so that the process ends in the middle."""
    done: list[str] = []

    def watched(real: Callable[..., Any], describe: Callable[..., str]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            result = real(*args, **named)
            what = describe(*args)
            if not what:
                return result
            done.append(what)
            with EFFECTS.open("a") as file:
                file.write(f"{what}\n")
            if len(done) == kill_after or (kill_at and kill_at in what):
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call

    for name in ("link", "replace", "unlink"):
        setattr(
            os, name, watched(getattr(os, name), lambda *paths, name=name: f"{name} {Path(paths[-1]).name}")
        )
    Management._ask = watched(  # type: ignore[method-assign]
        Management._ask, lambda _, method, target, *__: "" if method == "GET" else f"{method} {target}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--kill-after", type=int, default=0)
    parser.add_argument("--kill-at", default="")
    parser.add_argument("--stub", type=json.loads, default={})
    args, rest = parser.parse_known_args()

    def build(spec: ModelSpec, store: Path, file: Path) -> Path:
        return restamp(store / "stub.mar", file, spec.version, args.stub)

    clips = agreement.clips
    agreement.clips = lambda folder: clips(folder)[:2]
    archive.build = build  # type: ignore[assignment]
    sources.resolve = lambda *_, **__: SPEC  # type: ignore[assignment]
    EFFECTS.write_text("")
    if args.kill_after or args.kill_at:
        count(args.kill_after, args.kill_at)
    sys.argv = ["rollout", "--model", "stub", *rest]
    return command.main()


if __name__ == "__main__":
    sys.exit(main())
