from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

from evergreen.metrics import resampling
from evergreen.metrics.predictions import Predictions
from evergreen.metrics.resampling import resample
from evergreen.metrics.sufficient_statistics import Statistics, row_statistics

ROWS, DRAWS = 25_000, 90


def models(*, tied: bool) -> tuple[Predictions, Predictions]:
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, ROWS)
    made = []
    for noise in (0.5, 0.7):
        positive = np.clip(labels * 0.4 + 0.3 + random.normal(0, noise, ROWS), 0.01, 0.99)
        positive = np.round(positive, 1) if tied else positive + random.uniform(0, 1e-6, ROWS)
        made.append(Predictions(labels, (positive > 0.5).astype(int), np.column_stack([1 - positive, positive]), (0, 1)))
    return made[0], made[1]


def statistics(model: Predictions, *names: str) -> list[Statistics]:
    found = [row_statistics(name, model) for name in names]
    assert None not in found
    return [item for item in found if item is not None]


@pytest.mark.parametrize("tied", [False, True])
def test_every_draw_of_many_rows_scores_as_scikit_learn_says(tied: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[int, np.ndarray] = {}
    usual = resampling._drawn_counts

    def remembered(rows: int, draws: int, seed: np.random.SeedSequence) -> np.ndarray:
        counts = usual(rows, draws, seed)
        drawn[seed.spawn_key[0]] = counts
        return counts

    monkeypatch.setattr(resampling, "_drawn_counts", remembered)
    both = models(tied=tied)
    scores = resample([statistics(model, "roc_auc", "neg_log_loss") for model in both], rows=ROWS, resamples=DRAWS, seed=3)
    counts = np.concatenate([drawn[key] for key in sorted(drawn)])
    assert counts.shape == (DRAWS, ROWS)
    assert (counts.sum(axis=1) == ROWS).all()
    for draw in (0, 1, 79, 80, DRAWS - 1):
        for model, found in zip(both, scores, strict=True):
            rows = np.repeat(np.arange(ROWS), counts[draw])
            assert found[0][draw] == pytest.approx(roc_auc_score(model.labels[rows], model.probabilities[rows, 1]), abs=1e-12)
            assert found[1][draw] == pytest.approx(-log_loss(model.labels[rows], model.probabilities[rows]), rel=1e-12)


def test_the_draws_depend_on_the_seed_and_not_on_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    model = models(tied=False)[0]

    def drawn(seed: int) -> np.ndarray:
        return resample([statistics(model, "roc_auc")], rows=ROWS, resamples=DRAWS, seed=seed)[0][0]

    several = drawn(3)
    monkeypatch.setattr(resampling, "MOST_WORKERS", 1)
    assert np.array_equal(drawn(3), several)
    assert not np.array_equal(drawn(4), several)
    assert len(np.unique(several)) == DRAWS, "no two batches draw the same"


def test_accuracy_from_cells_spreads_as_the_plain_loop_does() -> None:
    model = models(tied=False)[0]
    quick = resample([statistics(model, "accuracy")], rows=ROWS, resamples=2000, seed=3)[0][0]
    random = np.random.default_rng(4)
    plain = [accuracy_score(model.labels[rows], model.predicted[rows]) for rows in (random.integers(0, ROWS, ROWS) for _ in range(400))]
    assert quick.mean() == pytest.approx(np.mean(plain), abs=5 * np.std(plain) / np.sqrt(400))
    assert quick.std() == pytest.approx(np.std(plain), rel=0.2)
