import os
import signal

from huey import SqliteHuey

from failaware import Store
from failaware.integrations.huey import TaskRecorder

huey = SqliteHuey("greetings", filename="queue.db")
TaskRecorder(Store.open("failaware.db"), huey)


@huey.task()
def greet(name):
    os.kill(os.getpid(), signal.SIGKILL)  # as when memory is used up
