from taskiq import SmartRetryMiddleware
from taskiq_redis import ListQueueBroker

from failaware import Store
from failaware.integrations.taskiq import Recorder

broker = ListQueueBroker("redis://localhost:6379")
broker.add_middlewares(Recorder(Store.open("failaware.db")), SmartRetryMiddleware(default_delay=0.1))


@broker.task(retry_on_error=True, max_retries=2)
async def invoice(order):
    raise ConnectionError(f"no answer for order {order}")
