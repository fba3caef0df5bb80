"""A release's tag, the package's version and the changelog have to agree before anything is published."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "release_check.py"
CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2027-01-31\n\n### Added\n\n- A thing.\n\n## [1.2.2] - 2026-12-01\n\n### Fixed\n\n- A fault.\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "components" / "evergreen").mkdir(parents=True)
    (tmp_path / "components" / "evergreen" / "version.py").write_text('"""A version."""\n\n__version__ = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    return tmp_path


def check(*arguments: str) -> tuple[int, str]:
    # Isolated: the job runs it before anything is installed.
    done = subprocess.run([sys.executable, "-I", str(SCRIPT), *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def test_this_repository_is_consistent() -> None:
    assert check() == (0, "")


def test_a_tag_that_names_the_version_passes(repository: Path) -> None:
    assert check("v1.2.3", "--root", str(repository)) == (0, "")


@pytest.mark.parametrize("tag", ["v1.2.4", "1.2.3", "v1.2.3-rc1", "v1.2", ""])
def test_a_tag_that_names_another_version_fails(repository: Path, tag: str) -> None:
    status, said = check(tag, "--root", str(repository))
    assert status == 1
    assert f"The tag is '{tag}'" in said
    assert "Tag it 'v1.2.3', or change the version first" in said


@pytest.mark.parametrize("heading", ["## [1.2.30] - 2027-01-31", "## [1.2.3]", "## [1.2.3] - soon", "## [1x2.3] - 2027-01-31"])
def test_a_version_that_the_changelog_does_not_know_fails(repository: Path, heading: str) -> None:
    (repository / "CHANGELOG.md").write_text(CHANGELOG.replace("## [1.2.3] - 2027-01-31", heading))
    for arguments in ([], ["v1.2.3"]):
        status, said = check(*arguments, "--root", str(repository))
        assert status == 1
        assert "Add a section '## [1.2.3] - YYYY-MM-DD'" in said


def test_a_version_without_changes_fails(repository: Path) -> None:
    (repository / "CHANGELOG.md").write_text(CHANGELOG.replace("### Added\n\n- A thing.\n", ""))
    status, said = check("--root", str(repository))
    assert (status, "says nothing about version 1.2.3" in said) == (1, True)


def test_changes_that_belong_to_no_version_keep_a_tag_back_and_nothing_else(repository: Path) -> None:
    (repository / "CHANGELOG.md").write_text(CHANGELOG.replace("[Unreleased]\n", "[Unreleased]\n\n### Changed\n\n- Another thing.\n"))
    assert check("--root", str(repository)) == (0, "")
    status, said = check("v1.2.3", "--root", str(repository))
    assert (status, "Move them to the section of the version" in said) == (1, True)


def test_a_changelog_without_a_place_for_what_comes_next_fails(repository: Path) -> None:
    (repository / "CHANGELOG.md").write_text(CHANGELOG.replace("## [Unreleased]\n\n", ""))
    status, said = check("--root", str(repository))
    assert (status, "Add one at the top" in said) == (1, True)


def test_a_file_without_a_version_is_named(repository: Path) -> None:
    (repository / "components" / "evergreen" / "version.py").write_text("version = 1\n")
    status, said = check("--root", str(repository))
    assert (status, "components/evergreen/version.py states no version" in said) == (1, True)
