"""Error texts for unknown names: the valid names, and the one that was probably meant."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """Return a sentence that suggests the valid name closest to an unknown one, ignoring case.

    Args:
        name: The unknown name.
        valid: The valid names.

    Returns:
        The sentence after a space, such as `` Did you mean 'gate'?``; empty if no valid name is close.
    """
    by_lower = {candidate.lower(): candidate for candidate in valid}
    close = difflib.get_close_matches(name.lower(), list(by_lower), n=1)
    return f" Did you mean {by_lower[close[0]]!r}?" if close else ""
