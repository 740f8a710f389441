-- A key of the platform belongs to no organization: what runs beside this service, such as the delivery of e-mails, reads
-- the events of all of them.
ALTER TABLE api_keys ALTER COLUMN organization DROP NOT NULL;
