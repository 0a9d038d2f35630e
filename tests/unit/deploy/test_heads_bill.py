"""The bill of materials and the labels of an image whose model has several heads: wav2vec2-base-superb, small."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from deploy.docker import bill, labels
from tests.doubles.checkpoints import write_checkpoint
from tests.doubles.hub import hub
from tests.unit.bundle.test_superb import INTENTS
from tests.unit.deploy.kustomized import ROOT

NAME = "wav2vec2-base-superb"
WITH_LABELS = {"intent": INTENTS}


def test_each_head_is_listed_with_its_own_source_commit_and_licence(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(ROOT / "models" / NAME, tmp_path / NAME))
    described = yaml.safe_load((folder / "model.yaml").read_text("utf-8"))
    commits = {name: f"{number}a" * 20 for number, name in enumerate(described["heads"])}
    with hub() as stand_in:
        for seed, (name, source) in enumerate(described["heads"].items()):
            more = {"labels": WITH_LABELS[name]} if name in WITH_LABELS else {}
            published = write_checkpoint(tmp_path / name, seed=seed, xvector=name == "voice", **more)
            stand_in.publish(source, published, commits[name])
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("HF_", "TORCHINDUCTOR_"))
        }
        command = [sys.executable, "-m", "serving.archive", "--model", str(folder)]
        command += ["--store", str(tmp_path / "store"), "--checkpoints", str(tmp_path / "checkpoints")]
        (temp := tmp_path / "temp").mkdir()
        home = {"HF_ENDPOINT": stand_in.endpoint, "HF_HOME": str(tmp_path / "hub"), "TMPDIR": str(temp)}
        done = subprocess.run(command, env=kept | home, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert [*temp.iterdir()] == [], "such as torchinductor_NAME, which importing torch's compiler creates"
    (model,) = bill.models(tmp_path / "store")
    assert (model["name"], model["version"], model["properties"]) == (NAME, "1.0", [])
    assert [head["name"] for head in model["components"]] == list(described["heads"])
    for head in model["components"]:
        assert head["type"] == "machine-learning-model"
        assert {each["name"]: each["value"] for each in head["properties"]} == {
            "source": described["heads"][head["name"]],
            "revision": commits[head["name"]],
        }
        assert head["licenses"] == [{"license": {"name": described["licence"]}}]
    said = labels.of({"components": [model]}, "1.0-cpu", "python:3")
    assert said["speaker-id.model.revision"].startswith(f"speaker={commits['speaker']}, keyword=")
    assert said["speaker-id.model.source"].endswith(f", voice={described['heads']['voice']}")
