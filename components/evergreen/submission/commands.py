"""The commands that talk to Kubeflow Pipelines: ``evergreen submit`` and ``evergreen schedule``."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from evergreen.settings.command_options import AsJson, Digests, FailOn, ImageRegistry, PlatformFile
from evergreen.submission import schedule_commands
from evergreen.submission.options import Assignments, Experiment, Host, Namespace, ParameterFile, ServiceAccount, given_parameters, to_console

if TYPE_CHECKING:
    from rich.console import Console

    from evergreen.submission.connection import Connection
    from evergreen.submission.server_pipelines import Version


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(submit)
    schedule_commands.register(app)


def submit(
    pipeline_file: Annotated[Path, typer.Argument(help="Python file that defines one pipeline, or its compiled YAML.", metavar="PIPELINE")],
    *,
    parameter_file: ParameterFile = None,
    assignments: Assignments = None,
    host: Host = None,
    namespace: Namespace = None,
    experiment: Experiment = None,
    run_name: Annotated[str | None, typer.Option("--run-name", help="Name of the run. Defaults to model, window and time.")] = None,
    version_name: Annotated[str | None, typer.Option("--version-name", help="Name of the version. Defaults to the release and a content hash.")] = None,
    tags: Annotated[list[str] | None, typer.Option("--tag", help="Tag stored with the version, such as a commit. Repeatable.", metavar="NAME=VALUE")] = None,
    service_account: ServiceAccount = None,
    image_registry: ImageRegistry = None,
    digests: Digests = None,
    platform_file: PlatformFile = None,
    upload_only: Annotated[bool, typer.Option("--upload-only", help="Upload the version without starting a run.")] = False,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Wait for the run to end, showing its steps.")] = True,
    poll_seconds: Annotated[float, typer.Option("--poll-seconds", help="Seconds between status checks of the run.", min=0.05)] = 5.0,
    as_json: AsJson = False,
    fail_on: FailOn = None,
) -> None:
    """Upload a pipeline to Kubeflow as a new version, start a run and follow it.

    An existing version is not uploaded again. If the run fails, the error of each failed step is printed, with advice and the location of
    the report. --fail-on reads the run's records, so this machine needs access to the ledger. Exit status: 0 if the run succeeded, 1 if it did not,
    2 for invalid input, 3 if it succeeded with a finding named by --fail-on.
    """
    from evergreen.pipeline.loading import arguments_for, parse_assignments
    from evergreen.reporting.fail_on import FAIL_ON_STATUS
    from evergreen.submission.connection import connect
    from evergreen.submission.findings import check_fail_on, run_findings
    from evergreen.submission.parameter_values import check_parameter_values, check_text
    from evergreen.submission.run_names import default_run_name, effective_parameters, experiment_name
    from evergreen.submission.server_pipelines import upload_version
    from evergreen.submission.server_pipelines import version_name as name_by_content
    from evergreen.submission.tags import check_tags

    check_fail_on(fail_on or [], follow=follow and not upload_only)
    console = to_console(as_json=as_json)
    with tempfile.TemporaryDirectory() as folder:
        compiled = _compiled(pipeline_file, Path(folder), image_registry, digests, platform_file)
        spec = next(yaml.safe_load_all(compiled.read_text(encoding="utf-8")))
        pipeline_name = str(spec["pipelineInfo"]["name"])
        given = given_parameters(parameter_file, assignments)
        check_parameter_values(given)
        check_text("--run-name", run_name or "")
        pipeline = _loaded(compiled)
        arguments = {} if upload_only and not given else arguments_for(pipeline, given)
        parameters = effective_parameters(pipeline, arguments)
        if not upload_only:
            check_parameter_values(parameters)
        tag_values = parse_assignments(tags or [], noun="tag", example="--tag commit=4f2c")
        check_tags(tag_values)
        connection = connect(host, namespace)
        version = upload_version(connection, compiled, pipeline_name=pipeline_name, name=version_name or name_by_content(compiled), tags=tag_values)
    console.print(f"{'Uploaded' if version.uploaded else 'Already uploaded:'} version {version.name} of {pipeline_name}", highlight=False)
    result: dict[str, Any] = {"pipeline": pipeline_name, "pipeline_id": version.pipeline_id, "version": version.name, "version_id": version.version_id}
    result["uploaded"] = version.uploaded
    if not upload_only:
        result |= _run(
            connection,
            version,
            console,
            spec=spec,
            arguments=arguments,
            name=run_name or default_run_name(pipeline_name, parameters),
            experiment=experiment_name(experiment, parameters),
            service_account=service_account,
            follow=follow,
            poll_seconds=poll_seconds,
        )
    try:
        findings = run_findings(result, parameters, console, fail_on) if fail_on and result.get("state") == "SUCCEEDED" else []
    finally:
        if as_json:
            typer.echo(json.dumps(result, ensure_ascii=False))
    if result.get("state") not in {None, "SUCCEEDED"}:
        raise typer.Exit(1)
    if findings:
        raise typer.Exit(FAIL_ON_STATUS)


def _run(
    connection: Connection,
    version: Version,
    console: Console,
    *,
    spec: dict[str, Any],
    arguments: dict[str, Any],
    name: str,
    experiment: str,
    service_account: str | None,
    follow: bool,
    poll_seconds: float,
) -> dict[str, Any]:
    from evergreen.submission.display import LiveStates
    from evergreen.submission.runs import follow_run, start_run, step_names
    from evergreen.submission.server_pipelines import experiment_id

    experiment_found = experiment_id(connection, experiment)
    run_id = start_run(connection, version, name=name, experiment=experiment_found, parameters=arguments, service_account=service_account)
    url = connection.run_url(run_id)
    console.print(f"Started run {run_id}\n{url}", highlight=False, soft_wrap=True)
    result: dict[str, Any] = {"run_id": run_id, "run_url": url, "run_name": name, "experiment": experiment}
    if not follow:
        return result

    def tell(notice: str) -> None:
        console.print(notice, highlight=False, markup=False, soft_wrap=True, style="yellow")

    try:
        run = follow_run(connection, run_id, step_names(spec), LiveStates(console).show, tell=tell, pause_s=poll_seconds)
    except KeyboardInterrupt:
        console.print(f"Stopped following; the run continues: {url}", highlight=False, soft_wrap=True)
        sys.exit(130)
    return result | _ended(connection, console, run, spec)


def _ended(connection: Connection, console: Console, run: Any, spec: dict[str, Any]) -> dict[str, Any]:
    """Print how a run ended, and why if it failed; return the same as JSON-compatible values."""
    from evergreen.submission.display import print_failures
    from evergreen.submission.failures import run_failures
    from evergreen.submission.runs import ending, step_names, step_states
    from evergreen.submission.standstill import states_frozen

    outcome = ending(run)
    console.print(f"Run {run.run_id} has ended: {outcome}", highlight=False, soft_wrap=True)
    failures = [] if run.state == "SUCCEEDED" else run_failures(connection, run, spec)
    print_failures(console, failures)
    return {
        "state": run.state,
        "outcome": outcome,
        "error": failures[0].error if failures else None,
        "failures": [failure.as_json() for failure in failures],
        "states_frozen": states_frozen(run),
        "steps": [{"step": step.name, "state": step.state, "seconds": step.seconds} for step in step_states(run, step_names(spec))],
    }


def _compiled(pipeline_file: Path, folder: Path, image_registry: str | None, digests: Path | None, platform_file: Path | None) -> Path:
    from evergreen.pipeline.compilation import compile_pipeline
    from evergreen.pipeline.loading import PipelineFileError

    if pipeline_file.suffix not in {".yaml", ".yml"}:
        output = folder / f"{pipeline_file.stem}.yaml"
        compile_pipeline(pipeline_file, output, image_registry=image_registry, digests=digests, platform_file=platform_file)
        return output
    if image_registry or digests or platform_file:
        raise PipelineFileError(f"pipeline file {pipeline_file}: already compiled. Pass --image-registry, --digests and --platform when compiling it.")
    try:
        documents = list(yaml.safe_load_all(pipeline_file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise PipelineFileError(f"pipeline file {pipeline_file}: cannot be read: {error}.") from error
    if not documents or not isinstance(documents[0], dict) or "pipelineInfo" not in documents[0]:
        raise PipelineFileError(f"pipeline file {pipeline_file}: expected YAML written by evergreen compile (without --objects).")
    return pipeline_file


def _loaded(compiled: Path) -> Any:
    from kfp import components

    return components.load_component_from_file(str(compiled))
