"""Secret values are masked wherever they stand, in whatever form, and nothing else is."""

# ruff: noqa: T201  # printing is what is tested

from __future__ import annotations

import base64
import html
import io
import json
import logging
import os
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import escape

from evergreen.data.masked_files import mask_file
from evergreen.secrets.files import SECRET_KEYS, load_secrets
from evergreen.secrets.masked_streams import masked_output
from evergreen.secrets.redaction import mask, mask_json
from evergreen.secrets.values import NOT_SECRET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEY = "EVERGREEN_APPROVAL_KEY"
VALUE = "q9/Zé&\"x<8'w|T4+k2=m%\\r"
LONG = "7f3c9ad1e8b64b02a5d0c6e1f9a83b47"


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Let the environment hold these variables and no others that are secret."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("EVERGREEN_", "AWS_", "MLFLOW_"))}
    with mock.patch.dict(os.environ, {**plain, **values}, clear=True):
        yield


@pytest.fixture
def key() -> Iterator[str]:
    """Return a long key that is set."""
    with environment(**{KEY: LONG}):
        yield LONG


FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "percent-encoded": lambda value: quote(value, safe=""),
    "percent-encoded, slashes kept": quote,
    "percent-encoded in lower case": lambda value: quote(value, safe="").lower() if value.islower() else _lower_escapes(quote(value, safe="")),
    "of a form": quote_plus,
    "JSON": lambda value: json.dumps(value)[1:-1],
    "JSON in Unicode": lambda value: json.dumps(value, ensure_ascii=False)[1:-1],
    "JSON in JSON": lambda value: json.dumps(json.dumps({"a": value})),
    "HTML": html.escape,
    "HTML of Jinja": lambda value: str(escape(value)),
    "repr": repr,
    "repr in HTML": lambda value: html.escape(repr(value)),
    "repr in JSON": lambda value: json.dumps(repr(value)),
    "JSON in HTML": lambda value: str(escape(json.dumps({"a": value}))),
    "bytes": lambda value: repr(value.encode()),
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "base64 of the value and a line break": lambda value: base64.b64encode(f"{value}\n".encode()).decode(),
    "base64 for URLs": lambda value: base64.urlsafe_b64encode(value.encode()).decode(),
    "hexadecimal": lambda value: value.encode().hex(),
    "hexadecimal in capitals": lambda value: value.encode().hex().upper(),
    "SQL": lambda value: value.replace("'", "''"),
}


def _lower_escapes(text: str) -> str:
    import re

    return re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), text)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("value", [VALUE, LONG, "p@ss"])
def test_every_form_is_masked(form: str, value: str) -> None:
    written = FORMS[form](value)
    with environment(**{KEY: value}):
        masked = mask(f"before {written} after")
    assert f"[{KEY}]" in masked
    assert value not in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")
    # Nothing is left but what stands around the value in this form.
    left = masked.replace(f"[{KEY}]", "").removeprefix("before ").removesuffix(" after")
    assert len(left) <= len(FORMS[form](""))


@pytest.mark.parametrize(
    "name", [*SECRET_KEYS, "EVERGREEN_KFP_TOKEN", "EVERGREEN_KFP_COOKIE", "EVERGREEN_TRIGGER_WEBHOOK_SECRET", "EVERGREEN_SLACK_WEBHOOK", "PGPASSWORD"]
)
def test_every_secret_variable_is_known(name: str) -> None:
    addresses = {"MLFLOW_TRACKING_URI", "AWS_ENDPOINT_URL", "EVERGREEN_AWS_ENDPOINT_URL"}
    value = f"https://me:{LONG}@host/" if name in addresses else LONG
    with environment(**{name: value}):
        masked = mask(f"it is {value}, really")
        assert mask("it is 7, really") == "it is 7, really"
    if name.endswith("REGION"):
        assert masked == f"it is {LONG}, really"
    else:
        assert LONG not in masked
        assert f"[{name}]" in masked


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EVERGREEN_SECRET_FOLDER", "/var/run/secrets/evergreen"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/secrets/eks.amazonaws.com/token"),
        ("EVERGREEN_KFP_HOST", "http://kubeflow.example:8080"),
        ("MLFLOW_TRACKING_URI", "http://mlflow.mlflow.svc:5000"),
        ("MLFLOW_RUN_ID", LONG),
        ("EVERGREEN_TRUSTED_TYPES", "my_package.Model"),
        ("AWS_ACCESS_KEY_ID", "minio"),
        (KEY, "abc"),
        (KEY, "none"),
        ("SOME_TOKEN", "seven77"),
    ],
)
def test_what_is_no_secret_stays(name: str, value: str) -> None:
    with environment(**{name: value}):
        assert mask(f"see {value} here") == f"see {value} here"


def test_passwords_in_addresses_are_masked_by_themselves() -> None:
    with environment(EVERGREEN_DATABASE_URL="postgresql+psycopg://me:h%40rd-one@db/x?sslpassword=other-one", HTTPS_PROXY="http://u:pr0xyword@proxy:3128"):
        assert mask("password authentication failed: h@rd-one") == "password authentication failed: [EVERGREEN_DATABASE_URL]"
        assert mask("h%40rd-one and other-one and pr0xyword") == "[EVERGREEN_DATABASE_URL] and [EVERGREEN_DATABASE_URL] and [HTTPS_PROXY]"
        assert mask("postgresql+psycopg://other@db") == "postgresql+psycopg://other@db"


def test_lines_of_a_key_cookies_and_the_header_of_a_request_are_masked() -> None:
    lines = ["-----BEGIN PRIVATE KEY-----", "MIIEvQIBADANBgkqhkiG9w0", "BAQEFAASCBKcwggSjAgEAAoIB", "-----END PRIVATE KEY-----"]
    header = base64.b64encode(b"mlflow:open-sesame").decode()
    with environment(
        EVERGREEN_PUBLISHING_KEY="\n".join(lines),
        EVERGREEN_KFP_COOKIE="authservice_session=MTY5Nzg4; other=1",
        MLFLOW_TRACKING_USERNAME="mlflow",
        MLFLOW_TRACKING_PASSWORD="open-sesame",
    ):
        assert mask(f"line 2 is {lines[1]}.") == "line 2 is [EVERGREEN_PUBLISHING_KEY]."
        assert mask(lines[0]) == lines[0]
        assert mask("session MTY5Nzg4") == "session [EVERGREEN_KFP_COOKIE]"
        assert mask(f"Authorization: Basic {header}") == "Authorization: Basic [MLFLOW_TRACKING_PASSWORD]"
        # A user's name that is an everyday word is no secret.
        assert mask("user 'mlflow', tag mlflow_run") == "user 'mlflow', tag mlflow_run"


@pytest.mark.parametrize("shown", [LONG[:8], LONG[:20], LONG[:31]])
@pytest.mark.parametrize("end", ["…", "...", " [...]", "", "'", '"', "\n", "</td>", "')"])
def test_a_value_that_was_cut_off_is_masked(key: str, shown: str, end: str) -> None:  # noqa: ARG001  # it is set
    assert mask(f"unknown: {shown}{end}") == f"unknown: [{KEY}]{end}"


def test_the_end_of_a_value_after_an_ellipsis_is_masked(key: str) -> None:
    # Pydantic shows long values so.
    assert mask(f"input_value='{key[:20]}...{key[-20:]}'") == f"input_value='[{KEY}]...[{KEY}]'"


def test_half_of_a_short_value_is_masked_where_a_text_was_shortened() -> None:
    with environment(**{KEY: "tr0ub4dor"}):
        assert mask("it was tr0ub…") == f"it was [{KEY}]…"
        assert mask("it was tr0…") == "it was tr0…"


def test_what_merely_begins_like_a_value_stays() -> None:
    with environment(**{KEY: "evergreen-approval-9c2e77"}):
        assert mask("image evergreen-base of evergreen, evergreen-approval") == "image evergreen-base of evergreen, [EVERGREEN_APPROVAL_KEY]"
        assert mask("image evergreen-base of evergreen here") == "image evergreen-base of evergreen here"


def test_values_that_overlap_hold_or_name_each_other_are_all_masked() -> None:
    with environment(
        EVERGREEN_APPROVAL_KEY="abcdefgh1234", EVERGREEN_PUBLISHING_KEY="1234stuvwxyz", MLFLOW_TRACKING_TOKEN="abcdefgh1234-more", AWS_SESSION_TOKEN="APPROVAL"
    ):
        assert mask("<abcdefgh1234stuvwxyz>") == "<[EVERGREEN_APPROVAL_KEY][EVERGREEN_PUBLISHING_KEY]>"
        assert mask("<abcdefgh1234-more>") == "<[MLFLOW_TRACKING_TOKEN]>"
        once = mask("APPROVAL abcdefgh1234")
        assert once == "[AWS_SESSION_TOKEN] [EVERGREEN_APPROVAL_KEY]"
        assert mask(once) == once


def test_json_is_masked_in_values_keys_and_numbers(key: str) -> None:
    with environment(**{KEY: key, "EVERGREEN_PUBLISHING_KEY": "4711081500"}):
        given_value = {"a": [key, 1, 2.5, None, True, {key: f"x{key}y"}], "n": 4711081500, "rows": 47110815001}
        marked = f"[{KEY}]"
        assert mask_json(given_value) == {"a": [marked, 1, 2.5, None, True, {marked: f"x{marked}y"}], "n": "[EVERGREEN_PUBLISHING_KEY]", "rows": 47110815001}
        untouched = {"a": [1, "text"]}
        assert mask_json(untouched) is untouched


@pytest.mark.parametrize("suffix", [".html", ".md", ".json", ".txt", ""])
def test_a_text_file_is_masked(tmp_path: Path, key: str, suffix: str) -> None:
    file = tmp_path / f"report{suffix}"
    file.write_text(json.dumps({"error": f"refused {key}", "path": "a/b"}) if suffix == ".json" else f"# refused\n{key}\n", encoding="utf-8")
    assert mask_file(file)
    assert key not in file.read_text(encoding="utf-8")
    assert f"refused [{KEY}]" in file.read_text(encoding="utf-8") or f"# refused\n[{KEY}]\n" == file.read_text(encoding="utf-8")
    if suffix == ".json":
        assert json.loads(file.read_text(encoding="utf-8")) == {"error": f"refused [{KEY}]", "path": "a/b"}
    before = file.stat().st_mtime_ns
    assert not mask_file(file)
    assert file.stat().st_mtime_ns == before


def test_a_number_in_a_json_file_is_masked_and_the_file_stays_json(tmp_path: Path) -> None:
    file = tmp_path / "metrics"
    file.write_text('{"port": 47110815}', encoding="utf-8")
    with environment(**{KEY: "47110815"}):
        assert mask_file(file)
    assert json.loads(file.read_text(encoding="utf-8")) == {"port": f"[{KEY}]"}


def test_data_folders_and_nothing_are_left_alone(tmp_path: Path, key: str) -> None:
    data = tmp_path / "rows.parquet"
    data.write_bytes(b"PAR1\0\xff" + key.encode())
    assert not mask_file(data)
    assert data.read_bytes() == b"PAR1\0\xff" + key.encode()
    assert not mask_file(tmp_path)
    assert not mask_file(tmp_path / "none")


@contextmanager
def captured() -> Iterator[tuple[io.TextIOWrapper, io.TextIOWrapper]]:
    """Put streams of bytes in place of both outputs."""
    streams = tuple(io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with mock.patch.object(sys, "stdout", streams[0]), mock.patch.object(sys, "stderr", streams[1]):
        yield streams


def written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    return stream.buffer.getvalue().decode()


def _print(value: str) -> None:
    print(f"it is {value}!")


def _letter_by_letter(value: str) -> None:
    for letter in f"it is {value}!\n":
        sys.stdout.write(letter)
        sys.stdout.flush()


def _two_halves(value: str) -> None:
    print("it is " + value[:9], end="", flush=True)
    sys.stdout.writelines([value[9:], "!\n"])


def _bytes(value: str) -> None:
    sys.stdout.buffer.write(f"it is {value[:5]}".encode())
    sys.stdout.buffer.flush()
    sys.stdout.buffer.write(value[5:].encode())
    sys.stdout.write("!\n")


WRITERS = [_print, _letter_by_letter, _two_halves, _bytes]


@pytest.mark.parametrize("write", WRITERS)
def test_output_is_masked_in_whatever_pieces_it_is_written(key: str, write: Callable[[str], None]) -> None:
    with captured() as (out, _), masked_output():
        write(key)
    assert written(out) == f"it is [{KEY}]!\n"


def test_output_is_passed_on_whole_and_streams_are_put_back(key: str) -> None:
    with captured() as (out, err):
        before = sys.stdout, sys.stderr
        with masked_output():
            print("first", file=sys.stderr)
            assert written(err) == "first\n"
            print("ends with the beginning of it:", key[:12], end="")
            # Nobody knows yet whether it goes on.
            assert written(out) == "ends with the beginning of it: "
            print(" umlauts äöü \N{SNOWMAN}", sys.stdout.isatty(), sys.stdout.encoding)
            sys.stdout.buffer.write(b"\xc3")
            sys.stdout.buffer.write(b"\xa4\n")
            with pytest.raises(TypeError):
                sys.stdout.write(b"")
            print("open:", key[:6], end="")
        assert (sys.stdout, sys.stderr) == before
        assert not out.closed
    assert written(out) == f"ends with the beginning of it: {key[:12]} umlauts äöü \N{SNOWMAN} False utf-8\nä\nopen: {key[:6]}"


def test_logging_is_masked_with_its_traceback_and_put_back(key: str) -> None:
    lines, handler, own = io.StringIO(), logging.StreamHandler(), logging.FileHandler(os.devnull)
    handler.setStream(lines)
    root, other = logging.getLogger(), logging.getLogger("some.library")
    root.addHandler(handler)
    other.addHandler(own)
    own.setStream(lines)
    try:
        with masked_output():
            try:
                int(key)
            except ValueError:
                other.exception("refused %s", key)
        assert key not in lines.getvalue()
        assert lines.getvalue().count(f"[{KEY}]") >= 4
        assert handler.formatter is None
        other.error("after")
        assert lines.getvalue().count("after") == 2
    finally:
        root.removeHandler(handler)
        other.removeHandler(own)
        own.close()


@pytest.mark.parametrize(
    ("ending", "status", "told"),
    [
        ("raise ValueError(os.environ['EVERGREEN_APPROVAL_KEY'])", 1, "ValueError: [EVERGREEN_APPROVAL_KEY]"),
        ("raise SystemExit('refused ' + os.environ['EVERGREEN_APPROVAL_KEY'])", 1, "refused [EVERGREEN_APPROVAL_KEY]"),
        ("raise SystemExit(3)", 3, ""),
        (
            "thread = threading.Thread(target=lambda: 1 / len(os.environ[{}[os.environ['EVERGREEN_APPROVAL_KEY']]])); thread.start(); thread.join()",
            0,
            "KeyError: '[EVERGREEN_APPROVAL_KEY]'",
        ),
    ],
)
def test_what_the_interpreter_shows_at_the_end_is_masked(ending: str, status: int, told: str) -> None:
    program = textwrap.dedent(f"""
        import os, threading
        from evergreen.secrets.masked_streams import masked_output
        with masked_output():
            {ending}
    """)
    done = subprocess.run([sys.executable, "-c", program], env={**os.environ, KEY: LONG}, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == status
    assert LONG not in done.stdout + done.stderr
    assert told in done.stderr


texts = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=60)
secrets = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=4, max_size=50).filter(
    lambda value: value.strip() == value and value.isprintable()
)


@settings(max_examples=200, deadline=None)
@given(value=secrets, before=texts, after=texts, form=st.sampled_from(sorted(FORMS)), cuts=st.lists(st.integers(0, 400), max_size=8))
def test_no_secret_survives_in_any_form_or_pieces(value: str, before: str, after: str, form: str, cuts: list[int]) -> None:
    with environment(**{KEY: value}):
        if mask(value) == value:
            # One of the words that records are made of.
            assert value in NOT_SECRET
            return
        text = f"{before}{FORMS[form](value)}{after}"
        masked = mask(text)
        assert f"[{KEY}]" in masked
        assert mask(masked) == masked
        assert value not in masked.replace(f"[{KEY}]", "\0")
        places = sorted({min(cut, len(text)) for cut in cuts})
        with captured() as (out, _), masked_output():
            for start, end in zip([0, *places], [*places, len(text)], strict=True):
                sys.stdout.write(text[start:end])
                sys.stdout.flush()
        assert value not in written(out).replace(f"[{KEY}]", "\0")
        assert value not in json.dumps(mask_json({"a": text, text: [before, {"b": value}]}), ensure_ascii=False).replace(f"[{KEY}]", "\0")


@settings(max_examples=200, deadline=None)
@given(text=texts, value=secrets)
def test_a_text_without_the_secret_stays_as_it_is(text: str, value: str) -> None:
    with environment(**{KEY: value}):
        if any(value[start : start + 2].lower() in text.lower() for start in range(len(value) - 1)):
            return
        encoded: Any = mask(text)
        assert encoded == text or any(FORMS[form](value)[:4] in text for form in FORMS)


def test_a_large_text_takes_no_time(key: str) -> None:
    import time

    text = "a line of a log without anything in it, but with 7f3c and other digits\n" * 30_000
    started = time.perf_counter()
    assert mask(text) is not None
    assert mask(f"{text}{key}").endswith(f"[{KEY}]")
    assert time.perf_counter() - started < 2.0


def test_files_of_a_secret_are_loaded_and_masked(tmp_path: Path) -> None:
    (tmp_path / "EVERGREEN_ANYTHING").write_text("something only we know\n", encoding="utf-8")
    with environment():
        assert load_secrets(tmp_path) == ["EVERGREEN_ANYTHING"]
        assert mask("it is something only we know.") == "it is [EVERGREEN_ANYTHING]."
