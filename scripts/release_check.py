"""Check that version, changelog and, when one is given, a release's tag agree: ``python scripts/release_check.py [v1.2.3]``.

The package's version is also the tag of the images that its pipelines name. A tag of another name would publish pipelines whose images do not exist.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VERSION_FILE = "components/evergreen/version.py"
CHANGELOG = "CHANGELOG.md"


def package_version(root: Path) -> str:
    """Return the version that the package states, read from its file so that nothing has to be installed."""
    found = re.search(r'^__version__ = "(.+)"$', (root / VERSION_FILE).read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        sys.exit(f'error: {VERSION_FILE} states no version. Expected a line such as: __version__ = "1.2.3"')
    return found[1]


def changes(changelog: str) -> dict[str, str]:
    """Return what a changelog says about each version, by the heading's name: ``Unreleased``, or a version with its date."""
    _, *sections = re.split(r"^## ", changelog, flags=re.MULTILINE)
    return {heading.strip(): text.strip() for heading, _, text in (section.partition("\n") for section in sections)}


def problems(root: Path, tag: str | None) -> list[str]:
    """Return what keeps a version from being released.

    Args:
        root: The repository.
        tag: The release's tag; without one, only version and changelog are compared.
    """
    version = package_version(root)
    found = []
    if tag is not None and tag != f"v{version}":
        found.append(f"The tag is '{tag}', and {VERSION_FILE} says '{version}'. Tag it 'v{version}', or change the version first.")
    sections = changes((root / CHANGELOG).read_text(encoding="utf-8"))
    if "[Unreleased]" not in sections:
        found.append(f"{CHANGELOG} has no section '## [Unreleased]'. Add one at the top, for what comes next.")
    dated = [text for heading, text in sections.items() if re.fullmatch(rf"\[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d", heading)]
    if not any(dated):
        found.append(f"{CHANGELOG} says nothing about version {version}. Add a section '## [{version}] - YYYY-MM-DD' with its changes.")
    if tag is not None and sections.get("[Unreleased]"):
        found.append(f"{CHANGELOG} has changes under '## [Unreleased]'. Move them to the section of the version that is released.")
    return found


def main() -> None:
    """Print what is wrong, and exit with status 1 if anything is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tag", nargs="?", help="the release's tag, such as v1.2.3")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository")
    given = parser.parse_args()
    found = problems(given.root, given.tag)
    for line in found:
        print(f"error: {line}", file=sys.stderr)
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
