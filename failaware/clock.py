"""The machine's clock, which the handles read unless they are given another. Nothing below them reads a clock."""

import time


def now_us() -> int:
    """The time in µs since the epoch, UTC."""
    return time.time_ns() // 1_000
