"""One of several producers: `python -m benchmarks.producer SYSTEM FOLDER SYNCHRONOUS COUNT START NUMBER`.

Records COUNT events, beginning at the time START, and prints the time it ended and each duration in seconds as JSON.
"""

import json
import sys
import time
from pathlib import Path

from benchmarks.systems import SYSTEMS
from benchmarks.work import payloads
from benchmarks.workloads import timed


def main():
    """Record the events."""
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
