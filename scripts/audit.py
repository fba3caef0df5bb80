"""Check the packages of the images for known vulnerabilities. Run by ``make lint`` and ``make audit``.

A vulnerability that is not listed in ``components/audit_exceptions.txt`` is a failure. With ``--require``, so is a package that
the database does not know, and a database that cannot be reached; without it, these are only reported.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

COMPONENTS = Path(__file__).resolve().parent.parent / "components"
SECONDS = 300


def exceptions() -> set[str]:
    """Return the IDs of the vulnerabilities to ignore; the file states the reasons."""
    lines = (COMPONENTS / "audit_exceptions.txt").read_text(encoding="utf-8").splitlines()
    return {line.split()[0] for line in lines if line.strip() and not line.startswith("#")}


def audit(lock: Path, known: set[str]) -> tuple[list[str], list[str]]:
    """Return the vulnerabilities of a lock file's packages, and the packages that could not be checked."""
    options = ["--disable-pip", "--require-hashes", "--progress-spinner", "off", "--format", "json", "--requirement", str(lock)]
    try:
        finished = subprocess.run([sys.executable, "-m", "pip_audit", *options], capture_output=True, text=True, timeout=SECONDS, check=False)
        packages = json.loads(finished.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError) as error:
        lines = [] if isinstance(error, subprocess.TimeoutExpired) else finished.stderr.strip().splitlines()
        return [], [f"all packages: {lines[-1] if lines else error}"]
    found = [
        f"{package['name']} {package['version']}: {vulnerability['id']}, fixed in {', '.join(vulnerability['fix_versions']) or 'no version yet'}"
        for package in packages
        for vulnerability in package.get("vulns", [])
        if not known & {vulnerability["id"], *vulnerability["aliases"]}
    ]
    return found, [package["name"] for package in packages if "skip_reason" in package]


def main() -> None:
    """Audit every lock file of an image."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--require", action="store_true", help="fail if anything could not be checked")
    required = parser.parse_args().require
    known = exceptions()
    vulnerable = unknown = False
    for lock in sorted(COMPONENTS.glob("*.lock")):
        found, skipped = audit(lock, known)
        for line in found:
            print(f"{lock.name}: {line}. Upgrade it with `make lock`, or add it to components/audit_exceptions.txt with the reason.")
        if skipped:
            print(f"{lock.name}: not checked: {', '.join(skipped) if len(skipped) < 5 else f'{len(skipped)} packages'}.")
        vulnerable, unknown = vulnerable or bool(found), unknown or bool(skipped)
    sys.exit(1 if vulnerable or (required and unknown) else 0)


if __name__ == "__main__":
    main()
