"""What the components take from the policy file, and what they do with their artifacts."""

from __future__ import annotations

from evergreen.performance.settings import DEFAULT_HORIZON_DAYS
from evergreen.policy.policy_file import read_policy


def chosen_horizon(given: float, policy_config: str) -> float:
    """Return the horizon of a join: the one given unless it is the default, else the policy's.

    Raises:
        PolicyError: The policy cannot be used.
    """
    horizon: float = given if given != DEFAULT_HORIZON_DAYS else read_policy(policy_config).performance.horizon_days
    return horizon
