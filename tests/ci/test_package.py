"""What is published on PyPI: the package with its component files, who made it and where it comes from, and nothing else of the repository."""

from __future__ import annotations

import email
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from evergreen.version import __version__

ROOT = Path(__file__).resolve().parents[2]
NAME = f"kfp_evergreen-{__version__}"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", str(folder)], cwd=ROOT, check=True, capture_output=True, timeout=120)
    assert sorted(path.name for path in folder.iterdir()) == [f"{NAME}-py3-none-any.whl", f"{NAME}.tar.gz"]
    return folder


def test_the_wheel_holds_the_package_and_its_files(built: Path) -> None:
    with zipfile.ZipFile(built / f"{NAME}-py3-none-any.whl") as wheel:
        names = set(wheel.namelist())
    package = {f"evergreen/{path.relative_to(ROOT / 'components' / 'evergreen')}" for path in (ROOT / "components" / "evergreen").rglob("*.py")}
    assert package <= names
    assert "evergreen/py.typed" in names
    assert [name for name in names if not name.startswith(("evergreen/", f"{NAME}.dist-info/"))] == []


def test_the_metadata_says_who_and_where(built: Path) -> None:
    with zipfile.ZipFile(built / f"{NAME}-py3-none-any.whl") as wheel:
        metadata = email.message_from_bytes(wheel.read(f"{NAME}.dist-info/METADATA"))
    assert (metadata["Version"], metadata["License-Expression"]) == (__version__, "Apache-2.0")
    assert metadata["Metadata-Version"] == "2.4"  # newer ones are refused by tools that upload
    assert metadata["Author-email"].startswith("The Evergreen authors <")
    urls = dict(text.split(", ") for text in metadata.get_all("Project-URL", []))
    assert {"Homepage", "Documentation", "Repository", "Changelog", "Issues", "Security"} == urls.keys()
    assert all(url.startswith("https://github.com/kfp-evergreen/evergreen") for url in urls.values())


def test_the_source_archive_builds_the_same_and_carries_no_more(built: Path) -> None:
    with tarfile.open(built / f"{NAME}.tar.gz") as archive:
        names = {name.removeprefix(f"{NAME}/") for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "components/evergreen/version.py"} <= names
    assert {name.partition("/")[0] for name in names} == {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "components", "PKG-INFO", ".gitignore"}
