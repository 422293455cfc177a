-- What the fold works in: temporary tables of each connection that folds, empty between folds.

-- The touched events: what they were (was_…), and what is known of them with the new facts.
CREATE TEMP TABLE touched (
  event_id INTEGER PRIMARY KEY, event_type TEXT, was_status TEXT, was_dismissed INTEGER, was_cluster INTEGER,
  was_severity TEXT, attempts INTEGER, first_failed_at INTEGER, last_failed_at INTEGER, last_failure INTEGER,
  changed_at INTEGER, outcome TEXT, retry_at INTEGER, open_until INTEGER);

-- What event_cluster will say of the touched events, and what it said (was_…, null where an event is new to a cluster).
-- moved_from is null where neither the moment of entry nor the end of the trouble changes; elsewhere it is the earliest
-- moment at which the cluster's course changes.
CREATE TEMP TABLE entry (
  event_id INTEGER, cluster_id INTEGER, failures INTEGER, first_failed_at INTEGER, last_failed_at INTEGER,
  open_until INTEGER, newest INTEGER, was_failures INTEGER, was_first INTEGER, was_open INTEGER, moved_from INTEGER);

-- The clusters whose course changes, and from when on.
CREATE TEMP TABLE course (cluster_id INTEGER PRIMARY KEY, moved_from INTEGER);

-- The hours that gain or lose entries.
CREATE TEMP TABLE moved_hour (cluster_id INTEGER, hour INTEGER, PRIMARY KEY (cluster_id, hour));
