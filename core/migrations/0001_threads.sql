CREATE TABLE threads (
    thread_id text PRIMARY KEY,
    owner text NOT NULL,
    title text NOT NULL DEFAULT '',
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX threads_owner_updated ON threads (owner, updated_at DESC, thread_id);
CREATE INDEX threads_metadata ON threads USING gin (metadata jsonb_path_ops);

CREATE TABLE artifacts (
    artifact_id text PRIMARY KEY,
    owner text NOT NULL,
    thread_id text NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    media_type text NOT NULL,
    size bigint NOT NULL,
    sha256 text NOT NULL,
    data bytea,
    path text,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((data IS NULL) <> (path IS NULL))
);
CREATE INDEX artifacts_owner_thread ON artifacts (owner, thread_id, created_at, artifact_id);

CREATE TABLE ledger (
    entry_id text PRIMARY KEY,
    owner text NOT NULL,
    thread_id text NOT NULL,
    run_id text,
    tool_call_id text NOT NULL,
    script text NOT NULL,
    effect text NOT NULL,
    outcome text CHECK (outcome IN ('done', 'failed', 'unknown', 'skipped')),
    detail text NOT NULL DEFAULT '',
    opened_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz,
    UNIQUE (thread_id, tool_call_id)
);
CREATE INDEX ledger_open ON ledger (owner, thread_id, opened_at) WHERE outcome IS NULL;
