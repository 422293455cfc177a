"""`failaware systemd print|install|uninstall|record`: record every unit of systemd that fails."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from failaware.cli.printer import Printer
from failaware.engine import is_postgres
from failaware.errors import UsageError
from failaware.place import resolve
from failaware.store import Store
from failaware.text import shown_place

_MARK = "# Written by 'failaware systemd install'; 'failaware systemd uninstall' removes it.\n"
_TYPES = ("service", "mount", "socket", "swap", "timer", "path")
_DROP_IN = f"""{_MARK}[Unit]
OnFailure=failaware-failed@%n.service
"""
_NO_DROP_IN = f"""{_MARK}# In place of the file of this name in service.d: a failure to record is not recorded again.
"""
_RECORDER = f"""{_MARK}[Unit]
Description=Record in failaware that %i failed

[Service]
Type=oneshot
ExecStart={{command}} systemd record{{scope}} -- %i
"""
_FILE = "failaware.conf"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The action, UNIT, --user, --root."""
    parser.add_argument(
        "action",
        choices=("print", "install", "uninstall", "record"),
        metavar="ACTION",
        help="print: show the files; install: write them; uninstall: remove them; record: what systemd then calls",
    )
    parser.add_argument("unit", nargs="?", metavar="UNIT", help="with record: the unit that has failed")
    parser.add_argument("--user", action="store_true", help="the units of your own service manager (systemctl --user)")
    parser.add_argument("--root", metavar="DIR", default="", help="write below this folder, such as that of an image")


def run(args: argparse.Namespace) -> int:
    """Carry out the action."""
    if (args.unit is not None) != (args.action == "record"):
        raise UsageError("write 'failaware systemd record UNIT', and the other actions without a unit")
    if args.action == "record":
        return _record(args)
    if args.action == "uninstall":
        return _uninstall(args)
    files = _files(args)
    if args.action == "install":
        _refuse_others(files)
        Store.open(args.db).close()
    printer = Printer()
    for path, text in files.items():
        printer.write(f"── {path}", "bold")
        for line in text.splitlines():
            printer.write(line)
    if args.action == "print":
        return 0
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    printer.write(f"Written. Each unit that fails becomes an event in {shown_place(str(resolve(args.db)))}.")
    return _reload(args)


def _record(args: argparse.Namespace) -> int:
    from failaware.integrations.systemd import record

    with Store.open(args.db) as store:
        event_id = record(store, args.unit, environ=os.environ, user=args.user)
    sys.stdout.write(f"{args.unit} failed: event {event_id}\n")
    return 0


def _uninstall(args: argparse.Namespace) -> int:
    removed = [path for path in _paths(args) if _is_ours(path)]
    printer = Printer()
    for path in removed:
        path.unlink()
        printer.write(f"removed {path}")
        if path.parent.name.endswith(".d") and not any(path.parent.iterdir()):
            path.parent.rmdir()
    if not removed:
        printer.write("There is nothing of failaware to remove.")
        return 0
    return _reload(args)


def _files(args: argparse.Namespace) -> dict[Path, str]:
    """The files and their contents."""
    place = str(resolve(args.db))
    if is_postgres(place) and shown_place(place) != place:
        raise UsageError("unit files can be read by everyone; write the password into .pgpass, not into the URL")
    command = " ".join(map(_quoted, (sys.executable, "-m", "failaware", "--db", place)))
    recorder = _RECORDER.format(command=command, scope=" --user" if args.user else "")
    *drop_ins, without, service = _paths(args)
    return dict.fromkeys(drop_ins, _DROP_IN) | {without: _NO_DROP_IN, service: recorder}


def _paths(args: argparse.Namespace) -> list[Path]:
    folder = Path("/etc")
    if args.user:
        folder = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    folder = Path(f"{args.root.rstrip('/')}{folder.absolute()}", "systemd", "user" if args.user else "system")
    recorder = "failaware-failed@.service"
    return [*(folder / f"{kind}.d" / _FILE for kind in _TYPES), folder / f"{recorder}.d" / _FILE, folder / recorder]


def _quoted(word: str) -> str:
    """A word of a command line as systemd reads it."""
    for mark, written in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", "$$"), ("\n", "\\n")):
        word = word.replace(mark, written)
    return f'"{word}"'


def _refuse_others(paths: dict[Path, str]) -> None:
    for path in paths:
        if path.exists() and not _is_ours(path):
            raise UsageError(f"{path} is not of failaware; move it away first")


def _is_ours(path: Path) -> bool:
    try:
        return path.read_text(encoding="utf-8").startswith(_MARK)
    except FileNotFoundError:
        return False


def _reload(args: argparse.Namespace) -> int:
    """Make systemd read the files; below --root there is none that could."""
    if args.root:
        return 0
    command = ["systemctl", *(["--user"] if args.user else []), "daemon-reload"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no shell
        problem = done.stderr.strip() if done.returncode else None
    except OSError as error:
        problem = str(error)
    if problem is None:
        return 0
    sys.stderr.write(f"failaware: systemd was not reloaded ({problem}); run '{' '.join(command)}'\n")
    return 1
