"""What every 95 % interval is made with; the standard library is enough, so that a step that only decides stays light."""

from statistics import NormalDist

NORMAL_QUANTILE = NormalDist().inv_cdf(0.975)
"""The standard normal distribution's quantile for two-sided 95 % intervals."""
