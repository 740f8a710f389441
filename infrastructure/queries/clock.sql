-- name: now
-- The time of the server's machine at this moment, and not at the beginning of the transaction.
SELECT extract(epoch FROM clock_timestamp())::double precision;
