"""The compared systems by name."""

from benchmarks.failaware_system import Failaware
from benchmarks.minimum import Minimum
from benchmarks.peers import Huey, LiteQueue, PersistQueue

PEERS = {"huey": Huey, "litequeue": LiteQueue, "persist-queue": PersistQueue}
SYSTEMS = {"minimum": Minimum, "failaware": Failaware, **PEERS}
