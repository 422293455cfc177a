"""The machine's clock: the default for a store and an inspector. No module below them reads a clock."""

import time


def now_us() -> int:
    """Return the time in µs since the epoch, UTC."""
    return time.time_ns() // 1_000
