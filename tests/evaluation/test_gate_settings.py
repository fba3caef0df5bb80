from __future__ import annotations

import re
from pathlib import Path

import pytest

from evergreen.errors import PolicyError
from evergreen.evaluation.gate_settings import GateSettings
from evergreen.policy.policy_file import read_policy


def test_default_asks_for_nothing_more() -> None:
    config = read_policy("default").gate
    assert config == GateSettings()
    assert (config.when_unclear, config.slices, config.fairness, config.serving.check) == ("reject", [], None, True)


def test_json_yaml_and_a_file_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "gate.yaml").write_text("gate:\n  slices:\n  - column: city\n  - where: temperature > 1\n    margin: 0.1\n")
    expected = read_policy('{"gate": {"slices": [{"column": "city"}, {"where": "temperature > 1", "margin": 0.1}]}}').gate
    assert read_policy(str(tmp_path / "gate.yaml")).gate == expected
    assert expected.slices[1].margin == 0.1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "gate is [1]: Input should be a valid dictionary"),
        ("{slice_margn: 0.1}", "Unknown setting 'gate.slice_margn'. Valid settings: test, other_metrics"),
        ("{serving: {p98: 3}}", "Unknown setting 'gate.serving.p98'. Valid settings: check, p99_milliseconds"),
        ("{slice_margin: -1}", "gate.slice_margin is -1: Input should be greater than or equal to 0"),
        (
            "{test: wilcoxon, slice_margin: x}",
            "gate.test is 'wilcoxon': Input should be 'bootstrap' or 'analytic'. Correct the value, or omit it to use the default. gate.slice_margin is ",
        ),
        ("{slices: [{margin: 0.1}]}", "a slice needs either column or where"),
        ("{slices: [{column: a, where: b > 1}]}", "a slice needs either column or where"),
        ("{fairness: {groups: []}}", "gate.fairness.groups is []: List should have at least 1 item"),
        ("{floors: {accuracy: .nan}}", "gate.floors.accuracy is nan: Input should be a finite number"),
    ],
)
def test_what_is_wrong_is_named(text: str, message: str) -> None:
    with pytest.raises(PolicyError, match=re.escape(f"policy_config: {message}") if message.startswith(("gate", "'")) else re.escape(message)):
        read_policy(f"gate: {text}")
