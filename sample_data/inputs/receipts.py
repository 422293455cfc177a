import dramatiq
from dramatiq.brokers.redis import RedisBroker

from failaware import Store
from failaware.integrations.dramatiq import Recorder

broker = RedisBroker(url="redis://localhost:6379")
broker.add_middleware(Recorder(Store.open("failaware.db")))
dramatiq.set_broker(broker)


@dramatiq.actor(max_retries=1, min_backoff=100)
def receipt(order):
    raise ConnectionError(f"no answer for order {order}")
