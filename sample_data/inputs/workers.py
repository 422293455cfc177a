import rq

from failaware import Store
from failaware.integrations.rq import Recorded


class Worker(Recorded, rq.Worker):
    store = Store.open("failaware.db")
