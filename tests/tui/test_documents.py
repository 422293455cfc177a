"""Long texts: folded, coloured, wrapped, bounded; and never anything but harmless text."""

from hypothesis import given
from hypothesis import strategies as st
from textual.app import App

from failaware.text import cells
from tui import documents
from tui.widgets.text_view import TextView, breaks

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


def test_frames_of_libraries_are_folded_and_can_be_unfolded():
    folded = documents.traceback(TRACE, fold=True)
    texts = [line.text for line in folded.lines]
    assert folded.folded == 2
    assert "  … 2 library frames folded (f unfolds)" in texts
    assert not [text for text in texts if "site-packages" in text or "sslobj" in text or "^^^" in text]
    assert texts[-1] == "shop.Timeout: no answer"
    assert [line.text for line in documents.traceback(TRACE, fold=False).lines] == TRACE.splitlines()


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


def test_painting_changes_no_text_but_that_of_frames():
    for line in documents.traceback(TRACE, fold=False).lines:
        painted = "".join(text for text, _ in line.paint(line.text))
        assert painted == line.text or line.text.startswith("  File")


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


@given(st.text())
def test_a_payload_of_anything_is_harmless_lines(text):
    for line in documents.payload(text):
        assert line.text == documents.visible(line.text)
