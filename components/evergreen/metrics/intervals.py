"""The quantile for 95% intervals, from the standard library alone so that steps that only decide stay light."""

from statistics import NormalDist

NORMAL_QUANTILE = NormalDist().inv_cdf(0.975)
"""Quantile of the standard normal distribution for two-sided 95% intervals."""
