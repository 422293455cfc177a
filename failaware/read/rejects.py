"""Rejects: input that could not be parsed, with the reason."""

from failaware.engine import Reader
from failaware.model import NEVER, Reject


def page(db: Reader, *, limit: int, before: int | None) -> list[Reject]:
    """The newest rejects; `before` is the last reject_id of the previous page."""
    rows = db.query(
        "SELECT reject_id, origin, line_no, raw, error, rejected_at FROM reject_log "
        "WHERE reject_id < ? ORDER BY reject_id DESC LIMIT ?",
        (NEVER if before is None else before, limit),
    )
    return [Reject(*row) for row in rows]
