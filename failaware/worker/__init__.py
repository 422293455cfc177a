"""Attempts: handlers, retry policy, the worker, and `failaware exec`.

May touch: the store to claim and append; threads; the clock in `worker.py` and `exec.py` only.
"""
