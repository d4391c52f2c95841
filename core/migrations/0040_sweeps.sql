-- When the last sweep of the environments began, in whichever process.
ALTER TABLE installation ADD COLUMN swept_at timestamptz;
