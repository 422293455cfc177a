"""Pages of several stores: any number of rows can be skipped, and what remains is where it is in the whole list."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failaware.federation import pages
from failaware.federation.pages import Start

times = st.lists(st.integers(0, 50), max_size=40).map(sorted)


@given(stores=st.lists(times, min_size=1, max_size=4), number=st.integers(0, 120), oldest=st.booleans())
def test_rows_are_skipped_where_they_are_in_the_whole_list(stores, number, oldest):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "_FEW", 1)
        _compare(stores, number, oldest)


def _compare(stores, number, oldest):
    parts = {_Part(place): rows if oldest else rows[::-1] for place, rows in enumerate(stores, 1)}
    start = Start(parts, None, oldest=oldest)

    def at(offsets):
        return {part: parts[part][offset] for part, offset in offsets.items() if offset < len(parts[part])}

    rest = pages.skip(start, number, at)
    assert rest + sum(start.offsets.values()) == number
    whole = sorted(((time, part.number) for part in parts for time in parts[part]), reverse=not oldest)
    left = [(time, part.number) for part in parts for time in parts[part][start.offsets[part] :]]
    assert sorted(left, reverse=not oldest)[rest:] == whole[number:]


class _Part(SimpleNamespace):
    __hash__ = object.__hash__

    def __init__(self, number):
        super().__init__(number=number)
