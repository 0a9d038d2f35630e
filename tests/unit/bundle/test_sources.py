import re
from pathlib import Path

import pytest
import yaml
from speaker_id.settings import Settings

from bundle import BundleError
from bundle.sources import read_spec, resolve, resolve_all
from bundle.spec import TorchServeSettings

ROOT = Path(__file__).parents[3]
COMMIT = "c0ffee" + "0" * 34


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "models", "alpha", "source: org/alpha-model\n")
    write(tmp_path / "models", "beta", "source: .\n")
    return tmp_path / "models"


def write(root: Path, name: str, text: str) -> Path:
    (root / name).mkdir(parents=True, exist_ok=True)
    (root / name / "model.yaml").write_text(text)
    return root / name


def refusal(text: str, tmp_path: Path) -> str:
    with pytest.raises(BundleError) as caught:
        read_spec(write(tmp_path, "gamma", text))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_name_under_models_is_read_from_its_folder(models: Path) -> None:
    spec = resolve("alpha", root=models)
    assert (spec.name, spec.source, spec.revision, spec.folder) == ("alpha", "org/alpha-model", None, None)
    assert spec.lock == models / "alpha" / "lock.yaml"


def test_a_source_of_dot_is_the_models_own_folder(models: Path) -> None:
    spec = resolve("beta", root=models)
    assert (spec.source, spec.folder, spec.lock) == ("beta", models / "beta", None)


def test_a_hub_id_is_served_under_its_last_part_in_lower_case(models: Path) -> None:
    spec = resolve("superb/Hubert-Base-superb-KS", root=models)
    assert (spec.name, spec.source) == ("hubert-base-superb-ks", "superb/Hubert-Base-superb-KS")
    assert spec.lock == Path("build/locks/superb--Hubert-Base-superb-KS.yaml")


def test_the_hub_id_of_a_known_model_is_that_model(models: Path) -> None:
    assert resolve("org/alpha-model", root=models) == resolve("alpha", root=models)


def test_revision_goes_over_the_one_in_the_file(models: Path) -> None:
    write(models, "alpha", f"source: org/alpha-model\nrevision: {COMMIT}\n")
    assert resolve("alpha", root=models).revision == COMMIT
    assert resolve("alpha", "main", root=models).revision == "main"
    assert resolve("alpha", "", root=models).revision == COMMIT  # `make … REVISION=` says nothing


@pytest.mark.parametrize(
    "form", ["./My-Model", "{here}/My-Model", "~/My-Model", "My-Model", "../here/My-Model/"]
)
def test_a_folders_path_is_that_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, models: Path
) -> None:
    here = tmp_path / "here"
    (here / "My-Model").mkdir(parents=True)
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(here))
    spec = resolve(form.format(here=here), root=models)
    assert (spec.name, spec.folder, spec.source) == ("my-model", here / "My-Model", "My-Model")


def test_a_folder_that_holds_a_model_yaml_is_read_from_it(models: Path, tmp_path: Path) -> None:
    folder = write(tmp_path / "elsewhere", "delta", "source: org/delta-model\nversion: '2.1'\n")
    assert resolve(str(folder), root=models).version == "2.1"


@pytest.mark.parametrize("model", ["gamma", "", " "])
def test_an_unknown_model_is_refused_with_the_known_ones(models: Path, model: str) -> None:
    said = rf"^MODEL={model.strip()} is not a name under .*\(alpha, beta\), a hub id"
    with pytest.raises(BundleError, match=said):
        resolve(model, root=models)


def test_a_folder_whose_name_cannot_be_served_says_which_names_can(models: Path) -> None:
    write(models, "Mine", "source: .\n")
    with pytest.raises(
        BundleError, match=r"^MODEL=Mine cannot be a model's name: rename .*/Mine to a-z, 0-9, "
    ):
        resolve("Mine", root=models)
    with pytest.raises(BundleError, match=r"\(alpha, beta\)"):
        resolve("gamma", root=models)


def test_a_folder_without_model_yaml_is_named(models: Path) -> None:
    (models / "empty").mkdir()
    with pytest.raises(BundleError, match=r"^MODEL=empty: .*/empty has no model\.yaml$"):
        resolve("empty", root=models)


def test_a_path_that_is_no_folder_is_refused(models: Path) -> None:
    with pytest.raises(BundleError, match=r"^MODEL=\./nothing is not a folder$"):
        resolve("./nothing", root=models)


def test_a_name_that_cannot_stand_in_a_url_is_refused(models: Path, tmp_path: Path) -> None:
    (tmp_path / "my model").mkdir()
    with pytest.raises(BundleError, match=r"would be served as 'my model', which cannot stand in a URL"):
        resolve("./my model", root=models)


def test_a_revision_of_a_local_folder_is_refused(models: Path) -> None:
    with pytest.raises(
        BundleError, match=r"^REVISION=v2 is for models on the hub; MODEL=beta is a local folder"
    ):
        resolve("beta", "v2", root=models)


def test_the_intent_models_have_three_heads_under_their_hub_id_too(models: Path) -> None:
    spec = resolve("superb/hubert-large-superb-ic", root=models)
    assert spec.speaker_id.heads == {"action": 6, "object": 14, "location": 4}
    assert resolve("wav2vec2-base-superb-ic", root=ROOT / "models").speaker_id.heads == spec.speaker_id.heads


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("source: [", "gamma/model.yaml is not YAML"),
        ("just words", "gamma/model.yaml must hold keys and values"),
        ("version: '1'", "gamma/model.yaml: source is missing: a hub id, or . for"),
        ("source:", "gamma/model.yaml: source is missing: a hub id, or . for"),
        ("source: .\nversion: 1.0", 'version: 1.0 is a number, not text: write it in quotes: version: "1.0"'),
        (
            "source: .\nversion: v1",
            "version: must be numbers with dots between, in quotes: \"2.0\" (found 'v1')",
        ),
        ("source: .\ntorchserve: 3", "model.yaml: torchserve: must hold keys and values (found 3)"),
        ("source: .\nlabels: 3", "model.yaml: labels: must be a file's name (found 3)"),
        ("source: org/x\nname: y", "gamma/model.yaml: name: not a key of this file"),
        ("source: org/x\ncolour: red", "gamma/model.yaml: colour: unknown key"),
        ("source: nowhere", "gamma/model.yaml: source: 'nowhere' is neither a hub id"),
        ("source: .\nrevision: main", "gamma/model.yaml: revision: only a model on the hub has one"),
        ("source: org/x\ntorchserve: {batchsize: 8}", "gamma/model.yaml: torchserve.batchsize: unknown key"),
        (
            "source: org/x\ntorchserve: {maxBatchDelay: 0}",
            "torchserve.maxBatchDelay: must be greater than or equal to 1 (found 0)",
        ),
        ("source: org/x\ntorchserve: {minWorkers: 2}", "maxWorkers 1 is less than minWorkers 2"),
        (
            "source: org/x\nspeaker_id: {max_clip_seconds: 601}",
            "speaker_id.max_clip_seconds: must be less than",
        ),
        (
            "source: org/x\nfiles: {config.json: abc}",
            "files.config.json: must be a SHA-256, 64 digits of 0-9 and a-f, or null (found 'abc')",
        ),
        ("source: org/x\nlabels: names.csv", "labels: there is no names.csv beside it"),
        ("source: .\nunknown: yes", "gamma/model.yaml: unknown: must hold keys and values (found True)"),
        ("source: .\nunknown: {fpir: 60%}", "unknown.fpir: 60% is not a rate from 0.1% to 50%"),
        ("source: .\nunknown: {method: best}", "unknown.method: must be 'msp', 'max_logit', 'energy', "),
        ("source: .\nunknown: {rate: 1%}", "gamma/model.yaml: unknown.rate: unknown key"),
        ("heads: {a: ./a}\nunknown: {}", "gamma/model.yaml: unknown: with heads, each head has its own"),
        ("heads: {a: {source: ./a, unknown: {fpir: 0}}}", "heads.a.unknown.fpir: 0 is not a rate"),
        ("source: .\nunknown: {fpir: 5}", "5 is not a rate from 0.1% to 50%: write 5% if percent are meant"),
    ],
)
def test_a_fault_in_model_yaml_names_file_and_key(text: str, said: str, tmp_path: Path) -> None:
    message = refusal(text, tmp_path)
    assert said in message
    assert not re.search(r"[{}]|Input should|Value error|Field required", message), "pydantic's words"


def test_the_archives_configuration_says_every_setting_in_force(models: Path) -> None:
    write(models, "alpha", "source: org/a\ntorchserve: {batchSize: 4}\nspeaker_id: {default_top_k: 3}\n")
    written = yaml.safe_load(resolve("alpha", root=models).model_config_yaml())
    assert written["batchSize"] == 4
    assert written["maxBatchDelay"] == 2
    assert {key: value for key, value in written.items() if key != "speaker_id"} == TorchServeSettings(
        batchSize=4
    ).model_dump()
    assert Settings(**written["speaker_id"]) == Settings(default_top_k=3)


def test_a_guard_stands_beside_model_yaml(models: Path) -> None:
    write(models, "alpha", "heads: {a: {source: ./a, unknown: {fpir: 2%}}, b: ./b}\n")
    spec = resolve("alpha", root=models)
    unknown = spec.heads["a"].unknown
    assert unknown is not None
    assert (unknown.method, unknown.fpir) == ("mahalanobis", 0.02)
    assert unknown.file == (models / "alpha" / "guard-a.safetensors").resolve()
    assert spec.of_head("a").unknown == unknown
    assert spec.of_head("b").unknown is None
    write(models, "alpha", "source: .\nunknown: {file: ../shared.safetensors}\n")
    unknown = resolve("alpha", root=models).unknown
    assert unknown is not None
    assert unknown.file == (models / "shared.safetensors").resolve()


def test_the_shipped_models_are_valid() -> None:
    published = resolve("wav2vec2-base-superb-sid", root=ROOT / "models")
    assert published.source == "superb/wav2vec2-base-superb-sid"
    assert published.published is not None
    assert published.published.value == 0.7518
    demo = resolve("demo", root=ROOT / "models")
    assert demo.demo
    assert list(demo.heads) == ["speaker", "language", "voice"]
    assert demo.of_head("speaker").folder == ROOT / "models" / "demo"
    assert demo.speaker_id.default_head == "speaker"


def test_several_models_are_resolved_in_their_order(models: Path) -> None:
    specs = resolve_all(" beta alpha:2.0.1 superb/hubert-base-superb-ks ", models)
    assert [spec.name for spec in specs] == ["beta", "alpha", "hubert-base-superb-ks"]
    assert specs[0].version == resolve("beta", root=models).version
    assert specs[1].version == "2.0.1"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("", "names no model"),
        ("alpha alpha:2", "two models as alpha"),
        ("alpha nobody", "MODELS=nobody is not a name under"),
        ("alpha:two", "MODELS=alpha:two: 'two' is not a version"),
    ],
)
def test_several_models_that_cannot_be_served_together_are_refused(
    models: Path, asked: str, said: str
) -> None:
    with pytest.raises(BundleError, match=said):
        resolve_all(asked, models)
