"""The probe and the time of the change on the pages of the performance and of the decision."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evergreen.performance.report import performance_page
from evergreen.policy.decision import decide
from evergreen.policy.evidence import Evidence
from evergreen.policy.policy_file import Policy, read_policy
from evergreen.policy.report import decision_page
from evergreen.results.baseline import Baseline
from evergreen.results.drift import DriftResult
from evergreen.results.performance import PerformanceResult, Probe, ProbedModel

BETTER = ProbedModel("the last 20 days", "2021-10-02T00:00:00Z", 1234, 0.7125, 0.1025, 0.0175)
UNSCORED = ProbedModel("the last 5 hours", "2021-10-21T00:00:00Z", 12)
PROBE = Probe("better", "A model of the last 20 days would score 0.712.", "roc_auc", 80, "2021-10-22T00:00:00Z", 0.61, 0.02, BETTER, [UNSCORED, BETTER])
HOLDS = PerformanceResult("holds", "roc_auc", 0.61, baseline_score=0.63, sentence="It holds.", probe=PROBE)
HEADING = "<h2>Would a new model be better?</h2>"


def cells(page: str, row: str) -> list[str]:
    """Return the cells of the table row whose first cell is given."""
    found = next(part for part in page.split("<tr>") if f">{row}</td>" in part)
    return [cell.partition(">")[2].partition("</td>")[0].strip() for cell in found.split("<td")[1:]]


def test_the_page_shows_each_model_of_the_probe_beside_the_champion() -> None:
    page = performance_page(HOLDS)
    assert page.count(HEADING) == 1
    assert PROBE.sentence in page
    assert cells(page, "the champion, as it is") == ["the champion, as it is", "\N{EN DASH}", "0.61", "\N{EN DASH}", "\N{EN DASH}"]
    assert cells(page, BETTER.name) == [BETTER.name, "1,234", "0.7125", "0.1025", "0.0175"]
    assert cells(page, UNSCORED.name) == [UNSCORED.name, "12", "\N{EN DASH}", "\N{EN DASH}", "\N{EN DASH}"]
    for words in ("roc_auc on the newest 80 labelled rows, from 22 October 2021 on", "gains at least 0.02 and", "never promoted"):
        assert words in page


def test_a_probe_that_cannot_tell_says_why_and_has_no_table() -> None:
    page = performance_page(replace(HOLDS, probe=Probe("cannot tell", "The probe cannot tell: 12 labelled rows are newer.")))
    assert HEADING in page
    assert "The probe cannot tell: 12 labelled rows are newer." in page
    assert "the champion, as it is" not in page


@pytest.mark.parametrize(
    ("rows", "words"),
    [(340, "; 340 labelled rows have come since then."), (1, "; 1 labelled row has come since then."), (0, "the rows monitored so far.")],
)
def test_since_when_the_errors_differ_is_told_with_and_without_a_probe(rows: int, words: str) -> None:
    for probe in (PROBE, None):
        page = performance_page(replace(HOLDS, probe=probe, changed_at="2021-10-09T12:00:00Z", rows_since_change=rows))
        assert "errors changed around 9 October 2021" in page
        assert words in page
        assert (HEADING in page) is (probe is not None)


def test_without_a_probe_and_a_change_there_is_no_section() -> None:
    page = performance_page(replace(HOLDS, probe=None))
    assert HEADING not in page
    assert "errors changed around" not in page


def test_the_decision_shows_the_probe_and_says_that_rows_will_be_chosen() -> None:
    changed = replace(HOLDS, changed_at="2021-10-09T12:00:00Z", rows_since_change=340)
    evidence = Evidence(DriftResult("no drift", "none"), changed, Baseline(version="3", fit_end="2021-08-01T00:00:00Z"), "auto", "2021-11-01T00:00:00Z")
    made = decide(evidence, Policy())
    assert (made.decision, made.rule, made.choose_rows) == ("retrain", "probe", True)
    page = decision_page(made, Policy(), probe=PROBE)
    assert page.count(HEADING) == 1
    assert cells(page, BETTER.name)[-1] == "0.0175"
    for words in ("The rows to learn from are chosen", "errors changed around 9 October 2021", "before about 60 labelled rows have come", "for 4 windows"):
        assert words in page
    fixed = read_policy("{training_window: fixed, follow_up_windows: 1, minimum_rows_since_change: 0}")
    page = decision_page(decide(evidence, fixed), fixed)
    assert HEADING not in page
    assert "The rows to learn from are chosen" not in page
    assert "no challenger is trained before" not in page
    assert "in the next window only" in page


def test_the_decision_to_wait_for_rows_is_shown() -> None:
    few = replace(HOLDS, changed_at="2021-10-30T00:00:00Z", rows_since_change=12)
    evidence = Evidence(DriftResult("no drift", "none"), few, Baseline(version="3", fit_end="2021-08-01T00:00:00Z"), "auto", "2021-11-01T00:00:00Z")
    made = decide(evidence, Policy())
    assert (made.decision, made.rule) == ("keep", "few_rows")
    assert "only 12 labelled rows have come since" in decision_page(made, Policy(), probe=PROBE)
