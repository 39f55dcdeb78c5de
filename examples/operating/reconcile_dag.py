"""A nightly run in Airflow: the comparison, then the gate that a cutover waits for.

The exit status tells three things apart. 0 and 1 are results: the comparison was made. 2 is a failure, and is tried again.
"""

from datetime import datetime, timedelta

from airflow.decorators import dag, task
from airflow.exceptions import AirflowException

FOLDER = "/srv/reconcile"
RUN = ["reconcile", "run", "--tag", "nightly", "--memory-limit", "4GiB", "--no-progress", "--format", "json"]
PARITY = ["reconcile", "parity", "crm-policy-view", "--format", "json"]


@dag(
    schedule="15 2 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=15)},
)
def reconcile_nightly():
    @task
    def compare() -> dict:
        import json
        import subprocess

        ended = subprocess.run(RUN, cwd=FOLDER, stdout=subprocess.PIPE, check=False)
        if ended.returncode not in (0, 1):
            raise AirflowException(f"reconcile ended with status {ended.returncode}")
        summary = json.loads(ended.stdout)
        return {"run_id": summary["run_id"], "verdict": summary["verdict"]}

    @task.short_circuit
    def ready_for_cutover(run: dict) -> bool:
        import subprocess

        # 0: ready, 1: not yet, 2: cannot tell.
        ended = subprocess.run(PARITY, cwd=FOLDER, stdout=subprocess.DEVNULL, check=False)
        if ended.returncode not in (0, 1):
            raise AirflowException(f"reconcile parity ended with status {ended.returncode} after run {run['run_id']}")
        return ended.returncode == 0

    ready_for_cutover(compare())


reconcile_nightly()
