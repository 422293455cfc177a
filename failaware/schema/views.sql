-- Views for people who open the store with another tool (docs/schema.md); failaware itself does not read them.
-- ISO(x) is replaced by SQL that formats a time in µs as ISO 8601 in UTC.

CREATE VIEW event_detected AS          -- one row per event, with its state and its last error
SELECT e.event_id, e.event_type, s.sync_status,
       s.retry_count,
       s.severity, s.rule, s.dismissed,
       a.error_type AS last_error_type, a.error_message AS last_error, s.cluster_id,
       e.event_payload, k.key, e.source,
       ISO(e.occurred_at) AS occurred_at, ISO(e.detected_at) AS detected_at,
       ISO(s.first_failed_at) AS first_failed_at, ISO(s.last_failed_at) AS last_failed_at, ISO(s.due_at) AS due_at
  FROM event_log e
  JOIN event_state s ON s.event_id = e.event_id
  LEFT JOIN event_key k ON k.event_id = e.event_id
  LEFT JOIN attempt_log a ON a.attempt_id = s.last_failure;

CREATE VIEW failures AS                -- one row per failed attempt, with its cluster and its traceback
SELECT a.attempt_id, a.event_id, e.event_type, a.attempt_no, a.error_type, a.error_message, a.cause,
       f.cluster_id, c.template,
       ISO(a.started_at) AS started_at, ISO(a.finished_at) AS finished_at, ISO(a.retry_at) AS retry_at,
       a.retry_reason, a.worker,
       replace(t.text, '⟨error⟩',
               a.error_type || CASE a.error_message WHEN '' THEN '' ELSE ': ' || a.error_message END) AS traceback
  FROM attempt_log a
  JOIN event_log e ON e.event_id = a.event_id
  JOIN failure f ON f.attempt_id = a.attempt_id
  JOIN failure_cluster c ON c.cluster_id = f.cluster_id
  LEFT JOIN traceback_log t ON t.traceback_id = a.traceback
 WHERE a.outcome = 'FAILED';

CREATE VIEW clusters AS                -- one row per cluster of similar failures
SELECT c.cluster_id, c.event_type, c.error_type, c.template, c.severity, c.rule, c.reason,
       c.failures, c.events, c.recovered, c.episodes, c.relapses,
       ISO(c.first_failed_at) AS first_failed_at, ISO(c.last_failed_at) AS last_failed_at,
       c.example_attempt
  FROM failure_cluster c;

CREATE VIEW severities AS              -- one row per event or cluster that has a severity, with the reason
SELECT s.entity_type, s.entity_id, s.severity, s.rule, s.reason, ISO(s.computed_at) AS computed_at
  FROM failure_severity s;
