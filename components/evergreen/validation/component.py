"""The component validate_data."""

from kfp.dsl import HTML, Artifact, Dataset, Input, Output

from evergreen.images import BASE_IMAGE
from evergreen.pipeline.component import component


@component(image=BASE_IMAGE)
def validate_data(  # KFP reads output descriptions from Returns, not from Args
    dataset: Input[Dataset],
    validated_data: Output[Dataset],
    quarantined_data: Output[Dataset],
    contract_used: Output[Artifact],
    validation_report: Output[HTML],
    target_column: str,
    timestamp_column: str,
    champion_contract: Input[Artifact] = None,
    contract: str = "inferred",
    task: str = "auto",
    check_target_classes: bool = True,
    ledger_uri: str = "none",
    run_id: str = "none",
    step_name: str = "validate_data",
) -> str:
    """Check a dataset against its data contract, and stop the pipeline if the data violates it.

    The contract is the given one, or else the champion's, or else one inferred from these rows and marked
    "inferred, unreviewed". The report and the contract are written before the step fails.

    Args:
        dataset: Rows to check, Parquet or CSV.
        target_column: Name of the label column.
        timestamp_column: Name of the event time column.
        champion_contract: The champion's contract; may be absent.
        contract: "inferred", a contract as inline YAML, or the path or gs:// URI of a YAML file.
        task: "auto", "classification" or "regression".
        check_target_classes: Whether the label must have values of at least two classes. Set to false for a short window that is only monitored.
        ledger_uri: Folder or bucket of the run records; "none" to record nothing.
        run_id: ID of the pipeline run.
        step_name: Name of this step in the run records.

    Returns:
        Output: "passed" or "passed with warnings".
        validated_data: The rows that passed, without columns that are not in the contract.
        quarantined_data: Rows quarantined by rules of severity "quarantine", with the reasons; absent if there are none.
        contract_used: The contract as YAML.
        validation_report: The findings as an HTML report.
    """
    from evergreen.runs.records import StepPlace
    from evergreen.validation.recorded_step import validate_and_record
    from evergreen.validation.request import ValidationOutputs, ValidationRequest

    return validate_and_record(
        ValidationRequest(dataset, target_column, timestamp_column, champion_contract, contract, task, check_target_classes),
        ValidationOutputs(validated_data, quarantined_data, contract_used, validation_report),
        StepPlace(ledger_uri, run_id, step_name),
    )
