"""The list of all commands: name, place, and what `--help` says of each."""

from typing import Final

from typer.core import TyperGroup

from api.command_line.late_command import LateCommand


def _group(name: str, summary: str, *commands: LateCommand | TyperGroup) -> TyperGroup:
    # Without a default for --help, typer asks pydantic what to make of its absence, and the import of pydantic takes 0.1 s.
    settings = {"default_map": {"help": False}}
    return TyperGroup(name=name, help=summary, commands=commands, no_args_is_help=True, context_settings=settings)


# A summary is the first paragraph of the command's docstring, which isn't loaded for the list. A test compares them.
CLI: Final = _group(
    "preferences",
    "Notification preferences with full history: the service, and the commands for its operators.",
    LateCommand(
        "serve", "serve.serve", "Serve the API. Without DATABASE_URL, start and migrate an embedded PostgreSQL first."
    ),
    LateCommand(
        "migrate", "database.migrate", "Bring the database's schema up to date, and publish this release's catalogue."
    ),
    _group(
        "catalogue",
        "List the published catalogues, and show the changes of a new one. `migrate` publishes.",
        LateCommand(
            "list", "catalogue.list_published", "List the published catalogues, newest first, each with its changes."
        ),
        LateCommand(
            "diff",
            "catalogue.diff",
            "Show the changes that publishing this release's catalogue would make, and for how many users. Migrates and publishes nothing.",
        ),
    ),
    LateCommand(
        "token", "tokens.token", "Make a session token for development mode. Standard output has only the token."
    ),
    _group(
        "api-keys",
        "Make, list and revoke API keys.",
        LateCommand(
            "create",
            "api_keys.create",
            "Make a key. The key is shown only once, alone on the last line. Only its hash is stored.",
        ),
        LateCommand("list", "api_keys.list_keys", "List all keys, newest first, without the secret keys themselves."),
        LateCommand(
            "revoke",
            "api_keys.revoke",
            "Revoke a key, at once and for good. Exit code 1 if there is no valid key with this id.",
        ),
    ),
    LateCommand(
        "rebuild",
        "database.rebuild",
        "Rebuild the current preferences, or the audit index, from the log, and show where they differed.",
    ),
    LateCommand(
        "follow",
        "followers.follow",
        "Run the followers of the log until SIGTERM. If several processes run them, one leads and the others stand by.",
    ),
    _group(
        "followers",
        "List, pause, resume and reset the followers of the log.",
        LateCommand(
            "list",
            "followers.list_followers",
            "List the followers: state, position, how far they are behind, and why a failed one stopped.",
        ),
        LateCommand(
            "pause",
            "followers.pause",
            "Pause a follower at its position until `resume`. Exit code 1 if there is no such follower.",
        ),
        LateCommand(
            "resume",
            "followers.resume",
            "Resume a follower that is paused, or that an event has stopped. Exit code 1 if there is no such follower.",
        ),
        LateCommand(
            "reset",
            "followers.reset",
            "Set a follower back: undo its effects of all events after a position. The events come again. Exit code 1 if it can't.",
        ),
    ),
    LateCommand(
        "relay",
        "relay.relay",
        "Pass every event on to NATS JetStream until SIGTERM. If several relays run, one leads and the others stand by.",
    ),
    LateCommand(
        "history",
        "history.history",
        "Show a user's changes, newest first: who made them, when, from where, and on whose behalf. This is recorded as a reading.",
    ),
    LateCommand("replay", "replay.replay", "Write every event up to the present end of the log, in log order."),
    LateCommand(
        "erase",
        "erase.erase",
        "Erase a person: destroy the key that opens the actors in the log. This can't be undone. The choices stay in force.",
    ),
    LateCommand(
        "demo",
        "demo.demo",
        "Fill the embedded database of development mode with a made-up year, to look at.",
    ),
    _group(
        "partitions",
        "List, add and move the tables of the log, so that a log of billions of events is not a single table.",
        LateCommand(
            "list",
            "partitions.list_partitions",
            "List the tables of the log: positions, about how many events, size with indexes, and where each is stored.",
        ),
        LateCommand(
            "add",
            "partitions.add",
            "End the log's last partition some way ahead, and add an empty one for all later events.",
        ),
        LateCommand(
            "move",
            "partitions.move",
            "Move a partition that gets no more events to another tablespace, for instance on a cheaper disk.",
        ),
    ),
    _group(
        "person-keys",
        "Check and repair the keys that open the actors in the log.",
        LateCommand(
            "check",
            "person_keys.check",
            "Try every person's key on every actor that was sealed under it. Exit code 1 if a key doesn't fit, or is missing.",
        ),
        LateCommand(
            "repair",
            "person_keys.repair",
            "Give the right key to each stream whose key doesn't fit. The key is taken from the copy or from another stream.",
        ),
    ),
    _group(
        "audit",
        "Sign the log, verify that it is unaltered, and give out evidence.",
        LateCommand(
            "explain",
            "explain.explain",
            "Explain a decision as of a position of the log, and name the event that decided. Check claims about the decision.",
        ),
        LateCommand(
            "verify",
            "verify.verify",
            "Compute all hashes again from the events, and compare them with the tree and every signed checkpoint.",
        ),
        LateCommand(
            "sweep",
            "sweep.sweep",
            "Show how far the sweep is, and its findings. The sweep checks log, tree, read model, keys and audit index against the log.",
        ),
        LateCommand(
            "public-key",
            "audit.public_key",
            "Print the public key for verifying checkpoints. Give it to your verifiers by a way that they trust.",
        ),
        LateCommand(
            "checkpoint",
            "audit.checkpoint",
            "Sign the log as it is now. The checkpoint goes to the database and to CHECKPOINT_FILE.",
        ),
        LateCommand(
            "bundle",
            "audit.bundle",
            "Write a file with all events of a user, and the proof that the signed log contains them.",
        ),
        LateCommand(
            "verify-bundle",
            "audit.verify_bundle",
            "Verify a bundle offline, and show what it proves: each choice, who made it, when, how, and the catalogue and default at that time.",
        ),
        LateCommand(
            "export",
            "audit_log.export",
            "Export an organization's audit log, newest first. The export itself is recorded as a reading.",
        ),
        LateCommand(
            "reads",
            "audit_log.reads",
            "List who read data of an organization's users: when, which data, with which filter, and how many entries.",
        ),
    ),
    LateCommand(
        "check",
        "checks.check",
        "Check all that `serve` and `follow` need: settings, database, migrations, schema, catalogue, checkpoints, key set.",
    ),
    LateCommand(
        "probe",
        "probe.probe",
        "Ask the service at HOST and PORT whether it lives, or whether it can serve. Exit code 1 if not.",
    ),
    LateCommand("openapi", "checks.openapi", "Print the API's description, as in /openapi.json."),
)
