"""Which function applies which events."""

import sys

import pytest

from failaware import Handlers
from failaware.errors import HandlerError
from failaware.sync.handlers import load_handlers


@pytest.mark.parametrize(
    ("event_type", "found"),
    [
        ("payment.capture", "payment.capture"),
        ("payment.refund", "payment.*"),
        ("payment.card.capture", "payment.card.*"),
        ("payment.card.deep.er", "payment.card.*"),
        ("payment", "*"),
        ("paymentx.y", "*"),
        ("other", "*"),
    ],
)
def test_the_longest_pattern_wins(event_type, found):
    handlers = Handlers()
    for pattern in ("*", "payment.*", "payment.card.*", "payment.capture"):
        handlers.on(pattern)(lambda event: None)
    assert handlers.find(event_type).pattern == found


def test_without_a_pattern_that_fits_there_is_no_handler():
    handlers = Handlers()
    handlers.on("a.*")(lambda event: None)
    assert not handlers.handles("b")
    assert not handlers.handles("a")


@pytest.mark.parametrize("pattern", ["", "a*", "*.b", "a\nb", "a\u3164", "a.*.b", ".*", "a?"])
def test_what_is_no_pattern_is_refused(pattern):
    with pytest.raises(HandlerError, match="not a pattern"):
        Handlers().on(pattern)


def test_a_taken_pattern_and_an_async_transaction_are_refused():
    handlers = Handlers()
    handlers.on("a")(lambda event: None)
    with pytest.raises(HandlerError, match="has a handler already"):
        handlers.on("a")

    async def later(event):
        """Nothing."""

    with pytest.raises(HandlerError, match="async"):
        handlers.on("b", transaction=True)(later)


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("", "nowhere_to_be_found:handlers", "no module"),
        ("import does_not_exist_at_all", "mine1", "needs the module"),
        ("", "mine2", "no such name"),
        ("handlers = 7", "mine3", "a int"),
        ("from failaware import Handlers\nhandlers = Handlers()", "mine4", "no handler"),
        ("", ":handlers", "names no module"),
        ("", "./shop/push.py", "is a file; name the module, as in 'import shop.push': shop.push"),
        ("", "push.py:handlers", "is a file; name the module, as in 'import push': push"),
        ("def broken(:", "mine5", "cannot be imported: SyntaxError"),
        ("x = 1\n1 / 0", "mine6", "ZeroDivisionError.*mine6.py, line 2"),
    ],
)
def test_handlers_that_cannot_be_loaded_are_refused_in_one_sentence(tmp_path, monkeypatch, text, place, says):
    name = place.partition(":")[0]
    if text or name.startswith("mine"):
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(HandlerError, match=says):
        load_handlers(place)
