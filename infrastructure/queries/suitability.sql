-- name: server
-- Settings that no session can change, and on which our promises depend.
SELECT current_setting('server_encoding'), current_setting('fsync')::boolean, current_setting('full_page_writes')::boolean,
       current_setting('transaction_read_only')::boolean;
