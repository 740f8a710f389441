"""Plain CRUD as a competent person writes it: one row per user, no history."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

from bench.contenders.body import DEFAULTS, PATH, Changes
from bench.contenders.caller import Verified
from bench.contenders.process import serve

# One core serves: with more connections than these nothing gets faster.
POOL_SIZE = 8

TABLE = """
CREATE TABLE IF NOT EXISTS preferences (
    organization        text        NOT NULL,
    user_id             text        NOT NULL,
    product_updates     boolean     NOT NULL DEFAULT true,
    delivery_alerts     boolean     NOT NULL DEFAULT true,
    billing_receipts    boolean     NOT NULL DEFAULT true,
    weekly_usage_digest boolean     NOT NULL DEFAULT false,
    updated_at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization, user_id)
) WITH (fillfactor = 70)
"""

READ = """
SELECT product_updates, delivery_alerts, billing_receipts, weekly_usage_digest
FROM preferences
WHERE organization = %s AND user_id = %s
"""

CHANGE = """
INSERT INTO preferences AS p
       (organization, user_id, product_updates, delivery_alerts, billing_receipts, weekly_usage_digest)
VALUES (%(organization)s, %(user)s, coalesce(%(product_updates)s, true), coalesce(%(delivery_alerts)s, true),
        coalesce(%(billing_receipts)s, true), coalesce(%(weekly_usage_digest)s, false))
ON CONFLICT (organization, user_id) DO UPDATE
   SET product_updates     = coalesce(%(product_updates)s, p.product_updates),
       delivery_alerts     = coalesce(%(delivery_alerts)s, p.delivery_alerts),
       billing_receipts    = coalesce(%(billing_receipts)s, p.billing_receipts),
       weekly_usage_digest = coalesce(%(weekly_usage_digest)s, p.weekly_usage_digest),
       updated_at          = now()
RETURNING product_updates, delivery_alerts, billing_receipts, weekly_usage_digest
"""


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    pool = AsyncConnectionPool(
        os.environ["DATABASE_URL"],
        kwargs={"autocommit": True},
        min_size=POOL_SIZE,
        max_size=POOL_SIZE,
        open=False,
    )
    async with pool:
        async with pool.connection() as connection:
            await connection.execute(TABLE)
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)


@app.get(PATH)
async def read(caller: Verified, request: Request) -> Any:
    async with request.app.state.pool.connection() as connection:
        cursor = await connection.execute(READ, (caller.organization, caller.user))
        return envelope(await cursor.fetchone())


@app.patch(PATH)
async def change(caller: Verified, changes: Changes, request: Request) -> Any:
    parameters = {"organization": caller.organization, "user": caller.user, **changes.email.model_dump()}
    async with request.app.state.pool.connection() as connection:
        cursor = await connection.execute(CHANGE, parameters)
        return envelope(await cursor.fetchone())


def envelope(row: TupleRow | None) -> dict[str, Any]:
    return {"success": True, "data": {"email": dict(zip(DEFAULTS, row or DEFAULTS.values(), strict=True))}}


if __name__ == "__main__":
    serve(app)
