"""No parameter reads a secret, not even one that is sent past the command to KFP's API."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

from cluster.objects import secret_object
from cluster.parameters import LEAN
from cluster.runs import Cluster, Run, submit_command

if TYPE_CHECKING:
    from cluster.table import Case

KEYS = ("EVERGREEN_APPROVAL_KEY", "EVERGREEN_PUBLISHING_KEY", "EVERGREEN_AWS_SECRET_ACCESS_KEY")
PATH = "/var/run/secrets/evergreen"


def attempts() -> str:
    """Return a text that would hold every secret, if anything filled it in."""
    return " ".join([*(f"$({key})" for key in KEYS), *(f"$$({key}) ${{{key}}}" for key in KEYS)])


def test_the_command_refuses_to_send_a_name_that_is_filled_in(cluster: Cluster, lean_quiet_day: Run) -> None:
    before = len(cluster.runs)
    file = cluster.folder / "refused.yaml"
    file.write_text(json.dumps(cluster.parameters("secret", lean_quiet_day.model, data_contract=attempts())))
    said = cluster.evergreen(*submit_command(cluster.settings, cluster.compiled(LEAN), file, name="refused"), status=2)
    assert KEYS[0] in said
    assert "data_contract" in said
    assert len(cluster.runs) == before


def test_a_secret_in_a_parameter_comes_out_nowhere(cluster: Cluster, lean_quiet_day: Run, case: Case) -> None:
    from evergreen.submission.runs import start_run
    from evergreen.submission.server_pipelines import Version, experiment_id, find_version, require_pipeline

    connection, name = cluster.connection, f"evergreen-secret-{cluster.mark}"
    values = {key: f"c4n4ry{secrets.token_hex(12)}" for key in KEYS}
    # No contract can be read from this value: the step that gets it fails, and says so in its log, its record and the report.
    parameters = cluster.parameters("secret", lean_quiet_day.model, secret_name=name, data_contract=attempts())
    cluster.kubectl.apply(secret_object(name, values))
    try:
        pipeline_id = require_pipeline(connection, "lean-retraining")
        version = Version(pipeline_id=pipeline_id, version_id=str(find_version(connection, pipeline_id).pipeline_version_id), name="latest", uploaded=False)
        run_id = start_run(
            connection,
            version,
            name=name,
            experiment=experiment_id(connection, "evergreen"),
            parameters=parameters,
            service_account=cluster.settings.service_account,
        )
        run = case.took(cluster.finish(cluster.adopt("secret", run_id, LEAN, lean_quiet_day.model), expected="FAILED"))
        places = {**cluster.logs(run), **told(cluster, run)}
        revealed = [(place, key) for place, text in places.items() for key, value in values.items() if value in text]
        assert revealed == []
    finally:
        cluster.kubectl.delete("secret", name)


def test_the_files_of_a_secret_are_read(cluster: Cluster, lean_quiet_day: Run, case: Case) -> None:
    name = f"evergreen-key-{cluster.mark}"
    value = f"c4n4ry{secrets.token_hex(24)}"
    cluster.kubectl.apply(secret_object(name, {"EVERGREEN_APPROVAL_KEY": value}))
    try:
        run = cluster.start("secret", lean_quiet_day.model, secret_name=name)
        case.took(cluster.finish(run))
        mounts = [mount for pod in cluster.pods(run) for container in pod["spec"]["containers"] for mount in container.get("volumeMounts", [])]
        assert PATH in {mount["mountPath"] for mount in mounts}
        assert [place for place, text in {**cluster.logs(run), **told(cluster, run)}.items() if value in text] == []
    finally:
        cluster.kubectl.delete("secret", name)


def told(cluster: Cluster, run: Run) -> dict[str, str]:
    """Return everything that is kept of a run: its records and reports, its Workflow and what KFP's API says of it."""
    kept = {str(file): file.read_text(errors="replace") for file in cluster.ledger_folder().rglob("*") if file.is_file()}
    answer = connection_answer(cluster, run)
    return {**kept, "Workflow": json.dumps(run.ended_workflow.nodes), "KFP's API": answer}


def connection_answer(cluster: Cluster, run: Run) -> str:
    """Return KFP's answer about a run, as text."""
    return str(cluster.connection.runs.run_service_get_run(run_id=run.run_id).to_dict())
