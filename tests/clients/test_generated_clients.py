"""Clients that others' generators make of the API's description, in conversation with the service."""

import compileall
import json
import shutil
import sys
from pathlib import Path

from domain.catalogue import CATALOGUE
from tests.clients.conftest import DESCRIPTION, HERE, run

EVERY_TYPE = ["CataloguePublished", "Erased", "LogContinued", "Opened", "Toggled"]
EVIDENCE = {
    "opt_ins": True,
    "readings": ["audit_log.summary"],
    "checkpoint": 302,
    "catalogues": [CATALOGUE.version],
    "evidence": ["user_ada", True],
}


def test_the_python_client_of_openapi_generator_compiles_and_speaks_with_the_service(
    openapi_generator, speaking, uncalled, tmp_path: Path
) -> None:
    # given
    run(
        openapi_generator,
        *("generate", "-g", "python", "-i", DESCRIPTION, "-o", tmp_path),
        *("--package-name", "preferences_client"),
    )
    assert compileall.compile_dir(tmp_path / "preferences_client", quiet=1)
    # when
    spoken = run(sys.executable, HERE / "conversation.py", env={**speaking, "PYTHONPATH": str(tmp_path)})
    # then
    assert uncalled() == []
    assert json.loads(spoken.stdout) == {
        "health": "ok",
        "ready": "ok",
        "metrics": True,
        "before": False,
        "digest": True,
        "etag": True,
        "refused": [422, "VALIDATION_FAILED", {"cursor": "must be one that this endpoint returned"}],
        "title": CATALOGUE.channels[0].toggles[0].title,
        "total": 0,
        "success": True,
        "toggles": ["product_updates"],
        "decisions": ["user_ada", "user_nobody"],
        "explained": True,
        "history": 1,
        "audit": [["user", True]] * 3,
        **EVIDENCE,
        "events": [f"{name}Event" for name in EVERY_TYPE],
        "data": [f"{name}Data" for name in EVERY_TYPE],
    }


def test_the_typescript_client_of_orval_compiles_and_speaks_with_the_service(
    node, from_npm, speaking, uncalled, tmp_path: Path
) -> None:
    # given
    settings = {"DESCRIPTION": str(DESCRIPTION), "CLIENT": str(tmp_path / "client.ts")}
    run(from_npm("orval"), "--config", HERE / "orval.config.mjs", env={**speaking, **settings}, cwd=HERE)
    shutil.copy(HERE / "conversation.ts", tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    # when
    run(from_npm("tsc"), "--project", shutil.copy(HERE / "tsconfig.json", tmp_path))
    spoken = json.loads(run(node, tmp_path / "conversation.js", env=speaking).stdout)
    # then
    assert uncalled() == []
    assert spoken.pop("lines") > 100
    assert spoken == {
        "health": 200,
        "ready": 200,
        "metrics": True,
        "before": False,
        "digest": True,
        "refused": [422, "UNKNOWN_NOTIFICATION_KEY", {"email.product_news": "unknown toggle"}],
        "title": CATALOGUE.channels[0].toggles[0].title,
        "total": 0,
        "success": True,
        "toggles": ["weekly_usage_digest"],
        "decisions": ["user_ada", "user_nobody"],
        "explained": True,
        "history": 1,
        "audit": ["user"] * 3,
        **EVIDENCE,
        "events": ["catalogue", "continued", "erased", "opened", "toggled"],
    }
