"""The compared systems by name."""

from benchmarks.minimum import Minimum
from benchmarks.ours import Ours
from benchmarks.peers import Huey, LiteQueue, PersistQueue

PEERS = {"huey": Huey, "litequeue": LiteQueue, "persist-queue": PersistQueue}
SYSTEMS = {"minimum": Minimum, "failaware": Ours, **PEERS}
