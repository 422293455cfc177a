-- The fold: derives state from facts. Each statement follows the CTEs of a scope (scope.py), which select the new facts
-- (new_event, new_attempt, new_decision) and all known facts (known_attempt, known_decision).
--
-- A fold first collects the touched events' old state and new facts in working tables (schema/projection_temp_tables.sql,
-- empty between folds), then updates every count by the difference. All merges are commutative: neither the order of
-- arrival nor the batch size changes the result.
--
-- Example of relapses and episodes: three events fail with the same error, in a cluster C. Hours begin at 10:00 etc.
--
--   event   failed at   SYNCED at   event_cluster (first_failed_at, recovered_at)
--   1       10:05       10:20       10:05, 10:20
--   2       10:10       10:50       10:10, 10:50
--   3       12:30       -           12:30, none (2^63 - 1)
--
-- The fold of event 3's failure, after those of events 1 and 2 (C has events 2, relapses 0, episodes 1), writes:
--   collect_touched    the row of event 3, with its old state PENDING
--   new_failure        the attempt, in cluster C
--   entries            (3, C), was_first null because the event is new to C, changed_from 12:30
--   changed_timelines  (C, 12:30): only entries from 12:30 on can become or stop being relapses
--   changed_hours      (C, 12): the hour of the new entry
--   count_relapses     sign -1: nothing, because event_cluster has no entry at or after 12:30 yet
--   count_episodes     sign -1: nothing, because hours 12 and 13 have no entries yet
--   upsert_members     event_cluster (3, C)
--   count_hours        cluster_hour (C, 12) with failures 1, events 1
--   count_entries      failure_cluster C: failures + 1, events + 1, last_failed_at 12:30
--   count_relapses     sign 1: relapses + 1, because the last earlier recovery, 10:50, is before 12:30
--   count_episodes     sign 1: episodes + 1, because hour 12 has entries and hour 11 has none
-- Event 2 is no relapse: at 10:10 event 1 had not recovered. Had event 3 failed at 11:30, it would be a relapse, but
-- not a new episode, because hour 10 has entries. When the success of event 2 is recorded after the failure of event 3,
-- changed_from is 10:50, and the relapse is counted by that fold.

-- name: count_new_events
-- An event without attempts and decisions is PENDING and due at once.
INSERT INTO stored_counts (event_type, sync_status, dismissed, cluster_id, severity, events)
SELECT event_type, 'PENDING', 0, 0, '', count(*) FROM new_event n
 WHERE NOT EXISTS (SELECT 1 FROM stored_state s WHERE s.event_id = n.event_id)
 GROUP BY event_type ORDER BY event_type
ON CONFLICT (event_type, sync_status, dismissed, cluster_id, severity)
DO UPDATE SET events = stored_counts.events + excluded.events;

-- name: store_unattempted
INSERT INTO stored_unattempted (event_id, event_type, detected_at)
SELECT event_id, event_type, detected_at FROM new_event n
 WHERE NOT EXISTS (SELECT 1 FROM stored_state s WHERE s.event_id = n.event_id)
 ORDER BY event_id;

-- name: raise_stored_until
INSERT INTO stored_until (place, event_id)
SELECT 1, newest FROM (SELECT max(event_id) AS newest FROM new_event) AS n WHERE newest IS NOT NULL
ON CONFLICT (place) DO UPDATE SET event_id = excluded.event_id WHERE excluded.event_id > stored_until.event_id;

-- name: count_first_successes
-- Of new attempts that succeeded, each at an event without a state. Those in stored_unattempted are counted as PENDING.
INSERT INTO stored_counts (event_type, sync_status, dismissed, cluster_id, severity, events)
SELECT event_type, sync_status, 0, 0, '', events
  FROM (SELECT u.event_type, 'PENDING' AS sync_status, -count(*) AS events
          FROM new_attempt a JOIN stored_unattempted u ON u.event_id = a.event_id
         GROUP BY u.event_type
        UNION ALL
        SELECT e.event_type, 'SYNCED', count(*)
          FROM new_attempt a JOIN event_log e ON e.event_id = a.event_id
         GROUP BY e.event_type) AS n
 WHERE true
 ORDER BY 1, 2
ON CONFLICT (event_type, sync_status, dismissed, cluster_id, severity)
DO UPDATE SET events = stored_counts.events + excluded.events;

-- name: drop_succeeded
DELETE FROM stored_unattempted WHERE event_id IN (SELECT event_id FROM new_attempt);

-- name: store_first_successes
-- What collect_touched and update_event_state derive from such an attempt.
INSERT INTO stored_state (event_id, event_type, sync_status, dismissed, attempts, retry_count, last_success, budget_from,
                         failed_attempts, part_id, changed_at)
SELECT e.event_id, e.event_type, 'SYNCED', 0, 1, 0, 1, 1, 0, 0,
       CASE WHEN e.detected_at > a.finished_at THEN e.detected_at ELSE a.finished_at END
  FROM new_attempt a JOIN event_log e ON e.event_id = a.event_id
 ORDER BY e.event_id;

-- name: collect_touched
-- Known attempts are counted again only if the last success or the budget changes, or if an attempt is recorded late.
-- `merged` joins each event's new facts with its old state; the last SELECT decides what has to be counted again. Example: the facts of one event, each folded on its own.
--
--   fact             attempts  last_success  budget_from  failed_attempts  failing_since  decided by
--   1 fails, 10:01          1             0            0                1  10:01          new facts alone
--   2 succeeds              2             2            2                0  -              success >= tried
--   3 fails, 10:03          3             2            2                1  10:03          new facts alone
--   5 fails, 10:05          5             2            2                2  10:03          new facts added to the old state
--   requeue after 5         5             2            5                0  10:03          budget >= tried
--   6 fails, 10:07          6             2            5                1  10:03          new facts added to the old state
--   4 succeeds, late        6             4            5                1  10:05          known attempts after 4, since
--                                                                                         success > last_success
-- The last column is about failed_attempts; of a success, about failing_since. retry_count ends as 3: the failures before
-- the last one. tests/derive/test_fold.py has this example.
INSERT INTO touched (event_id, event_type, was_status, was_dismissed, was_cluster, was_severity, attempts, retry_count,
                     last_success, budget_from, failed_attempts, first_failed_at, failing_since, last_failed_at,
                     last_failure, changed_at, outcome, retry_at, first_success, late, revised_from)
WITH fact AS (
  SELECT event_id, attempt_no, finished_at AS at,
         CASE outcome WHEN 'FAILED' THEN finished_at END AS failed_at,
         CASE outcome WHEN 'FAILED' THEN attempt_no END AS failed_no,
         CASE outcome WHEN 'SYNCED' THEN attempt_no END AS success,
         CASE outcome WHEN 'SYNCED' THEN attempt_no END AS budget
    FROM new_attempt
  UNION ALL
  SELECT event_id, NULL, decided_at, NULL, NULL, NULL, CASE decision WHEN 'REQUEUE' THEN after_attempt END
    FROM new_decision),
facts_of_event AS (
  SELECT event_id, max(attempt_no) AS attempts, min(attempt_no) AS first_attempt, max(success) AS success,
         min(success) AS first_success, max(budget) AS budget, count(failed_at) AS failures,
         max(failed_no) AS last_failed_no, min(failed_at) AS first_failed_at, max(failed_at) AS last_failed_at,
         max(at) AS at
    FROM fact GROUP BY event_id),
merged AS (
  SELECT s.event_id, s.event_type, s.sync_status, s.dismissed, s.cluster_id, s.severity, s.attempts,
         s.last_success, s.budget_from, s.failed_attempts, s.failing_since,
         CASE WHEN n.attempts > s.attempts THEN n.attempts ELSE s.attempts END AS tried,
         s.retry_count + CASE WHEN s.attempts > s.last_success THEN 1 ELSE 0 END + n.failures AS failures,
         CASE WHEN n.success > s.last_success THEN n.success ELSE s.last_success END AS success,
         CASE WHEN n.budget > s.budget_from THEN n.budget ELSE s.budget_from END AS budget,
         n.failures AS new_failures, n.first_failed_at AS new_first_failed_at,
         n.first_attempt, n.first_success, n.last_failed_no,
         CASE WHEN n.first_attempt < s.attempts THEN 1 ELSE 0 END AS late,
         CASE WHEN s.first_failed_at <= n.first_failed_at OR n.first_failed_at IS NULL THEN s.first_failed_at
              ELSE n.first_failed_at END AS first_failed_at,
         CASE WHEN s.last_failed_at >= n.last_failed_at OR n.last_failed_at IS NULL THEN s.last_failed_at
              ELSE n.last_failed_at END AS last_failed_at,
         CASE WHEN n.failures = 0 THEN s.last_failure  -- by number: an attempt may be recorded late
              ELSE (SELECT k.attempt_id FROM known_attempt k WHERE k.event_id = s.event_id AND k.outcome = 'FAILED'
                     ORDER BY k.attempt_no DESC LIMIT 1) END AS last_failure,
         CASE WHEN s.changed_at > n.at THEN s.changed_at ELSE n.at END AS changed_at
    FROM facts_of_event n JOIN event_state s ON s.event_id = n.event_id)
SELECT m.event_id, m.event_type,
       CASE WHEN m.event_id > (SELECT coalesce(max(u.event_id), 0) FROM stored_until u)  -- rarely: most are stored
                 AND EXISTS (SELECT 1 FROM unstored_event u WHERE u.event_id = m.event_id)
            THEN NULL ELSE m.sync_status END,
       m.dismissed, m.cluster_id, coalesce(m.severity, ''), m.tried,
       m.failures - CASE WHEN m.tried > m.success THEN 1 ELSE 0 END, m.success, m.budget,
       CASE WHEN m.budget = m.budget_from AND coalesce(m.first_attempt > m.budget, true)
            THEN m.failed_attempts + m.new_failures
            WHEN m.budget >= m.tried THEN 0
            ELSE (SELECT count(*) FROM known_attempt k
                   WHERE k.event_id = m.event_id AND k.attempt_no > m.budget AND k.outcome = 'FAILED') END,
       m.first_failed_at,
       CASE WHEN m.success >= m.tried THEN NULL
            WHEN m.success > m.last_success OR m.first_attempt < m.success
            THEN (SELECT min(k.finished_at) FROM known_attempt k
                   WHERE k.event_id = m.event_id AND k.attempt_no > m.success AND k.outcome = 'FAILED')
            WHEN m.failing_since <= m.new_first_failed_at OR m.new_first_failed_at IS NULL THEN m.failing_since
            ELSE m.new_first_failed_at END,
       m.last_failed_at, m.last_failure, m.changed_at, a.outcome, a.retry_at, m.first_success, m.late,
       CASE WHEN m.late = 1 THEN 0
            WHEN m.last_success = 0 AND coalesce(m.first_success > m.last_failed_no, true) THEN NULL
            WHEN m.first_success IS NULL THEN m.attempts ELSE m.last_success END
  FROM merged m
  LEFT JOIN known_attempt a ON a.event_id = m.event_id AND a.attempt_no = m.tried;

-- name: unfingerprinted
-- New failures without a cluster, in pages; templates are computed in Python. If an erasure of this event, or of another
-- one with the same traceback, removed the text that decides the cluster, erasure_log has the cluster's id.
SELECT a.attempt_id, a.traceback, e.event_type, a.error_type, a.error_message, a.cause, coalesce(a.fingerprint, e.fingerprint),
       (SELECT max(x.cluster_id) FROM erasure_log x
         WHERE x.of_table IN ('attempt_log', 'failure') AND x.row_id = a.attempt_id)
  FROM new_attempt a JOIN event_log e ON e.event_id = a.event_id
 WHERE a.outcome = 'FAILED' AND a.attempt_id > :after
   AND NOT EXISTS (SELECT 1 FROM stored_failure f WHERE f.attempt_id = a.attempt_id)
 ORDER BY a.attempt_id LIMIT :page;

-- name: new_failure
INSERT INTO stored_failure (attempt_id, part_id) VALUES (?, ?);

-- name: new_part
-- A cluster begins as a part of its own.
INSERT INTO cluster_part (part_id, cluster_id) VALUES (?, ?) ON CONFLICT DO NOTHING;

-- name: new_cluster
-- The last parameter is the failure that gives the name. Failures do not come in the order of their ids under time travel:
-- an erased one gives the name if it has the lowest id.
INSERT INTO failure_cluster (cluster_id, event_type, error_type, template, failures, events, recovered, episodes,
                             relapses, changed_at)
SELECT n.cluster_id, n.event_type, n.error_type, n.template, 0, 0, 0, 0, 0, 0
  FROM (SELECT CAST(? AS BIGINT) AS cluster_id, ? AS event_type, ? AS error_type, ? AS template,
               CAST(? AS BIGINT) AS attempt_id) AS n
 WHERE NOT EXISTS (
   SELECT 1 FROM failure_cluster c
    WHERE c.cluster_id = n.cluster_id
      AND (c.template <> '[erased]'
           OR n.template = '[erased]' AND n.attempt_id <> (SELECT min(f.attempt_id) FROM failure f
                                                            WHERE f.cluster_id = n.cluster_id)))
ON CONFLICT (cluster_id) DO UPDATE SET error_type = excluded.error_type, template = excluded.template;

-- name: named_by
-- The failure that names a cluster: the first one that is not erased, or else the first.
SELECT * FROM (
  SELECT a.attempt_id, a.traceback, e.event_type, a.error_type, a.error_message, a.cause,
         coalesce(a.fingerprint, e.fingerprint) AS fingerprint,
         (SELECT max(x.cluster_id) FROM erasure_log x
           WHERE x.of_table IN ('attempt_log', 'failure') AND x.row_id = a.attempt_id) AS kept
    FROM failure f JOIN attempt_log a ON a.attempt_id = f.attempt_id JOIN event_log e ON e.event_id = a.event_id
   WHERE f.cluster_id = :cluster) AS named
 ORDER BY kept IS NOT NULL, attempt_id LIMIT 1;

-- name: with_traceback
-- Failures with this traceback whose cluster no erasure has recorded yet, in pages, with their cluster.
SELECT a.attempt_id, a.traceback, e.event_type, a.error_type, a.error_message, a.cause, coalesce(a.fingerprint, e.fingerprint),
       NULL, f.cluster_id
  FROM attempt_log a JOIN event_log e ON e.event_id = a.event_id JOIN failure f ON f.attempt_id = a.attempt_id
 WHERE a.traceback = :traceback AND a.attempt_id > :after
   AND NOT EXISTS (SELECT 1 FROM erasure_log x
                    WHERE x.of_table IN ('attempt_log', 'failure') AND x.row_id = a.attempt_id)
 ORDER BY a.attempt_id LIMIT :page;

-- name: rename_cluster
UPDATE failure_cluster SET error_type = ?, template = ? WHERE cluster_id = ?;

-- name: entries
-- An event that never failed is in no cluster (was_cluster 0). CROSS JOIN keeps SQLite from scanning all of event_cluster.
-- The old recovered_at stays if the first failure is the same, and no success is new, or it had recovered and no attempt
-- came late; otherwise it is looked up. Example: the attempts at one event, each recorded and folded on its own.
--
--   attempt          failures  first_attempt  recovered_at  recovered  changed_from
--   2 fails, 10:02          1              2  -                     0  10:02: the event is new to the cluster
--   4 succeeds, 10:04       1              2  10:04                 1  10:04: it has recovered
--   5 fails, 10:05          2              2  10:04                 0  null
--   3 succeeds, 10:06       2              2  10:06                 0  10:04: attempt 3, recorded late, comes before 4
--   1 fails, 10:07          3              1  10:06                 0  null: the earliest failure is still that of 10:02
--
-- tests/derive/test_fold.py has this example.
INSERT INTO entry (event_id, cluster_id, part_id, failures, first_failed_at, last_failed_at, first_attempt, recovered_at,
                   recovered, several, newest, was_failures, was_first, was_recovered_at, was_recovered, was_several,
                   changed_from)
WITH old_or_new AS (
  SELECT c.event_id, p.cluster_id, c.part_id AS old_part, NULL AS new_part, c.failures, c.first_failed_at,
         c.last_failed_at, c.first_attempt, NULL AS newest, c.failures AS was_failures,
         c.first_failed_at AS was_first, c.first_attempt AS was_first_attempt,
         c.recovered_at AS was_recovered_at, c.recovered AS was_recovered, c.several AS was_several
    FROM touched t CROSS JOIN stored_member c CROSS JOIN cluster_part p
   WHERE c.event_id = t.event_id AND t.was_cluster <> 0 AND p.part_id = c.part_id
  UNION ALL
  SELECT a.event_id, p.cluster_id, NULL, f.part_id, 1, a.finished_at, a.finished_at, a.attempt_no, a.attempt_id,
         NULL, NULL, NULL, NULL, NULL, NULL
    FROM new_attempt a
    JOIN stored_failure f ON f.attempt_id = a.attempt_id
    JOIN cluster_part p ON p.part_id = f.part_id
   WHERE a.outcome = 'FAILED'),
merged AS (
  SELECT event_id, cluster_id, coalesce(max(old_part), max(new_part)) AS part_id, sum(failures) AS failures, min(first_failed_at) AS first_failed_at,
         max(last_failed_at) AS last_failed_at, min(first_attempt) AS first_attempt,
         min(min(first_attempt)) OVER (PARTITION BY event_id) AS first_failed_no,
         max(newest) AS newest, coalesce(max(was_failures), 0) AS was_failures,
         max(was_first) AS was_first, max(was_first_attempt) AS was_first_attempt,
         CASE WHEN count(*) OVER (PARTITION BY event_id) > 1 THEN 1 ELSE 0 END AS several,
         max(was_recovered_at) AS was_recovered_at, coalesce(max(was_recovered), 0) AS was_recovered,
         coalesce(max(was_several), 0) AS was_several
    FROM old_or_new GROUP BY event_id, cluster_id),
with_recovery AS (
  SELECT m.event_id, m.cluster_id, m.part_id, m.failures, m.first_failed_at, m.last_failed_at, m.first_attempt,
         CASE WHEN m.was_first_attempt = m.first_attempt
                   AND (t.first_success IS NULL OR m.was_recovered_at < 9223372036854775807 AND t.late = 0)
              THEN m.was_recovered_at
              ELSE coalesce((SELECT k.finished_at FROM known_attempt k
                              WHERE k.event_id = m.event_id AND k.attempt_no > m.first_attempt
                                AND k.outcome = 'SYNCED' ORDER BY k.attempt_no LIMIT 1), 9223372036854775807) END
           AS recovered_at,
         CASE WHEN t.outcome = 'SYNCED' AND NOT EXISTS
                   (SELECT 1 FROM known_decision d
                     WHERE d.event_id = m.event_id AND d.after_attempt >= m.first_failed_no
                       AND d.after_attempt < t.attempts)
              THEN 1 ELSE 0 END AS recovered,
         m.several, m.newest, m.was_failures, m.was_first, m.was_recovered_at, m.was_recovered, m.was_several
    FROM merged m JOIN touched t ON t.event_id = m.event_id)
SELECT w.*, CASE WHEN w.was_first IS NULL OR w.was_first <> w.first_failed_at THEN w.first_failed_at
                 WHEN w.was_recovered_at < w.recovered_at THEN w.was_recovered_at
                 WHEN w.was_recovered_at > w.recovered_at THEN w.recovered_at END
  FROM with_recovery w;

-- name: revise
-- Failures after a success, of events that get further attempts although they were SYNCED (a nightly job with a key).
INSERT INTO revised (event_id, attempt_no, cluster_id, failed_at, recovered_at, changed_from)
WITH attempted AS (
  SELECT k.event_id, k.attempt_no, k.attempt_id, k.outcome, k.finished_at, t.revised_from,
         min(CASE k.outcome WHEN 'SYNCED' THEN k.attempt_no END) OVER (PARTITION BY k.event_id) AS first_success,
         min(CASE k.outcome WHEN 'SYNCED' THEN k.attempt_no END)
           OVER (PARTITION BY k.event_id ORDER BY k.attempt_no DESC ROWS UNBOUNDED PRECEDING) AS next_success
    FROM touched t CROSS JOIN known_attempt k
   WHERE k.event_id = t.event_id AND k.attempt_no > t.revised_from),
failed_again AS (
  SELECT a.event_id, a.attempt_no, f.cluster_id, a.finished_at AS failed_at,
         coalesce(k.finished_at, 9223372036854775807) AS recovered_at
    FROM attempted a
    JOIN failure f ON f.attempt_id = a.attempt_id
    LEFT JOIN known_attempt k ON k.event_id = a.event_id AND k.attempt_no = a.next_success
   WHERE a.outcome = 'FAILED' AND (a.revised_from > 0 OR a.attempt_no > a.first_success))
SELECT n.event_id, n.attempt_no, n.cluster_id, n.failed_at, n.recovered_at,
       CASE WHEN w.recovered_at IS NULL THEN n.failed_at
            WHEN w.recovered_at < n.recovered_at THEN w.recovered_at ELSE n.recovered_at END
  FROM failed_again n
  LEFT JOIN stored_refailure w ON w.event_id = n.event_id AND w.attempt_no = n.attempt_no
 WHERE w.recovered_at IS NULL OR w.recovered_at <> n.recovered_at;

-- name: keep_revised
INSERT INTO stored_refailure (event_id, attempt_no, part_id, failed_at, recovered_at)
SELECT event_id, attempt_no, cluster_id, failed_at, recovered_at FROM revised WHERE true ORDER BY 1, 2
ON CONFLICT (event_id, attempt_no) DO UPDATE SET recovered_at = excluded.recovered_at;

-- name: changed_timelines
INSERT INTO changed_timeline (cluster_id, changed_from, part_id)
SELECT cluster_id, min(changed_from), (SELECT CASE WHEN min(p.part_id) = max(p.part_id) THEN min(p.part_id) END 
          FROM cluster_part p WHERE p.cluster_id = moved.cluster_id)
  FROM (SELECT cluster_id, changed_from FROM entry WHERE changed_from IS NOT NULL
        UNION ALL SELECT cluster_id, changed_from FROM revised) AS moved
 GROUP BY cluster_id;

-- name: changed_hours
INSERT INTO changed_hour (cluster_id, hour)
SELECT cluster_id, first_failed_at / 3600000000 FROM entry WHERE was_first IS NULL OR was_first <> first_failed_at
UNION
SELECT cluster_id, was_first / 3600000000 FROM entry WHERE was_first <> first_failed_at;

-- name: all_timelines
INSERT INTO changed_timeline (cluster_id, changed_from, part_id)
SELECT cluster_id, first_failed_at,
       (SELECT CASE WHEN min(p.part_id) = max(p.part_id) THEN min(p.part_id) END
          FROM cluster_part p WHERE p.cluster_id = c.cluster_id)
  FROM failure_cluster c
 WHERE cluster_id > :after ORDER BY cluster_id LIMIT :page;

-- name: all_hours
INSERT INTO changed_hour (cluster_id, hour)
SELECT h.cluster_id, h.hour FROM changed_timeline c JOIN cluster_hour h ON h.cluster_id = c.cluster_id WHERE h.events > 0;

-- name: count_relapses
-- An entry is a relapse if every earlier event of the cluster had recovered by then: all their first recoveries are
-- earlier, and no event that failed again after a success is still failing at that time. Only entries at or after the
-- earliest change can become or stop being relapses; `until` is the latest first recovery of all entries before it.
-- `blocked_from` is when the first event entered that never recovered: nothing after it is a relapse.
-- Both comparisons together: later than the greater of `until` and `earlier`, either of which may be null.
-- :sign subtracts them before the change (-1) and adds them after it (1). CROSS JOIN makes SQLite read the entries in
-- the order that the window function needs, without sorting or buffering; those of several parts are sorted.
WITH change AS MATERIALIZED (
  SELECT cluster_id,
         CASE WHEN EXISTS (SELECT 1 FROM failure_after_success r WHERE r.cluster_id = c.cluster_id) THEN 1 ELSE 0 END
           AS fails_again,
         coalesce((SELECT min((SELECT min(e.first_failed_at) FROM stored_member e
                                WHERE e.part_id = p.part_id AND e.recovered_at = 9223372036854775807))
                     FROM cluster_part p WHERE p.cluster_id = c.cluster_id), 9223372036854775807) AS blocked_from,
         (SELECT max((SELECT e.recovered_at FROM stored_member e
                       WHERE e.part_id = p.part_id AND e.first_failed_at < c.changed_from
                       ORDER BY e.recovered_at DESC LIMIT 1))
            FROM cluster_part p
           WHERE p.cluster_id = c.cluster_id  -- if all entries are from then on, none is looked for among them
             AND EXISTS (SELECT 1 FROM stored_member e
                          WHERE e.part_id = p.part_id AND e.first_failed_at < c.changed_from)) AS until
    FROM changed_timeline c)
UPDATE failure_cluster SET relapses = failure_cluster.relapses + :sign * n.relapses
  FROM (SELECT entered.cluster_id, count(*) AS relapses
          FROM (SELECT c.cluster_id, e.event_id, e.first_failed_at,
                       max(e.recovered_at) OVER (PARTITION BY c.cluster_id ORDER BY e.first_failed_at, e.event_id
                                                 ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS earlier
                  FROM changed_timeline c {parts} CROSS JOIN stored_member e
                 WHERE e.part_id = {part} AND e.first_failed_at >= c.changed_from
                   AND e.first_failed_at <= (SELECT b.blocked_from FROM change b WHERE b.cluster_id = c.cluster_id)
               ) AS entered
         CROSS JOIN change
         WHERE change.cluster_id = entered.cluster_id AND coalesce(until, earlier) IS NOT NULL
           AND first_failed_at > coalesce(until, earlier) AND first_failed_at > coalesce(earlier, until)
           AND (change.fails_again = 0 OR {none_fails_again})
         GROUP BY entered.cluster_id) AS n
 WHERE failure_cluster.cluster_id = n.cluster_id;

-- name: count_episodes
-- An episode starts in an hour with entries that follows an hour without. A change in one hour affects only the starts in
-- that hour and the next: these are subtracted before the change (:sign -1) and added after it (1).
UPDATE failure_cluster SET episodes = episodes + :sign * n.starts
  FROM (SELECT h.cluster_id, count(*) AS starts
          FROM (SELECT cluster_id, hour FROM changed_hour UNION SELECT cluster_id, hour + 1 FROM changed_hour) AS h
          JOIN cluster_hour this ON this.cluster_id = h.cluster_id AND this.hour = h.hour AND this.events > 0
         WHERE NOT EXISTS (SELECT 1 FROM cluster_hour before
                            WHERE before.cluster_id = h.cluster_id AND before.hour = h.hour - 1 AND before.events > 0)
         GROUP BY h.cluster_id) AS n
 WHERE failure_cluster.cluster_id = n.cluster_id;

-- name: count_hours
INSERT INTO cluster_hour (cluster_id, hour, failures, events)
SELECT cluster_id, hour, sum(failures), sum(events)
  FROM (SELECT f.cluster_id, a.finished_at / 3600000000 AS hour, 1 AS failures, 0 AS events
          FROM new_attempt a JOIN failure f ON f.attempt_id = a.attempt_id
         WHERE a.outcome = 'FAILED'
        UNION ALL
        SELECT cluster_id, first_failed_at / 3600000000, 0, 1 FROM entry
         WHERE was_first IS NULL OR was_first <> first_failed_at
        UNION ALL
        SELECT cluster_id, was_first / 3600000000, 0, -1 FROM entry WHERE was_first <> first_failed_at) AS n
 WHERE true
 GROUP BY 1, 2 ORDER BY 1, 2
ON CONFLICT (cluster_id, hour) DO UPDATE SET
  failures = cluster_hour.failures + excluded.failures, events = cluster_hour.events + excluded.events;

-- name: upsert_members
INSERT INTO stored_member (event_id, part_id, failures, first_failed_at, last_failed_at, first_attempt, recovered_at,
                           recovered, several)
SELECT event_id, part_id, failures, first_failed_at, last_failed_at, first_attempt, recovered_at, recovered, several
  FROM entry
 WHERE changed_from IS NOT NULL OR failures > was_failures OR recovered <> was_recovered OR several <> was_several
 ORDER BY event_id, part_id
ON CONFLICT (event_id, part_id) DO UPDATE SET
  failures = excluded.failures, first_failed_at = excluded.first_failed_at, last_failed_at = excluded.last_failed_at,
  first_attempt = excluded.first_attempt, recovered_at = excluded.recovered_at, recovered = excluded.recovered,
  several = excluded.several;

-- name: count_entries
-- changed_at is the time of the newest fact of any of the cluster's events; example_attempt is its newest failure.
UPDATE failure_cluster AS c
   SET failures = c.failures + n.failures, events = c.events + n.events, recovered = c.recovered + n.recovered,
       first_failed_at = CASE WHEN c.first_failed_at < n.first_failed_at THEN c.first_failed_at
                              ELSE n.first_failed_at END,
       last_failed_at = CASE WHEN c.last_failed_at > n.last_failed_at THEN c.last_failed_at ELSE n.last_failed_at END,
       example_attempt = CASE WHEN c.example_attempt > n.newest OR n.newest IS NULL THEN c.example_attempt
                              ELSE n.newest END,
       changed_at = CASE WHEN c.changed_at > n.changed_at THEN c.changed_at ELSE n.changed_at END
  FROM (SELECT e.cluster_id, sum(e.failures - e.was_failures) AS failures,
               sum(CASE WHEN e.was_first IS NULL THEN 1 ELSE 0 END) AS events,
               sum(e.recovered - e.was_recovered) AS recovered,
               min(e.first_failed_at) AS first_failed_at, max(e.last_failed_at) AS last_failed_at,
               max(e.newest) AS newest, max(t.changed_at) AS changed_at
          FROM entry e JOIN touched t ON t.event_id = e.event_id
         GROUP BY e.cluster_id) AS n
 WHERE c.cluster_id = n.cluster_id;

-- name: update_event_state
-- The state of each touched event, from its last attempt, last decision and last failure. A touched event is PENDING
-- only because of a decision, and is then due from that decision on. A dismissal ends with the next success: a failure
-- after that is a new one.
INSERT INTO stored_state (event_id, event_type, sync_status, dismissed, attempts, retry_count, last_success, budget_from,
                         failed_attempts, last_failure, part_id, first_failed_at, failing_since, last_failed_at,
                         due_at, severity, rule, changed_at)
SELECT event_id, event_type, sync_status, dismissed, attempts, retry_count, last_success, budget_from, failed_attempts,
       last_failure, part_id, first_failed_at, failing_since, last_failed_at, due_at, {event_severity}, {event_rule},
       changed_at
  FROM (SELECT l.*, CASE WHEN l.dismissed = 1 THEN NULL WHEN l.sync_status = 'PENDING' THEN l.decided_at
                         WHEN l.sync_status = 'FAILED' THEN l.retry_at END AS due_at
          FROM (SELECT t.*, d.decided_at,
                       CASE WHEN t.attempts = 0 OR d.decision = 'REQUEUE' AND d.after_attempt >= t.attempts
                            THEN 'PENDING'
                            WHEN t.outcome = 'SYNCED' THEN 'SYNCED'
                            WHEN t.retry_at IS NOT NULL THEN 'FAILED' ELSE 'DEAD' END AS sync_status,
                       CASE WHEN d.decision = 'DISMISS' AND coalesce(t.outcome, '') <> 'SYNCED'
                             AND t.last_success <= d.after_attempt THEN 1 ELSE 0 END AS dismissed,
                       coalesce(f.part_id, 0) AS part_id
                  FROM touched t
                  LEFT JOIN known_decision d ON d.decision_id =
                    (SELECT max(k.decision_id) FROM known_decision k WHERE k.event_id = t.event_id)
                  LEFT JOIN stored_failure f ON f.attempt_id = t.last_failure) AS l) AS n
 WHERE true
ON CONFLICT (event_id) DO UPDATE SET
  sync_status = excluded.sync_status, dismissed = excluded.dismissed, attempts = excluded.attempts,
  retry_count = excluded.retry_count, last_success = excluded.last_success, budget_from = excluded.budget_from,
  failed_attempts = excluded.failed_attempts, last_failure = excluded.last_failure, part_id = excluded.part_id,
  first_failed_at = excluded.first_failed_at, failing_since = excluded.failing_since,
  last_failed_at = excluded.last_failed_at, due_at = excluded.due_at, severity = excluded.severity,
  rule = excluded.rule, changed_at = excluded.changed_at;

-- name: drop_unattempted
-- The touched events that had no state yet; a dismissed one that was requeued was PENDING as well, and is not there.
DELETE FROM stored_unattempted WHERE event_id IN
  (SELECT event_id FROM touched WHERE was_status = 'PENDING' AND was_cluster = 0);

-- name: update_counts
-- Subtract the touched events under their old attributes and add them under the new ones.
INSERT INTO stored_counts (event_type, sync_status, dismissed, cluster_id, severity, events)
SELECT event_type, sync_status, dismissed, cluster_id, severity, sum(events)
  FROM (SELECT event_type, was_status AS sync_status, was_dismissed AS dismissed, was_cluster AS cluster_id,
               was_severity AS severity, -1 AS events
          FROM touched WHERE was_status IS NOT NULL
        UNION ALL
        SELECT s.event_type, s.sync_status, s.dismissed, coalesce(p.cluster_id, 0), coalesce(s.severity, ''), 1
          FROM touched t
          JOIN stored_state s ON s.event_id = t.event_id
          LEFT JOIN cluster_part p ON p.part_id = s.part_id) AS n
 WHERE true
 GROUP BY 1, 2, 3, 4, 5 HAVING sum(events) <> 0 ORDER BY 1, 2, 3, 4, 5
ON CONFLICT (event_type, sync_status, dismissed, cluster_id, severity)
DO UPDATE SET events = stored_counts.events + excluded.events;

-- name: drop_empty_counts
DELETE FROM stored_counts WHERE events = 0;

-- name: update_cluster_severity
UPDATE failure_cluster SET severity = ?, rule = ?, reason = ? WHERE cluster_id = ?;

-- name: new_fingerprint
INSERT INTO fingerprint (fingerprint_id, event_type, error_type, cluster_id, admitted, variables, template)
VALUES (:id, :event_type, :error_type, :id, :admitted, :variables, :template)
ON CONFLICT (fingerprint_id) DO UPDATE SET
  error_type = excluded.error_type, template = excluded.template, variables = excluded.variables;

-- name: new_error_type
UPDATE fingerprint SET error_type = ? WHERE fingerprint_id = ? AND template IS NULL;

-- name: new_slot_word
INSERT INTO template_slot (slot_id, word, fingerprint_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING;

-- name: merge_parts
-- Merging clusters: their totals become one, as if there had always been one cluster. Rows per event and attempt stay
-- under the parts, except those of events that failed in several of the clusters.
-- CROSS JOIN makes SQLite start from the few clusters.
UPDATE cluster_part SET cluster_id = (SELECT new_id FROM merging WHERE old_id = cluster_part.cluster_id)
 WHERE cluster_id IN (SELECT old_id FROM merging WHERE old_id <> new_id);

-- name: merge_members
-- The recovery of an event is the one after its first attempt that failed in any of the clusters.
INSERT INTO merged_member (event_id, cluster_id, part_id, failures, first_failed_at, last_failed_at, first_attempt,
                           recovered_at, recovered, rows_before)
SELECT n.event_id, n.cluster_id, e.part_id, n.failures, n.first_failed_at, n.last_failed_at, n.first_attempt,
       e.recovered_at, n.recovered, n.rows_before
  FROM (SELECT e.event_id, p.cluster_id, sum(e.failures) AS failures, min(e.first_failed_at) AS first_failed_at,
               max(e.last_failed_at) AS last_failed_at, min(e.first_attempt) AS first_attempt,
               max(e.recovered) AS recovered, count(*) AS rows_before
          FROM merging m CROSS JOIN cluster_part p CROSS JOIN stored_member e
         WHERE m.old_id = m.new_id AND p.cluster_id = m.new_id AND e.part_id = p.part_id AND e.several = 1
         GROUP BY e.event_id, p.cluster_id HAVING count(*) > 1) AS n
 CROSS JOIN stored_member e CROSS JOIN cluster_part p
 WHERE e.event_id = n.event_id AND e.first_attempt = n.first_attempt
   AND p.part_id = e.part_id AND p.cluster_id = n.cluster_id;

-- name: merge_hours
INSERT INTO cluster_hour (cluster_id, hour, failures, events)
SELECT m.new_id, h.hour, sum(h.failures), sum(h.events)
  FROM merging m CROSS JOIN cluster_hour h
 WHERE h.cluster_id = m.old_id
 GROUP BY m.new_id, h.hour ORDER BY 1, 2
ON CONFLICT (cluster_id, hour) DO UPDATE SET failures = excluded.failures, events = excluded.events;

-- name: drop_merged_hours
DELETE FROM cluster_hour WHERE cluster_id IN (SELECT old_id FROM merging WHERE old_id <> new_id);

-- name: correct_merged_hours
-- An event entered the merged cluster once, with its first failure.
UPDATE cluster_hour SET events = cluster_hour.events + n.events
  FROM (SELECT cluster_id, hour, sum(events) AS events
          FROM (SELECT m.cluster_id, m.first_failed_at / 3600000000 AS hour, 1 AS events FROM merged_member m
                UNION ALL
                SELECT m.cluster_id, e.first_failed_at / 3600000000, -1
                  FROM merged_member m CROSS JOIN stored_member e CROSS JOIN cluster_part p
                 WHERE e.event_id = m.event_id AND p.part_id = e.part_id AND p.cluster_id = m.cluster_id) AS entered
         GROUP BY cluster_id, hour) AS n
 WHERE cluster_hour.cluster_id = n.cluster_id AND cluster_hour.hour = n.hour;

-- name: drop_merged_members
DELETE FROM stored_member
 WHERE (event_id, part_id) IN
       (SELECT e.event_id, e.part_id
          FROM merged_member m CROSS JOIN stored_member e CROSS JOIN cluster_part p
         WHERE e.event_id = m.event_id AND p.part_id = e.part_id AND p.cluster_id = m.cluster_id
           AND e.part_id <> m.part_id);

-- name: update_merged_members
UPDATE stored_member
   SET failures = m.failures, first_failed_at = m.first_failed_at, last_failed_at = m.last_failed_at,
       recovered = m.recovered
  FROM merged_member m
 WHERE stored_member.event_id = m.event_id AND stored_member.part_id = m.part_id;

-- name: merge_counts
INSERT INTO stored_counts (event_type, sync_status, dismissed, cluster_id, severity, events)
SELECT s.event_type, s.sync_status, s.dismissed, m.new_id, s.severity, sum(s.events)
  FROM merging m CROSS JOIN stored_counts s
 WHERE s.cluster_id = m.old_id AND m.old_id <> m.new_id
 GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
ON CONFLICT (event_type, sync_status, dismissed, cluster_id, severity)
DO UPDATE SET events = stored_counts.events + excluded.events;

-- name: drop_merged_counts
DELETE FROM stored_counts WHERE cluster_id IN (SELECT old_id FROM merging WHERE old_id <> new_id);

-- name: merge_clusters
-- Relapses and episodes are counted again afterwards; the severity is that of the fold that merges.
INSERT INTO failure_cluster (cluster_id, event_type, error_type, template, failures, events, recovered, episodes,
                             relapses, first_failed_at, last_failed_at, example_attempt, changed_at)
SELECT n.new_id, p.event_type, p.error_type,
       coalesce(p.template, (SELECT o.template FROM failure_cluster o WHERE o.cluster_id = n.new_id), '[erased]'),
       n.failures, n.events - coalesce(s.events, 0),
       n.recovered - coalesce(s.recovered, 0), 0, 0, n.first_failed_at, n.last_failed_at, n.example_attempt, n.changed_at
  FROM (SELECT m.new_id, sum(c.failures) AS failures, sum(c.events) AS events, sum(c.recovered) AS recovered,
               min(c.first_failed_at) AS first_failed_at, max(c.last_failed_at) AS last_failed_at,
               max(c.example_attempt) AS example_attempt, max(c.changed_at) AS changed_at
          FROM merging m CROSS JOIN failure_cluster c WHERE c.cluster_id = m.old_id
         GROUP BY m.new_id) AS n
  LEFT JOIN (SELECT cluster_id, sum(rows_before - 1) AS events, sum((rows_before - 1) * recovered) AS recovered
               FROM merged_member GROUP BY cluster_id) AS s ON s.cluster_id = n.new_id
  JOIN fingerprint p ON p.fingerprint_id = n.new_id
 WHERE true
ON CONFLICT (cluster_id) DO UPDATE SET
  error_type = excluded.error_type, template = excluded.template, failures = excluded.failures,
  events = excluded.events, recovered = excluded.recovered, episodes = 0, relapses = 0,
  first_failed_at = excluded.first_failed_at, last_failed_at = excluded.last_failed_at,
  example_attempt = excluded.example_attempt, changed_at = excluded.changed_at;

-- name: drop_merged_clusters
DELETE FROM failure_cluster WHERE cluster_id IN (SELECT old_id FROM merging WHERE old_id <> new_id);

-- name: merged_timelines
INSERT INTO changed_timeline (cluster_id, changed_from, part_id)
SELECT c.cluster_id, c.first_failed_at,
       (SELECT CASE WHEN min(p.part_id) = max(p.part_id) THEN min(p.part_id) END
          FROM cluster_part p WHERE p.cluster_id = c.cluster_id)
  FROM merging m JOIN failure_cluster c ON c.cluster_id = m.new_id
 WHERE m.old_id = m.new_id AND c.first_failed_at IS NOT NULL;

-- name: is_merged
SELECT 1 WHERE (SELECT count(*) FROM fingerprint WHERE cluster_id = :cluster) > 1
            OR (SELECT count(*) FROM cluster_part WHERE cluster_id = :cluster) > 1;

-- name: rename_template
UPDATE fingerprint SET template = ? WHERE fingerprint_id = ? AND template IS NOT NULL;

-- name: forget_template
UPDATE fingerprint SET error_type = ?, template = NULL, variables = 0 WHERE fingerprint_id = ?;

-- name: forget_words
DELETE FROM template_slot WHERE fingerprint_id = ?;
