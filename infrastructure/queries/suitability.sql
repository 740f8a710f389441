-- name: server
-- Settings that no session can change, and on which our promises depend, and whether the role may see what standbys have confirmed.
SELECT current_setting('server_encoding'), current_setting('fsync')::boolean, current_setting('full_page_writes')::boolean,
       current_setting('transaction_read_only')::boolean, current_user,
       pg_has_role('pg_read_all_stats', 'USAGE'), current_setting('synchronous_standby_names');
