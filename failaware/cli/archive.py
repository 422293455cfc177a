"""`failaware archive --before TIME --to FILE`: old facts that are settled go to a file of their own."""

import argparse
import os
from contextlib import suppress
from functools import partial
from pathlib import Path

from failaware.cli import printer
from failaware.cli.progress import Told, bar
from failaware.errors import StoreError, UsageError
from failaware.ledger.archive import Archive, Chosen, choose, fill, next_archive, remove
from failaware.ledger.sealing import seal_all
from failaware.ledger.verify import verify
from failaware.read.inspector import Inspector
from failaware.read.moment import parse_moment
from failaware.store import Store, whoami
from failaware.text import counted, moment


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--before, --to, --because, --by, --json."""
    parser.add_argument("--before", required=True, metavar="TIME", help="only what is older: 2026-01-01, 90d, …")
    parser.add_argument("--to", required=True, metavar="FILE", help="a new SQLite file")
    printer.add_decision(parser)
    printer.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Copy, prove the copy, and only then remove; exit status 0 also when there was nothing to move."""
    file = Path(args.to)
    if file.exists():
        raise UsageError(f"{args.to} is there already; every archive is a new file")
    printer.must_exist(args.db)
    with Store.open(args.db) as store:
        now = store.clock()
        before = parse_moment(args.before, now=now)
        if before > now:
            raise UsageError("--before lies in the future; nothing is that old")
        seal_all(store, now)
        with Inspector.open(args.db) as inspector, inspector.snapshot(), bar("facts") as progress:
            chosen = choose(inspector.db, before)
            archive = next_archive(
                inspector.db,
                file.name,
                chosen,
                before=before,
                by=store.recorder.said("by", args.by or whoami()),
                reason=store.recorder.reason(args.because),
                now=now,
            )
            if any(chosen.moved.values()):
                _write(inspector, file, archive, chosen, progress)
        if any(chosen.moved.values()):
            try:
                store.write(partial(remove, archive=archive, chosen=chosen, policy=store.policy))
            except BaseException:
                file.unlink()
                raise
    return _say(args, archive, chosen)


def _write(inspector: Inspector, file: Path, archive: Archive, chosen: Chosen, progress: Told) -> None:
    """The archive under its name, once it is whole and proved; nothing under it before."""
    part = file.with_name(file.name + ".part")
    _remove(part)  # of one that was killed
    try:
        with Store.open(part) as target:
            fill(inspector.db, target, archive, chosen, progress)
        found = verify(part).findings
        if found:
            raise StoreError(f"the archive does not verify ({found[0].where}: {found[0].problem}); nothing was moved")
        os.link(part, file)  # unlike a renaming, it replaces nothing
    finally:
        _remove(part)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _remove(part: Path) -> None:
    for end in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.unlink(f"{part}{end}")


def _say(args: argparse.Namespace, archive: Archive, chosen: Chosen) -> int:
    counts = {table.removesuffix("_log") + "s": ranges.count() for table, ranges in chosen.moved.items()}
    if args.json:
        printer.print_json({"archive": archive.archive_id if any(counts.values()) else None, **counts})
        return 0
    paper = printer.Paper()
    if not any(counts.values()):
        paper.print(printer.text(f"Nothing that is settled is older than {moment(archive.before_at)}."))
        return 0
    what = f"{counted(counts['events'], 'event')} with {counted(counts['attempts'], 'attempt')}"
    paper.print(printer.text(f"{what} moved to {args.to}, and everything that is left derived anew."))
    paper.print(printer.text(f"failaware --db {args.to} health   # it is a store that can only be read", "dim"))
    paper.print(printer.text("failaware verify                  # the seals hold, here as there", "dim"))
    return 0
