"""Files that DVC tracks, from a real repository with a real remote."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from evergreen.ingestion.errors import IngestionError
from evergreen.ingestion.local_copy import local_copy
from evergreen.ingestion.sources.dvc import TrackedPlace, parse_place
from ingestion.conftest import daily_table

if TYPE_CHECKING:
    from collections.abc import Callable

DVC = str(Path(sys.executable).with_name("dvc"))


class Repository:
    """A Git repository whose data lies in a DVC remote, and nowhere else."""

    def __init__(self, folder: Path) -> None:
        self.path, self.remote = folder / "repository", folder / "remote"
        self.path.mkdir(parents=True)
        self.run("git", "init", "--quiet", "--initial-branch", "main", ".")
        self.run(DVC, "init", "--quiet")
        self.run(DVC, "remote", "add", "--quiet", "--default", "store", str(self.remote))

    def run(self, *command: str) -> str:
        identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"] if command[0] == "git" else []
        done = subprocess.run([command[0], *identity, *command[1:]], cwd=self.path, check=True, capture_output=True, text=True, timeout=60)
        return done.stdout.strip()

    def commit(self, rows: int, tag: str) -> str:
        for name in ("one.parquet", "events/year=2024/part.parquet"):
            path = self.path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(daily_table(rows), path)
        self.run(DVC, "add", "--quiet", "data/one.parquet", "data/events")
        self.run(DVC, "push", "--quiet")
        (self.path / "notes").mkdir(exist_ok=True)
        (self.path / "notes" / "README.md").write_text("Events.")
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", tag)
        self.run("git", "tag", tag)
        return self.run("git", "rev-parse", "HEAD")


@pytest.fixture(scope="module")
def commits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Repository, list[str]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_NO_ANALYTICS", "1")
        patch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path_factory.mktemp("site")))
        repository = Repository(tmp_path_factory.mktemp("dvc"))
        found = [repository.commit(3, "v1"), repository.commit(5, "v2")]
    # The data is to be had from the remote only.
    subprocess.run(["rm", "-rf", ".dvc/cache", "data/one.parquet", "data/events"], cwd=repository.path, check=True)
    return repository, found


def test_a_file_is_read_in_its_revision_and_the_commit_recorded(commits: Any, ingest: Callable[..., Any]) -> None:
    repository, (first, second) = commits
    for revision, rows, commit in (("@v1", 3, first), ("@v2", 5, second), (f"@{first}", 3, first), ("@main", 5, second), ("", 5, second)):
        table, ingested = ingest(f"dvc+file://{repository.path}{revision}#data/one.parquet")
        assert table.num_rows == rows
        place = f"dvc+file://{repository.path}#data/one.parquet"
        assert [(item["uri"], item["version"]) for item in ingested.manifest.objects] == [(place, commit)]
        assert ingested.manifest.source_uri == f"dvc+file://{repository.path}{revision}#data/one.parquet"


def test_a_command_reads_a_tracked_file_as_it_lies_there(commits: Any) -> None:
    repository, _ = commits
    with local_copy(f"dvc+file://{repository.path}@v1#data/one.parquet") as path:
        assert pq.read_table(path).equals(daily_table(3))
    assert not path.exists()


def test_a_folder_is_read_with_the_columns_of_its_folders_names(commits: Any, ingest: Callable[..., Any]) -> None:
    repository, (first, _) = commits
    table, ingested = ingest(f"dvc+file://{repository.path}@v1#data/events/")
    assert table.column("year").to_pylist() == [2024] * 3
    assert ingested.manifest.objects[0]["version"] == first


def test_a_clone_is_read_like_a_folder_and_leaves_nothing_behind(
    commits: Any, tmp_path: Path, ingest: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import tempfile

    from evergreen.ingestion.sources import dvc as dvc_source

    repository, (first, _) = commits
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    # What a host elsewhere would be asked for: Git clones this address, DVC does not see a folder in it.
    monkeypatch.setattr(dvc_source, "parse_place", lambda _: TrackedPlace(f"file://{repository.path}", "v1", "data/one.parquet"))
    table, ingested = ingest("dvc+https://host/repository@v1#data/one.parquet")
    assert (table.num_rows, ingested.manifest.objects[0]["version"]) == (3, first)
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("dvc+https://host/group/data.git@feature/x#a/b.csv", TrackedPlace("https://host/group/data.git", "feature/x", "a/b.csv")),
        ("dvc+ssh://git@host/data.git#a%23b.csv", TrackedPlace("ssh://git@host/data.git", "", "a#b.csv")),
        ("dvc+file:///srv/data@v1#a", TrackedPlace("/srv/data", "v1", "a")),
    ],
)
def test_a_uri_names_repository_revision_and_path(uri: str, expected: TrackedPlace) -> None:
    assert parse_place(uri) == expected


@pytest.mark.parametrize("uri", ["dvc+https://host/repo@v1", "dvc+https://host#a.csv", "dvc+https://host/repo#../a.csv"])
def test_a_uri_without_one_of_them_is_refused(uri: str, ingest: Callable[..., Any]) -> None:
    with pytest.raises(IngestionError, match=r"expected dvc\+https://host/repository\.git@revision#path"):
        ingest(uri)


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("{repository}@v9#data/one.parquet", "unknown Git revision 'v9'. Specify a branch, tag or commit"),
        ("{repository}@v1#data/two.parquet", "the repository has no 'data/two.parquet' in revision 'v1'"),
        ("{repository}@v1#notes", "the folder contains no data files"),
        ("/nowhere/at/all@v1#data/one.parquet", "the repository cannot be cloned"),
    ],
)
def test_mistakes_are_named(commits: Any, tmp_path: Path, ingest: Callable[..., Any], place: str, expected: str) -> None:
    with pytest.raises(IngestionError) as caught:
        ingest("dvc+file://" + place.format(repository=commits[0].path))
    assert expected in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_data_that_was_never_pushed_is_named(tmp_path: Path, ingest: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    repository = Repository(tmp_path)
    repository.commit(3, "v1")
    subprocess.run(["rm", "-rf", str(repository.remote / "files"), ".dvc/cache", "data/one.parquet", "data/events"], cwd=repository.path, check=True)
    for path in ("data/one.parquet", "data/events"):
        with pytest.raises(IngestionError, match=r"the DVC remote lacks files that this revision tracks.*Run `dvc push`"):
            ingest(f"dvc+file://{repository.path}@v1#{path}")
    assert not (tmp_path / "out").exists()


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch, ingest: Callable[..., Any]) -> None:
    monkeypatch.setitem(sys.modules, "dvc.api", None)
    with pytest.raises(IngestionError, match=r"needs the Python package dvc.*pip install 'kfp-evergreen\[dvc\]'"):
        ingest("dvc+https://host/repository@v1#data/one.parquet")
