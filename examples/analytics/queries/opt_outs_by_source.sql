-- Through what people opted out, and whether it was themselves or staff in their name.
SELECT source, actor_kind AS by_whom, count(*) AS opt_outs
FROM changes
WHERE NOT enabled
GROUP BY ALL
ORDER BY opt_outs DESC, source, by_whom;
