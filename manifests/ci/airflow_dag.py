"""For teams that orchestrate with Airflow: submit the pipeline to Kubeflow, follow it, and fail when it fails.

Airflow's workers need the command (``pip install kfp-evergreen``), the compiled pipeline and its parameters as files, and a connection
``evergreen_kfp`` of type HTTP: its host is the address of KFP's API, its password a token. The command's exit status is the task's.
"""

from datetime import datetime, timedelta, timezone

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

with DAG(
    dag_id="evergreen_continuous_retraining",
    schedule="0 3 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 1, "retry_delay": timedelta(minutes=10), "execution_timeout": timedelta(hours=12)},
    tags=["evergreen"],
) as dag:
    BashOperator(
        task_id="submit",
        # The window ends when the interval of the schedule does, however late the task runs.
        bash_command=(
            "evergreen submit /opt/evergreen/continuous_retraining.yaml --params /opt/evergreen/parameters.yaml"
            " -p data_window_end={{ data_interval_end.strftime('%Y-%m-%dT%H:%M:%SZ') }}"
            " --run-name 'continuous-retraining {{ run_id }}' --json"
        ),
        env={"EVERGREEN_KFP_HOST": "{{ conn.evergreen_kfp.host }}", "EVERGREEN_KFP_TOKEN": "{{ conn.evergreen_kfp.password }}"},
        append_env=True,
    )
