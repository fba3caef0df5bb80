"""Reads a single section of the policy.

A step reads only the section that it needs, and rejects unknown top-level names. The step that makes the decision reads the whole policy and
checks the other sections before anything is trained.
"""

from __future__ import annotations

from typing import Any, TypeVar

from evergreen.errors import PolicyError
from evergreen.settings.reading import check_settings, read_mapping, unknown_setting

Section = TypeVar("Section")

POLICY_SETTINGS = (
    "version",
    "triggers",
    "retrain_on_drift_severity",
    "maximum_model_age_days",
    "maximum_model_age_spans",
    "minimum_new_rows",
    "follow_up_windows",
    "minimum_rows_since_change",
    "training_window",
    "hysteresis",
    "back_off",
    "cooldown_days",
    "budget",
    "event",
    "vetoes",
    "retrain_on_estimate",
    "performance",
    "feedback",
    "training",
    "gate",
)
"""Valid top-level names of a policy: the fields of `evergreen.policy.policy_file.Policy`."""


def read_policy_section(policy_config: str, section: str, model: type[Section]) -> Section:
    """Read one section of the policy.

    Args:
        policy_config: ``default``, inline YAML or JSON, or the path or ``gs://`` URI of a file.
        section: The section's name.
        model: Pydantic model that the section must match.

    Returns:
        The section; its defaults when the policy does not contain it.

    Raises:
        PolicyError: The policy cannot be read, contains an unknown name, or a setting of the section is invalid.
    """
    content: dict[Any, Any] = read_mapping(policy_config, parameter="policy_config", error=PolicyError) or {}
    unknown = [str(name) for name in content if name not in POLICY_SETTINGS]
    if unknown:
        raise PolicyError(f"policy_config: {unknown_setting(unknown[0], POLICY_SETTINGS)}")
    if section not in content:
        return model()
    return check_settings(content[section], model, parameter="policy_config", error=PolicyError, section=section)
