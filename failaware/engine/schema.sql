-- The facts. Written once, never changed; guards/ makes the database itself refuse.
-- All times are integer microseconds since the epoch, UTC.

CREATE TABLE event_log (
  event_id      INTEGER PRIMARY KEY,   -- append order
  event_type    TEXT NOT NULL,
  source        TEXT,
  event_payload TEXT NOT NULL,         -- the raw JSON, as given
  occurred_at   INTEGER NOT NULL,
  detected_at   INTEGER NOT NULL,
  fingerprint   TEXT                   -- the caller's word on what its failures are like
) STRICT;

CREATE TABLE event_key (               -- idempotent ingestion: a known key is its first event
  key      TEXT PRIMARY KEY,
  event_id INTEGER NOT NULL UNIQUE
) STRICT, WITHOUT ROWID;               -- a hidden row id would be a third key, through which a row could be replaced

CREATE TABLE traceback_log (           -- each traceback once, however many attempts share it
  traceback_id INTEGER PRIMARY KEY,
  hash         TEXT NOT NULL UNIQUE,   -- SHA-256 of the text, hex
  text         TEXT NOT NULL           -- ⟨error⟩ stands for the attempt's "error_type: error_message"
) STRICT;

CREATE TABLE attempt_log (
  attempt_id    INTEGER PRIMARY KEY,   -- append order
  event_id      INTEGER NOT NULL,
  attempt_no    INTEGER NOT NULL,      -- from 1
  outcome       TEXT NOT NULL CHECK (outcome IN ('SYNCED', 'FAILED')),
  error_type    TEXT,
  error_message TEXT,
  traceback     INTEGER,               -- traceback_log.traceback_id
  worker        TEXT NOT NULL,         -- host:pid
  started_at    INTEGER NOT NULL,
  finished_at   INTEGER NOT NULL,
  retry_at      INTEGER,               -- null after a failure: given up
  because       TEXT,                  -- the reckoning of the wait, or why given up
  cause         TEXT,                  -- the root of an explicit chain: "type: message"
  fingerprint   TEXT,                  -- the handler's word on what this failure is like
  UNIQUE (event_id, attempt_no)
) STRICT;

CREATE TABLE decision_log (
  decision_id   INTEGER PRIMARY KEY,   -- append order
  event_id      INTEGER NOT NULL,
  decision      TEXT NOT NULL CHECK (decision IN ('REQUEUE', 'DISMISS')),
  after_attempt INTEGER NOT NULL,      -- how many attempts the event had when the person decided
  decided_by    TEXT NOT NULL,
  reason        TEXT NOT NULL,
  decided_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX decision_of ON decision_log (event_id, decision_id);

CREATE TABLE reject_log (              -- what could not be understood is kept, not dropped
  reject_id   INTEGER PRIMARY KEY,
  origin      TEXT NOT NULL,
  line_no     INTEGER NOT NULL,
  raw         TEXT NOT NULL,
  error       TEXT NOT NULL,
  rejected_at INTEGER NOT NULL
) STRICT;

-- Coordination: neither fact nor truth.
CREATE TABLE lease (
  event_id     INTEGER PRIMARY KEY,
  leased_until INTEGER NOT NULL,
  leased_by    TEXT NOT NULL
) STRICT;

CREATE TABLE followed (                -- how far `ingest --follow` has read; moves with the facts that it read
  path        TEXT NOT NULL,
  identity    TEXT NOT NULL,           -- device:inode, since a path is another file after a rotation
  read_to     INTEGER NOT NULL,        -- bytes
  line_no     INTEGER NOT NULL,        -- lines
  digest      TEXT NOT NULL,           -- SHA-256 of the first bytes and the last ones before read_to, hex
  modified_ns INTEGER NOT NULL,        -- the file's own time when it was read
  PRIMARY KEY (path, identity)
) STRICT;

-- How this store derives: the thresholds of the severity rules, the version of the fingerprint.
CREATE TABLE setting (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT;
