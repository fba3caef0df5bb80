"""The cluster, the runs that several tests build on, and the table at the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.kubectl import Kubectl
from cluster.parameters import RECENT, WEATHER, write_recent
from cluster.runs import Cluster, Run
from cluster.settings import read_settings
from cluster.table import Case, Row, as_json, lines

TIMEOUT_S = 2400
ROWS = pytest.StashKey[dict[str, Row]]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give every test on the cluster a line of the table, and time for the runs that it waits for."""
    rows = config.stash.setdefault(ROWS, {})
    for item in items:
        if Path(item.fspath).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))
            rows[item.nodeid] = Row(item.name.removeprefix("test_").replace("_", " "))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Write a test's result into its line."""
    report = yield
    row = item.config.stash.get(ROWS, {}).get(item.nodeid)
    if row is not None and (report.when == "call" or not report.passed):
        row.result = {"passed": "ok", "failed": "FAILED"}.get(report.outcome, "not run")
        if row.seconds is None:
            row.seconds = call.duration
        if report.skipped:
            row.note = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else ""
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table, and keep it as JSON for whoever compares it with the last one."""
    rows = list(config.stash.get(ROWS, {}).values())
    if rows and not config.option.collectonly:
        terminalreporter.section("on the cluster")
        for line in lines(rows):
            terminalreporter.write_line(line)
        kept = Path(".evergreen") / "cluster.json"
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(as_json(rows), encoding="utf-8")
        terminalreporter.write_line(f"The same as JSON: {kept}")


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Case:
    """The test's line of the table."""
    return Case(request.config.stash[ROWS][request.node.nodeid])


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster, with the demo's data on the volume that every step mounts."""
    from evergreen.submission.connection import connect

    settings = read_settings()
    if not settings.host:
        pytest.exit("tests/cluster runs on a real Kubeflow Pipelines: set EVERGREEN_KFP_HOST to the address of its API (docs/cluster.md).", returncode=4)
    folder = tmp_path_factory.mktemp("cluster")
    kubectl = Kubectl(settings.namespace)
    kubectl.put(WEATHER, settings.files_pod, "/var/lib/evergreen/weather.parquet")
    kubectl.put(write_recent(folder / "recent.parquet"), settings.files_pod, RECENT)
    found = Cluster(settings, connect(settings.host), folder)
    yield found
    found.stop_everything()


@pytest.fixture(scope="session")
def beginnings(cluster: Cluster) -> dict[str, Run]:
    """The first runs of both pipelines, side by side: each waits for Argo most of the time."""
    return {name: cluster.start(name, cluster.model(kind)) for name, kind in (("first run", "full"), ("lean first run", "lean"))}


@pytest.fixture(scope="session")
def first_run(cluster: Cluster, beginnings: dict[str, Run]) -> Run:
    """continuous_retraining without a champion."""
    return cluster.finish(beginnings["first run"])


@pytest.fixture(scope="session")
def quiet_day(cluster: Cluster, first_run: Run) -> Run:
    """continuous_retraining when nothing has changed."""
    return cluster.run("quiet day", first_run.model)


@pytest.fixture(scope="session")
def promotion(cluster: Cluster, quiet_day: Run) -> Run:
    """continuous_retraining after the relation between inputs and label has changed."""
    return cluster.run("promotion", quiet_day.model)


@pytest.fixture(scope="session")
def lean_first_run(cluster: Cluster, beginnings: dict[str, Run]) -> Run:
    """lean_retraining without a champion."""
    return cluster.finish(beginnings["lean first run"])


@pytest.fixture(scope="session")
def lean_quiet_day(cluster: Cluster, lean_first_run: Run) -> Run:
    """lean_retraining when nothing has changed; the model has a champion after it, which cheap runs can look at."""
    return cluster.run("lean quiet day", lean_first_run.model)
