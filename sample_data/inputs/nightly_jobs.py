import time

from apscheduler.schedulers.background import BackgroundScheduler

from failaware import Store
from failaware.integrations.apscheduler import JobRecorder


def close_books(month):
    raise LookupError(f"no ledger for {month}")


scheduler = BackgroundScheduler()
JobRecorder(Store.open("failaware.db"), scheduler)
scheduler.add_job(close_books, args=["2026-11"])
scheduler.start()
time.sleep(0.5)
scheduler.shutdown()
