"""Long texts: folded, coloured, wrapped, bounded; and never anything but harmless text."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import App

import tui.app
from failaware.text import cells
from tui import documents
from tui.widgets.text_view import TextView
from tui.widgets.wrapped_text import breaks

from .helpers import screen_text

TRACE = """Traceback (most recent call last):
  File "/srv/shop/worker.py", line 12, in run
    post(order)
  File "/srv/venv/lib/python3.11/site-packages/httpx/_client.py", line 914, in send
    response = self._send(request)
               ^^^^^^^^^^^^^^^^^^^
  File "/usr/lib/python3.11/ssl.py", line 5, in read
    return self._sslobj.read(len)
  File "/srv/shop/orders.py", line 7, in post
    raise Timeout
shop.Timeout: no answer
"""


SHOWN = [  # a frame of one's own takes fewer cells than Python gives it
    line.replace('File "/srv/shop/worker.py", line 12, in', "File /srv/shop/worker.py:12 in").replace(
        'File "/srv/shop/orders.py", line 7, in', "File /srv/shop/orders.py:7 in"
    )
    for line in TRACE.splitlines()
]


def test_frames_of_libraries_are_folded_and_can_be_unfolded():
    folded = documents.traceback(TRACE, fold=True)
    texts = [line.text for line in folded.lines]
    assert folded.folded == 2
    assert "  … 2 library frames folded (f unfolds)" in texts
    assert not [text for text in texts if "site-packages" in text or "sslobj" in text or "^^^" in text]
    assert texts[-1] == "shop.Timeout: no answer"
    assert [line.text for line in documents.traceback(TRACE, fold=False).lines] == SHOWN


def test_a_traceback_of_libraries_alone_is_not_folded():
    frames = TRACE.splitlines(keepends=True)
    trace = "".join([frames[0], *frames[3:8], frames[-1]])
    assert [line.text for line in documents.traceback(trace, fold=True).lines] == trace.splitlines()


async def test_who_is_at_the_end_of_a_text_stays_there_when_it_grows():
    class Shown(App):
        def compose(self):
            yield TextView(id="text")

    def lines(count):
        return [documents.Line(f"line {n}", documents.plain) for n in range(count)]

    async with Shown().run_test(size=(40, 10)) as pilot:
        view = pilot.app.query_one(TextView)
        view.show(lines(100))
        await pilot.pause()
        view.show(lines(101))
        await pilot.pause()
        assert view.scroll_offset.y == 0
        view.action_scroll_end()
        await pilot.pause()
        assert view.scroll_offset.y == 91
        view.show(lines(150))
        await pilot.pause()
        assert view.scroll_offset.y == 140


@pytest.mark.parametrize(
    "trace", [TRACE, 'T:\n  File "/a:1 in b.py", line 3, in f\n  File "C:\\x.py", line 9\n    x = 1']
)
def test_painting_changes_no_text(trace):
    for line in documents.traceback(trace, fold=False).lines:
        assert "".join(text for text, _ in line.paint(line.text)) == line.text


@given(st.text())
def test_json_and_code_are_painted_whole(text):
    line = documents.visible(text)
    assert "".join(part for part, _ in documents.json_paint(line)) == line
    assert "".join(part for part, _ in documents.code_paint(line)) == line


@given(st.text(alphabet="ab 語é", max_size=300), st.integers(2, 40))
def test_a_wrapped_line_loses_nothing_and_fits(text, width):
    starts = breaks(text, width)
    ends = (*starts[1:], len(text))
    pieces = [text[start:end] for start, end in zip(starts, ends, strict=True)]
    assert "".join(pieces) == text
    assert all(cells(piece.rstrip(" ")) <= width for piece in pieces)
    assert all(pieces) or not text


@pytest.mark.parametrize("width", [20, 37, 60])
@pytest.mark.parametrize("height", [6, 40])
async def test_no_character_is_lost_on_the_screen(width, height):
    """With a scrollbar or without one; further rows are indented as their line."""
    texts = [
        "0123456789" * 9,
        "  " + "abcdefghij" * 7,
        '  File "/srv/shop/' + "deep/" * 9 + 'capture.py", line 9, in f',
    ]
    shown = [line for text in texts for line in documents.traceback(text, fold=False).lines]

    class Shown(App):
        CSS_PATH = Path(tui.app.__file__).with_name("app.tcss")

        def compose(self):
            yield TextView(id="text")

    async with Shown().run_test(size=(width, height)) as pilot:
        view = pilot.app.query_one(TextView)
        view.show(shown)
        await pilot.pause()
        rows = []
        for top in range(view.virtual_size.height):
            view.scroll_to(y=top, animate=False, immediate=True)
            await pilot.pause()
            rows.append(screen_text(pilot.app).split("\n")[1 + top - int(view.scroll_offset.y)])
        painted = [row[2:-3].rstrip() for row in rows]  # without border, padding, scrollbar
        assert "".join(row.lstrip() for row in painted).replace(" ", "") == "".join(
            line.text for line in shown
        ).replace(" ", "")
        assert all(row.startswith("  ") for row in painted if "abc" in row)


@given(st.text())
def test_a_payload_of_anything_is_harmless_lines(text):
    for line in documents.payload(text):
        assert line.text == documents.visible(line.text)
