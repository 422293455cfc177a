-- The one fold: from facts to what they mean. Each statement runs after a scope (fold.py), which says which facts are
-- new (new_event, new_attempt, new_decision) and which are known at all (known_attempt, known_decision).
--
-- The order of the whole: take the touched events out of every count, fold their new facts, put them back. Every merge
-- is commutative, so that neither the order of arrival nor the size of the batches matters.

-- name: new_states
-- An event that nobody has tried yet is PENDING and due at once.
INSERT INTO event_state (event_id, event_type, sync_status, dismissed, attempts, budget_from, cluster_id, due_at,
                         changed_at)
SELECT event_id, event_type, 'PENDING', 0, 0, 0, 0, detected_at, detected_at FROM new_event;

-- name: tally_new
INSERT INTO tally (event_type, sync_status, dismissed, cluster_id, severity, events)
SELECT event_type, 'PENDING', 0, 0, '', count(*) FROM new_event WHERE true GROUP BY event_type ORDER BY event_type
ON CONFLICT (event_type, sync_status, dismissed, cluster_id, severity)
DO UPDATE SET events = tally.events + excluded.events;

-- name: touch
INSERT INTO touched (event_id)
SELECT event_id FROM new_attempt UNION SELECT event_id FROM new_decision ORDER BY 1;

-- name: tally
-- :sign takes the touched events out of the tally (-1), or puts them back (1).
INSERT INTO tally (event_type, sync_status, dismissed, cluster_id, severity, events)
SELECT s.event_type, s.sync_status, s.dismissed, s.cluster_id, coalesce(s.severity, ''), :sign * count(*)
  FROM touched t JOIN event_state s ON s.event_id = t.event_id
 WHERE true
 GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
ON CONFLICT (event_type, sync_status, dismissed, cluster_id, severity)
DO UPDATE SET events = tally.events + excluded.events;

-- name: unfingerprinted
-- New failures that have no cluster yet, in pages: the template is made in Python. Of an erased one the cluster is known.
SELECT a.attempt_id, a.traceback, e.event_type, a.error_type, a.error_message, a.cause, coalesce(a.fingerprint, e.fingerprint),
       x.cluster_id
  FROM new_attempt a JOIN event_log e ON e.event_id = a.event_id
  LEFT JOIN erasure_log x ON x.of_table = 'attempt_log' AND x.row_id = a.attempt_id
 WHERE a.outcome = 'FAILED' AND a.attempt_id > :after
   AND NOT EXISTS (SELECT 1 FROM failure f WHERE f.attempt_id = a.attempt_id)
 ORDER BY a.attempt_id LIMIT :page;

-- name: new_failure
INSERT INTO failure (attempt_id, cluster_id) VALUES (?, ?);

-- name: new_cluster
INSERT INTO failure_cluster (cluster_id, event_type, error_type, template, failures, events, recovered, episodes,
                             comebacks, changed_at)
VALUES (?, ?, ?, ?, 0, 0, 0, 0, 0, 0)
ON CONFLICT (cluster_id) DO UPDATE SET error_type = excluded.error_type, template = excluded.template
 WHERE failure_cluster.template = '[erased]';

-- name: named_by
-- The failures that may name these clusters, the first ones first.
SELECT a.attempt_id, a.traceback, e.event_type, a.error_type, a.error_message, a.cause, coalesce(a.fingerprint, e.fingerprint),
       x.cluster_id
  FROM failure f JOIN attempt_log a ON a.attempt_id = f.attempt_id JOIN event_log e ON e.event_id = a.event_id
  LEFT JOIN erasure_log x ON x.of_table = 'attempt_log' AND x.row_id = a.attempt_id
 WHERE f.cluster_id = :cluster
 ORDER BY x.cluster_id IS NOT NULL, a.attempt_id LIMIT 1;

-- name: rename_cluster
UPDATE failure_cluster SET error_type = ?, template = ? WHERE cluster_id = ?;

-- name: count_failures
UPDATE failure_cluster AS c
   SET failures = c.failures + n.failures,
       first_failed_at = CASE WHEN c.first_failed_at < n.first_failed_at THEN c.first_failed_at
                              ELSE n.first_failed_at END,
       last_failed_at = CASE WHEN c.last_failed_at > n.last_failed_at THEN c.last_failed_at ELSE n.last_failed_at END,
       example_attempt = CASE WHEN c.example_attempt > n.newest THEN c.example_attempt ELSE n.newest END
  FROM (SELECT f.cluster_id, count(*) AS failures, min(a.finished_at) AS first_failed_at,
               max(a.finished_at) AS last_failed_at, max(a.attempt_id) AS newest
          FROM new_attempt a JOIN failure f ON f.attempt_id = a.attempt_id
         GROUP BY f.cluster_id) AS n
 WHERE c.cluster_id = n.cluster_id;

-- name: count_hours
INSERT INTO cluster_hour (cluster_id, hour, failures, events)
SELECT f.cluster_id, a.finished_at / 3600000000, count(*), 0
  FROM new_attempt a JOIN failure f ON f.attempt_id = a.attempt_id
 WHERE true
 GROUP BY 1, 2 ORDER BY 1, 2
ON CONFLICT (cluster_id, hour) DO UPDATE SET failures = cluster_hour.failures + excluded.failures;

-- name: entries
-- What event_cluster will say of the touched events. moved_from is null where neither the moment of entry nor the end
-- of the trouble changes; elsewhere it is the earliest moment at which the cluster's course changes.
INSERT INTO entry (event_id, cluster_id, failures, first_failed_at, last_failed_at, open_until, moved_from)
SELECT n.event_id, n.cluster_id, n.failures, n.first_failed_at, n.last_failed_at, n.open_until,
       CASE WHEN o.event_id IS NULL THEN n.first_failed_at
            WHEN o.first_failed_at <> n.first_failed_at THEN n.first_failed_at
            WHEN o.open_until < n.open_until THEN o.open_until
            WHEN o.open_until > n.open_until THEN n.open_until END
  FROM (SELECT m.event_id, m.cluster_id, sum(m.failures) AS failures, min(m.first_failed_at) AS first_failed_at,
               max(m.last_failed_at) AS last_failed_at,
               (SELECT CASE a.outcome WHEN 'SYNCED' THEN a.finished_at ELSE 9223372036854775807 END
                  FROM known_attempt a WHERE a.event_id = m.event_id
                 ORDER BY a.attempt_no DESC LIMIT 1) AS open_until
          FROM (SELECT c.event_id, c.cluster_id, c.failures, c.first_failed_at, c.last_failed_at
                  FROM touched t JOIN event_cluster c ON c.event_id = t.event_id
                UNION ALL
                SELECT a.event_id, f.cluster_id, 1, a.finished_at, a.finished_at
                  FROM new_attempt a JOIN failure f ON f.attempt_id = a.attempt_id) m
         GROUP BY m.event_id, m.cluster_id) n
  LEFT JOIN event_cluster o ON o.event_id = n.event_id AND o.cluster_id = n.cluster_id;

-- name: count_entries
-- :sign as in tally.
UPDATE failure_cluster
   SET events = failure_cluster.events + :sign * n.events,
       recovered = failure_cluster.recovered + :sign * n.recovered
  FROM (SELECT c.cluster_id, count(*) AS events,
               sum(CASE WHEN c.open_until < 9223372036854775807 THEN 1 ELSE 0 END) AS recovered
          FROM entry m JOIN event_cluster c ON c.event_id = m.event_id AND c.cluster_id = m.cluster_id
         WHERE m.moved_from IS NOT NULL
         GROUP BY c.cluster_id) AS n
 WHERE failure_cluster.cluster_id = n.cluster_id;

-- name: count_entry_hours
UPDATE cluster_hour SET events = cluster_hour.events + :sign * n.events
  FROM (SELECT c.cluster_id, c.first_failed_at / 3600000000 AS hour, count(*) AS events
          FROM entry m JOIN event_cluster c ON c.event_id = m.event_id AND c.cluster_id = m.cluster_id
         WHERE m.moved_from IS NOT NULL
         GROUP BY 1, 2) AS n
 WHERE cluster_hour.cluster_id = n.cluster_id AND cluster_hour.hour = n.hour;

-- name: count_episodes
-- An episode starts in an hour with entries after an hour without. A change in one hour can change just that hour's
-- start and the next one's, so only these are taken out (:sign -1, before the change) and put back (1, after it).
UPDATE failure_cluster SET episodes = episodes + :sign * n.starts
  FROM (SELECT h.cluster_id, count(*) AS starts
          FROM (SELECT c.cluster_id, c.first_failed_at / 3600000000 + later.hours AS hour
                  FROM entry m JOIN event_cluster c ON c.event_id = m.event_id AND c.cluster_id = m.cluster_id
                  CROSS JOIN (SELECT 0 AS hours UNION SELECT 1) AS later
                 WHERE m.moved_from IS NOT NULL
                 GROUP BY 1, 2) AS h
          JOIN cluster_hour this ON this.cluster_id = h.cluster_id AND this.hour = h.hour AND this.events > 0
         WHERE NOT EXISTS (SELECT 1 FROM cluster_hour before
                            WHERE before.cluster_id = h.cluster_id AND before.hour = h.hour - 1 AND before.events > 0)
         GROUP BY h.cluster_id) AS n
 WHERE failure_cluster.cluster_id = n.cluster_id;

-- name: count_comebacks
-- An event that enters when every event before it had been SYNCED is a comeback. Only entries after the earliest
-- change can become or cease to be one; `until` is the end of the trouble of all entries before that.
, change AS MATERIALIZED (
  SELECT cluster_id, moved_from,
         (SELECT p.open_until FROM event_cluster p
           WHERE p.cluster_id = c.cluster_id AND p.first_failed_at < c.moved_from
           ORDER BY p.open_until DESC LIMIT 1) AS until
    FROM (SELECT cluster_id, min(moved_from) AS moved_from FROM entry WHERE moved_from IS NOT NULL
           GROUP BY cluster_id) c)
UPDATE failure_cluster SET comebacks = failure_cluster.comebacks + :sign * n.comebacks
  FROM (SELECT cluster_id, count(*) AS comebacks
          FROM (SELECT e.cluster_id, e.first_failed_at, change.until,
                       max(e.open_until) OVER (PARTITION BY e.cluster_id ORDER BY e.first_failed_at, e.event_id
                                               ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS earlier
                  FROM change JOIN event_cluster e
                    ON e.cluster_id = change.cluster_id AND e.first_failed_at >= change.moved_from) AS e
         WHERE coalesce(until, earlier) IS NOT NULL
           AND first_failed_at > coalesce(until, earlier) AND first_failed_at > coalesce(earlier, until)
         GROUP BY cluster_id) AS n
 WHERE failure_cluster.cluster_id = n.cluster_id;

-- name: enter
INSERT INTO event_cluster (event_id, cluster_id, failures, first_failed_at, last_failed_at, open_until)
SELECT event_id, cluster_id, failures, first_failed_at, last_failed_at, open_until FROM entry WHERE true
 ORDER BY event_id, cluster_id
ON CONFLICT (event_id, cluster_id) DO UPDATE SET
  failures = excluded.failures, first_failed_at = excluded.first_failed_at,
  last_failed_at = excluded.last_failed_at, open_until = excluded.open_until;

-- name: settle
-- The state of each touched event, from its last attempt, its last decision and its last failure.
UPDATE event_state
   SET sync_status = n.sync_status, dismissed = n.dismissed, attempts = n.attempts, budget_from = n.budget_from,
       last_failure = n.last_failure, cluster_id = n.cluster_id, first_failed_at = n.first_failed_at,
       last_failed_at = n.last_failed_at, due_at = n.due_at, changed_at = n.changed_at,
       severity = n.severity, rule = n.rule
  FROM (SELECT s.*, {event_severity} AS severity, {event_rule} AS rule
          FROM (SELECT r.*, CASE WHEN r.attempts > 1 THEN r.attempts - 1 ELSE 0 END AS retry_count,
                       CASE r.sync_status WHEN 'PENDING' THEN CASE r.dismissed WHEN 0 THEN r.pending_since END
                                          WHEN 'FAILED' THEN CASE r.dismissed WHEN 0 THEN r.retry_at END
                       END AS due_at
                  FROM (SELECT l.*,
                               CASE WHEN l.attempts = 0 OR l.decision = 'REQUEUE' AND l.after_attempt >= l.attempts
                                    THEN 'PENDING'
                                    WHEN l.outcome = 'SYNCED' THEN 'SYNCED'
                                    WHEN l.retry_at IS NOT NULL THEN 'FAILED' ELSE 'DEAD' END AS sync_status,
                               CASE WHEN l.decision = 'DISMISS' AND coalesce(l.outcome, '') <> 'SYNCED'
                                    THEN 1 ELSE 0 END AS dismissed,
                               CASE WHEN l.decision = 'REQUEUE' THEN l.decided_at ELSE l.detected_at
                               END AS pending_since
                          FROM (SELECT t.event_id, e.detected_at, coalesce(a.attempt_no, 0) AS attempts, a.outcome,
                                       a.retry_at, d.decision, d.after_attempt, d.decided_at,
                                       coalesce((SELECT max(q.after_attempt) FROM known_decision q
                                                  WHERE q.event_id = t.event_id AND q.decision = 'REQUEUE'), 0)
                                         AS budget_from,
                                       f.attempt_id AS last_failure, coalesce(f.cluster_id, 0) AS cluster_id,
                                       (SELECT min(c.first_failed_at) FROM event_cluster c
                                         WHERE c.event_id = t.event_id) AS first_failed_at,
                                       (SELECT max(c.last_failed_at) FROM event_cluster c
                                         WHERE c.event_id = t.event_id) AS last_failed_at,
                                       (SELECT max(x.at) FROM (
                                          SELECT e.detected_at AS at
                                          UNION ALL SELECT max(k.finished_at) FROM known_attempt k
                                                     WHERE k.event_id = t.event_id
                                          UNION ALL SELECT max(k.decided_at) FROM known_decision k
                                                     WHERE k.event_id = t.event_id) x) AS changed_at
                                  FROM touched t
                                  JOIN event_log e ON e.event_id = t.event_id
                                  LEFT JOIN known_attempt a ON a.event_id = t.event_id AND a.attempt_no =
                                    (SELECT max(k.attempt_no) FROM known_attempt k WHERE k.event_id = t.event_id)
                                  LEFT JOIN known_decision d ON d.decision_id =
                                    (SELECT max(k.decision_id) FROM known_decision k WHERE k.event_id = t.event_id)
                                  LEFT JOIN failure f ON f.attempt_id =
                                    (SELECT k.attempt_id FROM known_attempt k
                                      WHERE k.event_id = t.event_id AND k.outcome = 'FAILED'
                                      ORDER BY k.attempt_no DESC LIMIT 1)) AS l) AS r) AS s) AS n
 WHERE event_state.event_id = n.event_id;

-- name: drop_empty_tallies
DELETE FROM tally WHERE events = 0;

-- name: touched_clusters
-- The newest fact of any of its events dates a cluster.
UPDATE failure_cluster
   SET changed_at = CASE WHEN failure_cluster.changed_at > n.changed_at THEN failure_cluster.changed_at ELSE n.changed_at END
  FROM (SELECT c.cluster_id, max(s.changed_at) AS changed_at
          FROM touched t JOIN event_state s ON s.event_id = t.event_id
          JOIN event_cluster c ON c.event_id = t.event_id
         GROUP BY c.cluster_id) AS n
 WHERE failure_cluster.cluster_id = n.cluster_id
RETURNING failure_cluster.cluster_id;

-- name: judge_cluster
UPDATE failure_cluster SET severity = ?, rule = ?, reason = ? WHERE cluster_id = ?;
