-- The facts. Written once, never changed; the triggers of guards.py enforce this.
-- All times are integer microseconds since the epoch, UTC.

CREATE TABLE event_log (
  event_id      INTEGER PRIMARY KEY,   -- append order
  event_type    TEXT NOT NULL,
  source        TEXT,
  event_payload TEXT NOT NULL,         -- the raw JSON, as given
  occurred_at   INTEGER NOT NULL,
  detected_at   INTEGER NOT NULL,
  fingerprint   TEXT                   -- the caller's fingerprint for its failures
) STRICT;

CREATE TABLE event_key (               -- idempotent recording: a known key returns its first event
  key      TEXT PRIMARY KEY,
  event_id INTEGER NOT NULL UNIQUE
) STRICT, WITHOUT ROWID;               -- a hidden rowid would be a third key, by which a row could be replaced

CREATE TABLE traceback_log (           -- each traceback once, shared by all attempts that have it
  traceback_id INTEGER PRIMARY KEY,
  hash         TEXT NOT NULL UNIQUE,   -- keyed digest of the text, hex
  text         TEXT NOT NULL           -- ⟨error⟩ is replaced by the attempt's "error_type: error_message"
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
  fingerprint   TEXT,                  -- the handler's fingerprint for this failure
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

CREATE TABLE correction_log (            -- a person's decision on clusters, for all their events
  correction_id INTEGER PRIMARY KEY,     -- append order
  correction    TEXT NOT NULL CHECK (correction IN ('MERGE', 'SPLIT', 'UNDO')),
  cluster_id    INTEGER NOT NULL,        -- the cluster that is merged into another, or split
  into_cluster  INTEGER,                 -- of a merge
  split_by      TEXT,                    -- of a split: a placeholder, or 'frame'
  undoes        INTEGER,                 -- of an UNDO: correction_log.correction_id
  decided_by    TEXT NOT NULL,
  reason        TEXT NOT NULL,
  decided_at    INTEGER NOT NULL
) STRICT;

CREATE TABLE reject_log (              -- input that could not be parsed is kept, not dropped
  reject_id   INTEGER PRIMARY KEY,
  origin      TEXT NOT NULL,
  line_no     INTEGER NOT NULL,
  raw         TEXT NOT NULL,
  error       TEXT NOT NULL,
  rejected_at INTEGER NOT NULL
) STRICT;
CREATE INDEX reject_of_line ON reject_log (line_no);

CREATE TABLE erasure_log (             -- what an ERASE decision removed from a fact; its digest stays
  erasure_id  INTEGER PRIMARY KEY,
  decision_id INTEGER NOT NULL,        -- by whom, when and why
  of_table    TEXT NOT NULL CHECK (of_table IN ('event_log', 'attempt_log', 'traceback_log', 'failure')),
  row_id      INTEGER NOT NULL,        -- of 'failure': an attempt that lost its traceback with another event's
  digest      TEXT NOT NULL,           -- keyed, of the removed text, hex: the fact's seal stays valid; '' of 'failure'
  cluster_id  INTEGER,                 -- of a failure: it stays in this cluster
  UNIQUE (of_table, row_id)
) STRICT;

CREATE TABLE seal_log (                -- the hash chain: each seal covers a range of facts and the previous seal
  seal_id   INTEGER PRIMARY KEY,       -- from 1
  of_table  TEXT NOT NULL,
  first_id  INTEGER NOT NULL,
  last_id   INTEGER NOT NULL,
  sealed_at INTEGER NOT NULL,
  digest    TEXT NOT NULL,             -- SHA-256, hex (of what: see failaware/ledger/seals.py)
  facts     BLOB NOT NULL              -- the first 16 bytes of each fact's own SHA-256, by id; zeros where there is none
) STRICT;
CREATE INDEX seal_of ON seal_log (of_table, last_id);

CREATE TABLE archive_log (             -- a person's decision to move old facts to an archive file
  archive_id  INTEGER PRIMARY KEY,
  name        TEXT NOT NULL,           -- the file's name at that time
  events      INTEGER NOT NULL,        -- how many were archived
  before_at   INTEGER NOT NULL,        -- all archived facts are older
  archived_by TEXT NOT NULL,
  reason      TEXT NOT NULL,
  archived_at INTEGER NOT NULL,
  digest      TEXT                     -- SHA-256 of this archive's rows of moved_log, hex; null: made before version 2
) STRICT;

CREATE TABLE moved_log (               -- archived facts; their seals stay here
  moved_id   INTEGER PRIMARY KEY,
  archive_id INTEGER NOT NULL,
  of_table   TEXT NOT NULL
    CHECK (of_table IN ('event_log', 'traceback_log', 'attempt_log', 'decision_log', 'reject_log')),
  first_id   INTEGER NOT NULL,
  last_id    INTEGER NOT NULL,
  UNIQUE (of_table, first_id)
) STRICT;
