from __future__ import annotations

from datetime import datetime, timezone

import pytest

from evergreen.submission.cron import parse_cron
from evergreen.submission.errors import SubmissionError

NEW_YEAR = datetime(2026, 1, 1, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("text", "expression", "words", "times"),
    [
        ("0 3 * * *", "0 0 3 * * *", "At 03:00 (UTC)", ["2026-01-01T03:00:00", "2026-01-02T03:00:00"]),
        ("0 0 3 * * *", "0 0 3 * * *", "At 03:00 (UTC)", ["2026-01-01T03:00:00", "2026-01-02T03:00:00"]),
        ("30 6 * * MON-FRI", "0 30 6 * * MON-FRI", "At 06:30, Monday through Friday (UTC)", ["2026-01-01T06:30:00", "2026-01-02T06:30:00"]),
        ("0 3 1 * 1", "0 0 3 1 * 1", "At 03:00, on day 1 of the month, or on Monday (UTC)", ["2026-01-01T03:00:00", "2026-01-05T03:00:00"]),
        ("0 0 29 2 *", "0 0 0 29 2 *", "At 00:00, on day 29 of the month, only in February (UTC)", ["2028-02-29T00:00:00", "2032-02-29T00:00:00"]),
    ],
)
def test_five_and_six_fields_are_said_back_with_the_times_to_come(text: str, expression: str, words: str, times: list[str]) -> None:
    cron = parse_cron(text)
    assert cron.expression == expression
    assert cron.in_words() == words
    assert [time.strftime("%Y-%m-%dT%H:%M:%S") for time in cron.next_times(2, after=NEW_YEAR)] == times


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected five fields"),
        ("@daily", "expected five fields"),
        ("0 3 * *", "found 4"),
        ("0 0 3 * * * 2026", "found 7"),
        ("0 24 * * *", "out of range"),
        ("0 3 30 2 *", "never fires"),
        ("0 3 * * 7", "counts from 0"),
        ("0 3 L * *", "the day of the month is 'L'"),
        ("0 3 * * 1#2", "the day of the week is '1#2'"),
        ("0 ? * * *", "? is only valid for the day"),
        ("0 3 */2 * 1", "restrict the day twice"),
        ("0 3 * * FOO", "cron '0 3 * * FOO'"),
        ("*/0 3 * * *", "the minute is '*/0'"),
    ],
)
def test_what_kfp_would_not_take_or_read_differently_is_refused(text: str, message: str) -> None:
    with pytest.raises(SubmissionError) as caught:
        parse_cron(text)
    assert message in str(caught.value)
