CREATE TABLE installation (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    installation_id text NOT NULL
);
INSERT INTO installation (installation_id) VALUES (replace(gen_random_uuid()::text, '-', ''));

CREATE TABLE environments (
    environment_id text PRIMARY KEY,
    owner text NOT NULL,
    name text NOT NULL,
    thread_id text,
    provider text NOT NULL,
    region text NOT NULL DEFAULT '',
    state text NOT NULL CHECK (state IN ('PENDING', 'PROVISIONING', 'RUNNING', 'DELETING', 'DELETED', 'ERROR')),
    ending text CHECK (ending IN ('DELETED', 'ERROR')),
    cpu double precision,
    memory double precision,
    hours integer,
    workspace boolean NOT NULL DEFAULT false,
    spot boolean NOT NULL DEFAULT false,
    host text,
    port integer,
    user_name text NOT NULL DEFAULT 'admin',
    secret bytea,
    secured_at timestamptz,
    workspace_host text,
    workspace_port integer,
    workspace_secret bytea,
    error text NOT NULL DEFAULT '',
    worker text,
    worker_until timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    retry_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    running_at timestamptz,
    expires_at timestamptz,
    warned_at timestamptz,
    ended_at timestamptz,
    CHECK (state <> 'DELETING' OR ending IS NOT NULL),
    CHECK (state <> 'RUNNING' OR (host IS NOT NULL AND port IS NOT NULL AND secured_at IS NOT NULL))
);
CREATE UNIQUE INDEX environments_owner_name ON environments (owner, name)
    WHERE state IN ('PENDING', 'PROVISIONING', 'RUNNING');
CREATE INDEX environments_owner ON environments (owner, created_at DESC, environment_id);
CREATE INDEX environments_live ON environments (state, expires_at)
    WHERE state IN ('PENDING', 'PROVISIONING', 'RUNNING', 'DELETING');

CREATE TABLE environment_groups (
    environment_id text NOT NULL REFERENCES environments ON DELETE CASCADE,
    owner text NOT NULL,
    role text NOT NULL CHECK (role IN ('database', 'workspace')),
    attempt integer NOT NULL,
    client_token text NOT NULL UNIQUE,
    zone text NOT NULL DEFAULT '',
    group_id text,
    intended_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz,
    refused_at timestamptz,
    deleted_at timestamptz,
    PRIMARY KEY (environment_id, role, attempt)
);
CREATE INDEX environment_groups_group ON environment_groups (group_id);

CREATE TABLE environment_history (
    history_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    environment_id text NOT NULL REFERENCES environments ON DELETE CASCADE,
    owner text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    state text NOT NULL,
    event text NOT NULL,
    detail text NOT NULL DEFAULT ''
);
CREATE INDEX environment_history_environment ON environment_history (environment_id, history_id);

CREATE TABLE orphans (
    provider text NOT NULL,
    group_id text NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (provider, group_id)
);

CREATE TABLE workspace_tickets (
    digest bytea PRIMARY KEY,
    owner text NOT NULL,
    environment_id text NOT NULL REFERENCES environments ON DELETE CASCADE,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
