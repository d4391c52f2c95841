"""The server: accounts, rights, jobs, what it runs and what it shares."""
