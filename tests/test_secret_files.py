"""A step takes the keys of its secret out of files, and only those that are credentials."""

from __future__ import annotations

import os
import traceback
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from evergreen.errors import SecretError
from evergreen.secrets.files import SECRET_KEYS, load_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def own_environment() -> Iterator[None]:
    """Let each test have an environment of its own, without credentials."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("EVERGREEN_", "AWS_", "MLFLOW_"))}
    with mock.patch.dict(os.environ, plain, clear=True):
        yield


def mounted(folder: Path, **values: str) -> Path:
    """Lay files out as Kubernetes does: links to a folder that is replaced whole."""
    content = folder / "..2026_11_29"
    content.mkdir(parents=True)
    (folder / "..data").symlink_to(content.name)
    for name, value in values.items():
        (content / name).write_text(value, encoding="utf-8")
        (folder / name).symlink_to(f"..data/{name}")
    return folder


def test_known_keys_are_loaded_and_others_are_not(tmp_path: Path) -> None:
    own = {name: f"value of {name}" for name in SECRET_KEYS}
    foreign = {
        "PATH": "/evil",
        "LD_PRELOAD": "evil.so",
        "PYTHONPATH": "/evil",
        "PYTHONSTARTUP": "x",
        "HOME": "/evil",
        "evergreen_key": "x",
        "EVERGREEN-KEY": "x",
    }
    ours = {"EVERGREEN_SECRET_FOLDER": "/evil", "EVERGREEN_IMAGE": "evil"}
    before = dict(os.environ)
    names = load_secrets(mounted(tmp_path, **own, **foreign, **ours, EVERGREEN_SLACK_TOKEN="t"))
    assert {*SECRET_KEYS, "EVERGREEN_SLACK_TOKEN"} <= set(names)
    assert not {*foreign, *ours} & set(names)
    for name in (*foreign, *ours):
        assert os.environ.get(name) == before.get(name)
    assert os.environ["EVERGREEN_APPROVAL_KEY"] == own["EVERGREEN_APPROVAL_KEY"]


@pytest.mark.parametrize(("content", "value"), [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" a ", " a "), ("", ""), ("a\nb\n", "a\nb")])
def test_one_line_break_at_the_end_is_taken_off(tmp_path: Path, content: str, value: str) -> None:
    folder = mounted(tmp_path)
    (folder / "EVERGREEN_APPROVAL_KEY").write_bytes(content.encode())
    assert load_secrets(folder) == ["EVERGREEN_APPROVAL_KEY"]
    assert os.environ["EVERGREEN_APPROVAL_KEY"] == value


def test_a_file_wins_over_the_environment(tmp_path: Path) -> None:
    os.environ["EVERGREEN_APPROVAL_KEY"] = "baked into the image"
    load_secrets(mounted(tmp_path, EVERGREEN_APPROVAL_KEY="of this run"))
    assert os.environ["EVERGREEN_APPROVAL_KEY"] == "of this run"


def test_the_folder_is_named_by_a_variable_and_need_not_be_there(tmp_path: Path) -> None:
    os.environ["EVERGREEN_SECRET_FOLDER"] = str(tmp_path / "none")
    assert load_secrets() == []
    mounted(tmp_path / "none", MLFLOW_TRACKING_TOKEN="t")
    assert load_secrets() == ["MLFLOW_TRACKING_TOKEN"]


@pytest.mark.parametrize("where", ["files", "environment"])
def test_aws_names_are_made_of_ours(tmp_path: Path, where: str) -> None:
    os.environ.update({"AWS_ACCESS_KEY_ID": "old", "AWS_SESSION_TOKEN": "of the old pair", "AWS_DEFAULT_REGION": "here"})
    ours = {
        "EVERGREEN_AWS_ACCESS_KEY_ID": "id",
        "EVERGREEN_AWS_SECRET_ACCESS_KEY": "key",
        "EVERGREEN_AWS_ENDPOINT_URL": "http://s3",
        "EVERGREEN_AWS_REGION": "r",
    }
    if where == "environment":
        os.environ.update(ours)
    names = load_secrets(mounted(tmp_path, **(ours if where == "files" else {})))
    assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_REGION"} <= set(names)
    found = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    assert found == {
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "key",
        "AWS_ENDPOINT_URL": "http://s3",
        "AWS_REGION": "r",
        "AWS_DEFAULT_REGION": "here",
    }
    # A session's token comes with its own pair.
    os.environ["EVERGREEN_AWS_SESSION_TOKEN"] = "token"
    load_secrets(tmp_path)
    assert os.environ["AWS_SESSION_TOKEN"] == "token"


def test_old_names_of_aws_keep_working(tmp_path: Path) -> None:
    old = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key", "AWS_SESSION_TOKEN": "token", "AWS_ENDPOINT_URL": "http://s3"}
    assert load_secrets(mounted(tmp_path, **old)) == sorted(old)
    assert {name: os.environ[name] for name in old} == old


@pytest.mark.parametrize("content", [b"\xffc4n4ry", b"c4n\0ary"])
def test_a_value_that_is_no_text_is_named_by_its_key(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "EVERGREEN_APPROVAL_KEY").write_bytes(content)
    with pytest.raises(SecretError, match=r"secret key 'EVERGREEN_APPROVAL_KEY': its value is not UTF-8 text.* Recreate the secret") as caught:
        load_secrets(tmp_path)
    assert "c4n" not in "".join(traceback.format_exception(caught.value))
    assert "EVERGREEN_APPROVAL_KEY" not in os.environ


def test_a_key_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "EVERGREEN_APPROVAL_KEY").mkdir()
    with pytest.raises(
        SecretError, match=r"secret key 'EVERGREEN_APPROVAL_KEY': its file in .* cannot be read: Is a directory\. Give the step's user read access"
    ):
        load_secrets(tmp_path)
