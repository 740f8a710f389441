-- How many opted out of each toggle in each week, which begins on Monday, in UTC. Weeks without any are there too: a gap in
-- a chart would be read as missing data.
WITH weeks AS (
    SELECT unnest(generate_series(
        date_trunc('week', min(timezone('UTC', time))), date_trunc('week', max(timezone('UTC', time))), INTERVAL 7 DAY
    ))::DATE AS week
    FROM changes
)
SELECT week, toggles.toggle, count(changes.position) AS opt_outs
FROM weeks
CROSS JOIN (SELECT DISTINCT toggle FROM changes) AS toggles
LEFT JOIN changes
    ON changes.toggle = toggles.toggle
    AND date_trunc('week', timezone('UTC', changes.time)) = week
    AND NOT changes.enabled
GROUP BY ALL
ORDER BY week, toggle;
