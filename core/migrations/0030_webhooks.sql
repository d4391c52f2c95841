-- A call that is due: written with the end of its run, so that it is made also when the process dies.
CREATE TABLE webhook_calls (
    run_id text PRIMARY KEY REFERENCES runs ON DELETE CASCADE,
    address text NOT NULL,
    state json,
    tries integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX webhook_calls_due ON webhook_calls (due_at);
