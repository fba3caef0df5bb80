"""The policies of a backtest, by name."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from evergreen.backtest.errors import BacktestError
from evergreen.backtest.replay import ALWAYS, NEVER
from evergreen.policy.policy_file import Policy, read_policy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEFAULT = "default"


def policies_to_compare(files: Sequence[str]) -> dict[str, Policy | str]:
    """Return the policies by name: never and always, and the given ones, or the default policy when none is given.

    Args:
        files: Paths or URIs of policy files; each policy is named after its file. ``default`` is the default policy.

    Raises:
        PolicyError: A file cannot be used.
        BacktestError: Two files have one name, or a name is taken.
    """
    found: dict[str, Policy | str] = {}
    for file in files or [DEFAULT]:
        name = DEFAULT if file == DEFAULT else PurePosixPath(file).stem
        if name in (NEVER, ALWAYS) or name in found:
            raise BacktestError(f"--policy {file}: the name {name!r} is taken. Rename the file; policies are named after their files.")
        found[name] = read_policy(file)
    return with_bounds(found)


def with_bounds(policies: Mapping[str, Policy | str]) -> dict[str, Policy | str]:
    """Return policies with the two that they are compared with, the longest to replay first."""
    return {ALWAYS: ALWAYS, **policies, NEVER: NEVER}
