"""What a backend does with the client that openapi-generator made of the description. It prints what it was answered."""

import json
import os
import sys
from datetime import UTC, datetime, timedelta

import preferences_client as client
from preferences_client.exceptions import UnprocessableEntityException

DAY = datetime(2026, 3, 3, tzinfo=UTC)
"""Of the events in the log."""


def speak(token: str) -> client.ApiClient:
    # The generator's own format writes `+0000`, which RFC 3339 doesn't have.
    in_utc = "%Y-%m-%dT%H:%M:%S.%fZ"
    return client.ApiClient(
        client.Configuration(host=os.environ["SERVICE"], access_token=token, datetime_format=in_utc)
    )


mine = speak(os.environ["USER_TOKEN"])
auditors = speak(os.environ["ADMIN_TOKEN"])

operations = client.OperationsApi(mine)
preferences = client.PreferencesApi(mine)
evidence = client.EvidenceApi(auditors)

before = preferences.get_my_notification_preferences()
change = client.PreferencesChange(email=client.PreferencesChangeEmail(weekly_usage_digest=True))
changed = preferences.change_my_notification_preferences_with_http_info(preferences_change=change)
try:
    preferences.change_my_notification_preferences(
        if_match=None, preferences_change=client.PreferencesChange.from_dict({"email": {"product_updates": True}})
    )
    preferences.get_my_notification_history(limit=1, cursor="made up")
    refused = None
except UnprocessableEntityException as error:
    refused = [error.status, error.data.error.code, error.data.error.details]
catalogue = preferences.get_notification_catalogue()
history = preferences.get_my_notification_history(limit=1)
question = client.DecisionQuestion(channel="email", toggle="product_updates", users=["user_ada", "user_nobody"])
decided = client.DecisionsApi(auditors).decide_who_may_be_written_to(question)
ada = evidence.get_user_notification_preferences("user_ada", include="explain")
ada_history = evidence.get_user_notification_history("user_ada", limit=1)
audit = evidence.read_audit_log(enabled=True, limit=3, include="payload")
summary = evidence.summarize_audit_log(since=DAY, until=DAY + timedelta(days=1))
readings = evidence.list_readings(limit=1)
checkpoint = evidence.get_checkpoint()
catalogues = evidence.list_published_catalogues()
bundle = evidence.get_user_evidence("user_ada")
events = client.EventsApi(auditors).read_events(limit=1000)

json.dump(
    {
        "health": operations.get_health().data.process,
        "ready": operations.get_readiness().data.database,
        "metrics": "http_server_request_duration_seconds" in operations.get_metrics(),
        "before": before.data.email.weekly_usage_digest,
        "digest": changed.data.data.email.weekly_usage_digest,
        "etag": bool(changed.headers["etag"]),
        "refused": refused,
        "title": catalogue.data.channels[0].toggles[0].title,
        "total": history.meta.total,
        "success": history.success,
        "toggles": [entry.toggle for entry in history.data],
        "decisions": [decision.user for decision in decided.data.decisions],
        "explained": bool(ada.data.explain["email"]),
        "history": len(ada_history.data),
        "audit": [[entry.resource.type, entry.payload.after.enabled] for entry in audit.data],
        "opt_ins": sum(day.opt_ins for day in summary.data) > 0,
        "readings": [reading.action for reading in readings.data],
        "checkpoint": checkpoint.data.size,
        "catalogues": [one.version for one in catalogues.data],
        "evidence": [bundle.user, len(bundle.events) > 1],
        "events": sorted({type(event.actual_instance).__name__ for event in events.data}),
        "data": sorted({type(event.actual_instance.data).__name__ for event in events.data}),
    },
    sys.stdout,
)
