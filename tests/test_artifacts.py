"""What travels in an artifact's metadata stays small, and nothing of a manifest is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from kfp import dsl

from evergreen import ingest_data, validate_data
from evergreen.data.artifacts import ArtifactError, manifest_of

if TYPE_CHECKING:
    from collections.abc import Callable


def ingested(folder: Path, events: pd.DataFrame, files: int) -> dsl.Dataset:
    """Ingest events that lie in so many files."""
    source = folder / "source"
    source.mkdir()
    for number in range(files):
        events.iloc[number::files].to_parquet(source / f"part-{number:03d}.parquet", index=False)
    dataset = dsl.Dataset(name="dataset", uri=str(folder / "dataset"))
    ingest_data.python_func(dataset=dataset, source_uri=str(source), timestamp_column="time", window_days=400)
    return dataset


@pytest.mark.parametrize(("files", "columns"), [(1, 0), (3, 40), (120, 0), (120, 200)])
def test_metadata_stays_small_and_the_manifest_is_whole(files: int, columns: int, tmp_path: Path, make_events: Callable[..., pd.DataFrame]) -> None:
    events = make_events(days=130)
    wide = pd.concat([events, pd.DataFrame({f"feature_{number}": range(len(events)) for number in range(columns)})], axis=1)
    dataset = ingested(tmp_path, wide, files)
    validated = dsl.Dataset(name="validated_data", uri=str(tmp_path / "validated"))
    outputs = {name: dsl.Artifact(name=name, uri=str(tmp_path / name)) for name in ("quarantined_data", "contract_used", "validation_report")}
    validate_data.python_func(dataset=dataset, validated_data=validated, target_column="rain", timestamp_column="time", **outputs)
    for artifact in (dataset, validated):
        assert len(json.dumps(artifact.metadata)) < 2500
        manifest = manifest_of(artifact)
        assert manifest is not None
        assert {Path(entry["uri"]).name for entry in manifest.objects} == {f"part-{number:03d}.parquet" for number in range(files)}
        assert set(wide.columns) == set(manifest.schema)
        assert (manifest.rows, len(pd.read_parquet(artifact.path))) == (len(wide), len(wide))


def test_a_successor_does_not_take_over_what_the_launcher_added(tmp_path: Path, make_events: Callable[..., pd.DataFrame]) -> None:
    dataset = ingested(tmp_path, make_events(days=130), 1)
    dataset.metadata.update({"display_name": "dataset", "store_session_info": "{}"})
    validated = dsl.Dataset(name="validated_data", uri=str(tmp_path / "validated"))
    outputs = {name: dsl.Artifact(name=name, uri=str(tmp_path / name)) for name in ("quarantined_data", "contract_used", "validation_report")}
    validate_data.python_func(dataset=dataset, validated_data=validated, target_column="rain", timestamp_column="time", **outputs)
    assert {"display_name", "store_session_info"}.isdisjoint(validated.metadata)


def test_a_dataset_without_its_file_names_it(tmp_path: Path, make_events: Callable[..., pd.DataFrame]) -> None:
    dataset = ingested(tmp_path, make_events(days=130), 20)
    Path(dataset.path).unlink()
    with pytest.raises(ArtifactError, match=r"dataset .*dataset: its list of source files cannot be read: .* Rerun the step that wrote it\."):
        manifest_of(dataset)
