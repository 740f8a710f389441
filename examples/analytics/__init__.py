"""Questions to the whole history, answered from a replay of the log into Parquet.

replay     getting the Parquet files
demo       a log to look at, where nobody has chosen anything yet
answers    the three questions, put to DuckDB
chart      the answers as a picture
__main__   the command
"""
