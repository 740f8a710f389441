-- Two roles and the database, as docs/production.md has them. The image of PostgreSQL runs this once, as the administrator, when its volume is empty.
\getenv owner_password OWNER_PASSWORD
\getenv service_password SERVICE_PASSWORD
CREATE ROLE preferences_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE preferences_service LOGIN PASSWORD :'service_password';
GRANT preferences_owner TO CURRENT_USER;
CREATE DATABASE preferences OWNER preferences_owner;
