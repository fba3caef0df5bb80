"""Write all files that are generated from the code: compiled pipelines, component YAML and the catalogue.

Run by ``make generate``. With ``--check DIRECTORY`` the files are written there instead, for the test that finds
stale committed files.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from component_catalogue import catalogue_table, component_page, components, parameter_table
from kfp import compiler

import evergreen
from evergreen.pipeline.compilation import KubernetesObjects, compile_pipeline

ROOT = Path(__file__).resolve().parent.parent
MARKED = re.compile(r"(<!-- generated: (?P<name>[a-z-]+) -->\n).*?(<!-- end of generated text -->)", re.DOTALL)


def generate(target: Path) -> None:
    """Write all generated files below a folder, with the repository's layout."""
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
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (target / "README.md").write_text(MARKED.sub(_replacement, readme), encoding="utf-8")


def _replacement(match: re.Match[str]) -> str:
    text = {"catalogue": catalogue_table, "parameters": lambda: parameter_table(ROOT / "pipelines" / "continuous_retraining.py")}[match["name"]]()
    return f"{match[1]}{text}\n{match[3]}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", type=Path, default=ROOT, metavar="DIRECTORY", help="write to this folder instead of the repository")
    generate(parser.parse_args().check)
