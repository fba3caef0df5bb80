"""Steps of one pipeline: what all of them share is said once, so that no step can go without it."""

from __future__ import annotations

import re
from typing import Any

from kfp import dsl

from evergreen.pipeline.loading import PipelineFileError
from evergreen.pipeline.steps import SMALL, StepSize
from evergreen.pipeline.steps import step as with_settings


class StepFactory:
    """Makes the steps of one pipeline.

    Every step reads the same secret, and reports to the same ledger under the same run. A step has one name: the graph shows it in words
    ("Ingest window"), and records, reports, messages and platform files spell it as an identifier (``ingest_window``)::

        step = StepFactory(ledger_uri=state_ledger_uri, secret_name=secret_name)
        window = step("Ingest window", ingest_data, source_uri=data_source_uri, timestamp_column=data_timestamp_column)
    """

    def __init__(self, *, ledger_uri: Any, secret_name: Any) -> None:
        """Remember what the steps share.

        Args:
            ledger_uri: Folder or bucket of the ledger; text or a pipeline parameter.
            secret_name: Kubernetes secret whose keys the steps read from files; text or a pipeline parameter.
        """
        self._secret_name = secret_name
        self._report = {"ledger_uri": ledger_uri, "run_id": dsl.PIPELINE_JOB_ID_PLACEHOLDER}

    def __call__(self, name: str, component: Any, /, *, size: StepSize = SMALL, reports: bool = True, **inputs: Any) -> dsl.PipelineTask:
        """Add a step to the pipeline that is being defined.

        Args:
            name: The step's name in words, as the graph in the KFP UI shows it.
            component: Evergreen's component, or one of your own.
            size: Requests and timeout.
            reports: Whether the step writes a record of its own. Not in a loop, where the turns would overwrite each other's record.
            **inputs: Inputs of the component, but for those that the factory gives where the component takes them: ``ledger_uri``, ``run_id`` and
                ``step_name``.

        Returns:
            The task.

        Raises:
            PipelineFileError: The name is not made of words.
        """
        taken = component.component_spec.inputs or {}
        given = {key: value for key, value in self._report.items() if reports and key in taken}
        recorded_name = _recorded_name(name)
        if "step_name" in taken and taken["step_name"].default != recorded_name:
            given["step_name"] = recorded_name
        return with_settings(component(**given, **inputs), name, secret_name=self._secret_name, size=size)


def _recorded_name(name: str) -> str:
    """Return the name under which a step reports.

    Raises:
        PipelineFileError: The name is not made of words.
    """
    if not re.fullmatch(r"[A-Z][a-z0-9]*( [a-z0-9]+)*", name):
        raise PipelineFileError(
            f"step {name!r}: expected a capital letter and words of small letters and digits, such as 'Ingest window', which is recorded as ingest_window."
        )
    return name.lower().replace(" ", "_")
