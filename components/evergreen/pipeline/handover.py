"""What KFP's driver hands to a step, and what its launcher keeps of a step's outputs, reproduced for runs on this machine.

A laptop that hands over something else than the cluster hides faults until the first run on a cluster. So the rules here are those of KFP's
backend, as recordings of it show (``tests/pipeline/recorded``), in all but the addresses of files:

- An artifact that comes from a task of the same group has an empty ``instanceSchema`` for its type; one that comes into a branch or loop
  from outside has no type; neither has a schema title. Its name is a number. A list holds one entry a round of the loop.
- Metadata is what the step wrote, with ``display_name`` and ``store_session_info`` added; true and false are 1 and 0, and mappings and lists
  are wrapped in ``struct`` and ``list``.
- Numbers without a fraction are whole numbers, whatever their parameter's type. An optional input that nobody gave is absent.
- Outputs are typed. Besides those of the component there is the artifact ``executor-logs``.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

SESSION_INFO = json.dumps({"Provider": "local", "Params": {}}, separators=(",", ":"))
"""Stands where a cluster names its object store, and the secret with the store's credentials."""

_numbers = itertools.count(1)


@dataclass(frozen=True)
class HeldArtifact:
    """An artifact that a step of the run has written, as the backend remembers it.

    Attributes:
        name: The number that the backend gave it.
        uri: Where it lies.
        metadata: As the next step will see it.
        from_outside: It has come into a branch or loop from outside of it.
    """

    name: str
    uri: str
    metadata: dict[str, Any] = field(default_factory=dict)
    from_outside: bool = False

    def seen_inside(self) -> HeldArtifact:
        """Return the artifact as the tasks of a branch or loop see it."""
        return replace(self, from_outside=True)

    def as_input(self) -> dict[str, Any]:
        """Return the artifact as the driver hands it over."""
        kind = {} if self.from_outside else {"type": {"instanceSchema": ""}}
        return {"name": self.name, **kind, "uri": self.uri, "metadata": self.metadata}


@dataclass(frozen=True)
class TaskFolders:
    """Where a task's files lie.

    Attributes:
        artifacts: Folder, or prefix of a bucket, of the output artifacts.
        parameters: Folder of the output parameters.
        metadata_file: The file in which KFP's executor says what came of the step.
    """

    artifacts: str
    parameters: str
    metadata_file: str

    @classmethod
    def below(cls, folder: Path) -> TaskFolders:
        """Return the folders of a task that runs on this machine; a pod's ``/tmp`` is its own."""
        return cls(str(folder), str(folder / "tmp" / "kfp" / "outputs"), str(folder / "output_metadata.json"))


def executor_input(
    component: Mapping[str, Any], parameters: Mapping[str, Any], artifacts: Mapping[str, HeldArtifact | list[HeldArtifact]], folders: TaskFolders
) -> dict[str, Any]:
    """Return what the driver hands to a step.

    Args:
        component: The component's specification, as JSON.
        parameters: The task's input parameters; what nobody gave is absent.
        artifacts: The task's input artifacts; likewise.
        folders: Where the task's files lie.
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
    """Return a value as JSON on the backend has it: a number without a fraction is a whole number, at any depth."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: as_number(held) for name, held in value.items()}
    return [as_number(held) for held in value] if isinstance(value, list) else value


def kept_metadata(written: Mapping[str, Any], *, output_name: str, session_info: str = SESSION_INFO) -> dict[str, Any]:
    """Return the metadata that the launcher keeps of an output artifact.

    Args:
        written: What the step wrote. A copy of an input's metadata brings that one's name along, and keeps it.
        output_name: Name of the output.
        session_info: What tells the artifact's store.
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
        given: The executor input that the step got.
        metadata_file: What KFP's executor wrote; absent for a component that does not use it.
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
    """Return a new artifact of the run, with a number of its own."""
    return HeldArtifact(str(next(_numbers)), uri, metadata)


def _read_parameter(path: Path, name: str, kind: str) -> Iterator[tuple[str, Any]]:
    if path.is_file():
        text = path.read_text(encoding="utf-8")
        yield name, text if kind == "STRING" else as_number(json.loads(text))
