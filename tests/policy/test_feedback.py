"""What users say weighs, but no single source decides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kfp import dsl

from evergreen.errors import PolicyError
from evergreen.policy.component import decide_retraining
from evergreen.policy.decision import decide
from evergreen.policy.feedback import capped_weights, feedback, wilson_lower
from evergreen.policy.feedback_settings import FeedbackSettings
from evergreen.policy.policy_file import Hysteresis, Policy, read_policy
from policy.given_evidence import evidence_of

if TYPE_CHECKING:
    from pathlib import Path

    from evergreen.policy.evidence import Evidence

BASELINE = {"present": True, "version": "3", "fit_end": "1981-01-01T00:00:00Z"}
AT_ONCE = Hysteresis(needed=1, windows=1)


def heard(**sources: tuple[int, float]) -> Evidence:
    """Evidence in which each source said so many things, and so many of them were bad."""
    entries = [{"source": name, "rows": rows, "negative": negative} for name, (rows, negative) in sources.items()]
    content = {"present": True, "rows": sum(entry["rows"] for entry in entries), "sources": entries}
    return evidence_of({"verdict": "no drift"}, {"verdict": "holds"}, BASELINE, "auto", "1981-02-01T00:00:00Z", feedback=content)


def people(count: int, rows: int, negative: float) -> dict[str, tuple[int, float]]:
    return {f"user{number}": (rows, negative) for number in range(count)}


def test_ten_thousand_complaints_of_one_source_do_not_fire() -> None:
    alone = heard(hostile=(10_000, 10_000))
    assert feedback(alone, FeedbackSettings()).verdict == "cannot tell"
    assert "with at most 25% of the weight per source, at least 4 sources" in feedback(alone, FeedbackSettings()).sentence
    among = heard(hostile=(10_000, 10_000), **people(40, 5, 1))
    said = feedback(among, FeedbackSettings())
    assert (said.verdict, said.value) == ("quiet", pytest.approx(0.25 + 0.75 * 0.2))
    assert decide(among, Policy(hysteresis=AT_ONCE)).decision == "keep"


def test_a_broad_change_fires() -> None:
    broad = heard(**people(60, 5, 4))
    said = feedback(broad, FeedbackSettings())
    assert (said.verdict, said.value) == ("fired", pytest.approx(0.8))
    assert said.sentence == "Users complain: 300 feedback items from 60 sources, 80% negative by weight (95 % lower bound 75%), above the limit of 50%."
    made = decide(broad, Policy(hysteresis=AT_ONCE))
    assert (made.decision, made.rule, made.alert) == ("retrain", "feedback", True)
    waits = decide(broad, Policy())
    assert (waits.decision, waits.rule, waits.alert) == ("keep", "hysteresis", True)
    left_out = decide(broad, Policy(hysteresis=AT_ONCE, triggers=("performance",)))
    assert (left_out.decision, left_out.rule) == ("keep", "alert_only")


def test_an_unreliable_source_counts_less() -> None:
    sources = {**people(10, 10, 0), "bot1": (60, 60), "bot2": (60, 60), "bot3": (60, 60)}
    loud = FeedbackSettings()
    quiet = FeedbackSettings(reliability={"bot1": 0.0, "bot2": 0.1, "bot3": 0.1})
    assert feedback(heard(**sources), loud).verdict == "fired"
    assert feedback(heard(**sources), quiet).verdict == "quiet"
    unknown = FeedbackSettings(default_reliability=0.1)
    assert feedback(heard(**sources), unknown).verdict == "cannot tell"


def test_little_feedback_cannot_tell_and_none_is_quiet() -> None:
    few = feedback(heard(**people(8, 5, 5)), FeedbackSettings())
    assert (few.verdict, "40" in few.sentence and "50" in few.sentence) == ("cannot tell", True)
    silent = evidence_of({"verdict": "no drift"}, {"verdict": "holds"}, BASELINE, "auto", "latest")
    assert feedback(silent, FeedbackSettings()).verdict == "quiet"
    assert decide(silent, Policy()).rule == "all_quiet"


@given(st.dictionaries(st.text(min_size=1, max_size=3), st.just(0.0) | st.floats(1e-3, 1e6), max_size=12), st.floats(0.05, 0.9))
def test_no_source_has_more_than_its_share(weights: dict[str, float], share: float) -> None:
    capped = capped_weights(weights, share)
    counting = sum(weight > 0 for weight in weights.values())
    if capped is None:
        assert counting * share <= 1 + 1e-6
        return
    total = sum(capped.values())
    assert counting * share >= 1 - 1e-6
    assert all(weight <= share * total * (1 + 1e-6) for weight in capped.values())
    assert all(weight <= weights[name] for name, weight in capped.items())


def test_the_lower_end_of_a_share() -> None:
    # What SciPy's binomtest says of 80 in 100.
    assert wilson_lower(0.8, 100) == pytest.approx(0.7111708)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("{feedback: {maximum_source_share: 0.6}}", "maximum_source_share 0.6 must be below negative_share 0.5"),
        ("{feedback: {reliability: {bot: 2}}}", "feedback.reliability.bot is 2"),
        ("{feedback: {negative_share: -0.1}}", "feedback.negative_share is -0.1"),
        ("{feedback: {volume: 3}}", "Unknown setting 'feedback.volume'"),
    ],
)
def test_a_section_that_cannot_be_used_is_named(policy: str, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        read_policy(policy)


def run_decision(folder: Path, policy: str, feedback_artifact: Any = None) -> dict[str, Any]:
    for name, content in (("drift_result", {"verdict": "no drift"}), ("performance_result", {"verdict": "holds"}), ("baseline", BASELINE)):
        (folder / name).write_text(json.dumps(content))
    results: dict[str, Any] = {
        name: dsl.Artifact(name=name, uri=str(folder / name), metadata={}) for name in ("drift_result", "performance_result", "decision")
    }
    baseline = dsl.Artifact(name="baseline", uri=str(folder / "baseline"), metadata={"present": True})
    report = dsl.HTML(name="report", uri=str(folder / "report"), metadata={})
    decide_retraining.python_func(
        **results, baseline=baseline, decision_report=report, policy_config=policy, feedback=feedback_artifact, window_end="2026-02-01T00:00:00Z"
    )
    made: dict[str, Any] = json.loads((folder / "decision").read_text())
    return made


def test_the_step_reads_feedback_from_the_artifact_or_from_where_the_policy_says(tmp_path: Path) -> None:
    lines = [f"2026-01-{10 + number % 20}T00:00:00Z,user{number % 50},thumbs_down" for number in range(200)]
    (tmp_path / "feedback.csv").write_text("\n".join(["time,source,kind", *lines]))
    policy = f"{{hysteresis: {{needed: 1, windows: 1}}, feedback: {{source_uri: {tmp_path / 'feedback.csv'}}}}}"
    assert run_decision(tmp_path, policy)["rule"] == "feedback"
    assert run_decision(tmp_path, "default")["rule"] == "all_quiet"
    (tmp_path / "counted").write_text(json.dumps({"present": False, "sentence": "Nobody said anything."}))
    given_artifact = dsl.Artifact(name="f", uri=str(tmp_path / "counted"), metadata={"present": True})
    made = run_decision(tmp_path, policy, given_artifact)
    assert made["rule"] == "all_quiet"
    assert next(trigger for trigger in made["triggers"] if trigger["name"] == "feedback")["sentence"] == "Nobody said anything."
