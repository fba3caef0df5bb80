"""Steps of one pipeline: what all of them share is said once, so that no step can go without it."""

from __future__ import annotations

from typing import Any

from kfp import dsl

from evergreen.step_settings import SMALL, StepSize
from evergreen.step_settings import step as with_settings


class StepFactory:
    """Makes the steps of one pipeline.

    Every step reads the same secret, and reports to the same ledger under the same run::

        step = StepFactory(ledger_uri=state_ledger_uri, secret_name=secret_name)
        window = step("Ingest newest window", ingest_data, source_uri=data_source_uri, timestamp_column=data_timestamp_column)
    """

    def __init__(self, *, ledger_uri: Any, secret_name: Any) -> None:
        """Remember what the steps share.

        Args:
            ledger_uri: Folder or bucket of the ledger; text or a pipeline parameter.
            secret_name: Kubernetes secret whose keys the steps read from files; text or a pipeline parameter.
        """
        self._secret_name = secret_name
        self._report = {"ledger_uri": ledger_uri, "run_id": dsl.PIPELINE_JOB_ID_PLACEHOLDER}

    def __call__(self, display_name: str, component: Any, /, *, size: StepSize = SMALL, reports: bool = True, **inputs: Any) -> dsl.PipelineTask:
        """Add a step to the pipeline that is being defined.

        Args:
            display_name: What the graph in the KFP UI shows.
            component: Evergreen's component, or one of your own.
            size: Requests and timeout.
            reports: Whether the step writes a record of its own. Not in a loop, where the turns would overwrite each other's record.
            **inputs: Inputs of the component, but for those that the factory gives: ``ledger_uri`` and ``run_id``, where the component takes them.

        Returns:
            The task.
        """
        taken = component.component_spec.inputs or {}
        shared = {name: value for name, value in self._report.items() if reports and name in taken}
        return with_settings(component(**shared, **inputs), display_name, secret_name=self._secret_name, size=size)
