"""Whoever fills in a run's parameters tries to read the step's secret: nothing of it comes out, in whatever form."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import subprocess
import sys
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from kfp import dsl

from evergreen.deployment.component import load_champion
from evergreen.drift.component import detect_drift
from evergreen.ingestion.component import ingest_data
from evergreen.performance.component import read_feedback
from evergreen.policy.component import decide_retraining
from evergreen.registry.ledger import Entry, Ledger
from evergreen.reporting.component import record_run
from evergreen.secrets.files import load_secrets
from evergreen.secrets.masked_streams import masked_output
from evergreen.training.component import train_model
from evergreen.validation.component import validate_data

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


KEY = "EVERGREEN_APPROVAL_KEY"
SECRETS = {
    KEY: "c4n4ry/8f21'approval key&x",
    "EVERGREEN_PUBLISHING_KEY": "c4n4ry8f21publishing0123456789",
    "EVERGREEN_DATABASE_URL": "postgresql+psycopg://me:c4n4ry-8f21-database@127.0.0.1:1/db",
    "EVERGREEN_AWS_SECRET_ACCESS_KEY": "c4n4ry+8f21/aws/0123456789",
    "MLFLOW_TRACKING_PASSWORD": "c4n4ry-8f21-mlflow",
}
REFUSED = "never data"


@dataclass
class Place:
    """A folder to work in, with a secret mounted beside it."""

    folder: Path
    secret: Path
    outputs: list[Any] = field(default_factory=list)
    opened: int = -1

    def output(self, kind: Any, name: str) -> Any:
        """Return an output artifact."""
        made = kind(name=name, uri=str(self.folder / "out" / name), metadata={})
        self.outputs.append(made)
        return made

    def input(self, kind: Any, name: str, content: str) -> Any:
        """Return an input artifact that holds a text."""
        file = self.folder / f"in-{name}"
        file.write_text(content, encoding="utf-8")
        return kind(name=name, uri=str(file), metadata={"present": True})

    @property
    def records(self) -> dict[str, str]:
        """The parameters of a step that has it recorded."""
        return {"ledger_uri": str(self.folder / "ledger"), "run_id": "run-1"}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Return a step's surroundings: the secret as files, as Kubernetes lays them out, and in the environment."""
    made = Place(tmp_path / "work", tmp_path / "mounted")
    made.folder.mkdir()
    content = made.secret / "..2026_11_29"
    content.mkdir(parents=True)
    (made.secret / "..data").symlink_to("..2026_11_29")
    for name, value in SECRETS.items():
        (content / name).write_text(f"{value}\n", encoding="utf-8")
        (made.secret / name).symlink_to(f"..data/{name}")
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_URI", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("EVERGREEN_SECRET_FOLDER", str(made.secret))
    monkeypatch.chdir(made.folder)
    before = dict(os.environ)
    assert "AWS_SECRET_ACCESS_KEY" in load_secrets()
    made.opened = os.open(made.secret / KEY, os.O_RDONLY)
    yield made
    os.close(made.opened)
    for name in set(os.environ) - set(before):
        del os.environ[name]


def forms() -> list[bytes]:
    """Return the values as they are and in the forms that reports, records and logs write."""
    found = []
    for value in [*SECRETS.values(), "c4n4ry-8f21-database"]:
        found += [value, quote(value, safe=""), json.dumps(value)[1:-1], repr(value)[1:-1], value.encode().hex()]
        found += [base64.b64encode(value.encode()).decode().rstrip("=")[:-1], value.replace("&", "&amp;").replace("'", "&#39;")]
        # The start of an address is no secret.
        found += [] if "://" in value else [value[:12]]
    return [form.encode() for form in found]


def where_secrets_are(place: Place, *texts: str) -> list[str]:
    """Return where a value stands: in texts, in files, in the metadata of artifacts."""
    found = []
    metadata = json.dumps([{"name": output.name, **output.metadata} for output in place.outputs], default=str)
    contents = {f"text {number}": text.encode() for number, text in enumerate([*texts, metadata])}
    contents |= {str(file): file.read_bytes() for file in place.folder.rglob("*") if file.is_file() and not file.is_symlink()}
    for name, content in contents.items():
        found += [f"{name}: {form!r}" for form in forms() if form in content]
    return found


def ingest(uri: str, **parameters: Any) -> Callable[[Place], Any]:
    """Return an attempt with a source."""

    def attempt(place: Place) -> Any:
        filled = uri.format(
            secret=place.secret, name=KEY, work=place.folder, base=place.folder.name, fd=place.opened, pid=os.getpid(), relative=os.path.relpath(place.secret)
        )
        return ingest_data.python_func(
            dataset=place.output(dsl.Dataset, "dataset"), source_uri=filled, **{"timestamp_column": "time", **place.records, **parameters}
        )

    return attempt


def linked(uri: str, link: str, target: str) -> Callable[[Place], Any]:
    """Return an attempt with a source that holds a symbolic link."""

    def attempt(place: Place) -> Any:
        made = place.folder / link
        made.parent.mkdir(exist_ok=True)
        made.symlink_to(target.format(secret=place.secret, name=KEY))
        return ingest(uri)(place)

    return attempt


def validate(contract: str) -> Callable[[Place], Any]:
    """Return an attempt with a contract."""

    def attempt(place: Place) -> Any:
        names = {"validated_data": dsl.Dataset, "quarantined_data": dsl.Dataset, "contract_used": dsl.Artifact, "validation_report": dsl.HTML}
        return validate_data.python_func(
            dataset=place.input(dsl.Dataset, "data", "time,y,x\n2024-01-01,1,1\n2024-01-02,0,2\n"),
            **{name: place.output(kind, name) for name, kind in names.items()},
            target_column="y",
            timestamp_column="time",
            contract=contract.format(secret=place.secret, name=KEY),
            **place.records,
        )

    return attempt


def drift(config: str) -> Callable[[Place], Any]:
    """Return an attempt with drift settings."""

    def attempt(place: Place) -> Any:
        rows = "time,y,x\n2024-01-01,1,1\n"
        names = {"drift_result": dsl.Artifact, "drift_report": dsl.HTML, "metrics": dsl.Metrics}
        return detect_drift.python_func(
            reference_data=place.input(dsl.Dataset, "reference", rows),
            current_data=place.input(dsl.Dataset, "current", rows),
            **{name: place.output(kind, name) for name, kind in names.items()},
            target_column="y",
            timestamp_column="time",
            config=config.format(secret=place.secret, name=KEY),
            **place.records,
        )

    return attempt


def decide(**parameters: str) -> Callable[[Place], Any]:
    """Return an attempt with a policy."""

    def attempt(place: Place) -> Any:
        filled = {name: value.format(secret=place.secret, name=KEY) for name, value in parameters.items()}
        return decide_retraining.python_func(
            drift_result=place.input(dsl.Artifact, "drift", json.dumps({"verdict": "no champion"})),
            performance_result=place.input(dsl.Artifact, "performance", json.dumps({"verdict": "no champion"})),
            baseline=place.input(dsl.Artifact, "baseline", json.dumps({"present": False})),
            decision=place.output(dsl.Artifact, "decision"),
            decision_report=place.output(dsl.HTML, "decision_report"),
            window_end="2024-02-01T00:00:00Z",
            **{**place.records, **filled},
        )

    return attempt


def train(**parameters: str) -> Callable[[Place], Any]:
    """Return an attempt with what a model is trained by."""

    def attempt(place: Place) -> Any:
        rows = "\n".join(f"2024-01-{day:02},{day % 2},{day}" for day in range(1, 29))
        filled = {name: value.replace("SECRET", str(place.secret / KEY)) for name, value in parameters.items()}
        tracking = filled.pop("tracking_uri", f"sqlite:///{place.folder}/mlflow.db")
        return train_model.python_func(
            training_data=place.input(dsl.Dataset, "rows", f"time,y,x\n{rows}\n"),
            model=place.output(dsl.Model, "model"),
            holdout_data=place.output(dsl.Dataset, "holdout"),
            metrics=place.output(dsl.Metrics, "metrics"),
            target_column="y",
            timestamp_column="time",
            model_name="m",
            tracking_uri=tracking,
            **place.records,
            **filled,
        )

    return attempt


def feedback(place: Place) -> Any:
    """Attempt it with a source of feedback."""
    outputs = {"feedback": place.output(dsl.Artifact, "feedback"), "corrections": place.output(dsl.Dataset, "corrections")}
    return read_feedback.python_func(**outputs, source_uri=str(place.secret / KEY), **place.records)


def ledger(uri: str) -> Callable[[Place], Any]:
    """Return an attempt with the ledger's place."""

    def attempt(place: Place) -> Any:
        outputs = {"run_report": place.output(dsl.HTML, "report"), "run_metrics": place.output(dsl.Metrics, "run_metrics")}
        filled = uri.format(secret=place.secret)
        return record_run.python_func(**outputs, status=None, model_name="m", ledger_uri=filled, run_id="run-1")

    return attempt


def ledger_with_link(place: Place) -> Any:
    """Attempt it with a link in a ledger's folder of one's own, where a run's record should be."""
    runs = place.folder / "own" / "runs" / "run-1"
    runs.mkdir(parents=True)
    (runs / "x.json").symlink_to(place.secret / KEY)
    return ledger(str(place.folder / "own"))(place)


def champion(tracking_uri: str) -> Callable[[Place], Any]:
    """Return an attempt with the MLflow server's address."""

    def attempt(place: Place) -> Any:
        names = {"model": dsl.Model, "reference_data": dsl.Dataset, "contract": dsl.Artifact, "baseline": dsl.Artifact}
        outputs = {name: place.output(kind, name) for name, kind in names.items()}
        return load_champion.python_func(**outputs, model_name="m", tracking_uri=tracking_uri.format(secret=place.secret, name=KEY), **place.records)

    return attempt


def repository_of_git(place: Place) -> Any:
    """Attempt it with a link to the secret that a Git repository holds."""
    home = place.folder / "repository"
    home.mkdir()
    (home / "data.csv").symlink_to(place.secret / KEY)
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.com"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "data"]):
        subprocess.run([*git, *command], cwd=home, check=True, capture_output=True)
    return ingest("dvc+file://{work}/repository#data.csv")(place)


def credentials_of_google(place: Place) -> Any:
    """Attempt it with the file that a variable names."""
    own = place.folder / "account.json"
    own.symlink_to(place.secret / KEY)
    os.environ["GOOGLE_APPLICATION_CREDENTIALS"] = str(place.secret.parent / "account.json")
    (place.secret.parent / "account.json").write_text(json.dumps({"private_key": SECRETS[KEY]}), encoding="utf-8")
    return ingest(str(place.secret.parent / "account.json"))(place)


PATHS: dict[str, Callable[[Place], Any]] = {
    "a path": ingest("{secret}/{name}"),
    "the folder": ingest("{secret}"),
    "a folder around it": ingest("{secret}/.."),
    "a URI": ingest("file://{secret}/{name}"),
    "a URI with a host": ingest("file://localhost{secret}/{name}"),
    "a URI with escapes": ingest("file:///%70roc/self/environ"),
    "a glob": ingest("{secret}/EVERGREEN_*"),
    "a glob of the folder's name": ingest("{secret}/../mount[e]d/..data/*"),
    "a glob over processes": ingest("/proc/*/environ"),
    "a link": linked("{work}/link.csv", "link.csv", "{secret}/{name}"),
    "a link to the folder": linked("{work}/link/{name}", "link", "{secret}"),
    "a link in a folder": linked("{work}/data", "data/part.csv", "{secret}/{name}"),
    "a link and ..": linked("{work}/link/../mounted/{name}", "link", "{secret}"),
    "..": ingest("{work}/../{base}/../mounted/{name}"),
    "a relative path": ingest("{relative}/{name}"),
    "the environment": ingest("/proc/self/environ"),
    "the environment by number": ingest("/proc/{pid}/environ"),
    "an environment that is not there first": ingest("/nothing/../proc/self/environ"),
    "a descriptor": ingest("/proc/self/fd/{fd}"),
    "a descriptor of the devices": ingest("/dev/fd/{fd}"),
    "a process's root": ingest("/proc/self/root{secret}/{name}"),
    "a process's working folder": ingest("/proc/self/cwd/../mounted/{name}"),
    "a token of Kubernetes": ingest("/var/run/secrets/kubernetes.io/serviceaccount/token"),
    "a token by the real path": ingest("/run/secrets/kubernetes.io/serviceaccount/token"),
    "the cloud's credentials": ingest("~/.aws/credentials"),
    "the account of Google": credentials_of_google,
    "a database": ingest("sqlite:///{secret}/{name}#x"),
    "a database by URI": ingest("sqlite:///file:{secret}/{name}?mode=ro&uri=true#x"),
    "a password file": ingest("postgresql+psycopg://me@127.0.0.1:1/db?passfile={secret}/{name}#x"),
    "options of a driver": ingest("mysql+pymysql://me@127.0.0.1:1/db?read_default_file={secret}/{name}#x"),
    "a repository": ingest("dvc+file://{secret}#{name}"),
    "a contract": validate("{secret}/{name}"),
    "a contract by URI": validate("file://{secret}/{name}"),
    "a contract out of the environment": validate("/proc/self/environ"),
    "settings": drift("{secret}/{name}"),
    "settings by URI": drift("file:///proc/self/environ"),
    "a policy": decide(policy_config="{secret}/{name}"),
    "a policy of training": train(policy_config="SECRET"),
    "a search": train(search="SECRET"),
    "a search's space": train(search='{"n_iter": 1, "space": {"forcedsplits_filename": ["SECRET"]}}'),
    "hyperparameters": train(hyperparameters='{"forcedsplits_filename": "SECRET"}'),
    "a tracking database": train(tracking_uri="sqlite:///SECRET"),
    "a tracking folder": champion("file://{secret}"),
    "a tracking path": champion("{secret}"),
    "feedback": feedback,
    "a ledger": ledger("{secret}"),
    "a ledger by URI": ledger("file://{secret}/../mounted"),
    "a ledger in processes": ledger("/proc/self"),
    "a link in a ledger": ledger_with_link,
}


@pytest.mark.parametrize("attempt", PATHS)
def test_a_path_to_secrets_is_refused_in_one_clear_error(place: Place, capfd: pytest.CaptureFixture[str], attempt: str) -> None:
    error = None
    with masked_output():
        try:
            PATHS[attempt](place)
        except ValueError as caught:
            error = caught
            traceback.print_exc()
    said = "".join(capfd.readouterr())
    assert where_secrets_are(place, said, str(error)) == []
    assert error is not None, "it was not refused"
    assert REFUSED in str(error)
    assert "Name a " in str(error)
    assert len(str(error).splitlines()) == 1


OTHERS: dict[str, tuple[Callable[[Place], Any], str]] = {
    "a variable that is no database": (ingest(f"env:{KEY}#x"), "expected EVERGREEN_DATABASE_URL"),
    "a variable of AWS": (ingest("env:AWS_SECRET_ACCESS_KEY#x"), "expected EVERGREEN_DATABASE_URL"),
    "a database that does not answer": (ingest("env:EVERGREEN_DATABASE_URL#x"), "Check the database"),
    "a server that asks for files": (ingest("mysql+pymysql://me@127.0.0.1:1/db?local_infile=1#x"), "lets the server read the step's files"),
    "a command of Git": (ingest("dvc+ext://sh -c env/x#y"), "expected dvc+https://"),
    "a link that Git holds": (repository_of_git, "source file dvc+file://"),
    "a reference as source": (ingest(f"$({KEY})"), "no such file or folder"),
    "a reference as column": (ingest("{work}", timestamp_column=f"$({KEY})"), f"$({KEY})"),
    "a reference as policy": (decide(policy_config=f"$({KEY})"), f"$({KEY})"),
    "a reference as contract": (validate(f"$({KEY})"), f"$({KEY})"),
    "a reference as estimator": (train(estimator=f"$({KEY})"), f"$({KEY})"),
    "a reference of the shell": (ingest(f"${{{{{KEY}}}}}"), f"${{{KEY}}}"),
    "a trainer that tells": (train(estimator="a_leaky_module:tells"), "failed on"),
    "a module that tells": (train(estimator="a_module_that_tells:train"), "cannot be imported"),
}


@pytest.mark.parametrize("attempt", OTHERS)
def test_nothing_comes_out_in_other_ways(place: Place, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, attempt: str) -> None:
    (place.folder / "rows.csv").write_text("time,y\n2024-01-01,1\n", encoding="utf-8")
    code = place.secret.parent / "code"
    code.mkdir()
    dump = "\n".join(f"print(os.environ[{name!r}], {name!r}); sys.stderr.write(repr(os.environ[{name!r}]))" for name in SECRETS)
    (code / "a_module_that_tells.py").write_text(f"import os, sys\n{dump}\nraise ValueError(dict(os.environ))\n", encoding="utf-8")
    indented = dump.replace("\n", "\n    ")
    (code / "a_leaky_module.py").write_text(f"import os, sys\ndef tells(*_, **__):\n    {indented}\n    raise ValueError(dict(os.environ))\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(code))
    for module in ("a_leaky_module", "a_module_that_tells"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    make, expected = OTHERS[attempt]
    raised = ""
    with masked_output():
        try:
            make(place)
        except ValueError as error:
            raised = str(error)
            traceback.print_exc()
    said = "".join(capfd.readouterr())
    assert raised
    assert expected in said
    assert where_secrets_are(place, said) == []
    (record,) = (json.loads(file.read_text()) for file in (place.folder / "ledger/runs/run-1").glob("*.json"))
    assert record["state"] == "failed"
    assert expected in record["error"]
    if "tells" in attempt:
        assert f"[{KEY}]" in said
        assert f"[{KEY}]" in record["error"]
    else:
        assert where_secrets_are(place, raised) == []


def test_references_stay_text_in_records_and_reports(place: Place) -> None:
    reference = f"$({KEY})"
    assert decide(event=reference, model_name=reference, mode="force")(place) == "retrain"
    record = json.loads((place.folder / "ledger/runs/run-1/decide_retraining.json").read_text())
    assert record["outcome"] == "retrain"
    assert where_secrets_are(place) == []


def test_what_a_run_tells_of_is_masked_in_its_summary_and_page(place: Place) -> None:
    from evergreen.runs.records import reported_step

    (place.folder / "out").mkdir()

    def fail() -> None:
        with reported_step(**place.records, step_name="deploy_model") as record:
            tell(record)

    def tell(record: Any) -> None:
        record.details, record.outcome, record.reports = {"told": [SECRETS[KEY]]}, f"it was {SECRETS[KEY]}", {"own": str(place.folder / "page")}
        (place.folder / "page").write_text(f"<p>{SECRETS['MLFLOW_TRACKING_PASSWORD']}</p>", encoding="utf-8")
        raise ValueError(f"refused {SECRETS['EVERGREEN_DATABASE_URL']}")

    with pytest.raises(ValueError, match="refused"):
        fail()
    final = {"state": "FAILED", "pipeline_job_resource_name": "r", "pipeline_task_name": "t", "error_code": 1, "error_message": f"env {SECRETS[KEY]}"}
    outputs = {"run_report": place.output(dsl.HTML, "report"), "run_metrics": place.output(dsl.Metrics, "run_metrics")}
    record_run.python_func(**outputs, status=dsl.PipelineTaskFinalStatus(**final), model_name="m", **place.records)
    (place.folder / "page").unlink()
    assert where_secrets_are(place) == []
    page = (place.folder / "ledger/runs/run-1.html").read_text()
    assert "refused [EVERGREEN_DATABASE_URL]" in page
    summary = json.loads((place.folder / "ledger/runs/run-1.json").read_text())
    assert "[EVERGREEN_DATABASE_URL]" in summary["error"]
    assert (place.folder / "ledger/runs/run-1/").is_dir()
    (kept,) = (place.folder / "ledger/runs/run-1").glob("*.own.html")
    assert kept.read_text() == "<p>[MLFLOW_TRACKING_PASSWORD]</p>"


def test_the_ledger_is_masked_and_its_chain_holds(place: Place) -> None:
    from evergreen.storage.opening import open_store

    book = Ledger(open_store(str(place.folder / "ledger")), "m")
    made = book.append(Entry("rejection", evidence={"reason": f"said {SECRETS[KEY]}", SECRETS[KEY]: 1}, actor=SECRETS["MLFLOW_TRACKING_PASSWORD"]))
    assert (made.actor, made.evidence) == ("[MLFLOW_TRACKING_PASSWORD]", {"reason": f"said [{KEY}]", f"[{KEY}]": 1})
    assert book.records() == [made]
    assert book.verify() == []
    assert where_secrets_are(place) == []


def test_mlflow_gets_no_secret(place: Place) -> None:
    from evergreen.data.artifacts import ModelDescription
    from evergreen.storage.experiments import connect
    from evergreen.training.mlflow_logging import _log_run

    tracking = connect(f"sqlite:///{place.folder}/mlflow.db", "m")
    run = tracking.client.create_run(tracking.experiment_id).info.run_id
    long = "x" * 490 + SECRETS["EVERGREEN_PUBLISHING_KEY"]
    facts = {"fit_start": "a", "fit_end": "b", "rows": 1, "estimator": "e", "seed": 1, "data_fingerprint": "f", "challenger_id": "c"}
    description = ModelDescription("classification", "y", "time", {}, [], hyperparameters={"a": SECRETS[KEY], "b": long}, **facts)
    _log_run(tracking, run, description, {}, {})
    logged = tracking.client.get_run(run).data.params
    assert logged["hyperparameters.a"] == f"[{KEY}]"
    assert logged["hyperparameters.b"].startswith("x" * 490)
    assert where_secrets_are(place, json.dumps(logged)) == []


def test_the_command_line_masks_what_it_prints(place: Place) -> None:
    evergreen = str(Path(sys.executable).parent / "evergreen")
    secret = SECRETS["EVERGREEN_PUBLISHING_KEY"]
    done = subprocess.run(
        [evergreen, "history", secret, "--ledger-uri", f"ftp://{secret}"], cwd=place.folder, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert secret not in done.stdout + done.stderr
    assert "ledger URI 'ftp://[EVERGREEN_PUBLISHING_KEY]': expected a folder" in done.stderr


def test_data_beside_and_links_among_data_are_read(place: Place) -> None:
    (place.folder / "real").mkdir()
    (place.folder / "real" / "rows.csv").write_text("time,y\n2024-01-01,1\n2024-01-02,0\n", encoding="utf-8")
    (place.folder / "data").symlink_to("real")
    (place.folder / "real" / "more.csv").symlink_to("rows.csv")
    assert ingest("{work}/data")(place) > "2024-01-02"
    assert ingest("file://{work}/data/rows.csv", step_name="second")(place) > "2024-01-02"
    with sqlite3.connect(place.folder / "d.sqlite") as connection:
        connection.execute("CREATE TABLE t (time TEXT, y INTEGER)")
        connection.execute("INSERT INTO t VALUES ('2024-01-01', 1)")
    connection.close()
    assert ingest("sqlite:///{work}/d.sqlite#t", step_name="third")(place) > "2024-01-01"
