"""The probes and the metrics in /openapi.json."""

from fastapi.responses import PlainTextResponse

from api.schemas import ANOTHER_METHOD, PUBLIC, REQUEST_ID, Json, failure, failures, success
from domain.errors import Unavailable


def health() -> Json:
    return {
        "operation_id": "getHealth",
        "summary": "Does the process live?",
        "description": "Answers as long as the process can answer at all. Depends on nothing else.",
        "tags": ["Operations"],
        "responses": {200: success("It does.", "HealthAnswer", {"process": "ok"}), **ANOTHER_METHOD, **failures()},
        "openapi_extra": PUBLIC,
    }


def readiness() -> Json:
    findings = {"database": "ok", "migrations": "ok", "catalogue": "ok", "keys": "ok"}
    follower = {"name": "audit-index", "state": "running", "position": 81, "lag_events": 2, "lag_seconds": 0.013}
    example = {**findings, "followers": [follower]}
    missing = "Something that the service depends on is missing; `details` says what."
    answers = failures() | {503: failure(Unavailable, missing, {"database": "can't be reached"})}
    return {
        "operation_id": "getReadiness",
        "summary": "Can the service serve?",
        "description": "Looks at the database, at its migrations, at the published catalogue, and at the keys that tokens "
        "are verified with. How far those are that follow the log is told as well, and has no part in the verdict: requests "
        "are served without them.",
        "tags": ["Operations"],
        "responses": {200: success("It can.", "ReadinessAnswer", example), **ANOTHER_METHOD, **answers},
        "openapi_extra": PUBLIC,
    }


def metrics() -> Json:
    example = (
        "# TYPE http_server_request_duration_seconds histogram\n"
        'http_server_request_duration_seconds_bucket{http_request_method="GET",http_response_status_code="200",'
        'http_route="/v1/me/notifications",le="0.001"} 41.0\n'
        '# TYPE preferences_follower_lag_events gauge\npreferences_follower_lag_events{follower="audit-index"} 2.0\n'
    )
    return {
        "operation_id": "getMetrics",
        "summary": "Metrics for Prometheus",
        "description": "How long requests took, by method, route and status; how busy the service is, and what its processes "
        "use. For each follower of the log: position, lag in "
        "events and in seconds, whether it has failed, is paused, is led by a process; without the database, only that "
        "this isn't known. All of it is the same whichever worker process answers.",
        "tags": ["Operations"],
        "response_class": PlainTextResponse,
        "responses": {
            200: {
                "description": "Prometheus' text format.",
                "headers": REQUEST_ID,
                "content": {"text/plain": {"schema": {"type": "string"}, "example": example}},
            },
            **ANOTHER_METHOD,
            **failures(),
        },
        "openapi_extra": PUBLIC,
    }
