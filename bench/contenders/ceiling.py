"""The most that the framework allows: bare FastAPI that answers a constant."""

from typing import Any

from fastapi import FastAPI, Request

from bench.contenders.body import DEFAULTS, PATH
from bench.contenders.process import serve

ANSWER = {"success": True, "data": {"email": DEFAULTS}}

app = FastAPI()


@app.get(PATH)
async def read() -> Any:
    return ANSWER


@app.patch(PATH)
async def change(request: Request) -> Any:
    await request.json()
    return ANSWER


if __name__ == "__main__":
    serve(app)
