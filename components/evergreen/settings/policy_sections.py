"""A room's own section of the policy.

A step reads what concerns it and refuses names that no policy has. What stands in the other sections is checked by the step that decides, which
reads the policy whole, before anything is trained.
"""

from __future__ import annotations

from typing import Any, TypeVar

from evergreen.errors import PolicyError
from evergreen.settings.reading import check_settings, read_mapping

Section = TypeVar("Section")

POLICY_SETTINGS = (
    "version",
    "triggers",
    "retrain_on_drift_severity",
    "maximum_model_age_days",
    "maximum_model_age_spans",
    "minimum_new_rows",
    "follow_up_windows",
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
"""The names that a policy may hold, those of `evergreen.policy.policy_file.Policy`."""


def read_policy_section(policy_config: str, section: str, model: type[Section]) -> Section:
    """Read one section of the policy.

    Args:
        policy_config: ``default``, YAML or JSON in line, or the path or ``gs://`` URI of a file.
        section: The section's name.
        model: What it must look like, a pydantic model.

    Returns:
        The section; its defaults when the policy has none of that name.

    Raises:
        PolicyError: The policy cannot be read, holds a name that no policy has, or a setting of the section cannot be used.
    """
    content: dict[Any, Any] = read_mapping(policy_config, parameter="policy_config", error=PolicyError) or {}
    unknown = [str(name) for name in content if name not in POLICY_SETTINGS]
    if unknown:
        raise PolicyError(f"policy_config: Unknown setting {unknown[0]!r}. Valid settings: {', '.join(POLICY_SETTINGS)}. Correct the name or leave it out.")
    if section not in content:
        return model()
    return check_settings(content[section], model, parameter="policy_config", error=PolicyError, section=section)
