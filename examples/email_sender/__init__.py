"""A sender of e-mails that asks nobody whether it may: it keeps a replica of who chose what.

pseudonym   under which key the service hands on what a user chose
handed_on   a message of the stream, understood
replica     what it adds up to, in SQLite
decision    whether to send, from the replica alone
reader      from the stream into the replica
relay       the service's own relay, where no broker is configured
mail        a message with headers to unsubscribe by, which the service makes
__main__    the commands
"""
