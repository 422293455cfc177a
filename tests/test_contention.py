"""Many at once at one store: nobody hears that it is locked, nobody waits for long, the log does not grow for ever."""

from tests.remembering import must_hold
from tests.soak.contention import LOG_BYTES, contend, p99_in_medians


def test_eight_writers_and_four_readers_get_along(path):
    took, asked, log = contend(path, 4)
    assert len(took) > 200
    assert asked > 20
    assert p99_in_medians(took) < 20
    assert max(took) < 4
    assert log < LOG_BYTES
    assert must_hold(path) == len(took)
