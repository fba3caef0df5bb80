from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from evergreen.data.json_values import plain, to_json
from evergreen.errors import StateError
from evergreen.runs.records import checked_id, local_path, read_run, reported_step
from evergreen.storage.local import LocalStore
from evergreen.storage.opening import open_store


@pytest.fixture(autouse=True)
def on_a_laptop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


def test_a_step_is_running_and_then_succeeded(tmp_path: Path) -> None:
    file = tmp_path / "runs" / "run-1" / "detect_drift.json"
    with reported_step(ledger_uri=str(tmp_path), run_id="run-1", step_name="detect_drift") as record:
        begun = json.loads(file.read_text())
        record.outcome = "no drift"
        record.details = {"share": np.float64(0.25), "worst": float("nan")}
        record.reports = {"drift_report": "/tmp/report.html"}
    ended = json.loads(file.read_text())
    assert (begun["state"], begun["duration_s"], begun["outcome"]) == ("running", None, "")
    assert (ended["state"], ended["outcome"], ended["error"]) == ("succeeded", "no drift", "")
    assert ended["details"] == {"share": 0.25, "worst": None}
    assert ended["reports"] == {"drift_report": "/tmp/report.html"}
    assert ended["duration_s"] >= 0
    assert ended["started_at"] == begun["started_at"]
    assert ended["started_at"].endswith("Z")


@pytest.mark.parametrize("error", [ValueError("the column 'rain' is missing"), KeyboardInterrupt("stopped")])
def test_an_error_is_recorded_and_goes_on(tmp_path: Path, error: BaseException) -> None:
    def work() -> None:
        with reported_step(ledger_uri=str(tmp_path), run_id="run-1", step_name="train") as record:
            record.outcome = "half"
            raise error

    with pytest.raises(type(error)) as caught:
        work()
    assert caught.value is error
    (found,) = read_run(LocalStore(str(tmp_path)), "run-1")
    assert (found.state, found.error, found.outcome) == ("failed", f"{type(error).__name__}: {error}", "half")
    assert found.duration_s is not None


def test_details_that_are_no_json_do_not_hide_the_error_of_the_step(tmp_path: Path) -> None:
    def work() -> None:
        with reported_step(ledger_uri=str(tmp_path), run_id="run-1", step_name="train") as record:
            record.details = {"odd": {1}, 2: ValueError("text")}
            raise ValueError("the real reason")

    with pytest.raises(ValueError, match="the real reason"):
        work()
    (found,) = read_run(LocalStore(str(tmp_path)), "run-1")
    assert (found.state, found.error) == ("failed", "ValueError: the real reason")
    assert found.details == {"odd": "{1}", "2": "text"}


def test_a_ledger_that_went_away_does_not_hide_the_error_of_the_step(tmp_path: Path) -> None:
    def work() -> None:
        with reported_step(ledger_uri=str(tmp_path / "state"), run_id="run-1", step_name="train"):
            shutil.rmtree(tmp_path / "state")
            (tmp_path / "state").write_text("a file now")
            raise ValueError("the real reason")

    with pytest.raises(ValueError, match="the real reason"):
        work()


@pytest.mark.parametrize("uri", ["none", "", " None "])
def test_without_a_ledger_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    monkeypatch.chdir(tmp_path)
    with reported_step(ledger_uri=uri, run_id="none", step_name="train") as record:
        record.outcome = "done"
    assert record.state == "succeeded"
    assert list(tmp_path.iterdir()) == []


def test_a_relative_ledger_in_a_pod_is_refused_before_the_step_does_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    done = []
    with pytest.raises(StateError, match=r"state_ledger_uri 'state' is a relative path"), reported_step(ledger_uri="state", run_id="r", step_name="s"):
        done.append("work")
    assert done == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("identifier", ["", "../up", "a/b", ".hidden", "-dash", "a b", "a\n", "x" * 201, "ä"])
def test_an_id_that_is_no_name_is_refused(tmp_path: Path, identifier: str) -> None:
    done = []
    for given in ({"run_id": identifier, "step_name": "s"}, {"run_id": "r", "step_name": identifier}):
        with pytest.raises(StateError, match=r"id .*: expected up to 200 letters, digits"), reported_step(ledger_uri=str(tmp_path), **given):
            done.append("work")
    assert done == []
    assert list(tmp_path.iterdir()) == []


def test_usual_ids_are_taken() -> None:
    for identifier in ("0f8b1c1e-9c6e-4a6b", "continuous-retraining-2020.01_1", "x" * 200):
        assert checked_id(identifier) == identifier


def test_a_run_is_read_in_the_order_of_its_steps_and_apart_from_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter(["2020-01-01T00:00:02Z", "2020-01-01T00:00:01Z", "2020-01-01T00:00:03Z"])
    monkeypatch.setattr("evergreen.runs.records.now", lambda: next(moments))
    for run, step in (("run", "b"), ("run", "c"), ("run-2", "a")):
        with reported_step(ledger_uri=str(tmp_path), run_id=run, step_name=step):
            pass
    store = LocalStore(str(tmp_path))
    assert [record.step_name for record in read_run(store, "run")] == ["c", "b"]
    assert [record.step_name for record in read_run(store, "run-2")] == ["a"]
    assert read_run(store, "run-3") == []


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"launcher": "a"}', b"\xff"])
def test_a_damaged_record_is_named(tmp_path: Path, content: bytes) -> None:
    store = LocalStore(str(tmp_path))
    store.write("runs/run/a.json", content)
    with pytest.raises(StateError, match=rf"run record {tmp_path}/runs/run/a\.json: is damaged: .*Remove it"):
        read_run(store, "run")


def test_what_another_version_wrote_into_a_record_is_ignored(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    store.write("runs/run/a.json", b'{"step_name": "a", "state": "succeeded", "launcher": "token-1", "later": {}}')
    assert [(record.step_name, record.state) for record in read_run(store, "run")] == [("a", "succeeded")]


def test_numpy_and_numbers_that_are_not_finite_become_plain() -> None:
    value = {
        1: (np.int64(3), np.float32(0.5), np.bool_(True), np.str_("a")),
        "bad": [np.float64("nan"), float("inf"), -np.inf],
        "array": np.array([[1.0, np.nan]]),
        "deep": {"x": [{"y": np.int8(1)}]},
    }
    assert plain(value) == {"1": [3, 0.5, True, "a"], "bad": [None, None, None], "array": [[1.0, None]], "deep": {"x": [{"y": 1}]}}
    assert all(type(item) in (int, float, bool, str) for item in plain(value)["1"])


def test_json_is_the_same_whatever_the_order_of_the_keys() -> None:
    assert to_json({"b": 1, "a": "ü"}) == to_json({"a": "ü", "b": 1}) == '{\n  "a": "ü",\n  "b": 1\n}\n'.encode()


def test_reports_are_kept_beside_the_record_with_a_suffix_that_browsers_know(tmp_path: Path) -> None:
    report = tmp_path / "artifacts" / "drift_report"
    report.parent.mkdir()
    report.write_text("<!doctype html>")
    ledger = tmp_path / "ledger"
    with reported_step(ledger_uri=str(ledger), run_id="run-1", step_name="detect_drift") as record:
        record.reports = {"drift_report": str(report), "unwritten_report": str(tmp_path / "nowhere")}
    kept = ledger / "runs" / "run-1" / "detect_drift.drift_report.html"
    assert kept.read_text() == "<!doctype html>"
    assert record.reports == {"drift_report": str(kept), "unwritten_report": str(tmp_path / "nowhere")}
    assert read_run(open_store(str(ledger)), "run-1") == [record]


@pytest.mark.parametrize(
    ("uri", "path"), [("gs://bucket/a/b", "/gcs/bucket/a/b"), ("s3://bucket/a", "/s3/bucket/a"), ("minio://m/a", "/minio/m/a"), ("/tmp/a", "/tmp/a")]
)
def test_artifacts_of_object_stores_are_found_where_kfp_mounts_them(uri: str, path: str) -> None:
    assert local_path(uri) == Path(path)
