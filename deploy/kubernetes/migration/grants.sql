-- What the role of the running service may do, as docs/production.md has it. The owner runs this after each `preferences migrate`.
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO preferences_service;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO preferences_service;
REVOKE INSERT ON schema_migrations, api_keys FROM preferences_service;
GRANT UPDATE ON current_preferences, followers, audit_daily_counts, audit_uncounted, log_tiles, sweep, sweep_findings TO preferences_service;
GRANT UPDATE (count, outcome) ON audit_reads TO preferences_service;
GRANT UPDATE (last_used_at) ON api_keys TO preferences_service;
