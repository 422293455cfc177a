"""One of several producers: `python -m benchmarks.producer SYSTEM FOLDER SYNCHRONOUS COUNT START NUMBER`.

Records COUNT events from the moment START on, and prints when it ended and how long each took, in seconds, as JSON.
"""

import json
import sys
import time
from pathlib import Path

from benchmarks.systems import SYSTEMS
from benchmarks.work import payloads
from benchmarks.workloads import timed


def main():
    """Record them."""
    name, folder, synchronous, count, start, number = sys.argv[1:]
    system = SYSTEMS[name](Path(folder), synchronous)
    given = list(payloads(int(count), first=int(number) * int(count)))
    time.sleep(max(0.0, float(start) - time.time()))
    latencies = [timed(system.record, payload) for payload in given]
    ended = time.time()
    system.close()
    sys.stdout.write(json.dumps({"ended": ended, "latencies": latencies}))


if __name__ == "__main__":
    main()
