"""The on-disk layout of datasets, models and reports, regardless of what runs the step.

A dataset is a Parquet file or a folder of them; artifact paths have no suffix, so readers inspect the content. Its manifest is stored in the
artifact's metadata, except for long lists, which are stored with the rows. An output that may be absent (there is no champion on the first run)
is still written, with ``metadata["present"]`` false, because KFP silently ignores outputs that were not written.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from evergreen.data.json_values import plain, to_json
from evergreen.errors import ArtifactError
from evergreen.secrets.redaction import mask_json
from evergreen.storage.local_paths import check_local_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas
    import pyarrow
    import pyarrow.dataset

Origin = Literal["trained", "former champion", "constant baseline"]
"""How a challenger came about."""

PRESENT = "present"
"""Metadata key that says whether an artifact has content."""

ADDED_BY_LAUNCHER = ("display_name", "store_session_info")
"""Metadata that KFP itself adds to every artifact."""

MOST_TRAVELLING_OBJECTS = 5
MOST_TRAVELLING_COLUMNS = 20
OBJECTS_IN_FILE = "evergreen.objects"

ABSENT_MARKER = {"present": False, "meaning": "Intentionally empty; see metadata['present']."}


@dataclass(frozen=True)
class DataManifest:
    """The origin of a dataset's rows.

    Attributes:
        source_uri: The requested source.
        objects: One entry per file read: ``uri``, ``version`` and ``bytes``.
        window: ``start`` and ``end`` of the half-open window [start, end), ISO times in UTC.
        rows: Number of rows.
        schema: Type of each column by name.
        fingerprint: Hash of the content, independent of row order and file layout.
        created: ISO time at which the dataset was created.
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
    """Metadata of a fitted model, stored with it as ``evergreen.json``.

    Attributes:
        task: ``classification`` or ``regression``.
        target_column: Name of the label column.
        timestamp_column: Name of the event time column.
        features: Type of each feature (``number``, ``category``, ``boolean`` or ``date``), in the order that the model expects.
        classes: The labels in the order of the model's probabilities; empty for regression.
        fit_start: First event time that the model was fitted on, ISO, UTC.
        fit_end: Exclusive end of the event times that the model was fitted on, ISO, UTC.
        rows: Number of rows that the model was fitted on.
        estimator: Import path of the estimator.
        hyperparameters: The estimator's hyperparameters, as given or found by search.
        seed: The random seed.
        data_fingerprint: Fingerprint of the dataset.
        challenger_id: Hash of data fingerprint, recipe, seed and code version.
        importances: Importance of each feature; higher is more important. Empty when unknown.
        durations: Seconds spent per phase.
        trusted_types: Types not on the reviewed list that the user trusts when the model is loaded.
        training_options: Options that differ from their defaults (weights, sampling, encoding).
        training_data_uri: Location of the rows; empty when unknown.
        origin: ``trained``, ``former champion`` or ``constant baseline``.
        former_version: Version of the former champion; empty for a trained model.
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
    origin: Origin = "trained"
    former_version: str = ""


def write_json(path: str | Path, value: Any) -> None:
    """Write a value as JSON; dataclasses become objects, non-finite numbers become null, and secret values become their variables' names."""
    content = asdict(value) if hasattr(value, "__dataclass_fields__") else value
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(to_json(mask_json(plain(content))))


def read_json(path: str | Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ArtifactError: The file is absent or is not a JSON object.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ArtifactError(f"artifact {path}: expected a JSON object, but reading it failed: {error}.") from error
    if not isinstance(content, dict):
        raise ArtifactError(f"artifact {path}: expected a JSON object, found {type(content).__name__}.")
    return content


def write_metrics(artifact: Any, numbers: Mapping[str, float | None]) -> None:
    """Add numbers to a metrics artifact under readable names; unknown and non-finite values are omitted.

    The KFP UI sorts names alphabetically. MLflow, where KFP also logs them, accepts letters, digits, spaces and ``_-.:/``.

    Args:
        artifact: Output artifact for the metrics.
        numbers: The numbers.
    """
    for name, value in numbers.items():
        if value is not None and math.isfinite(value):
            artifact.log_metric(name, float(value))
    # KFP keeps metrics in metadata. The file is needed too, because KFP silently ignores an output without one.
    write_json(artifact.path, {name: value for name, value in artifact.metadata.items() if isinstance(value, float)})


def write_absent(artifact: Any) -> None:
    """Write an empty output: a marker file, and ``metadata["present"]`` false."""
    write_json(artifact.path, ABSENT_MARKER)
    artifact.metadata[PRESENT] = False


def is_present(artifact: Any) -> bool:
    """Return whether an input artifact has content.

    An artifact that Evergreen did not write (``dsl.importer``, another component) has no such metadata; it is
    considered present if its path exists.
    """
    if artifact is None:
        return False
    return bool(artifact.metadata.get(PRESENT, Path(artifact.path).exists()))


def describe_dataset(artifact: Any, manifest: DataManifest) -> None:
    """Store a dataset's manifest in the metadata of its artifact, with the most useful numbers at the top level.

    Every step that receives the artifact receives its metadata, and a run's Workflow object repeats it six times per step. Long lists of files
    and columns are therefore stored with the rows in the Parquet file: `stored_objects` returns what to write there, and `manifest_of` reads it.
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
            # KFP converts integers inside nested metadata to floats; text survives every backend unchanged.
            "manifest": json.dumps(mask_json(travels), sort_keys=True),
        }
    )


def stored_objects(objects: list[dict[str, Any]]) -> dict[str, str]:
    """Return the metadata to write into a dataset's Parquet file; empty if the list is short enough for the artifact's metadata."""
    return {OBJECTS_IN_FILE: json.dumps(plain(objects), sort_keys=True)} if len(objects) > MOST_TRAVELLING_OBJECTS else {}


def inherited_metadata(dataset: Any) -> dict[str, Any]:
    """Return the metadata that a derived dataset inherits: all except what KFP's launcher added about this artifact."""
    return {name: value for name, value in dataset.metadata.items() if name not in ADDED_BY_LAUNCHER}


def manifest_of(artifact: Any) -> DataManifest | None:
    """Return the manifest of a dataset artifact, or None if Evergreen did not create it.

    Raises:
        ArtifactError: Part of the manifest is stored in the dataset's file and cannot be read from it.
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
        raise ArtifactError(f"dataset {path}: its list of source files cannot be read: {error}. Rerun the step that wrote it.") from error
    objects = (described.metadata or {}).get(OBJECTS_IN_FILE.encode(), b"[]")
    return {"objects": json.loads(objects), "schema": {field.name: str(field.type) for field in described.schema.to_arrow_schema()}}


def open_table(path: str | Path) -> pyarrow.dataset.Dataset:
    """Open a tabular artifact, a Parquet or CSV file or a folder of them, for reading in batches.

    Raises:
        ArtifactError: The path does not exist or leads to secrets, or the content is neither Parquet nor CSV.
    """
    import pyarrow.dataset

    location = Path(path)
    check_local_path(location, thing=f"dataset {location}", error_class=ArtifactError)
    if not location.exists():
        raise ArtifactError(f"dataset {location}: no such file or folder. Check the step that should have written it.")
    files = sorted(file for file in location.rglob("*") if file.is_file() and not file.name.startswith((".", "_"))) if location.is_dir() else [location]
    if not files:
        raise ArtifactError(f"dataset {location}: the folder contains no files; expected Parquet or CSV.")
    for file in files:
        check_local_path(file, thing=f"dataset file {file}", error_class=ArtifactError)
    layout = "parquet" if is_parquet(files[0]) else "csv"
    try:
        return pyarrow.dataset.dataset([str(file) for file in files], format=layout)
    except (pyarrow.ArrowException, OSError) as error:
        raise ArtifactError(f"dataset {location}: cannot be read as {layout}: {error}.") from error


def is_parquet(file: Path) -> bool:
    """Return whether a file starts with Parquet's magic bytes."""
    with file.open("rb") as content:
        return content.read(4) == b"PAR1"


def read_frame(path: str | Path, columns: list[str] | None = None) -> pandas.DataFrame:
    """Read a whole tabular artifact into a pandas DataFrame.

    Args:
        path: A Parquet or CSV file, or a folder of them.
        columns: The columns to read; None for all.

    Raises:
        ArtifactError: The artifact cannot be read, or lacks one of the columns.
    """
    table = open_table(path)
    missing = [name for name in columns or [] if name not in table.schema.names]
    if missing:
        raise ArtifactError(f"dataset {path}: has no column {missing[0]!r}. Valid columns: {', '.join(table.schema.names)}.")
    frame: pandas.DataFrame = table.to_table(columns=columns).to_pandas()
    return frame


def feature_columns(names: list[str], *, target_column: str, timestamp_column: str) -> list[str]:
    """Return the columns that a model may learn from: all except the label and the event time."""
    return [name for name in names if name not in (target_column, timestamp_column)]
