from __future__ import annotations

import pytest

from evergreen.submission.step_logs import LONGEST_ERROR, last_driver_error, last_error, last_line

RAISED = """Traceback (most recent call last):
  File "/app/evergreen/ingestion/step.py", line 40, in ingest
    raise IngestionError(message)
evergreen.ingestion.errors.IngestionError: data_source_uri '/x': there is no such file.
Give the path of a file, or a glob.
"""
LAUNCHER = """time="2026-11-29T02:06:25.123Z" level=info msg="sub-process exited" argo=true error="<nil>"
F1129 02:06:25.000000      16 main.go:54] failed to execute component: exit status 1
goroutine 1 [running]:
Error: exit status 1
"""
MESSAGE = "evergreen.ingestion.errors.IngestionError: data_source_uri '/x': there is no such file.\nGive the path of a file, or a glob."


@pytest.mark.parametrize(
    ("log", "error"),
    [
        ("I1129 02:06:20.1 16 launcher.go:1] start\n" + RAISED + LAUNCHER, MESSAGE),
        (
            RAISED + "\nDuring handling of the above exception, another exception occurred:\n\n" + RAISED.replace("/x", "/y") + LAUNCHER,
            MESSAGE.replace("/x", "/y"),
        ),
        # A step prints its error once more, as its last line.
        (RAISED + MESSAGE, MESSAGE),
        # The error that was logged was dealt with; the one at the end was not.
        (RAISED + "WARNING:root:trying again\nStateError: the ledger cannot be written.\n" + LAUNCHER, "StateError: the ledger cannot be written."),
        ("Reading 3 files\nIngestionError: no rows.\n" + LAUNCHER, "IngestionError: no rows."),
        ("Traceback (most recent call last):\n  File 'x'\nKeyboardInterrupt\n", "KeyboardInterrupt"),
        ("PolicyError: two rules differ:\n- first\n\n- second\n" + LAUNCHER, "PolicyError: two rules differ:\n- first\n\n- second"),
        ("Reading 3 files\n" + LAUNCHER, ""),
        ("Error: exit status 1", ""),
        ("", ""),
    ],
)
def test_the_last_error_of_a_log_is_found_with_all_its_lines(log: str, error: str) -> None:
    assert last_error(log) == error


def test_a_message_of_any_length_is_no_flood() -> None:
    assert len(last_error("ValueError: " + "x" * 100_000)) == LONGEST_ERROR + 3


def test_a_driver_and_a_killed_step_have_last_lines() -> None:
    start = "I1129 02:06:20.000000 16 main.go:1] start\n"
    log = f"{start}F1129 02:06:25.000000      16 main.go:79] KFP driver: driver.Container failed: secret name is empty\ngoroutine 1"
    assert last_driver_error(log) == "KFP driver: driver.Container failed: secret name is empty"
    assert last_driver_error("killed") == "killed"
    assert last_line("Fitting 3 of 10\n\n" + LAUNCHER) == "Fitting 3 of 10"
    assert last_line(LAUNCHER) == ""
