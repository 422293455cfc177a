import celery

from failaware import Store
from failaware.integrations.celery import TaskRecorder

app = celery.Celery("shop", broker="redis://localhost:6379/0")
TaskRecorder(Store.open("failaware.db"))


@app.task(bind=True, max_retries=2)
def charge(self, order):
    raise self.retry(exc=ConnectionError(f"no answer for order {order}"), countdown=0.1)
