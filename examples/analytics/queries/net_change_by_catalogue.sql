-- Opt-ins less opt-outs of each toggle in the days before a catalogue came into force, and in as many days after. What a new default
-- changed for who never chose isn't in here: nobody who never chose is known to the log. A day is counted in UTC, where each
-- has 24 hours: in the session's zone one of them may have 23.
SELECT
    catalogue.catalogue_version AS catalogue,
    changes.toggle,
    sum(CASE WHEN changes.enabled THEN 1 ELSE -1 END) FILTER (changes.time < catalogue.time) AS net_before,
    sum(CASE WHEN changes.enabled THEN 1 ELSE -1 END) FILTER (changes.time >= catalogue.time) AS net_after
FROM events AS catalogue
JOIN changes
    ON timezone('UTC', changes.time) >= timezone('UTC', catalogue.time) - to_days($days::INTEGER)
    AND timezone('UTC', changes.time) < timezone('UTC', catalogue.time) + to_days($days::INTEGER)
WHERE catalogue.type = 'notification-preferences.catalogue-published.v1'
GROUP BY ALL
ORDER BY catalogue, toggle;
