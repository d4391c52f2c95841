-- What was used, in parts that are added up when they are read: no row is ever waited for.
CREATE TABLE usage (
    owner text NOT NULL,
    day date NOT NULL,
    runs bigint NOT NULL DEFAULT 0,
    input_tokens bigint NOT NULL DEFAULT 0,
    output_tokens bigint NOT NULL DEFAULT 0,
    scripts bigint NOT NULL DEFAULT 0,
    rows bigint NOT NULL DEFAULT 0
);
CREATE INDEX usage_owner_day ON usage (owner, day);

CREATE VIEW used AS
    SELECT owner, created_at::date AS day, 1::bigint AS runs, input_tokens, output_tokens, 0::bigint AS scripts,
        0::bigint AS rows FROM runs
    UNION ALL SELECT owner, day, runs, input_tokens, output_tokens, scripts, rows FROM usage;

-- Runs that are deleted were still made.
CREATE FUNCTION keep_usage() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO usage (owner, day, runs, input_tokens, output_tokens)
        SELECT owner, created_at::date, count(*), sum(input_tokens), sum(output_tokens) FROM gone GROUP BY 1, 2;
    RETURN NULL;
END $$;
CREATE TRIGGER runs_keep_usage AFTER DELETE ON runs REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION keep_usage();

-- Requests of the last minutes, added up over all processes. A crash of Postgres may forget them.
CREATE UNLOGGED TABLE request_counts (
    client bytea NOT NULL,
    minute bigint NOT NULL,
    requests bigint NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (client, minute)
);
