"""Creates the steps of a pipeline with their common settings, so that no step can miss them."""

from __future__ import annotations

import re
from typing import Any

from kfp import dsl

from evergreen.pipeline.loading import PipelineFileError
from evergreen.pipeline.steps import SMALL, StepSize
from evergreen.pipeline.steps import step as with_settings


class StepFactory:
    """Creates the steps of one pipeline.

    All steps use the same secret, the same ledger and the same run ID. A step has one name: the graph shows it in words ("Ingest window"), and
    records, reports, messages and platform files contain it as an identifier (``ingest_window``)::

        step = StepFactory(ledger_uri=state_ledger_uri, secret_name=secret_name)
        window = step("Ingest window", ingest_data, source_uri=data_source_uri, timestamp_column=data_timestamp_column)
    """

    def __init__(self, *, ledger_uri: Any, secret_name: Any) -> None:
        """Store the common settings of the steps.

        Args:
            ledger_uri: Folder or bucket of the ledger; text or a pipeline parameter.
            secret_name: Kubernetes secret that is mounted as files into the steps; text or a pipeline parameter.
        """
        self._secret_name = secret_name
        self._report = {"ledger_uri": ledger_uri, "run_id": dsl.PIPELINE_JOB_ID_PLACEHOLDER}

    def __call__(self, name: str, component: Any, /, *, size: StepSize = SMALL, reports: bool = True, **inputs: Any) -> dsl.PipelineTask:
        """Add a step to the pipeline that is being defined.

        Args:
            name: The step's name in words, as shown in the graph of the KFP UI.
            component: A component of Evergreen, or a custom one.
            size: Resource requests and timeout.
            reports: Whether the step writes a record. Set it to False in a loop, where the iterations would overwrite each other's record.
            **inputs: Inputs of the component, except those that the factory provides if the component has them: ``ledger_uri``, ``run_id`` and
                ``step_name``.

        Returns:
            The task.

        Raises:
            PipelineFileError: The name does not consist of words.
        """
        taken = component.component_spec.inputs or {}
        given = {key: value for key, value in self._report.items() if reports and key in taken}
        recorded_name = _recorded_name(name)
        if "step_name" in taken and taken["step_name"].default != recorded_name:
            given["step_name"] = recorded_name
        return with_settings(component(**given, **inputs), name, secret_name=self._secret_name, size=size)


def _recorded_name(name: str) -> str:
    """Return the name of a step in records.

    Raises:
        PipelineFileError: The name does not consist of words.
    """
    if not re.fullmatch(r"[A-Z][a-z0-9]*( [a-z0-9]+)*", name):
        raise PipelineFileError(
            f"step {name!r}: expected a capital letter and words of lower-case letters and digits, such as 'Ingest window', which is recorded as ingest_window."
        )
    return name.lower().replace(" ", "_")
