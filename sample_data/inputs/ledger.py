from datetime import timedelta

from airflow.sdk import dag, task


@dag(schedule=None)
def ledger():
    @task(retries=1, retry_delay=timedelta(seconds=0.1))
    def close_books(month):
        raise LookupError(f"no ledger for {month}")

    close_books("2026-11")


ledger()
