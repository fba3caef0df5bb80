from __future__ import annotations

from typing import Any

import pytest

from evergreen.pipeline.conditions import ConditionError, is_met

GATE = {"pipelinechannel--decide-Output": "retrain", "pipelinechannel--rows": 12, "pipelinechannel--flag": True}


@pytest.mark.parametrize(
    ("condition", "met"),
    [
        ("inputs.parameter_values['pipelinechannel--decide-Output'] == 'retrain'", True),
        ("!(inputs.parameter_values['pipelinechannel--decide-Output'] == 'retrain')", False),
        ("inputs.parameter_values['pipelinechannel--decide-Output'] != 'keep'", True),
        ("int(inputs.parameter_values['pipelinechannel--rows']) > 11", True),
        ("double(inputs.parameter_values['pipelinechannel--rows']) <= -1.5", False),
        ("inputs.parameter_values['pipelinechannel--flag'] == true", True),
        ("!(inputs.parameter_values['pipelinechannel--flag'] == true) || int(inputs.parameter_values['pipelinechannel--rows']) == 12", True),
        ("!(inputs.parameter_values['pipelinechannel--flag'] == true) && int(inputs.parameter_values['pipelinechannel--rows']) == 12", False),
        # Operators and words inside of a literal stay what they are.
        ("inputs.parameter_values['pipelinechannel--decide-Output'] == 'true && !retrain'", False),
    ],
)
def test_conditions_of_the_compiler_are_evaluated(condition: str, met: bool) -> None:
    assert is_met(condition, GATE) is met


@pytest.mark.parametrize(
    "condition",
    [
        "__import__('os').system('true')",
        "inputs.other['x'] == 'y'",
        "inputs.parameter_values['missing'] == 'y'",
        "int(inputs.parameter_values['pipelinechannel--decide-Output']) > 1",
        "inputs.parameter_values['pipelinechannel--rows'] > 'text'",
        "1 ==",
        "[x for x in (1, 2)]",
    ],
)
def test_anything_else_is_an_error(condition: Any) -> None:
    with pytest.raises(ConditionError, match="cannot be evaluated"):
        is_met(condition, GATE)
