"""The sweep, in PostgreSQL.

leg           what a leg is, and running it to its end at once
log_leg       the log against its tree and its checkpoints
index_leg     the index of the audit log against the log
daily_counts  the counts of the index against its entries
stream_leg    current preferences and keys against the log, stream by stream
journal       how far each leg is, and what was found
sweeper       taking the steps, at their pace
"""
