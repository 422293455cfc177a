"""Makes attempts: handlers, retry policies, the worker, and `failaware exec`.

Uses the store to claim events and append attempts; threads; the clock only in `worker.py` and `exec.py`.
"""
