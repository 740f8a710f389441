-- name: state
-- Whether there is a log, and who made it, as the schema's comment says.
SELECT to_regclass('preferences_events') IS NOT NULL, obj_description('public'::regnamespace, 'pg_namespace');

-- name: in_use
-- How many other sessions there are.
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid();

-- name: kept
-- What a person may miss: events of users, and API keys. The catalogue is published again.
SELECT (SELECT count(*) FROM preferences_events WHERE topic <> 'notification-preferences.catalogue-published'),
       (SELECT count(*) FROM api_keys);

-- name: empty
-- Begin anew. The schema says whose it is, so that the next demo may do the same.
DROP SCHEMA public CASCADE;
CREATE SCHEMA public;
COMMENT ON SCHEMA public IS 'made by preferences demo';
