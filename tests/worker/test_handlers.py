"""Which function applies which events."""

import sys

import pytest

from failaware import Handlers, Store
from failaware.cli.main import main
from failaware.errors import HandlerError
from failaware.worker.handlers import load_handlers
from tests import processes


@pytest.mark.parametrize(
    ("event_type", "winner"),
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
def test_the_longest_pattern_wins(event_type, winner):
    handlers = Handlers()
    for pattern in ("*", "payment.*", "payment.card.*", "payment.capture"):
        handlers.on(pattern)(lambda event: None)
    assert handlers.find(event_type).pattern == winner


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
        ("", "mine2", "does not exist"),
        ("handlers = 7", "mine3", "a int"),
        ("from failaware import Handlers\nhandlers = Handlers()", "mine4", "no handler"),
        ("", ":handlers", "names no module"),
        ("", "./shop/push.py", "is a file; name the module, as in 'import shop.push': shop.push"),
        ("", "push.py:handlers", "is a file; name the module, as in 'import push': push"),
        ("def broken(:", "mine5", "cannot be imported: SyntaxError"),
        ("x = 1\n1 / 0", "mine6", "ZeroDivisionError.*mine6.py, line 2"),
        ("import sys\nsys.exit(0)", "mine7", "mine7 ends the program when it is imported.*mine7.py, line 2.*__main__"),
        ("raise SystemExit", "mine8", "ends the program"),
        ("import argparse\nargparse.ArgumentParser().parse_args(['--x'])", "mine9", "ends the program.*SystemExit: 2"),
        ("class Stop(BaseException): pass\nraise Stop('no')", "mine10", "cannot be imported: mine10.Stop: no"),
        ("class Odd(Exception):\n def __str__(self): 1/0\nraise Odd", "mine11", "unprintable Odd"),
        ("def __getattr__(name): raise KeyError(name)", "mine12", "mine12:handlers cannot be read: KeyError"),
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


def test_ctrl_c_during_the_import_is_no_error_of_the_module(tmp_path, monkeypatch):
    (tmp_path / "interrupted.py").write_text("raise KeyboardInterrupt")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        load_handlers("interrupted")


@pytest.mark.sqlite
def test_a_warning_of_a_handler_names_its_place_and_ours_is_one_line(path, tmp_path):
    (tmp_path / "old.py").write_text(
        "import warnings\nfrom failaware import Handlers\nhandlers = Handlers()\n"
        "@handlers.on('a')\ndef a(event):\n    warnings.warn('the price list is old')\n"
    )
    with Store.open(path) as store:
        store.record("a")
    path.chmod(0o644)
    command = [sys.executable, "-m", "failaware", "--db", str(path), "run", "old", "--until-idle"]
    done = processes.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert f"{tmp_path}/old.py:6: UserWarning: the price list is old\n" in done.stderr
    assert f"failaware: {path}" in done.stderr


@pytest.mark.parametrize("option", ["--concurrency", "--batch", "--lease", "--grace"])
@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "-1", "1e400", "99999999999999999999", "ten", ""])
def test_an_odd_number_is_a_usage_error_of_the_command_line(tmp_path, monkeypatch, capsys, option, value):
    (tmp_path / "some.py").write_text(
        "from failaware import Handlers\nhandlers = Handlers()\nhandlers.on('a')(print)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    try:
        status = main(["--db", str(tmp_path / "a.db"), "run", "some", "--until-idle", f"{option}={value}"])
    except SystemExit as left:
        status = left.code
    assert status == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert option.strip("-") in line
