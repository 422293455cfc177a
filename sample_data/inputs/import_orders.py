import logging
import threading

import failaware

failaware.watch("failaware.db")


def load(order):
    raise LookupError(f"order {order} has no address")


thread = threading.Thread(target=load, args=(17,))
thread.start()
thread.join()
logging.getLogger("shop.stock").error("no stock of %s", "A-1")
load(18)
