-- The facts. Written once, never changed; guards.py makes the database itself refuse.
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
  hash         TEXT NOT NULL UNIQUE,   -- keyed digest of the text, hex
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
  retry_reason  TEXT,                  -- how the retry delay was computed, or why no attempt follows
  cause         TEXT,                  -- the root of an explicit chain: "type: message"
  fingerprint   TEXT,                  -- the handler's word on what this failure is like
  UNIQUE (event_id, attempt_no)
) STRICT;

CREATE TABLE decision_log (
  decision_id   INTEGER PRIMARY KEY,   -- append order
  event_id      INTEGER NOT NULL,
  decision      TEXT NOT NULL CHECK (decision IN ('REQUEUE', 'DISMISS', 'ERASE')),
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

CREATE TABLE erasure_log (             -- what an ERASE decision removed from a fact; the digest of it stays
  erasure_id  INTEGER PRIMARY KEY,
  decision_id INTEGER NOT NULL,        -- by whom, when and why
  of_table    TEXT NOT NULL CHECK (of_table IN ('event_log', 'attempt_log', 'traceback_log', 'failure')),
  row_id      INTEGER NOT NULL,        -- of 'failure': an attempt that lost its traceback with another event's
  digest      TEXT NOT NULL,           -- keyed, of what was removed, hex: the fact's seal stays valid; '' of 'failure'
  cluster_id  INTEGER,                 -- of a failure: it stays in this cluster
  UNIQUE (of_table, row_id)
) STRICT;

CREATE TABLE seal_log (                -- the chain of seals: each over a range of facts and the seal before
  seal_id   INTEGER PRIMARY KEY,       -- from 1
  of_table  TEXT NOT NULL,
  first_id  INTEGER NOT NULL,
  last_id   INTEGER NOT NULL,
  sealed_at INTEGER NOT NULL,
  digest    TEXT NOT NULL,             -- SHA-256, hex (failaware/ledger/seals.py says of what)
  facts     BLOB NOT NULL              -- the first 16 bytes of each fact's own SHA-256, by id; zeros where there is none
) STRICT;
CREATE INDEX seal_of ON seal_log (of_table, last_id);

CREATE TABLE archive_log (             -- a person's decision to move old facts to a file of their own
  archive_id  INTEGER PRIMARY KEY,
  name        TEXT NOT NULL,           -- the file, as it was called then
  events      INTEGER NOT NULL,        -- how many were moved
  before_at   INTEGER NOT NULL,        -- every fact that was moved is older
  archived_by TEXT NOT NULL,
  reason      TEXT NOT NULL,
  archived_at INTEGER NOT NULL,
  digest      TEXT                     -- SHA-256 of this archive's rows of moved_log, hex; null: made before version 2
) STRICT;

CREATE TABLE moved_log (               -- which facts were moved to an archive; their seals stay here
  moved_id   INTEGER PRIMARY KEY,
  archive_id INTEGER NOT NULL,
  of_table   TEXT NOT NULL
    CHECK (of_table IN ('event_log', 'traceback_log', 'attempt_log', 'decision_log', 'reject_log')),
  first_id   INTEGER NOT NULL,
  last_id    INTEGER NOT NULL,
  UNIQUE (of_table, first_id)
) STRICT;
