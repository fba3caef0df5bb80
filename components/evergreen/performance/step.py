"""Settings that the components read from the policy file, and the precedence of their own parameters."""

from __future__ import annotations

from evergreen.performance.errors import PerformanceError
from evergreen.performance.settings import DEFAULT_HORIZON_DAYS, DEFAULT_MARGIN, DEFAULT_MINIMUM_ROWS, PerformanceSettings
from evergreen.settings.policy_sections import read_policy_section


def chosen_settings(policy_config: str, *, margin: float, minimum_rows: int) -> PerformanceSettings:
    """Return the settings of the policy's ``performance`` section, overridden by parameters that are not at their default.

    Args:
        policy_config: The policy parameter.
        margin: The component's own parameter.
        minimum_rows: The component's own parameter.

    Raises:
        PolicyError: The policy is invalid.
        PerformanceError: A parameter is out of range.
    """
    # "not (a >= b)" also catches NaN.
    if not (0 <= margin < float("inf")):
        raise PerformanceError(f"Invalid margin {margin}: expected 0 or a positive number in units of the metric, such as 0.02.")
    if minimum_rows < 2:
        raise PerformanceError(f"Invalid minimum_rows {minimum_rows}: expected at least 2, because fewer rows have no variance. Use 20 or more.")
    settings = read_policy_section(policy_config, "performance", PerformanceSettings)
    given = {
        name: value for name, value, default in (("margin", margin, DEFAULT_MARGIN), ("minimum_rows", minimum_rows, DEFAULT_MINIMUM_ROWS)) if value != default
    }
    return settings.model_copy(update=given)


def chosen_horizon(given: float, policy_config: str) -> float:
    """Return the horizon of a join: the given one unless it is the default, otherwise the policy's.

    Raises:
        PolicyError: The policy is invalid.
    """
    horizon: float = given if given != DEFAULT_HORIZON_DAYS else read_policy_section(policy_config, "performance", PerformanceSettings).horizon_days
    return horizon
