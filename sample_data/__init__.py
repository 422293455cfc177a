"""Five days of a system with realistic failures: scenarios and their handlers.

`seed` plays the days in simulated time, with the same result for the same arguments; `live` continues in real time.
Uses only the public names of failaware.
"""

from .live import live
from .plan import SCENARIOS
from .seed import SeedReport, seed

__all__ = ["SCENARIOS", "SeedReport", "live", "seed"]
