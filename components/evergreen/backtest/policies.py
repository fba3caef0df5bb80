"""The policies of a backtest, by name."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from evergreen.backtest.errors import BacktestError
from evergreen.backtest.every_window import EveryWindow
from evergreen.backtest.replayed import ALWAYS, BOUNDS, FIXED, INFORMED, NEVER
from evergreen.policy.policy_file import Policy, read_policy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

DEFAULT = "default"


def policies_to_compare(files: Sequence[str], *, hindsight: bool = False, changes: Sequence[pd.Timestamp] = ()) -> dict[str, Policy | EveryWindow | str]:
    """Return the policies by name: the bounds and the given ones, or the default policy if none is given.

    Args:
        files: Paths or URIs of policy files; each policy is named after its file. ``default`` is the default policy.
        hindsight: Whether the best fixed window is one of the bounds.
        changes: Event times at which the relation changed; if there are any, a policy that knows them is one of the bounds.

    Raises:
        PolicyError: A file is invalid.
        BacktestError: Two files have the same name, or a name is reserved.
    """
    found: dict[str, Policy] = {}
    for file in files or [DEFAULT]:
        name = DEFAULT if file == DEFAULT else PurePosixPath(file).stem
        if name in BOUNDS or name in found:
            raise BacktestError(f"--policy {file}: the name {name!r} is already taken. Rename the file, because policies are named after their files.")
        found[name] = read_policy(file)
    return with_bounds(found, hindsight=hindsight, changes=changes)


def with_bounds(policies: Mapping[str, Policy], *, hindsight: bool = False, changes: Sequence[pd.Timestamp] = ()) -> dict[str, Policy | EveryWindow | str]:
    """Add the policies used for comparison: never and always, and those that know what is only known in hindsight."""
    known: dict[str, EveryWindow | str] = {FIXED: FIXED} if hindsight else {}
    if changes:
        known[INFORMED] = EveryWindow(INFORMED, changes=tuple(changes))
    return {ALWAYS: ALWAYS, **known, **policies, NEVER: NEVER}
