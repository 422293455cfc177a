import time

from failaware import Store

store = Store.open("failaware.db")


def task_failed(task_id, name, arguments, error, retry_in_s):
    retry_at = None if retry_in_s is None else int((time.time() + retry_in_s) * 1_000_000)
    store.report_attempt(
        name, {"args": arguments}, key=f"mailer:{task_id}", error=error, retry_at=retry_at, delegated_to="mailer"
    )


def task_succeeded(task_id, name, arguments):
    store.report_attempt(name, {"args": arguments}, key=f"mailer:{task_id}", delegated_to="mailer")


task_failed("t1", "mail.send", [4711], TimeoutError("no answer from the mail server"), 30)
task_succeeded("t1", "mail.send", [4711])
