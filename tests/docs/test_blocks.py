"""Every command and snippet of the documentation: run, or where that needs what a test has not, parsed."""

from __future__ import annotations

import ast
import importlib.util
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from docs.checks import check_command, read_yaml
from docs.pages import ROOT, Block, all_blocks, programs
from docs.prepared_commands import PreparedCommands
from support.local_runs import local_home

LANGUAGES = {"", "bash", "json", "python", "text", "yaml", "{toctree}"}
SECONDS = 600
"""For one command; a busy machine takes ten times as long as an idle one."""


@pytest.mark.parametrize("block", all_blocks("bash"), ids=str)
def test_a_command_names_what_exists(block: Block) -> None:
    subprocess.run(["bash", "-n", "-c", block.text], check=True, timeout=20)
    assert block.commands
    for command in block.commands:
        check_command(command)


@pytest.mark.parametrize(
    "command",
    [
        "evergreen drfit a b",
        "evergreen run",
        "evergreen run pipeline.py --parameters file.yaml",
        "evergreen submit pipeline.yaml || evergreen schedule made nightly",
        "evergreen run pipelines/absent.py",
        "make everything",
        "make images REGISTRY=example",
        "kubectl apply -k manifests/overlays/absent",
        "python tests/benchmarks/absent.py",
        "pip install 'kfp-evergreen[everything]'",
        "uvicorn --factory evergreen.trigger.service:absent",
        "unheard-of --help",
    ],
)
def test_a_command_that_names_what_does_not_exist_is_found(command: str) -> None:
    with pytest.raises(AssertionError):
        check_command(command)


@pytest.mark.parametrize("block", [block for block in all_blocks("yaml") if block.page != "docs/reference/policy.md"], ids=str)
def test_yaml_is_read_by_whom_it_is_meant_for(block: Block, tmp_path: Path) -> None:
    assert block.read_as, f"{block}: say before the block what it is: <!-- read as: policy -->"
    read_yaml(block, tmp_path)


@pytest.mark.parametrize("block", all_blocks("python"), ids=str)
def test_python_compiles_and_imports_what_exists(block: Block) -> None:
    tree = ast.parse(block.text)
    for imported in ast.walk(tree):
        if isinstance(imported, ast.ImportFrom) and imported.module and imported.module.startswith("evergreen"):
            assert importlib.util.find_spec(imported.module), f"{block}: there is no module {imported.module}"
            defined = Path(importlib.util.find_spec(imported.module).origin).read_text()
            assert all(f"{alias.name}" in defined for alias in imported.names), f"{block}: {ast.unparse(imported)}"


def test_every_block_says_what_it_is() -> None:
    strange = [str(block) for block in all_blocks(*LANGUAGES) if block.language == ""]
    assert strange == [], "name the language: bash for commands, text for what they print"
    assert [str(block) for block in all_blocks("bash", "python", "yaml") if block.not_run and len(block.not_run) < 10] == []


@pytest.mark.begins_first
@pytest.mark.timeout(2400)
def test_what_can_be_run_works(tmp_path: Path, empty_database: Path) -> None:
    local_home(tmp_path / ".evergreen", empty_database)
    with PreparedCommands(tmp_path) as prepared:
        session = Session(tmp_path, prepared)
        for block in all_blocks("bash", "python", "yaml"):
            # A champion is compared on rows that it has not seen, so time has to pass before there can be another one.
            if block.page == "docs/guides/approve.md":
                _write_events(tmp_path / "events.csv", years=6)
            if not block.page.startswith("docs/reference/"):
                session.do(block)
    assert session.failures == []
    # A session that runs next to nothing would be no test.
    assert len(session.ran) > 30, session.ran
    session.try_functions()


class Session:
    """A folder in which a reader follows the pages from the first to the last."""

    def __init__(self, folder: Path, prepared: PreparedCommands) -> None:
        self.folder = folder
        self.prepared = prepared
        self.failures: list[str] = []
        self.ran: set[str] = set()
        for name in ("components", "demo", "manifests", "pipelines", "Makefile"):
            (folder / name).symlink_to(ROOT / name)
        (folder / ".venv").symlink_to(Path(sys.executable).parent.parent)
        _write_events(folder / "events.csv", years=4)

    def do(self, block: Block) -> None:
        """Write or run a block."""
        if block.file:
            (self.folder / block.file).write_text(block.text)
        elif block.language == "python" and not block.not_run:
            self._note(block, block.text, *self.prepared.run("python", [block.text]))
        elif block.language == "bash" and not block.not_run:
            for command in block.commands:
                # What a page before did is not done again: a reader would not, either.
                if command not in self.ran:
                    self._note(block, command, *self._run(command))

    def _run(self, command: str) -> tuple[int, str]:
        if command.startswith("evergreen ") and len(programs(command)) == 1:
            return self.prepared.run("evergreen", [word.replace("$PWD", str(self.folder)) for word in shlex.split(command)[1:]])
        done = subprocess.run(["bash", "-e", "-u", "-c", command], cwd=self.folder, capture_output=True, text=True, check=False, timeout=SECONDS)
        return done.returncode, done.stdout + done.stderr

    def _note(self, block: Block, command: str, status: int, output: str) -> None:
        self.ran.add(command)
        if status != 0:
            self.failures.append(f"{block}: exit status {status}\n{command}\n{output[-4000:]}")

    def try_functions(self) -> None:
        """Call the functions that a reader is told to write."""
        import numpy as np

        features, labels = np.arange(40.0).reshape(20, 2), np.repeat([0, 1], 10)
        model = _module(self.folder / "my_trainers.py").train(features, labels, hyperparameters={}, seed=7, task="classification")
        assert model.predict(features).tolist() == labels.tolist()
        value = _module(self.folder / "my_metrics.py").value
        assert value(labels, labels, probabilities=None, classes=[0, 1]) == 0.0
        assert value(labels, np.zeros(20), probabilities=None, classes=[0, 1]) == -2.5


def _module(path: Path) -> object:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _write_events(path: Path, *, years: int) -> None:
    """Write the first years of the demo's weather as CSV."""
    import pyarrow.csv as pc
    import pyarrow.parquet as pq

    pc.write_csv(pq.read_table(ROOT / "demo" / "weather.parquet").slice(0, 365 * years), path)


def test_json_is_json() -> None:
    for block in all_blocks("json"):
        json.loads(block.text)
