-- Each choice that changed what its user gets, and how: by the choice before, or by the default of the catalogue that the
-- user was shown. To record a choice that says what the default says changes nothing.
CREATE VIEW changes AS
WITH catalogues AS (
    SELECT catalogue_version, unnest(from_json(channels, '[{"name": "VARCHAR", "toggles": [{"name": "VARCHAR", "default": "BOOLEAN", "mandatory": "BOOLEAN"}]}]')) AS channel
    FROM events
    WHERE type = 'notification-preferences.catalogue-published.v1'
),
defaults AS (
    SELECT catalogue_version, channel.name AS channel, unnest(channel.toggles) AS toggle
    FROM catalogues
)
SELECT
    events.position,
    events.time,
    events.channel || '.' || events.toggle AS toggle,
    events.source,
    events.actor_kind,
    events.enabled
FROM events
JOIN defaults
    ON defaults.catalogue_version = events.catalogue_version
    AND defaults.channel = events.channel
    AND defaults.toggle.name = events.toggle
WHERE events.type = 'notification-preferences.toggled.v1'
    AND events.enabled <> coalesce(events.previous, defaults.toggle."default");
