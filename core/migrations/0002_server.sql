ALTER TABLE threads
    ADD COLUMN status text NOT NULL DEFAULT 'idle' CHECK (status IN ('idle', 'busy', 'interrupted', 'error')),
    ADD COLUMN state_updated_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN config jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN state_values json,
    ADD COLUMN interrupts json NOT NULL DEFAULT '{}',
    ADD COLUMN error json,
    ADD COLUMN temporary boolean NOT NULL DEFAULT false,
    ADD COLUMN ttl_strategy text CHECK (ttl_strategy IN ('delete', 'keep_latest')),
    ADD COLUMN ttl_minutes double precision,
    ADD COLUMN expires_at timestamptz;
CREATE INDEX threads_expires ON threads (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX threads_temporary ON threads (updated_at) WHERE temporary;

-- owner '' is the program itself: the assistants that stand for the graphs, seen by everybody.
CREATE TABLE assistants (
    assistant_id text PRIMARY KEY,
    owner text NOT NULL,
    graph_id text NOT NULL,
    name text NOT NULL,
    description text,
    config jsonb NOT NULL DEFAULT '{}',
    context jsonb NOT NULL DEFAULT '{}',
    metadata jsonb NOT NULL DEFAULT '{}',
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX assistants_owner ON assistants (owner, graph_id, created_at);

CREATE TABLE assistant_versions (
    assistant_id text NOT NULL REFERENCES assistants ON DELETE CASCADE,
    version integer NOT NULL,
    graph_id text NOT NULL,
    name text NOT NULL,
    description text,
    config jsonb NOT NULL,
    context jsonb NOT NULL,
    metadata jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (assistant_id, version)
);

CREATE TABLE runs (
    run_id text PRIMARY KEY,
    thread_id text NOT NULL REFERENCES threads ON DELETE CASCADE,
    owner text NOT NULL,
    assistant_id text NOT NULL,
    graph_id text NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'running', 'error', 'success', 'timeout', 'interrupted')),
    metadata jsonb NOT NULL DEFAULT '{}',
    kwargs json NOT NULL,
    assistant_config jsonb NOT NULL DEFAULT '{}',
    assistant_context jsonb NOT NULL DEFAULT '{}',
    principal json NOT NULL DEFAULT '{}',
    multitask_strategy text NOT NULL,
    temporary boolean NOT NULL DEFAULT false,
    webhook text,
    error json,
    output json,
    cancel text CHECK (cancel IN ('interrupt', 'rollback')),
    base_writes json,
    worker text,
    lease_until timestamptz,
    attempt integer NOT NULL DEFAULT 0,
    watched boolean NOT NULL DEFAULT false,
    input_tokens bigint NOT NULL DEFAULT 0,
    output_tokens bigint NOT NULL DEFAULT 0,
    available_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX runs_one_active ON runs (thread_id) WHERE status = 'running';
CREATE INDEX runs_thread ON runs (thread_id, created_at DESC);
CREATE INDEX runs_pending ON runs (available_at, created_at) WHERE status = 'pending';
CREATE INDEX runs_lease ON runs (lease_until) WHERE status = 'running';
CREATE INDEX runs_owner_created ON runs (owner, created_at);

-- A row is a batch of server-sent events as they go out. No foreign key: a late batch of a deleted run is
-- dropped by the pruning, and must not stop the batches of other runs that are written with it.
CREATE TABLE run_events (
    run_id text NOT NULL,
    first bigint NOT NULL,
    last bigint NOT NULL,
    data bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, last)
);
CREATE INDEX run_events_created ON run_events (created_at);

CREATE TABLE crons (
    cron_id text PRIMARY KEY,
    owner text NOT NULL,
    assistant_id text NOT NULL REFERENCES assistants ON DELETE CASCADE,
    thread_id text REFERENCES threads ON DELETE CASCADE,
    schedule text NOT NULL,
    timezone text,
    end_time timestamptz,
    payload json NOT NULL,
    principal json NOT NULL DEFAULT '{}',
    metadata jsonb NOT NULL DEFAULT '{}',
    on_run_completed text NOT NULL DEFAULT 'delete',
    enabled boolean NOT NULL DEFAULT true,
    next_run_date timestamptz,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX crons_next ON crons (next_run_date) WHERE enabled;
CREATE INDEX crons_owner ON crons (owner, created_at);

CREATE TABLE users (
    name text PRIMARY KEY,
    password_hash text NOT NULL,
    role text NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'admin')),
    disabled boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE refresh_tokens (
    token_hash text PRIMARY KEY,
    family text NOT NULL,
    user_name text NOT NULL REFERENCES users ON DELETE CASCADE,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX refresh_tokens_family ON refresh_tokens (family);

CREATE TABLE revoked_tokens (
    token_id text PRIMARY KEY,
    expires_at timestamptz NOT NULL
);

CREATE TABLE api_keys (
    key_id text PRIMARY KEY,
    key_hash text NOT NULL UNIQUE,
    user_name text NOT NULL REFERENCES users ON DELETE CASCADE,
    label text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz
);

CREATE TABLE server_secrets (
    name text PRIMARY KEY,
    value text NOT NULL
);

CREATE TABLE feedback (
    feedback_id text PRIMARY KEY,
    owner text NOT NULL,
    thread_id text NOT NULL REFERENCES threads ON DELETE CASCADE,
    run_id text NOT NULL DEFAULT '',
    message_id text NOT NULL DEFAULT '',
    score text NOT NULL CHECK (score IN ('like', 'dislike')),
    comment text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (owner, thread_id, run_id, message_id)
);
