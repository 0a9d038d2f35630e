"""The example of docs/models.md that keeps embeddings in a vector database is run as it stands."""

from __future__ import annotations

import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

from measure import Unavailable, environment
from serving.gateway.envoy import Gateway

pytestmark = [pytest.mark.e2e, pytest.mark.any_server]

ROOT = Path(__file__).resolve().parents[2]
MARKED = re.compile(r"<!-- run by tests/e2e/test_vectors\.py -->\n```python\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def python() -> Path:
    """The interpreter that has the database."""
    try:
        return environment.python(
            ROOT / "build" / "vectors",
            Path(__file__).with_name("requirements-vectors.txt"),
            behind=sysconfig.get_path("purelib"),  # pyarrow and numpy are 60 MB
            options=("--no-deps", "--no-compile"),
        )
    except Unavailable as exc:
        pytest.skip(f"LanceDB: {exc}")


def test_the_nearest_voices_are_of_the_one_who_speaks(gateway: Gateway, python: Path, tmp_path: Path) -> None:
    (example,) = MARKED.findall((ROOT / "docs" / "models.md").read_text("utf-8"))
    assert "http://127.0.0.1:8080/" in example
    (tmp_path / "models").symlink_to(ROOT / "models")
    (tmp_path / "build").mkdir()
    program = example.replace("http://127.0.0.1:8080", gateway.url)
    done = subprocess.run([str(python), "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [voice for voice, _, _ in rows] == ["allison_smith"] * 3
    cosines = [float(cosine) for _, _, cosine in rows]
    assert cosines == sorted(cosines, reverse=True)
    assert 0 < cosines[-1] <= 1
