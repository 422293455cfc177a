from huey import SqliteHuey

from failaware import Store
from failaware.integrations.huey import TaskRecorder

huey = SqliteHuey("mailer", filename="queue.db", immediate=True)  # without `immediate`, a consumer runs the tasks
TaskRecorder(Store.open("failaware.db"), huey)


@huey.task(retries=1)
def send(order):
    raise ConnectionError(f"no answer for order {order}")


send(17)
