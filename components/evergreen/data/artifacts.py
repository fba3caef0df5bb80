"""How datasets, models and reports lie on disk, whatever runs the step.

A dataset is one Parquet file, or a folder of them; artifact paths have no suffix, so readers look at the content. Its
manifest travels in the artifact's metadata, long lists in it with the rows. Anything that may be absent (there is no champion on the first run) is
written all the same, with ``metadata["present"]`` false: KFP passes over outputs that were not written in silence.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.data.json_values import plain, to_json
from evergreen.errors import ArtifactError
from evergreen.secrets.redaction import mask_json
from evergreen.storage.local_paths import check_local_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas
    import pyarrow
    import pyarrow.dataset

PRESENT = "present"
"""Key of the metadata entry that tells whether an artifact holds anything."""

ADDED_BY_LAUNCHER = ("display_name", "store_session_info")
"""Metadata that KFP adds to every artifact by itself."""

MOST_TRAVELLING_OBJECTS = 5
MOST_TRAVELLING_COLUMNS = 20
OBJECTS_IN_FILE = "evergreen.objects"

ABSENT_MARKER = {"present": False, "meaning": "There is nothing here on purpose; see metadata['present']."}


@dataclass(frozen=True)
class DataManifest:
    """Where a dataset's rows came from.

    Attributes:
        source_uri: What was asked for.
        objects: One entry for each file read: ``uri``, ``version`` and ``bytes``.
        window: ``start`` and ``end`` of the half-open window [start, end), ISO times in UTC.
        rows: Number of rows.
        schema: Type of each column, by name.
        fingerprint: Hash of the content, independent of row order and file layout.
        created: ISO time at which the dataset was made.
    """

    source_uri: str
    objects: list[dict[str, Any]]
    window: dict[str, str]
    rows: int
    schema: dict[str, str]
    fingerprint: str
    created: str


@dataclass(frozen=True)
class ModelDescription:
    """What is known of a fitted model beside its bytes; stored with it as ``evergreen.json``.

    Attributes:
        task: ``classification`` or ``regression``.
        target_column: Name of the label.
        timestamp_column: Name of the event time.
        features: Type of each feature (``number``, ``category``, ``boolean`` or ``date``), in the order the model takes.
        classes: The labels in the order of the model's probabilities; empty for regression.
        fit_start: First event time that the model was fitted on, ISO, UTC.
        fit_end: Event time up to which (exclusive) the model has seen rows, ISO, UTC.
        rows: Number of rows that the model was fitted on.
        estimator: Import path of the estimator.
        hyperparameters: Its hyperparameters as given or found.
        seed: The seed of everything random.
        data_fingerprint: Fingerprint of the dataset.
        challenger_id: Hash of data fingerprint, recipe, seed and code version.
        importances: Importance of each feature; higher is more. Empty when unknown.
        durations: Seconds spent, by phase.
        trusted_types: Types beside the reviewed list that the user trusts when the model is loaded.
        training_options: How the rows were used (weights, sampling, encoding), where it differs from the defaults.
        training_data_uri: Where the rows lay; empty when unknown.
    """

    task: str
    target_column: str
    timestamp_column: str
    features: dict[str, str]
    classes: list[Any]
    fit_start: str
    fit_end: str
    rows: int
    estimator: str
    hyperparameters: dict[str, Any]
    seed: int
    data_fingerprint: str
    challenger_id: str
    importances: dict[str, float] = field(default_factory=dict)
    durations: dict[str, float] = field(default_factory=dict)
    trusted_types: list[str] = field(default_factory=list)
    training_options: dict[str, Any] = field(default_factory=dict)
    training_data_uri: str = ""


def write_json(path: str | Path, value: Any) -> None:
    """Write a value as JSON; dataclasses are taken apart, numbers that are not finite become null, secret values their variables' names."""
    content = asdict(value) if hasattr(value, "__dataclass_fields__") else value
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(to_json(mask_json(plain(content))))


def read_json(path: str | Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ArtifactError: The file is absent or holds something else.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ArtifactError(f"artifact {path}: expected a JSON object, but reading it failed: {error}.") from error
    if not isinstance(content, dict):
        raise ArtifactError(f"artifact {path}: expected a JSON object, found {type(content).__name__}.")
    return content


def write_metrics(artifact: Any, numbers: Mapping[str, float | None]) -> None:
    """Add numbers to a metrics artifact, under the names that people read; what is not known or not finite is left out.

    The KFP UI shows the names in alphabetical order, and MLflow, where KFP logs them too, takes letters, digits, spaces and ``_-.:/``.

    Args:
        artifact: Output artifact of the metrics.
        numbers: The numbers.
    """
    for name, value in numbers.items():
        if value is not None and math.isfinite(value):
            artifact.log_metric(name, float(value))
    # KFP keeps metrics in metadata; the file exists too, because an output without one is passed over in silence.
    write_json(artifact.path, {name: value for name, value in artifact.metadata.items() if isinstance(value, float)})


def write_absent(artifact: Any) -> None:
    """Write an output that holds nothing: a marker file, and ``metadata["present"]`` false."""
    write_json(artifact.path, ABSENT_MARKER)
    artifact.metadata[PRESENT] = False


def is_present(artifact: Any) -> bool:
    """Return whether an input artifact holds anything.

    An artifact that Evergreen did not write (``dsl.importer``, another component) has no such metadata; it counts as
    present when its path exists.
    """
    if artifact is None:
        return False
    return bool(artifact.metadata.get(PRESENT, Path(artifact.path).exists()))


def describe_dataset(artifact: Any, manifest: DataManifest) -> None:
    """Put a dataset's manifest into the metadata of its artifact, with the numbers that a person looks for on top.

    Every step that gets the artifact gets its metadata, and a run's Workflow repeats it six times for each. Long lists of files and
    columns therefore stay with the rows, in the Parquet file: `stored_objects` gives what to write there, and `manifest_of` reads it back.
    """
    travels = plain(asdict(manifest))
    if len(manifest.objects) > MOST_TRAVELLING_OBJECTS:
        del travels["objects"]
    if len(manifest.schema) > MOST_TRAVELLING_COLUMNS:
        del travels["schema"]
    artifact.metadata.update(
        {
            PRESENT: True,
            "rows": manifest.rows,
            "window_start": manifest.window["start"],
            "window_end": manifest.window["end"],
            "fingerprint": manifest.fingerprint,
            # KFP turns integers inside nested metadata into floats; text survives every backend unchanged.
            "manifest": json.dumps(mask_json(travels), sort_keys=True),
        }
    )


def stored_objects(objects: list[dict[str, Any]]) -> dict[str, str]:
    """Return what to write into a dataset's Parquet file, as metadata of the file; nothing where the list is short enough to travel."""
    return {OBJECTS_IN_FILE: json.dumps(plain(objects), sort_keys=True)} if len(objects) > MOST_TRAVELLING_OBJECTS else {}


def inherited_metadata(dataset: Any) -> dict[str, Any]:
    """Return the metadata of a dataset that its successor keeps: all but what KFP's launcher added about this very artifact."""
    return {name: value for name, value in dataset.metadata.items() if name not in ADDED_BY_LAUNCHER}


def manifest_of(artifact: Any) -> DataManifest | None:
    """Return the manifest of a dataset artifact, or None when it was not made by Evergreen.

    Raises:
        ArtifactError: Part of the manifest lies in the dataset's file, and the file has lost it.
    """
    text = artifact.metadata.get("manifest")
    if not text:
        return None
    content = json.loads(text)
    if "objects" not in content or "schema" not in content:
        content = {**_manifest_in_file(artifact.path), **content}
    return DataManifest(**content)


def _manifest_in_file(path: str) -> dict[str, Any]:
    import pyarrow
    import pyarrow.parquet

    try:
        described = pyarrow.parquet.read_metadata(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise ArtifactError(f"dataset {path}: its list of source files cannot be read: {error}. Run the step that wrote it again.") from error
    objects = (described.metadata or {}).get(OBJECTS_IN_FILE.encode(), b"[]")
    return {"objects": json.loads(objects), "schema": {field.name: str(field.type) for field in described.schema.to_arrow_schema()}}


def open_table(path: str | Path) -> pyarrow.dataset.Dataset:
    """Open a tabular artifact, a file or a folder, Parquet or CSV, for reading in batches.

    Raises:
        ArtifactError: There is nothing at the path, it leads to secrets, or it is neither Parquet nor CSV.
    """
    import pyarrow.dataset

    location = Path(path)
    check_local_path(location, thing=f"dataset {location}", error_class=ArtifactError)
    if not location.exists():
        raise ArtifactError(f"dataset {location}: there is no such file or folder. Check the step that should have written it.")
    files = sorted(file for file in location.rglob("*") if file.is_file() and not file.name.startswith((".", "_"))) if location.is_dir() else [location]
    if not files:
        raise ArtifactError(f"dataset {location}: the folder holds no files; expected Parquet or CSV.")
    for file in files:
        check_local_path(file, thing=f"dataset file {file}", error_class=ArtifactError)
    layout = "parquet" if is_parquet(files[0]) else "csv"
    try:
        return pyarrow.dataset.dataset([str(file) for file in files], format=layout)
    except (pyarrow.ArrowException, OSError) as error:
        raise ArtifactError(f"dataset {location}: cannot be read as {layout}: {error}.") from error


def is_parquet(file: Path) -> bool:
    """Return whether a file starts as Parquet files do."""
    with file.open("rb") as content:
        return content.read(4) == b"PAR1"


def read_frame(path: str | Path, columns: list[str] | None = None) -> pandas.DataFrame:
    """Read a tabular artifact whole into a pandas frame.

    Args:
        path: A file or a folder, Parquet or CSV.
        columns: The columns wanted; all when None.

    Raises:
        ArtifactError: The artifact cannot be read, or lacks one of the columns.
    """
    table = open_table(path)
    missing = [name for name in columns or [] if name not in table.schema.names]
    if missing:
        raise ArtifactError(f"dataset {path}: has no column {missing[0]!r}; its columns are {', '.join(table.schema.names)}.")
    frame: pandas.DataFrame = table.to_table(columns=columns).to_pandas()
    return frame


def feature_columns(names: list[str], *, target_column: str, timestamp_column: str) -> list[str]:
    """Return the columns a model may learn from: all but the label and the event time."""
    return [name for name in names if name not in (target_column, timestamp_column)]
