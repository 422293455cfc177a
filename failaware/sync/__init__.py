"""Trying: handlers, retry policy, worker (once sketched as `sync_service` and `retry_service`).

May touch: the store to claim and append; threads and the clock in `worker.py` only.
"""
