from __future__ import annotations

import numpy as np
from threadpoolctl import ThreadpoolController, threadpool_limits

from evergreen.models.threads import CELLS_WORTH_THREADS, fitting_threads


def blas_threads() -> set[int]:
    np.ones((2, 2)) @ np.ones((2, 2))
    return {library["num_threads"] for library in ThreadpoolController().info() if library["user_api"] == "blas"}


def test_small_data_has_one_thread_and_large_data_all() -> None:
    with threadpool_limits(limits=2, user_api="blas"):
        with fitting_threads(100, 10):
            assert blas_threads() == {1}
        with fitting_threads(CELLS_WORTH_THREADS, 1):
            assert blas_threads() == {2}
        assert blas_threads() == {2}
