from arq import Retry
from arq.connections import RedisSettings

from failaware import Store
from failaware.integrations.arq import JobRecorder


async def send(ctx, order):
    raise Retry(defer=0.1) from ConnectionError(f"no answer for order {order}")


class WorkerSettings:
    functions = [send]
    redis_settings = RedisSettings.from_dsn("redis://localhost:6379")
    max_tries = 2


JobRecorder(Store.open("failaware.db"), WorkerSettings)
