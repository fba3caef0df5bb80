"""Bootstrap draws of rows with replacement, as counts of cells or of rows, and metrics computed on many draws at once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from evergreen.metrics.sufficient_statistics import CellStatistics, MeanStatistics, RankStatistics, Statistics, auc_of_counts
from evergreen.models.threads import one_thread

Array = np.ndarray[Any, Any]

CELLS_IN_MEMORY = 2_000_000
ROWS_WORTH_THREADS = 20_000
MOST_WORKERS = 4


def resample(models: Sequence[Sequence[Statistics]], *, rows: int, resamples: int, seed: int) -> list[list[Array]]:
    """Return the scores of several models by several metrics on the same draws.

    Args:
        models: For each model, the statistics that each metric needs, with metrics in the same order for all models.
        rows: Number of rows.
        resamples: Number of draws.
        seed: Seed of the draws.

    Returns:
        For each model and metric, the scores, shape (resamples,); NaN where a metric is undefined on a draw.
    """
    scores = [[np.empty(resamples) for _ in statistics] for statistics in models]
    by_cell = [index for index, first in enumerate(models[0]) if isinstance(first, CellStatistics)]
    by_row = [index for index in range(len(models[0])) if index not in by_cell]
    if by_cell:
        _resample_cells([[model[index] for index in by_cell] for model in models], [[score[index] for index in by_cell] for score in scores], rows, seed)
    if by_row:
        _resample_rows([[model[index] for index in by_row] for model in models], [[score[index] for index in by_row] for score in scores], rows, seed)
    return scores


def _resample_cells(models: list[list[Any]], scores: list[list[Array]], rows: int, seed: int) -> None:
    """Resample cell counts with a multinomial draw, which has the same distribution as drawing rows and counting cells."""
    generator = np.random.default_rng(seed)
    resamples = len(scores[0][0])
    # All metrics of a model share their cells, so the first one represents all.
    codes = np.stack([model[0].codes for model in models], axis=1)
    joint, counts = _unique_rows(codes)
    members = [_membership(joint[:, index], model[0].classes ** 2) for index, model in enumerate(models)]
    for start, stop in _batches(resamples, max(len(joint), *(member.shape[1] for member in members))):
        drawn = generator.multinomial(rows, counts / rows, size=stop - start).astype(np.float64)
        for model, member, target in zip(models, members, scores, strict=True):
            matrices = (drawn @ member).reshape(-1, model[0].classes, model[0].classes)
            for statistics, values in zip(model, target, strict=True):
                values[start:stop] = statistics.finish(matrices)


def _unique_rows(codes: Array) -> tuple[Array, Array]:
    # Encode each combination as one number: np.unique along an axis sorts whole rows, which is a hundred times slower.
    width = codes.max(initial=0) + 1
    combined = codes[:, 0] if codes.shape[1] == 1 else codes[:, 0] * width + codes[:, 1]
    distinct, counts = np.unique(combined, return_counts=True)
    columns = [distinct] if codes.shape[1] == 1 else [distinct // width, distinct % width]
    return np.stack(columns, axis=1), counts


def _membership(codes: Array, cells: int) -> Array:
    member = np.zeros((len(codes), cells))
    member[np.arange(len(codes)), codes] = 1
    return member


def _resample_rows(models: list[list[Any]], scores: list[list[Array]], rows: int, seed: int) -> None:
    """Draw rows and count them, once for all models and metrics."""
    means_of = [item.columns for model in models for item in model if isinstance(item, MeanStatistics)]
    columns = np.concatenate([*means_of, np.empty((rows, 0))], axis=1)

    def fill(batch: tuple[int, int], own_seed: np.random.SeedSequence) -> None:
        start, stop = batch
        counts = _drawn_counts(rows, stop - start, own_seed)
        means = counts.astype(np.float64) @ columns / rows if columns.shape[1] else np.empty((len(counts), 0))
        offset = 0
        for model, target in zip(models, scores, strict=True):
            for item, values in zip(model, target, strict=True):
                if isinstance(item, RankStatistics):
                    values[start:stop] = auc_of_counts(item, counts)
                else:
                    width = item.columns.shape[1]
                    values[start:stop] = item.finish(means[:, offset : offset + width])
                    offset += width

    batches = list(_batches(len(scores[0][0]), rows))
    # One seed per batch, so that the draws do not depend on which thread processes a batch.
    seeds = np.random.SeedSequence(seed).spawn(len(batches))
    # NumPy releases the GIL while it works on long arrays; BLAS would start its own threads in each of ours.
    with one_thread(), ThreadPoolExecutor(max_workers=_workers(rows)) as pool:
        for _ in pool.map(fill, batches, seeds):
            pass


def _drawn_counts(rows: int, draws: int, seed: np.random.SeedSequence) -> Array:
    """Return how often each row was drawn, shape (draws, rows)."""
    # Eight-byte integers: bincount would first copy others, which takes three times as long. Drawn all at once and counted in place: freeing and
    # allocating memory for each draw takes longer than counting.
    counts: Array = np.random.default_rng(seed).integers(0, rows, size=(draws, rows))
    for drawn in counts:
        drawn[:] = np.bincount(drawn, minlength=rows)
    return counts


def _workers(rows: int) -> int:
    return min(MOST_WORKERS, os.cpu_count() or 1) if rows >= ROWS_WORTH_THREADS else 1


def _batches(count: int, width: int) -> Iterator[tuple[int, int]]:
    size = max(1, CELLS_IN_MEMORY // width)
    for start in range(0, count, size):
        yield start, min(start + size, count)
