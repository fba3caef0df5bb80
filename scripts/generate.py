"""Write everything that is generated from the code: compiled pipelines, component YAML, the reference.

Run by ``make generate``. With ``--check DIRECTORY`` the files are written there instead, for the test that finds
stale committed files.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from component_catalogue import component_file, component_page, components
from kfp import compiler
from reference import write_reference

import evergreen
from evergreen.pipeline.compilation import compile_pipeline

ROOT = Path(__file__).resolve().parent.parent
MOVED = {
    "backtest/component.yaml": "replay_policy",
    "deployment/component.yaml": "deploy_model",
    "drift/component.yaml": "detect_drift",
    "evaluation/component.yaml": "evaluate_model",
    "ingestion/component.yaml": "ingest_data",
    "performance/component.yaml": "monitor_performance",
    "policy/component.yaml": "decide_retraining",
    "registry/component.yaml": "load_champion",
    "reporting/component.yaml": "record_run",
    "training/component.yaml": "train_model",
    "validation/component.yaml": "validate_data",
    "watching/component.yaml": "watch_model",
}
"""Which component lay at a path below ``components/evergreen`` that has another file now. People's pipelines load these files by URL, so each path
keeps a copy for one release. After it, delete the copies, this list and ``_copy_to_old_path``."""

HEADING = "# PIPELINE DEFINITION\n"
"""KFP's first line, which it never reads; the description is read by its line number, so that no line may be added above it."""


def generate(target: Path) -> None:
    """Write all generated files below a folder, with the repository's layout."""
    for pipeline_file in sorted((ROOT / "pipelines").glob("*.py")):
        output = target / "pipelines" / pipeline_file.with_suffix(".yaml").name
        output.parent.mkdir(parents=True, exist_ok=True)
        compile_pipeline(pipeline_file, output)
    for room, entries in components().items():
        folder = target / "components" / "evergreen" / room
        folder.mkdir(parents=True, exist_ok=True)
        for entry in entries:
            compiler.Compiler().compile(getattr(evergreen, entry.name), str(target / component_file(entry.name)))
        (folder / "README.md").write_text(component_page(room, entries), encoding="utf-8")
    for old_path, name in MOVED.items():
        _copy_to_old_path(target, f"components/evergreen/{old_path}", component_file(name))
    write_reference(target, ROOT)


def _copy_to_old_path(target: Path, old_path: str, new_path: str) -> None:
    text = (target / new_path).read_text(encoding="utf-8")
    note = f"# Moved to {new_path}. This copy is for pipelines that still name the old path, and is kept for one release.\n"
    copy = target / old_path
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_text(note + text.removeprefix(HEADING), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", type=Path, default=ROOT, metavar="DIRECTORY", help="write to this folder instead of the repository")
    generate(parser.parse_args().check)
