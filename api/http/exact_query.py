"""Checks the parameter names of a query. A misspelt name must not silently change the answer, and a repeated one must not be ignored."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from domain.errors import ValidationFailed


async def _exact(request: Request) -> None:
    route: APIRoute = request.scope["route"]
    known = set(_parameters(route.dependant))
    given = Counter(name for name, _ in request.query_params.multi_items())
    unknown = dict.fromkeys(given.keys() - known, "unknown parameter")
    repeated = {name: "must be given once" for name, times in given.items() if times > 1 and name in known}
    if details := unknown | repeated:
        raise ValidationFailed(details=details)


def _parameters(dependant: Dependant) -> Iterator[str]:
    yield from (parameter.alias for parameter in dependant.query_params)
    for dependency in dependant.dependencies:
        yield from _parameters(dependency)


ExactQuery: Final[Any] = Depends(_exact)
"""A dependency of a route. It checks that the route knows every parameter of the query, and that each is given once."""
