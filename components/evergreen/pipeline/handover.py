"""Reproduces, for local runs, the inputs that KFP's driver passes to a step and the outputs that its launcher keeps.

If local runs differed from the cluster, faults would stay hidden until the first run on a cluster. The rules here are therefore those of
KFP's backend, as its recordings show (``tests/pipeline/recorded``), in everything but file locations:

- The type of an artifact from a task of the same group is an empty ``instanceSchema``; one that enters a branch or loop from outside has
  no type; neither has a schema title. Its name is a number. A list has one entry per loop iteration.
- Metadata is what the step wrote plus ``display_name`` and ``store_session_info``; booleans become 1 and 0, and mappings and lists are
  wrapped in ``struct`` and ``list``.
- Numbers without a fractional part are integers, whatever their parameter's type. An optional input without a value is absent.
- Outputs are typed. In addition to the component's outputs there is the artifact ``executor-logs``.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

SESSION_INFO = json.dumps({"Provider": "local", "Params": {}}, separators=(",", ":"))
"""Replaces the cluster's description of its object store and of the secret with the store's credentials."""

_numbers = itertools.count(1)


@dataclass(frozen=True)
class HeldArtifact:
    """An artifact written by a step of the run, in the form that the backend stores it.

    Attributes:
        name: The number assigned by the backend.
        uri: Location of the artifact.
        metadata: Metadata as the next step sees it.
        from_outside: Whether it entered a branch or loop from outside.
    """

    name: str
    uri: str
    metadata: dict[str, Any] = field(default_factory=dict)
    from_outside: bool = False

    def seen_inside(self) -> HeldArtifact:
        """Return the artifact as the tasks of a branch or loop see it."""
        return replace(self, from_outside=True)

    def as_input(self) -> dict[str, Any]:
        """Return the artifact in the form that the driver passes to a step."""
        kind = {} if self.from_outside else {"type": {"instanceSchema": ""}}
        return {"name": self.name, **kind, "uri": self.uri, "metadata": self.metadata}


@dataclass(frozen=True)
class TaskFolders:
    """Locations of a task's files.

    Attributes:
        artifacts: Folder, or prefix of a bucket, of the output artifacts.
        parameters: Folder of the output parameters.
        metadata_file: The file in which KFP's executor reports the step's results.
    """

    artifacts: str
    parameters: str
    metadata_file: str

    @classmethod
    def below(cls, folder: Path) -> TaskFolders:
        """Return the folders of a local task, which has no ``/tmp`` of its own as a pod has."""
        return cls(str(folder), str(folder / "tmp" / "kfp" / "outputs"), str(folder / "output_metadata.json"))


def executor_input(
    component: Mapping[str, Any], parameters: Mapping[str, Any], artifacts: Mapping[str, HeldArtifact | list[HeldArtifact]], folders: TaskFolders
) -> dict[str, Any]:
    """Return the executor input that the driver passes to a step.

    Args:
        component: The component's specification as JSON.
        parameters: The task's input parameters, without those that have no value.
        artifacts: The task's input artifacts, without those that have no value.
        folders: Locations of the task's files.
    """
    inputs: dict[str, Any] = {"parameterValues": {name: as_number(value) for name, value in sorted(parameters.items())}}
    if artifacts:
        inputs = {"artifacts": {name: {"artifacts": [held.as_input() for held in _listed(given)]} for name, given in sorted(artifacts.items())}, **inputs}
    return {"inputs": inputs, "outputs": _outputs(component.get("outputDefinitions", {}), folders)}


def _listed(given: HeldArtifact | list[HeldArtifact]) -> list[HeldArtifact]:
    return given if isinstance(given, list) else [given]


def _outputs(definitions: Mapping[str, Any], folders: TaskFolders) -> dict[str, Any]:
    kinds = {name: definition["artifactType"] for name, definition in definitions.get("artifacts", {}).items()}
    kinds["executor-logs"] = {"schemaTitle": "system.Artifact"}
    outputs: dict[str, Any] = {}
    if definitions.get("parameters"):
        outputs["parameters"] = {name: {"outputFile": f"{folders.parameters}/{name}"} for name in sorted(definitions["parameters"])}
    outputs["artifacts"] = {name: {"artifacts": [{"name": name, "type": kind, "uri": f"{folders.artifacts}/{name}"}]} for name, kind in sorted(kinds.items())}
    return {**outputs, "outputFile": folders.metadata_file}


def as_number(value: Any) -> Any:
    """Return a value in the backend's JSON form: numbers without a fractional part become integers, at any depth."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: as_number(held) for name, held in value.items()}
    return [as_number(held) for held in value] if isinstance(value, list) else value


def kept_metadata(written: Mapping[str, Any], *, output_name: str, session_info: str = SESSION_INFO) -> dict[str, Any]:
    """Return the metadata that the launcher keeps for an output artifact.

    Args:
        written: Metadata written by the step. Metadata copied from an input includes the input's display name, which is kept.
        output_name: Name of the output.
        session_info: Description of the artifact's store.
    """
    kept = {name: _kept(value) for name, value in written.items()}
    return dict(sorted({"display_name": output_name, "store_session_info": session_info, **kept}.items()))


def _kept(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, dict):
        return {"struct": as_number(value)}
    return {"list": as_number(value)} if isinstance(value, list) else as_number(value)


def read_outputs(
    component: Mapping[str, Any], given: Mapping[str, Any], metadata_file: Path
) -> tuple[dict[str, Any], dict[str, HeldArtifact | list[HeldArtifact]]]:
    """Return a finished step's output parameters and artifacts.

    Args:
        component: The component's specification.
        given: The executor input that the step received.
        metadata_file: The file written by KFP's executor; absent for a component that does not use it.
    """
    told = json.loads(metadata_file.read_text(encoding="utf-8")) if metadata_file.is_file() else {}
    definitions = component.get("outputDefinitions", {})
    parameters = {name: as_number(value) for name, value in told.get("parameterValues", {}).items()}
    for name, definition in definitions.get("parameters", {}).items():
        if name not in parameters:
            parameters.update(_read_parameter(Path(given["outputs"]["parameters"][name]["outputFile"]), name, definition["parameterType"]))
    artifacts: dict[str, HeldArtifact | list[HeldArtifact]] = {}
    for name in definitions.get("artifacts", {}):
        planned = given["outputs"]["artifacts"][name]["artifacts"][0]
        entries = told.get("artifacts", {}).get(name, {}).get("artifacts") or [planned]
        written = {**planned, **entries[0]}
        artifacts[name] = held(written["uri"], kept_metadata(written.get("metadata", {}), output_name=name))
    return parameters, artifacts


def held(uri: str, metadata: dict[str, Any]) -> HeldArtifact:
    """Return a new artifact of the run with its own number."""
    return HeldArtifact(str(next(_numbers)), uri, metadata)


def _read_parameter(path: Path, name: str, kind: str) -> Iterator[tuple[str, Any]]:
    if path.is_file():
        text = path.read_text(encoding="utf-8")
        yield name, text if kind == "STRING" else as_number(json.loads(text))
