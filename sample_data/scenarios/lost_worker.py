"""A video that kills the worker that transcodes it. In the simulation a separate process attempts it and dies."""

import os
from random import Random
from typing import Any

from failaware import Event, Handlers, Retry, Store, Worker

from ..world import HOUR, world
from . import Scenario

RETRY = Retry(max_attempts=3, base=600)
LEASE_S = 45.0
DEADLY = "broken-av1"
KILLED = 137  # exit status of a process killed by the out-of-memory killer
_DEADLY_NUMBER = 2


def payload(rng: Random, number: int) -> dict[str, Any]:
    """Return a video; one of them is deadly."""
    codec = DEADLY if number == _DEADLY_NUMBER else "h264"
    return {"video": f"upload-{rng.getrandbits(32):08x}.mp4", "codec": codec, "seconds": rng.randint(20, 600)}


def hours_ago(_began: int, ends: int) -> dict[int, int]:
    """Time the deadly video early enough to use up its attempts."""
    return {_DEADLY_NUMBER: ends - 9 * HOUR}


def transcode(event: Event) -> None:
    """Transcode the video. The deadly one uses up the memory."""
    if event.payload["codec"] == DEADLY:
        raise MemoryError(f"transcoding {event.payload['video']} needs more memory than there is")
    world.spend(event.payload["seconds"] * 4)


def die_of_it(path: str, now: int) -> None:
    """Attempt the deadly video and die as if killed by the out-of-memory killer; run in another process."""
    handlers = Handlers()

    @handlers.on(SCENARIO.event_type, retry=RETRY)
    def killed(event: Event) -> None:
        if event.payload["codec"] == DEADLY:
            os._exit(KILLED)
        transcode(event)

    Worker(Store.open(path, synchronous="NORMAL", clock=lambda: now), handlers, batch=1, lease=LEASE_S).run(
        until_idle=True, patience=0
    )


SCENARIO = Scenario("lost worker", "video.transcode", 0.01, "uploads", payload, hours_ago)
