-- Coordination between processes: neither facts nor derived rows.
CREATE TABLE lease (
  event_id     INTEGER PRIMARY KEY,
  leased_until INTEGER NOT NULL,
  leased_by    TEXT NOT NULL,
  begun        INTEGER NOT NULL DEFAULT 1  -- 1: the attempt has begun; 0: it waits for a free handler, or has begun;
                                           -- 2: another program makes it, and no worker retries it
) STRICT;

CREATE TABLE followed (                -- how far `ingest --follow` has read; updated together with the facts read
  path        TEXT NOT NULL,
  identity    TEXT NOT NULL,           -- device:inode, because a path is another file after a rotation
  read_to     INTEGER NOT NULL,        -- bytes
  line_no     INTEGER NOT NULL,        -- lines
  digest      TEXT NOT NULL,           -- keyed, of the first bytes and the last ones before read_to, hex
  modified_ns INTEGER NOT NULL,        -- the file's modification time when it was read
  PRIMARY KEY (path, identity)
) STRICT;

-- How this store derives: 'policy' (the thresholds of the severity rules) and 'grouping' (the user's rules) as TOML,
-- 'derivation' (the version of failaware that derived everything). 'seals' exists while sealing is suspended. 'key' is
-- random, created with the store; digests of texts are keyed with it (failaware/digest.py).
CREATE TABLE setting (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT;
