"""A step that is killed at the worst moment, for tests that run it again."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from evergreen.registry.ledger import Entry, Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator


class KilledError(BaseException):
    """What a step that is stopped does not catch."""


@contextmanager
def killed_after_its_ledger_record() -> Iterator[None]:
    """Kill the step that runs inside as soon as its record is in the ledger."""
    append = Ledger.append

    def appended_and_killed(self: Ledger, entry: Entry, **options: Any) -> None:
        append(self, entry, **options)
        raise KilledError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "append", appended_and_killed)
        with pytest.raises(KilledError):
            yield
