"""The Debian packages the voices come from: pinned, fetched, verified, extracted.

python -m training.packages [--debs DIR] [--any-version]
"""

import argparse
import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.progress import track

from training import WORK_DIR


class PackageError(Exception):
    """A package is not available as pinned; the message says what to do."""


@dataclass(frozen=True)
class Package:
    """A Debian package, pinned, since the split and the weights depend on every byte."""

    name: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """The name ``apt-get download`` gives it (an epoch's colon is escaped)."""
        return f"{self.name}_{self.version.replace(':', '%3a')}_all.deb"


PACKAGES = (
    Package(
        "asterisk-core-sounds-en-g722",
        "1.6.1-1",
        "38c5261820b406dcb0ecb37675720da2b0864850690690352ca52707eb623806",
    ),
    Package(
        "asterisk-core-sounds-es-g722",
        "1.6.1-1",
        "e4e3b4281057d3b81b779298fd6be705f57411513955c518eed1bcaabbd615b8",
    ),
    Package(
        "asterisk-core-sounds-fr-g722",
        "1.6.1-1",
        "7add61d5e42279ecff1bbdf842a5a946ac3644fac9a0fe44384731aa7270c8e0",
    ),
    Package(
        "asterisk-core-sounds-it-g722",
        "1.6.1-1",
        "46b4cf7afc508a5fcfc051b7ea233251c0d195dd4ef83cc4b7facb4c6429b016",
    ),
    Package(
        "asterisk-core-sounds-ru-g722",
        "1.6.1-1",
        "673b4238a6b8269960f055d868c6a11083f7a0d00979167cb01554046b48ed9b",
    ),
    Package(
        "asterisk-prompt-fr-armelle",
        "20070613-2.2",
        "162570b1a9b3512a98f06b89f60c7c17cf1b9b52297315adca9a4e5be728bea3",
    ),
    Package(
        "asterisk-prompt-it-menardi-wav",
        "1:1.4.22+mm20110907-3.1",
        "3094530d98f8758ac275572d59624c41f60969fef883f34f4886d144f3dfeb21",
    ),
)


def verify(package: Package, deb: Path, *, any_version: bool = False) -> None:
    """Raises ``PackageError`` unless ``deb`` is byte for byte the pinned package."""
    digest = hashlib.sha256(deb.read_bytes()).hexdigest()
    if digest != package.sha256 and not any_version:
        raise PackageError(
            f"{deb} has sha256 {digest}, not {package.sha256} ({package.name} {package.version}): "
            "another version changes the split and the weights; --any-version takes it all the same"
        )


def fetch(package: Package, folder: Path, *, any_version: bool = False) -> Path:
    """The verified ``.deb`` of ``package`` in ``folder``, downloaded with apt-get unless it is there."""
    pinned = folder / package.file_name
    found = [pinned] if pinned.exists() else sorted(folder.glob(f"{package.name}_*.deb"))
    if not found:
        wanted = package.name if any_version else f"{package.name}={package.version}"
        _run(["apt-get", "download", wanted], cwd=folder)
        found = sorted(folder.glob(f"{package.name}_*.deb"))
    verify(package, found[-1], any_version=any_version)
    return found[-1]


def extract(
    work: Path,
    *,
    debs: Path | None = None,
    any_version: bool = False,
    packages: Sequence[Package] = PACKAGES,
) -> None:
    """Extracts ``packages``, each below ``work/packages``; ``debs`` is a folder of ``.deb`` files already there."""
    folder = debs or work / "debs"
    if not folder.is_dir():
        if debs:
            raise PackageError(f"--debs {debs} is no folder")
        folder.mkdir(parents=True)
    for package in track(packages, "Debian packages", transient=True):
        target = work / "packages" / package.name
        deb = fetch(package, folder.resolve(), any_version=any_version)
        if not target.exists():
            partial = target.with_suffix(".partial")  # an interrupted run must not look complete
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            _run(["dpkg-deb", "--extract", str(deb), str(partial)], cwd=folder)
            partial.rename(target)


def _run(command: Sequence[str], cwd: Path) -> None:
    """Runs ``command``; raises ``PackageError`` with one line to act on if it is missing or fails."""
    if shutil.which(command[0]) is None:
        raise PackageError(
            f"{command[0]} not found: the voices come as Debian packages. Run this on Debian or Ubuntu (or in a "
            "debian:bookworm container); with dpkg-deb alone, --debs DIR takes packages downloaded elsewhere"
        )
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise PackageError(
            f"`{' '.join(command)}` failed: {reason} (try `apt-get update`; --any-version takes another version)"
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of every entry point that starts from the packages."""
    parser.add_argument("--debs", type=Path, help="folder of .deb files already downloaded")
    parser.add_argument("--any-version", action="store_true", help="take packages that differ from the pins")
    parser.add_argument(
        "--work", type=Path, default=WORK_DIR, help="intermediate files (default: build/training)"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser)
    arguments = parser.parse_args()
    try:
        extract(arguments.work, debs=arguments.debs, any_version=arguments.any_version)
    except PackageError as error:
        parser.exit(1, f"{error}\n")
