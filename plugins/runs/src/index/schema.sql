CREATE TABLE runs (
    run_id TEXT PRIMARY KEY,
    agent_id TEXT NOT NULL,
    started_at INTEGER NOT NULL,  -- milliseconds since 1970, as `ended_at`
    ended_at INTEGER NOT NULL,
    status TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    modified INTEGER NOT NULL,    -- nanoseconds since 1970
    summary TEXT NOT NULL         -- JSON
) STRICT;
CREATE INDEX runs_by_start ON runs (agent_id, started_at DESC, run_id DESC);
CREATE INDEX runs_by_status ON runs (agent_id, status, started_at DESC, run_id DESC);
CREATE INDEX runs_by_stamp ON runs (agent_id, run_id, started_at, ended_at, bytes, modified);
