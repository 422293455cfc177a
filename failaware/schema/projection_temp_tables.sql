-- The fold's working tables: temporary tables of each connection that folds, empty between folds.

-- The touched events: their state before (was_…) and with the new facts. first_success is the lowest number of a new
-- attempt that succeeded; late is 1 if a new attempt has a lower number than an already known one; failure_after_success
-- has to be revised for attempts after number revised_from (null: not at all).
CREATE TEMP TABLE touched (
  event_id INTEGER PRIMARY KEY, event_type TEXT, was_status TEXT, was_dismissed INTEGER, was_cluster INTEGER,
  was_severity TEXT, attempts INTEGER, retry_count INTEGER, last_success INTEGER, budget_from INTEGER,
  failed_attempts INTEGER, first_failed_at INTEGER, failing_since INTEGER, last_failed_at INTEGER, last_failure INTEGER,
  changed_at INTEGER, outcome TEXT, retry_at INTEGER, first_success INTEGER, late INTEGER, revised_from INTEGER);

-- The new rows of event_cluster for the touched events, and the old ones (was_…, null if an event is new to a cluster).
-- changed_from is null if neither the time of entry nor that of recovery changes; otherwise it is the earliest time at
-- which the cluster's timeline changes.
CREATE TEMP TABLE entry (
  event_id INTEGER, cluster_id INTEGER, part_id INTEGER, failures INTEGER, first_failed_at INTEGER, last_failed_at INTEGER,
  first_attempt INTEGER, recovered_at INTEGER, recovered INTEGER, several INTEGER, newest INTEGER, was_failures INTEGER,
  was_first INTEGER, was_recovered_at INTEGER, was_recovered INTEGER, was_several INTEGER, changed_from INTEGER);

-- The rows of failure_after_success that are new or change; changed_from as above.
CREATE TEMP TABLE revised (
  event_id INTEGER, attempt_no INTEGER, cluster_id INTEGER, failed_at INTEGER, recovered_at INTEGER,
  changed_from INTEGER);

-- The clusters whose timeline changes, and the time from which it does; the only part of the cluster, or null.
CREATE TEMP TABLE changed_timeline (cluster_id INTEGER PRIMARY KEY, changed_from INTEGER, part_id INTEGER);

-- The hours that gain or lose entries.
CREATE TEMP TABLE changed_hour (cluster_id INTEGER, hour INTEGER, PRIMARY KEY (cluster_id, hour));

-- The clusters that become one: each old id with the id that it gets, and the latter with itself.
CREATE TEMP TABLE merging (old_id INTEGER PRIMARY KEY, new_id INTEGER);

-- The events that failed in several of the clusters that become one: their only row in stored_member, and how many there
-- were.
CREATE TEMP TABLE merged_member (
  event_id INTEGER, cluster_id INTEGER, part_id INTEGER, failures INTEGER, first_failed_at INTEGER,
  last_failed_at INTEGER, first_attempt INTEGER, recovered_at INTEGER, recovered INTEGER, rows_before INTEGER,
  PRIMARY KEY (event_id, cluster_id));
