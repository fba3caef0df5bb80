"""What a run says of rows that were chosen, or waited for: on its page, in its summary and on the terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from evergreen.cli.display import print_summary
from evergreen.pipeline.local_run import LocalRun
from evergreen.reporting.run_page import run_page
from reporting.degraded_runs import AT_ONCE, CHOICE, CHOSEN, deployed, judged, looked, past, repair_of, summary_of, trained

NO_BETTER = judged(difference=-0.01, difference_lower=-0.05, difference_upper=0.03)


def test_a_policy_that_waits_for_rows_says_how_many_have_come_and_when_enough_will_have() -> None:
    change = {"changed_at": "2021-10-27T00:00:00Z", "rows_since_change": 12}
    repair = repair_of(looked(AT_ONCE, past("10-02", "performance"), **change))
    assert (repair.cause, repair.since) == ("few_rows", change["changed_at"])
    assert "only 12 labelled rows have come" in repair.why
    assert [(setting.name, setting.proposed) for setting in repair.settings] == [("minimum_rows_since_change", "12"), ("policy_mode", "force")]
    # 12 rows in 5 days: 60 after 25, and the next window that ends later than that is the first one.
    assert repair.next_steps == [
        "The next window is expected to end on 1 December 2021.",
        "If performance stays as it is, the policy retrains in the next window.",
        "A challenger is trained when about 60 rows have come since the change (12 so far); at the present pace, that is around 21 November 2021.",
    ]
    unknown = repair_of(looked(AT_ONCE, **change)).next_steps
    assert unknown[0] == "The next run looks at the next window."
    assert [sentence.partition(" when about")[0] for sentence in unknown[1:]] == ["A challenger is trained"]


def test_a_run_that_chose_its_rows_tells_one_time_of_the_change() -> None:
    # Monitoring sees fewer rows than the training step, and estimated a later time from them.
    records = [*looked(AT_ONCE, changed_at="2021-10-20T00:00:00Z", rows_since_change=40), *trained(CHOICE), NO_BETTER]
    repair = repair_of(records)
    assert repair.since == CHOICE["changed_at"]
    assert "9 October 2021" in repair.since_sentence
    assert "100 labelled rows have come since" in repair.since_sentence


def test_the_page_and_the_terminal_of_a_repair_say_what_was_chosen() -> None:
    chosen = {**CHOICE, "sentence": "Chosen among 3 candidates on 40 newer rows: rows since 2021-10-09, with roc_auc 0.64; the champion: 0.61."}
    passed = judged("promote", "better", origin="former champion", former_version="2", folds=2)
    summary = summary_of([*looked(AT_ONCE), *trained(chosen), passed, deployed("promoted")])
    assert (summary.outcome, summary.repair) == ("promoted", None)
    assert summary.to_json()["choice"]["chosen"] == {**CHOSEN, "start": "", "half_life_days": None}
    page = run_page(summary)
    for words in (
        chosen["sentence"],
        "What the challenger learns from",
        "9 October 2021",
        "its feature &#39;age&#39; is gone",
        "2 consecutive blocks",
        "The challenger is a former champion, version 2.",
    ):
        assert words in page, words
    plain = summary_of([*looked(AT_ONCE), *trained(), judged("promote", "better"), deployed("promoted")])
    assert plain.to_json()["choice"] == {}
    assert "What the challenger learns from" not in run_page(plain)
    assert "consecutive blocks" not in run_page(plain)
    console = Console(record=True, width=80)
    print_summary(console, summary, LocalRun("run-1", [], "", 2.0, Path("run.log"), "ledger"))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    words = " ".join(text.replace("│", " ").split())
    assert chosen["sentence"] in words
    assert "On the same 200 rows, the champion scores 0.61 in roc_auc and the challenger 0.66." in words
