from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import evergreen

HEAVY = ("alibi_detect", "kfp", "matplotlib", "mlflow", "pandas", "pandera", "pyarrow", "scipy", "sklearn", "skops", "numpy")


def modules_after(code: str) -> set[str]:
    script = f"{code}\nimport sys, json; print(json.dumps(sorted(name for name in sys.modules if '.' not in name)))"
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(finished.stdout))


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert modules_after("import evergreen").isdisjoint(HEAVY)


def test_every_component_is_an_attribute_under_its_own_name() -> None:
    for name in set(evergreen.__all__) - {"__version__"}:
        component = getattr(evergreen, name)
        assert component.python_func.__name__ == name
        assert component.name == name.replace("_", "-")


def test_an_unknown_attribute_is_an_error_that_lists_the_components() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'detect_drifts'.*load_champion, ingest_data"):
        evergreen.detect_drifts  # noqa: B018 - asking for the attribute is the test


def test_the_logic_of_every_room_is_free_of_kfp() -> None:
    package = Path(evergreen.__file__).parent
    modules = [".".join(("evergreen", *path.relative_to(package).with_suffix("").parts)) for path in package.rglob("*.py")]
    # Components are written for KFP; the others run pipelines or talk to its server.
    others = ("pipeline", "retraining", "submission", "trigger", "cli")
    logic = [name for name in modules if not name.endswith((".component", ".__init__")) and name.split(".")[1] not in others]
    assert len(logic) > 200
    assert modules_after(f"import {', '.join(logic)}").isdisjoint({"kfp", "kfp_server_api"})


@pytest.mark.parametrize(
    ("modules", "needless"),
    [
        ("evergreen.runs.records, evergreen.data.artifacts, evergreen.storage.opening, evergreen.storage.uris", HEAVY),
        ("evergreen.registry.ledger", HEAVY),
        ("evergreen.reporting.summary", HEAVY),
        ("evergreen.policy.step", HEAVY),
    ],
)
def test_modules_of_light_steps_load_nothing_heavy(modules: str, needless: tuple[str, ...]) -> None:
    assert modules_after(f"import {modules}").isdisjoint(needless)
