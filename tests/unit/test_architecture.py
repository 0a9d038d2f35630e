"""Data flows one way: a stage imports only what stands before it, and the core knows no server."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

CORE = Path(__file__).parents[2] / "handler" / "speaker_id"
BEFORE = {
    "errors": set(),
    "clip": set(),
    "settings": set(),
    "kernels": set(),
    "manifest": {"errors", "settings"},
    "checkpoint": {"errors", "settings", "manifest"},
    "protocol": {"errors", "settings", "clip"},
    "audio": {"errors", "clip"},
    "decoders": {"errors", "clip", "audio"},
    "packing": {"errors", "settings", "clip"},
    "decoding": {"errors", "settings"},
    "encoder": {"errors", "settings", "packing"},
    "packed": {"errors", "settings", "packing", "encoder"},
    "encoders": {"settings", "manifest", "checkpoint", "encoder", "packed"},
    "labels": {"errors", "settings", "protocol"},
    "certainty": {"labels"},
    "job": {"errors", "protocol", "certainty", "decoding"},
}
SERVERS = {"ts", "triton_python_backend_utils", "fastapi", "mlserver"}
PRODUCT = (
    "handler",
    "bundle",
    "clients",
    "training",
    "bench",
    "loadtest",
    "evaluation",
    "compare",
    "monitoring",
    "autoscale",
    "chaos",
)
OURS = {*PRODUCT, "tests"} - {"handler"}


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the direction"
            names.add(node.module or "")
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def stage_of(path: Path) -> str:
    return path.relative_to(CORE).parts[0].removesuffix(".py")


FILES = sorted(path for path in CORE.rglob("*.py") if stage_of(path) != "__init__")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CORE)))
def test_a_stage_imports_only_what_stands_before_it(path: Path) -> None:
    stage = stage_of(path)
    stages = {name.split(".")[1] for name in imports(path) if name.startswith("speaker_id.")}
    if stage != "pipeline":
        assert stages - {stage} <= BEFORE[stage]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CORE)))
def test_the_core_knows_no_server_and_no_other_part_of_the_house(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports(path)} & (SERVERS | OURS)


def test_no_stage_is_left_out_of_the_map() -> None:
    assert {stage_of(path) for path in FILES} - {"pipeline"} == set(BEFORE)


def test_the_client_is_a_file_that_may_be_copied() -> None:
    client = CORE.parents[1] / "clients" / "identify.py"
    assert not {name.split(".")[0] for name in imports(client)} & (OURS | {"speaker_id", "speaker_handler"})


ONE_FILE = {"clients/identify.py"}  # a consumer copies it, so it may not be split


def test_files_stay_short() -> None:
    root = CORE.parents[1]
    files = [path for folder in PRODUCT for path in (root / folder).rglob("*.py")]
    long = {str(path.relative_to(root)) for path in files if len(path.read_text("utf-8").splitlines()) > 300}
    assert long <= ONE_FILE


def test_commands_around_a_running_server_import_no_torch_and_no_hub_client() -> None:
    """They take seconds, which `make rollout`'s user would wait for, and 300 MB."""
    commands = "serve, stop, rollout, demo, identify, archive, clean"
    heavy = {"torch", "transformers", "huggingface_hub"}
    program = f"import sys; from bundle import {commands}; print({heavy} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=CORE.parents[1]
    )
    assert (done.stdout, done.stderr) == ("set()\n", "")
