"""The window on a long list: at every position it holds the items of the list."""

from hypothesis import given
from hypothesis import strategies as st

from tui.window import PAGE, Window


class Listing:
    """A list to look at through a window, newest first, as the store answers it."""

    def __init__(self, length):
        self.keys = list(range(length, 0, -1))

    def answer(self, need):
        if need.key is None:
            return self.keys[-need.limit :] if need.way == "up" else self.keys[need.position :][: need.limit]
        if need.way == "down":
            return [key for key in self.keys if key < need.key][: need.limit]
        return [key for key in self.keys if key > need.key][-need.limit :]


def fetch_missing(window, listing, first, last):
    """Fetch until nothing is missing; returns the shift of all positions, and the number of pages."""
    shift = pages = 0
    while (need := window.need(first + shift, last + shift)) is not None:
        shift += window.merge(need, listing.answer(need))
        pages += 1
        assert pages < 30
    return shift, pages


@given(st.integers(1, 5_000), st.lists(st.floats(0, 1), max_size=8), st.booleans())
def test_every_position_shows_what_stands_there(length, places, counted):
    listing = Listing(length)
    window = Window(lambda key: key)
    first = window.again()
    window.hold(listing.answer(first), ended=length < first.limit)
    window.count(length if counted else 0)
    for place in places:
        top = int(place * max(window.size - 40, 0))
        shift, _ = fetch_missing(window, listing, top, top + 39)
        for position in range(top + shift, min(top + shift + 40, window.size)):
            item = window.at(position)
            if item is not None and counted:
                assert item == length - position
        assert window.items == sorted(window.items, reverse=True)
        assert len(window.items) <= 1_000 + PAGE
        if counted:
            assert window.size == length


def test_what_is_held_is_asked_for_again_from_where_it_begins():
    listing = Listing(3_000)
    window = Window(lambda key: key)
    window.hold(listing.answer(window.again()), ended=False)
    window.count(3_000)
    fetch_missing(window, listing, 1_500, 1_540)
    before = list(window.items)
    assert listing.answer(window.again()) == before
