"""Appending events to a file, under its write lock: ids follow the newest, keys are looked up before."""

from collections.abc import Sequence

from failaware.engine.base import ProjectionWriter, Row
from failaware.schema.catalogue import EVENT, EVENT_KEY

_COLUMNS = ", ".join(EVENT.column_names)
_INSERT = f"INSERT INTO event_log ({_COLUMNS}) VALUES ({', '.join('?' * len(EVENT.column_names))})"
_INSERT_KEY = f"INSERT INTO event_key ({', '.join(EVENT_KEY.column_names)}) VALUES (?, ?)"
_MOST = 1_024  # values in one IN (...)


class EventAppender:
    """The part of the writer that appends events."""

    def append_events(self: ProjectionWriter, rows: Sequence[Row], *, refuse: bool) -> list[int]:  # noqa: ARG002
        """Append events; the caller checks the types of known ones. The newest row is never archived."""
        event_id = int(self.query("SELECT coalesce(max(event_id), 0) FROM event_log")[0][0])
        by_key = _known(self, [row[-1] for row in rows if row[-1] is not None])
        ids, new, keys = [], [], []
        for row in rows:
            key = row[-1]
            if key is not None and key in by_key:
                ids.append(-by_key[key])
                continue
            event_id += 1
            ids.append(event_id)
            new.append((event_id, *row[:-1]))
            if key is not None:
                by_key[key] = event_id
                keys.append((key, event_id))
        if new:
            self.execute_many(_INSERT, new)
        if keys:
            self.execute_many(_INSERT_KEY, keys)
        return ids


def _known(db: ProjectionWriter, keys: list[str]) -> dict[str, int]:
    known: dict[str, int] = {}
    for start in range(0, len(keys), _MOST):
        some = keys[start : start + _MOST]
        size = 1 << (len(some) - 1).bit_length()  # few statements are prepared
        sql = f"SELECT key, event_id FROM event_key WHERE key IN ({','.join('?' * size)})"
        known |= dict(db.query(sql, some + some[-1:] * (size - len(some))))
    return known
