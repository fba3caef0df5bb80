"""A room reads its own section of the policy; names that no policy has are refused everywhere."""

from __future__ import annotations

import pytest

from evergreen.errors import PolicyError
from evergreen.evaluation.gate_settings import GateSettings
from evergreen.performance.settings import PerformanceSettings
from evergreen.policy.policy_file import Policy, read_policy
from evergreen.settings.policy_sections import POLICY_SETTINGS, read_policy_section
from evergreen.training.settings import TrainingSettings

SECTIONS = {"performance": PerformanceSettings, "training": TrainingSettings, "gate": GateSettings}


def test_the_names_are_those_of_the_policy() -> None:
    assert tuple(Policy.model_fields) == POLICY_SETTINGS


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_is_what_the_whole_policy_says(section: str) -> None:
    given = {"performance": "{margin: 0.25}", "training": "{sample_rows: 5000}", "gate": "{slice_margin: 0.125}"}[section]
    policy = f"{{cooldown_days: 3, {section}: {given}}}"
    assert read_policy_section(policy, section, SECTIONS[section]) == getattr(read_policy(policy), section)
    assert read_policy_section("{cooldown_days: 3}", section, SECTIONS[section]) == getattr(Policy(), section)
    assert read_policy_section("default", section, SECTIONS[section]) == getattr(Policy(), section)


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("policy", ["{perfomance: {margin: 0.25}}", "{1: 2}", "{null: 2}"])
def test_a_name_that_no_policy_has_is_refused(section: str, policy: str) -> None:
    with pytest.raises(PolicyError, match=r"policy_config: Unknown setting '(perfomance|1|None)'\. Valid settings: version, triggers, .*Correct the name"):
        read_policy_section(policy, section, SECTIONS[section])


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("content", ["3", "[a]", "text", "{no_such: 3}", "null"])
def test_a_section_that_is_none_is_refused_by_its_room_and_by_the_policy_alike(section: str, content: str) -> None:
    policy = f"{{{section}: {content}}}"
    with pytest.raises(PolicyError) as whole:
        read_policy(policy)
    with pytest.raises(PolicyError) as own:
        read_policy_section(policy, section, SECTIONS[section])
    assert str(own.value) == str(whole.value)
