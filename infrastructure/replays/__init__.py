"""The destinations that the log can be replayed into.

request    the parameters of a replay, stored beside its result
lines      a file with one event a line
parquet    a folder of Parquet files, by day (columns: those of an event; parquet_manifest: what a replay remembers there)
stream     a JetStream stream of its own
"""
