"""Several checkpoints of one backbone → one archive: proven alike, shipped once, each head with what is its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from speaker_id import checkpoint
from speaker_id.encoder import choose
from speaker_id.encoder.reference import ReferenceEncoder
from speaker_id.manifest import Manifest
from speaker_id.settings import Settings
from transformers import AutoModelForAudioClassification, AutoModelForAudioXVector

from bundle import BundleError, archive, archived, repository
from bundle.sources import resolve
from tests.doubles.checkpoints import write_checkpoint
from tests.parity.families import clip

INTENTS = ("up", "down", "lamp", "music", "none", "kitchen", "none")
GROUPS = {"action": 2, "object": 3, "location": 2}
LAYOUT = {"speaker": 3, "keyword": 2, "intent.action": 2, "intent.object": 3, "intent.location": 2}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model's folder with four checkpoints of one backbone, one of them published in the old form."""
    folder = tmp_path_factory.mktemp("models") / "several"
    write_checkpoint(folder / "speaker", pickled=True)
    write_checkpoint(folder / "keyword", seed=1, labels=("yes", "no"), use_weighted_layer_sum=False)
    write_checkpoint(folder / "intent", seed=2, labels=INTENTS)
    write_checkpoint(folder / "voice", seed=3, xvector=True)
    (folder / "names.csv").write_text("label,name\nno,No!\n")
    describe(folder)
    return folder


def describe(folder: Path, **more: Any) -> None:
    heads = {
        "speaker": "./speaker",
        "keyword": {"source": "./keyword", "labels": "names.csv", "licence": "free"},
        "intent": {"source": "./intent", "groups": GROUPS},
        "voice": "./voice",
    }
    (folder / "model.yaml").write_text(json.dumps({"heads": heads, "licence": "various"} | more))


@pytest.fixture(scope="module")
def built(written: Path) -> Path:
    root = written.parents[1]
    return archive.build(resolve(str(written)), root / "store", checkpoints=root / "checkpoints")


@pytest.fixture(scope="module")
def folder(written: Path) -> Path:
    return archive.prepare(resolve(str(written)), written.parents[1] / "checkpoints")


def test_one_backbone_ships_with_what_is_each_heads_own(folder: Path) -> None:
    cards = Manifest.read(folder).heads
    assert list(cards) == ["speaker", "keyword", "intent", "voice"]
    assert [card.source for card in cards.values()] == ["speaker", "keyword", "intent", "voice"]
    assert (cards["speaker"].licence, cards["keyword"].licence) == ("various", "free")
    assert cards["intent"].groups == GROUPS
    assert all((card.normalised, card.sampling_rate) == (False, 16000) for card in cards.values())
    assert {name for name in cards["speaker"].source_files if "model" in name} == {"pytorch_model.bin"}
    assert len({card.identity() for card in cards.values()}) == 4
    for card in [*cards.values()][1:]:
        tensors = load_file(folder / card.weights)
        assert tensors
        assert not any(name.startswith("wav2vec2.") for name in tensors)
    assert sum(name.startswith("wav2vec2.") for name in load_file(folder / "model.safetensors")) > 30


def test_the_archive_states_the_layout_of_its_answers(built: Path) -> None:
    spec = archived.read(built)
    assert spec.speaker_id.heads == LAYOUT
    assert spec.licence == "various"


def test_the_archive_says_which_head_answers_what_names_none(written: Path, tmp_path: Path) -> None:
    folder = tmp_path / "several"
    folder.symlink_to(written)
    spec = resolve(str(folder))
    spec = spec.model_copy(update={"speaker_id": Settings(default_head="intent.object")})
    mar = archive.build(spec, tmp_path / "store", checkpoints=written.parents[1] / "checkpoints")
    assert archived.read(mar).speaker_id.default_head == "intent.object"
    repository.write(mar, tmp_path / "repository")
    model = tmp_path / "repository" / "several"
    assert (model / "labels.txt").read_text() == (model / "labels-intent.object.txt").read_text()
    assert (
        'name: "scores", data_type: TYPE_FP32, dims: [-1], label_filename: "labels.txt"'
        in (model / "config.pbtxt").read_text()
    )


def test_what_is_no_head_with_labels_is_no_default(written: Path, tmp_path: Path) -> None:
    spec = resolve(str(written))
    spec = spec.model_copy(update={"speaker_id": Settings(default_head="voice")})
    with pytest.raises(
        BundleError, match="default_head 'voice' is no head that has labels: speaker, keyword"
    ):
        archive.build(spec, tmp_path / "store", checkpoints=written.parents[1] / "checkpoints")


def test_every_head_is_loaded_around_the_one_backbone(written: Path, folder: Path) -> None:
    loaded = checkpoint.load(folder)
    backbones = {id(each.wav2vec2) for each in (loaded.model, *loaded.others)}
    assert len(backbones) == 1
    assert loaded.labels == ("anna", "bernd", "chloe", "yes", "No!", *INTENTS)
    assert loaded.heads == LAYOUT
    batch = [clip(16_000), clip(9_000, 1)]
    for settings in (Settings(), Settings(encoder="reference")):
        found = checkpoint.load(folder, computes=settings.encoder == "reference")
        logits, vectors = choose.choose(found, settings, "cpu").embed(batch)
        parts = dict(zip(("speaker", "keyword", "intent"), logits.split([3, 2, 7], 1), strict=True))
        for name, answers in parts.items():
            own = AutoModelForAudioClassification.from_pretrained(renewed(written / name)).eval()
            expected = ReferenceEncoder(own, loaded.feature_extractor, "cpu")(batch)
            torch.testing.assert_close(answers, expected, rtol=1e-4, atol=1e-5)
        own = AutoModelForAudioXVector.from_pretrained(written / "voice").eval()
        with torch.inference_mode():
            expected = torch.cat([own(torch.from_numpy(each)[None]).embeddings for each in batch])
        torch.testing.assert_close(vectors, expected, rtol=1e-4, atol=1e-5)


def renewed(folder: Path) -> Path:
    """The folder, or its twin with safetensors: transformers' own reading of old names is not what is tested."""
    if not (folder / "pytorch_model.bin").is_file():
        return folder
    return write_checkpoint(folder.with_name("twin"))


def test_an_unchanged_model_is_not_built_again(written: Path, built: Path, capsys: Any) -> None:
    root = written.parents[1]
    assert archive.build(resolve(str(written)), root / "store", checkpoints=root / "checkpoints") == built
    assert "is up to date" in capsys.readouterr().out


def test_triton_gets_the_labels_of_each_head(written: Path, built: Path, tmp_path: Path) -> None:
    repository.write(built, tmp_path)
    assert (tmp_path / "several" / "labels-keyword.txt").read_text() == "yes\nNo!\n"
    assert (tmp_path / "several" / "labels-intent.location.txt").read_text() == "kitchen\nnone\n"
    text = (tmp_path / "several" / "config.pbtxt").read_text()
    assert '{name: "intent.object.scores", data_type: TYPE_FP32' in text


def test_a_folder_may_hold_a_heads_own_tensors_alone(written: Path, folder: Path, tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "m" / "speaker")
    write_checkpoint(tmp_path / "m" / "voice", seed=3, xvector=True)
    change(tmp_path / "m" / "voice", without_backbone)
    (tmp_path / "m" / "model.yaml").write_text('{"heads": {"speaker": "./speaker", "voice": "./voice"}}')
    found = archive.prepare(resolve(str(tmp_path / "m")), tmp_path / "c")
    theirs = load_file(folder / "voice.model.safetensors")
    ours = load_file(found / "voice.model.safetensors")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def without_backbone(tensors: dict[str, torch.Tensor]) -> None:
    for name in [name for name in tensors if name.startswith("wav2vec2.")]:
        del tensors[name]


def change(folder: Path, edit: Callable[[dict[str, torch.Tensor]], None]) -> None:
    tensors = load_file(folder / "model.safetensors")
    edit(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def flip(name: str) -> Callable[[dict[str, torch.Tensor]], None]:
    def edit(tensors: dict[str, torch.Tensor]) -> None:
        tensors[name].view(torch.int32).flatten()[0] ^= 1  # the last bit of one value

    return edit


def setting(file: str, key: str, value: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        content = json.loads((folder / file).read_text())
        (folder / file).write_text(json.dumps(content | {key: value}))

    return edit


WEIGHT = "wav2vec2.encoder.layers.1.attention.k_proj.weight"
DIFFERENT: dict[str, tuple[Callable[[Path], object], str]] = {
    "one bit": (
        lambda folder: change(folder, flip(WEIGHT)),
        f"head b does not have the backbone of head a: {WEIGHT} differs in 1 of its 1024 values",
    ),
    "two tensors, of which the first is named": (
        lambda folder: (change(folder, flip(WEIGHT)), change(folder, flip(WEIGHT.replace("1", "0", 1)))),
        f"{WEIGHT.replace('1', '0', 1)} differs in 1 of",
    ),
    "the stored type": (
        lambda folder: change(folder, lambda all: all.update({WEIGHT: all[WEIGHT].half()})),
        f"{WEIGHT} is float16 of shape [32, 32], not float32 of shape [32, 32]",
    ),
    "normalisation": (
        setting("preprocessor_config.json", "do_normalize", True),
        "head b cannot share a pass with head a: waveforms are prepared differently, do_normalize is true, not false",
    ),
    "sampling rate": (
        setting("preprocessor_config.json", "sampling_rate", 8000),
        "sampling_rate is 8000, not 16000",
    ),
    "attention heads": (
        setting("config.json", "num_attention_heads", 4),
        "the backbones differ, num_attention_heads is 4, not 2",
    ),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_a_head_that_cannot_share_a_pass_is_refused_with_the_reason(what: str, tmp_path: Path) -> None:
    edit, message = DIFFERENT[what]
    write_checkpoint(tmp_path / "m" / "a")
    write_checkpoint(tmp_path / "m" / "b", seed=1, labels=("yes", "no"))
    edit(tmp_path / "m" / "b")
    (tmp_path / "m" / "model.yaml").write_text('{"heads": {"a": "./a", "b": "./b"}}')
    with pytest.raises(BundleError) as refused:
        archive.prepare(resolve(str(tmp_path / "m")), tmp_path / "c")
    assert message in str(refused.value)


def test_another_family_is_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "m" / "a")
    write_checkpoint(tmp_path / "m" / "b", family="hubert")
    (tmp_path / "m" / "model.yaml").write_text('{"heads": {"a": "./a", "b": "./b"}}')
    with pytest.raises(BundleError, match='model_type is "hubert", not "wav2vec2"'):
        archive.prepare(resolve(str(tmp_path / "m")), tmp_path / "c")


def test_each_head_of_the_hub_is_pinned_by_a_lock_of_its_own(tmp_path: Path) -> None:
    model = tmp_path / "models" / "m"
    model.mkdir(parents=True)
    heads = {"speaker": "org/m-sid", "intent": "superb/m-superb-ic"}
    (model / "model.yaml").write_text(json.dumps({"heads": heads}))
    spec = resolve("m", root=tmp_path / "models")
    assert spec.heads["intent"].groups == {"action": 6, "object": 14, "location": 4}
    assert [spec.of_head(name).lock for name in heads] == [
        model / "lock-speaker.yaml",
        model / "lock-intent.yaml",
    ]
    assert spec.of_head("speaker").source == "org/m-sid"
    assert resolve("org/m-sid", root=tmp_path / "models").name == "m-sid", "by itself it is another model"


WRONG = {
    '{"heads": {"a": "./a"}, "source": "."}': "source: with heads, each head has its own",
    '{"heads": []}': "heads: must be names and sources, such as {speaker: org/name}",
    '{"heads": {"a": "a b"}}': "heads.a.source: 'a b' is neither a hub id (org/name) nor a folder",
    '{"heads": {"A.b": "org/x"}}': "'A.b' cannot be a head's name: use a-z, 0-9 and '_'",
    '{"heads": {"all": "org/x"}}': "'all' cannot be a head's name: use a-z, 0-9 and '_', and not 'all' alone",
    '{"heads": {"a": {"source": "org/x", "lock": "y"}}}': "heads.a.lock: not a key of this file",
    '{"heads": {"a": {"source": "./a", "revision": "main"}}}': "heads.a.revision: only a model on the hub has one",
    '{"heads": {"a": {"source": "org/x", "labels": "none.csv"}}}': "heads.a.labels: there is no none.csv beside it",
    '{"heads": {"a": "org/x"}, "speaker_id": {"heads": {"b": 1}}}': "write groups: at the head",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_with_heads_in_model_yaml_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "model.yaml").write_text(text)
    with pytest.raises(BundleError) as refused:
        resolve(str(tmp_path))
    assert WRONG[text] in str(refused.value)


def test_a_revision_is_of_one_model_only(written: Path) -> None:
    with pytest.raises(BundleError, match=r"the heads of MODEL=.* have revisions of their own"):
        resolve(str(written), revision="main")
