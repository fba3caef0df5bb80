"""Lock files agree with each other and with pyproject.toml, so that environments that share a folder can be filled in any order."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUNTIME = [Requirement(text) for text in PROJECT["project"]["dependencies"]]
FULL, DEMO, OLDEST = ROOT / "requirements.lock", ROOT / "demo" / "requirements.lock", ROOT / "tests" / "oldest.lock"


def name_of(text: str) -> str:
    return re.sub(r"[-_.]+", "-", Requirement(text).name).lower()


def locked(path: Path) -> dict[str, frozenset[str]]:
    """Return the requirements of a lock file, such as "numpy==1.26.4 ; marker", with their hashes."""
    entries = re.split(r"^(?=[a-zA-Z0-9])", path.read_text(), flags=re.MULTILINE)[1:]
    return {entry.splitlines()[0].removesuffix("\\").strip(): frozenset(re.findall(r"--hash=(sha256:[0-9a-f]{64})", entry)) for entry in entries}


def versions(path: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for text in locked(path):
        (specifier,) = Requirement(text).specifier
        assert specifier.operator == "==", text
        found.setdefault(name_of(text), set()).add(specifier.version)
    return found


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12"])
def test_the_demos_lock_is_a_part_of_the_full_one(python: str) -> None:
    full, demo = chosen(FULL, python), chosen(DEMO, python)
    assert 100 < len(demo) < len(full) / 2
    assert {package: hashes for package, hashes in demo.items() if full.get(package) != hashes} == {}
    assert all(demo.values())


def chosen(path: Path, python: str) -> dict[str, frozenset[str]]:
    """Return what pip takes from a lock file on Linux, such as "numpy==1.26.4", with the hashes."""
    here = {"python_version": python, "python_full_version": f"{python}.9", "sys_platform": "linux", "platform_machine": "x86_64"}
    found = {Requirement(text): hashes for text, hashes in locked(path).items()}
    return {f"{each.name}{each.specifier}": hashes for each, hashes in found.items() if each.marker is None or each.marker.evaluate(here)}


def test_the_demo_installs_no_development_tool_and_nothing_that_needs_another_licence() -> None:
    groups = PROJECT["dependency-groups"]
    # KFP reads docstrings, as the documentation's tools do.
    needed = {requirement.name for requirement in RUNTIME} | {name_of(text) for text in groups["editable"]} | {"docstring-parser"}
    tools = {name_of(text) for text in groups["dev"]} - needed
    assert {"pytest", "ruff", "mypy"} <= tools
    assert (tools | {"alibi-detect"}) & versions(DEMO).keys() == set()


@pytest.mark.parametrize("path", [FULL, DEMO, OLDEST, *sorted((ROOT / "components").glob("*.lock"))], ids=lambda path: str(path.relative_to(ROOT)))
def test_every_lock_holds_versions_that_the_package_declares(path: Path) -> None:
    found = versions(path)
    # The trigger's image holds a part of the package's dependencies.
    required = [requirement for requirement in RUNTIME if path.name != "trigger.lock" or requirement.name in found]
    assert required
    wrong = {requirement.name: found.get(requirement.name) for requirement in required if not accepts(requirement, found.get(requirement.name, set()))}
    assert wrong == {}


def accepts(requirement: Requirement, found: set[str]) -> bool:
    return bool(found) and all(version in requirement.specifier for version in found)


def test_the_oldest_versions_are_the_ones_that_the_package_declares() -> None:
    lower = {requirement.name: {bound.version for bound in requirement.specifier if bound.operator == ">="} for requirement in RUNTIME}
    constraints = [Requirement(line) for line in (ROOT / "tests" / "oldest-constraints.txt").read_text().splitlines() if line[:1].isalpha()]
    pinned = {requirement.name: next(iter(requirement.specifier)).version for requirement in constraints}
    assert {"kfp", "kfp-kubernetes"} <= pinned.keys()
    for name, version in pinned.items():
        assert versions(OLDEST)[name] == {version}, name
        # What the package does not name itself comes with KFP, in KFP's own version.
        (declared,) = lower.get(name, lower["kfp"])
        assert version in Requirement(f"{name}=={declared}.*").specifier, name


def test_the_oldest_environment_differs_from_the_full_one_in_versions_only() -> None:
    full, oldest = versions(FULL), versions(OLDEST)
    assert {name for name in full if name not in oldest} == set()
