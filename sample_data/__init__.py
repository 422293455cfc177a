"""Five days of a working system that fails as real ones do: scenarios, and the handlers that meet them.

`seed` plays the days in simulated time, always the same for the same numbers; `live` goes on in real time. May touch:
failaware's public names only, as any user of it.
"""

from .live import live
from .plan import SCENARIOS
from .seed import SeedReport, seed

__all__ = ["SCENARIOS", "SeedReport", "live", "seed"]
