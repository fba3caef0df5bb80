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
    """Return the policies by name: never, always and the given ones, or the default policy if none is given.

    Args:
        files: Paths or URIs of policy files; each policy is named after its file. ``default`` is the default policy.

    Raises:
        PolicyError: A file is invalid.
        BacktestError: Two files have the same name, or a name is reserved.
    """
    found: dict[str, Policy | str] = {}
    for file in files or [DEFAULT]:
        name = DEFAULT if file == DEFAULT else PurePosixPath(file).stem
        if name in (NEVER, ALWAYS) or name in found:
            raise BacktestError(f"--policy {file}: the name {name!r} is already taken. Rename the file, because policies are named after their files.")
        found[name] = read_policy(file)
    return with_bounds(found)


def with_bounds(policies: Mapping[str, Policy | str]) -> dict[str, Policy | str]:
    """Add the two policies used for comparison, with the slowest to replay first."""
    return {ALWAYS: ALWAYS, **policies, NEVER: NEVER}
