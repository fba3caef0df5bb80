from __future__ import annotations

import re
from pathlib import Path

import pytest

from evergreen.evaluation.errors import EvaluationError
from evergreen.evaluation.gate_config import GateConfig, parse_gate_config


def test_default_asks_for_nothing_more() -> None:
    config = parse_gate_config("default")
    assert config == GateConfig()
    assert (config.when_unclear, config.slices, config.fairness, config.serving.check) == ("reject", [], None, True)


def test_json_yaml_and_a_file_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "gate.yaml").write_text("slices:\n- column: city\n- where: temperature > 1\n  margin: 0.1\n")
    expected = parse_gate_config('{"slices": [{"column": "city"}, {"where": "temperature > 1", "margin": 0.1}]}')
    assert parse_gate_config(str(tmp_path / "gate.yaml")) == expected
    assert expected.slices[1].margin == 0.1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "is neither YAML nor JSON"),
        ("- a: 1\n- b: 2", "holds list: expected a mapping of settings"),
        ("slice_margn: 0.1", "'slice_margn' is no setting; the settings are test, other_metrics"),
        ("slice_margin: -1", "slice_margin is -1: Input should be greater than or equal to 0"),
        (
            "test: wilcoxon\nslice_margin: x",
            "test is 'wilcoxon': Input should be 'bootstrap' or 'analytic'. Correct the value, or leave it out for the default. slice_margin is 'x': ",
        ),
        ('slices: [{"margin": 0.1}]', "a slice needs either column or where"),
        ('slices: [{"column": "a", "where": "b > 1"}]', "a slice needs either column or where"),
        ("fairness: {groups: []}", "fairness.groups is []: List should have at least 1 item"),
        ("floors: {accuracy: .nan}", "floors.accuracy is nan: Input should be a finite number"),
        ("/no/such/gate.yaml", "gate_config '/no/such/gate.yaml': there is no such file"),
    ],
)
def test_what_is_wrong_is_named(text: str, message: str) -> None:
    with pytest.raises(EvaluationError, match=re.escape(message)):
        parse_gate_config(text)
