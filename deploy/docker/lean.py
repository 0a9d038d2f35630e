"""What an image gets of the packages and of the bundle: run by the Dockerfiles inside the build, from /app.

    python3 deploy/docker/lean.py prune       # takes from .venv what serving never reads
    .venv/bin/python deploy/docker/lean.py compile   # lays out /layers/compiled and /layers/code

Standard library only. What it writes depends on its input alone, so that two builds give the same layers.
"""

from __future__ import annotations

import json
import os
import py_compile
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path

APP = Path("/app")
LAYERS = Path("/layers")
COMPILED = APP / "compiled"  # PYTHONPYCACHEPREFIX of the image
CODE = ("bundle", "handler", "serving")
ALSO = ("config.properties", "models/demo/samples")
# Of torch: its own tests, what C++ is compiled against, and programs of which it starts one. pip: nothing is installed
# into a read-only root. Every package's tests. Pillow: of TorchServe's handlers for pictures.
UNUSED = [
    *("torch/test", "torch/include", "pip", "pip-*.dist-info", "**/tests"),
    *("PIL", "pillow.libs", "pillow-*.dist-info"),
]
TORCH_PROGRAM = "torch_shm_manager"
# Of transformers' four hundred kinds of models, those that are served. The next stage imports every class that
# speaker_id/manifest.py supports: a kind that is missing here ends the build.
KINDS = ("wav2vec2", "hubert", "wavlm", "unispeech_sat", "data2vec", "wav2vec2_conformer", "wav2vec2_bert")
KIND_LISTS = ("auto", "encoder_decoder", "vision_encoder_decoder")  # and what the lists themselves import
NEVER_IMPORTED = ("__main__", "triton_model")  # commands, and what runs in Triton alone
# what a module may need that an image has not: the callers' side, and the compiler that comes with CUDA's torch alone
NOT_THERE = ("clients", "triton")


def prune(venv: Path) -> None:
    """Remove from an environment what serving never reads, compiled files included."""
    (packages,) = venv.glob("lib/python3*/site-packages")
    found = {path for pattern in UNUSED for path in packages.glob(pattern)}
    found |= {path for path in packages.glob("torch/bin/*") if path.name != TORCH_PROGRAM}
    kinds = packages.glob("transformers/models/*")
    found |= {path for path in kinds if path.is_dir() and path.name not in KINDS + KIND_LISTS}
    found |= {*venv.glob("bin/pip*"), *venv.rglob("__pycache__")}
    for path in sorted(found):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    readable(venv)


def modules(root: Path) -> Iterator[str]:
    """The names of the modules below a folder."""
    for file in sorted(root.rglob("*.py")):
        parts = file.relative_to(root).with_suffix("").parts
        if parts[-1] not in NEVER_IMPORTED:
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported() -> list[str]:
    """The source files of everything that the bundle's modules import, Python's own included.

    Not everything that is installed: most of that (models of other kinds, compilers) is never imported, and compiled it
    would only make the image larger. What is missed here is compiled at each start.
    """
    names = [name for folder in ("", "handler") for name in modules_of(folder)]
    names += ["ts.model_service_worker", "model_archiver.model_packaging"]
    script = (
        "import importlib, json, sys\n"
        f"for name in {names!r}:\n"
        "    try: importlib.import_module(name)\n"
        "    except ModuleNotFoundError as exc:\n"
        f"        if exc.name not in {NOT_THERE!r}: raise\n"
        # which a model's conversion and the reference encoder import late
        "import transformers\nfrom speaker_id import manifest\n"
        "kinds = (*manifest.SUPPORTED_ARCHITECTURES.values(), *manifest.XVECTOR_ARCHITECTURES.values())\n"
        "for kind in kinds: getattr(transformers, kind)\n"
        "files = (getattr(each, '__file__', None) for each in list(sys.modules.values()))\n"
        # absolute, since some of torch's modules are no files and say that they are
        "found = {str(file) for file in files if file and file[0] == '/' and file.endswith('.py')}\n"
        "print(json.dumps(sorted(found)))\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{APP}:{APP / 'handler'}", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE)
    if done.returncode:
        raise SystemExit("lean: a module cannot be imported in the image: which one, and why, is said above")
    files: list[str] = json.loads(done.stdout.splitlines()[-1])
    return files


def modules_of(folder: str) -> Iterator[str]:
    if folder:
        yield from modules(APP / folder)
        return
    for each in CODE:
        if each != "handler":
            yield from (f"{each}.{name}" if name else each for name in modules(APP / each))


def compile_all(files: Iterable[str]) -> None:
    """Compile source files below /layers, where PYTHONPYCACHEPREFIX will find them.

    Each package in a process of its own: what one process compiled before changes the bytes (which strings are
    shared), and two builds are to give the same. Unchecked hashes: time stamps do not survive every builder.
    """
    by_package = [list(group) for _, group in groupby(sorted(files), key=lambda file: package_of(Path(file)))]
    command = [sys.executable, "-I", __file__, "files"]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}

    def run(group: list[str]) -> None:
        subprocess.run(command, input="\n".join(group), text=True, env=environment, check=True)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(run, by_package))


def package_of(file: Path) -> str:
    """Whose file it is: a folder of site-packages, or the folder that holds it."""
    parts = file.parts
    return parts[parts.index("site-packages") + 1] if "site-packages" in parts else str(file.parent)


def compile_files(files: list[str]) -> None:
    for file in files:
        ours = any(Path(file).is_relative_to(APP / each) for each in CODE)
        layer = LAYERS / ("code" if ours else "compiled")
        name = f"{Path(file).stem}.{sys.implementation.cache_tag}.pyc"
        target = layer / (COMPILED / Path(file).parent.relative_to("/")).relative_to("/") / name
        py_compile.compile(
            file,
            str(target),
            doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )


def lay_out(bundle: Path, goal: Path) -> None:
    """Copy the bundle's sources and what they read from one folder to another."""
    for name in (*CODE, *ALSO):
        (goal / name).parent.mkdir(parents=True, exist_ok=True)
        if (bundle / name).is_dir():
            shutil.copytree(bundle / name, goal / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(bundle / name, goal / name)


def readable(folder: Path) -> None:
    """For every user, and written to by none but its owner: the context may come from under a private umask."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if executable else 0o644)


def main() -> int:
    command = sys.argv[1]
    if command == "prune":
        prune(APP / ".venv")
    elif command == "files":
        compile_files(sys.stdin.read().split("\n"))
    elif command == "compile":
        lay_out(APP, LAYERS / "code" / APP.relative_to("/"))
        compile_all(imported())
        readable(LAYERS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
