"""Write everything that is generated from the code: compiled pipelines, component YAML, the reference.

Run by ``make generate``. With ``--check DIRECTORY`` the files are written there instead, for the test that finds
committed files that are stale.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from component_catalogue import component_page, components
from kfp import compiler
from reference import write_reference

import evergreen
from evergreen.compilation import KubernetesObjects, compile_pipeline

ROOT = Path(__file__).resolve().parent.parent


def generate(target: Path) -> None:
    """Write all generated files below a folder, as they lie in the repository."""
    for pipeline_file in sorted((ROOT / "pipelines").glob("*.py")):
        output = target / "pipelines" / pipeline_file.with_suffix(".yaml").name
        output.parent.mkdir(parents=True, exist_ok=True)
        compile_pipeline(pipeline_file, output)
        objects = target / "manifests" / "pipelines" / output.name
        objects.parent.mkdir(parents=True, exist_ok=True)
        compile_pipeline(pipeline_file, objects, objects=KubernetesObjects())
    for room, entries in components().items():
        folder = target / "components" / "evergreen" / room
        folder.mkdir(parents=True, exist_ok=True)
        for position, entry in enumerate(entries):
            name = "component.yaml" if position == 0 else f"{entry.name}.yaml"
            compiler.Compiler().compile(getattr(evergreen, entry.name), str(folder / name))
        (folder / "README.md").write_text(component_page(room, entries), encoding="utf-8")
    write_reference(target, ROOT)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", type=Path, default=ROOT, metavar="DIRECTORY", help="write below this folder instead of the repository")
    generate(parser.parse_args().check)
