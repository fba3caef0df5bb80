from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def history(make_events: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    """Three hundred quiet days, then two hundred on which the relation is turned round."""
    quiet = make_events(days=300, per_day=4)
    turned = make_events(start="2020-10-27", days=200, per_day=4, seed=1, flip=True)
    return pd.concat([quiet, turned], ignore_index=True)
