-- name: server
-- What nobody can set for a session, and what our promises rest on.
SELECT current_setting('server_encoding'), current_setting('fsync')::boolean, current_setting('full_page_writes')::boolean,
       current_setting('transaction_read_only')::boolean;
