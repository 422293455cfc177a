-- The derived tables. Every row can be deleted and derived again from the facts, byte for byte the same.
--
-- Recording an event writes only its facts. An event without attempts and decisions has no row in stored_state: it is
-- PENDING, and due since it was detected. Up to the id in stored_until it is in stored_unattempted and counted in
-- stored_counts; above it, at most some hundred events are neither (unstored_event). The views event_state, event_counts
-- and unattempted_event are complete.

CREATE TABLE cluster_part (            -- one row per cluster, and per cluster that was merged into another
  part_id    INTEGER PRIMARY KEY,      -- rows per event or attempt have the id under which they were stored, so that
  cluster_id INTEGER NOT NULL          -- a merge does not touch them: their cluster is this one
) STRICT;
CREATE INDEX part_of_cluster ON cluster_part (cluster_id);

CREATE TABLE stored_state (            -- the state of each event with an attempt or a decision
  event_id        INTEGER PRIMARY KEY,
  event_type      TEXT NOT NULL,
  sync_status     TEXT NOT NULL,
  dismissed       INTEGER NOT NULL,    -- 0 or 1
  attempts        INTEGER NOT NULL,    -- the last attempt's number
  retry_count     INTEGER NOT NULL,    -- failed attempts that another attempt followed
  last_success    INTEGER NOT NULL,    -- the number of the last SYNCED attempt; 0: none
  budget_from     INTEGER NOT NULL,    -- the last attempt before the current budget: the last SYNCED or requeued one
  failed_attempts INTEGER NOT NULL,    -- failed attempts since then
  last_failure    INTEGER,             -- attempt_log.attempt_id
  part_id         INTEGER NOT NULL,    -- cluster_part.part_id of the last failure; 0: never failed
  first_failed_at INTEGER,
  failing_since   INTEGER,             -- the first failure since the last SYNCED attempt
  last_failed_at  INTEGER,
  due_at          INTEGER,             -- null: no attempt follows
  severity        TEXT,                -- null: resolved, dismissed or not failed
  rule            TEXT,
  changed_at      INTEGER NOT NULL     -- time of the newest fact of this event
) STRICT;
CREATE INDEX event_due ON stored_state (event_type, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX event_unresolved ON stored_state (severity, failing_since) WHERE severity IS NOT NULL;
CREATE INDEX event_of_severity ON stored_state (severity, event_id) WHERE severity IS NOT NULL;
CREATE INDEX event_not_synced ON stored_state (sync_status, event_id)  -- SQLite uses it for OR, not for IN
  WHERE sync_status = 'PENDING' OR sync_status = 'FAILED' OR sync_status = 'DEAD';
CREATE INDEX event_dismissed ON stored_state (event_id) WHERE dismissed = 1;
CREATE INDEX event_retried ON stored_state (retry_count) WHERE retry_count > 0;

CREATE TABLE stored_unattempted (      -- the other events, up to stored_until
  event_id    INTEGER PRIMARY KEY,
  event_type  TEXT NOT NULL,
  detected_at INTEGER                  -- never null, but SQLite must not know that: see the index
) STRICT;
CREATE INDEX unattempted_due ON stored_unattempted (event_type, detected_at)
  WHERE detected_at IS NOT NULL;       -- only a statement with a condition on detected_at uses it: along it, SQLite
                                       -- would read all events of a type to sort a page of them

CREATE TABLE stored_until (            -- one row: events above this id are not stored yet
  place    INTEGER PRIMARY KEY,
  event_id INTEGER NOT NULL
) STRICT;

CREATE VIEW unstored_event AS          -- events that are in neither of the two tables above
SELECT e.event_id, e.event_type, e.detected_at
  FROM event_log e
 WHERE e.event_id > (SELECT coalesce(max(u.event_id), 0) FROM stored_until u)
   AND NOT EXISTS (SELECT 1 FROM stored_state s WHERE s.event_id = e.event_id);

CREATE VIEW unattempted_event AS       -- all events without attempts and decisions
SELECT event_id, event_type, detected_at FROM stored_unattempted
UNION ALL
SELECT event_id, event_type, detected_at FROM unstored_event;

CREATE VIEW event_state AS             -- the state of every event
SELECT e.event_id, e.event_type, coalesce(s.sync_status, 'PENDING') AS sync_status,
       coalesce(s.dismissed, 0) AS dismissed, coalesce(s.attempts, 0) AS attempts,
       coalesce(s.retry_count, 0) AS retry_count, coalesce(s.last_success, 0) AS last_success,
       coalesce(s.budget_from, 0) AS budget_from, coalesce(s.failed_attempts, 0) AS failed_attempts,
       s.last_failure, coalesce(p.cluster_id, 0) AS cluster_id, s.first_failed_at, s.failing_since, s.last_failed_at,
       CASE WHEN s.event_id IS NULL THEN e.detected_at ELSE s.due_at END AS due_at, s.severity, s.rule,
       coalesce(s.changed_at, e.detected_at) AS changed_at, e.source, e.occurred_at, e.detected_at
  FROM event_log e
  LEFT JOIN stored_state s ON s.event_id = e.event_id
  LEFT JOIN cluster_part p ON p.part_id = s.part_id;

CREATE VIEW attempted_event AS         -- stored_state, with the cluster of the last failure
SELECT s.event_id, s.event_type, s.sync_status, s.dismissed, s.attempts, s.retry_count, s.last_success, s.budget_from,
       s.failed_attempts, s.last_failure, CASE s.part_id WHEN 0 THEN 0 ELSE p.cluster_id END AS cluster_id,
       s.first_failed_at, s.failing_since, s.last_failed_at, s.due_at, s.severity, s.rule, s.changed_at
  FROM stored_state s LEFT JOIN cluster_part p ON p.part_id = s.part_id;

CREATE TABLE stored_failure (          -- one row per failed attempt
  attempt_id INTEGER PRIMARY KEY,
  part_id    INTEGER NOT NULL
) STRICT;
CREATE INDEX failure_of_part ON stored_failure (part_id, attempt_id);

CREATE VIEW failure AS                 -- stored_failure, with the clusters of the parts
SELECT f.attempt_id, p.cluster_id FROM stored_failure f JOIN cluster_part p ON p.part_id = f.part_id;

CREATE TABLE stored_member (           -- one row per event and cluster that it failed in
  event_id        INTEGER NOT NULL,
  part_id         INTEGER NOT NULL,
  failures        INTEGER NOT NULL,
  first_failed_at INTEGER NOT NULL,    -- when the event entered the cluster
  last_failed_at  INTEGER NOT NULL,
  first_attempt   INTEGER NOT NULL,    -- the lowest number of an attempt that failed in it
  recovered_at    INTEGER NOT NULL,    -- end of the next successful attempt; 2^63 - 1: none
  recovered       INTEGER NOT NULL,    -- 1: its last attempt succeeded, without a decision since its first failure
  several         INTEGER NOT NULL,    -- 1: the event may have failed in other clusters too, with which this one may merge
  PRIMARY KEY (event_id, part_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX event_cluster_entry ON stored_member (part_id, first_failed_at, event_id, recovered_at);
CREATE INDEX event_cluster_member ON stored_member (part_id, event_id);
CREATE INDEX event_cluster_open ON stored_member (part_id, recovered_at, first_failed_at);
CREATE INDEX event_cluster_several ON stored_member (part_id) WHERE several = 1;

CREATE VIEW event_cluster AS           -- stored_member, with the clusters of the parts
SELECT e.event_id, p.cluster_id, e.failures, e.first_failed_at, e.last_failed_at, e.first_attempt, e.recovered_at,
       e.recovered
  FROM stored_member e JOIN cluster_part p ON p.part_id = e.part_id;

CREATE TABLE stored_refailure (        -- one row per failed attempt at an event that had been SYNCED before
  event_id     INTEGER NOT NULL,
  attempt_no   INTEGER NOT NULL,
  part_id      INTEGER NOT NULL,
  failed_at    INTEGER NOT NULL,
  recovered_at INTEGER NOT NULL,       -- as in event_cluster
  PRIMARY KEY (event_id, attempt_no)
) STRICT, WITHOUT ROWID;
CREATE INDEX failure_after_success_open ON stored_refailure (part_id, recovered_at);

CREATE VIEW failure_after_success AS   -- stored_refailure, with the clusters of the parts
SELECT r.event_id, r.attempt_no, p.cluster_id, r.failed_at, r.recovered_at
  FROM stored_refailure r JOIN cluster_part p ON p.part_id = r.part_id;

CREATE TABLE failure_cluster (
  cluster_id      INTEGER PRIMARY KEY,
  event_type      TEXT NOT NULL,
  error_type      TEXT,
  template        TEXT NOT NULL,
  failures        INTEGER NOT NULL,
  events          INTEGER NOT NULL,    -- distinct events that failed in it
  recovered       INTEGER NOT NULL,    -- of these, those recovered, as in event_cluster
  episodes        INTEGER NOT NULL,    -- runs of hours in which new events entered
  relapses        INTEGER NOT NULL,    -- events that entered after every earlier event had recovered
  first_failed_at INTEGER,
  last_failed_at  INTEGER,
  example_attempt INTEGER,             -- the newest failure
  severity        TEXT,                -- null: it has no unresolved event, or no rule applies
  rule            TEXT,
  reason          TEXT,
  changed_at      INTEGER NOT NULL     -- time of the newest fact of any of its events
) STRICT;

CREATE TABLE fingerprint (             -- one row per template, and per pattern with learned variables
  fingerprint_id INTEGER PRIMARY KEY,  -- the id of a cluster of its own
  event_type     TEXT NOT NULL,
  error_type     TEXT,
  cluster_id     INTEGER NOT NULL,     -- its cluster: itself, or one of the patterns that it belongs to
  admitted       INTEGER NOT NULL,     -- 1: counts for the limit of the event type
  variables      INTEGER NOT NULL,     -- variable parts of the template
  template       TEXT                  -- null: not learned from (a name, or erased)
) STRICT;
CREATE INDEX fingerprint_of_cluster ON fingerprint (cluster_id);
CREATE INDEX fingerprint_admitted ON fingerprint (event_type) WHERE admitted = 1;

CREATE TABLE corrected_cluster (       -- one row per learned cluster that a person merged into another
  learned_id INTEGER PRIMARY KEY,
  cluster_id INTEGER NOT NULL
) STRICT;

CREATE VIEW learned_fingerprint AS     -- the existing ones; under time travel, those of the present
SELECT fingerprint_id, event_type, error_type, cluster_id, admitted, variables, template FROM fingerprint;

CREATE VIEW known_fingerprint AS       -- the same, with the clusters as corrected
SELECT f.fingerprint_id, f.event_type, f.error_type, coalesce(c.cluster_id, f.cluster_id) AS cluster_id, f.admitted,
       f.variables, f.template
  FROM learned_fingerprint f LEFT JOIN corrected_cluster c ON c.learned_id = f.cluster_id;

CREATE TABLE template_slot (           -- the words at each position that may be variable
  slot_id        INTEGER NOT NULL,     -- of all templates that agree in every other word
  word           TEXT NOT NULL,
  fingerprint_id INTEGER NOT NULL,
  PRIMARY KEY (slot_id, word)
) STRICT, WITHOUT ROWID;
CREATE INDEX slot_of_fingerprint ON template_slot (fingerprint_id);

CREATE VIEW known_slot AS              -- as above
SELECT slot_id, word, fingerprint_id FROM template_slot;

CREATE TABLE cluster_hour (
  cluster_id INTEGER NOT NULL,
  hour       INTEGER NOT NULL,         -- hours since the epoch
  failures   INTEGER NOT NULL,
  events     INTEGER NOT NULL,         -- events that entered the cluster in this hour
  PRIMARY KEY (cluster_id, hour)
) STRICT, WITHOUT ROWID;
CREATE INDEX cluster_by_hour ON cluster_hour (hour);

CREATE TABLE stored_counts (           -- counts of stored events by the reported attributes, so reports need not scan
  event_type  TEXT NOT NULL,
  sync_status TEXT NOT NULL,
  dismissed   INTEGER NOT NULL,
  cluster_id  INTEGER NOT NULL,        -- as in stored_state
  severity    TEXT NOT NULL,           -- '' for none
  events      INTEGER NOT NULL,
  PRIMARY KEY (event_type, sync_status, dismissed, cluster_id, severity)
) STRICT, WITHOUT ROWID;
CREATE INDEX event_counts_of_cluster ON stored_counts (cluster_id);
CREATE INDEX event_counts_empty ON stored_counts (events) WHERE events = 0;

CREATE VIEW event_counts AS            -- counts of all events; a type's PENDING events may be in two rows
SELECT event_type, sync_status, dismissed, cluster_id, severity, events FROM stored_counts
UNION ALL
SELECT event_type, 'PENDING', 0, 0, '', count(*) FROM unstored_event GROUP BY event_type;

CREATE VIEW failure_severity AS        -- every severity as of the last fact
SELECT 'event' AS entity_type, s.event_id AS entity_id, s.severity, s.rule,
       EVENT_REASON AS reason,         -- SQL for the sentences of the rules in failaware/rules.py
       s.changed_at AS computed_at
  FROM stored_state s LEFT JOIN attempt_log a ON a.attempt_id = s.last_failure
 WHERE s.severity IS NOT NULL
UNION ALL
SELECT 'cluster', cluster_id, severity, rule, reason, changed_at
  FROM failure_cluster WHERE severity IS NOT NULL;
