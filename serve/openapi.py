"""Routes that carry their own documentation: scope, body, answer and every status."""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import Depends, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.params import Depends as Dependency
from pydantic import BaseModel, ValidationError
from pydantic.json_schema import models_json_schema

from .doors import Caller
from .errors import ErrorBody, refused

B = TypeVar("B", bound=BaseModel)

_MEANS = {
    400: "A field, parameter or body is wrong; `param` names it.",
    401: "No valid key.",
    403: "The key lacks the scope, or is bound to other agents.",
    404: "The id was not issued here.",
    408: "The body did not arrive in time.",
    409: "It contradicts what is on record under the same id.",
    413: "The body is too large.",
    429: "The key asks too fast, or too much at once; see Retry-After.",
    500: "A fault of ours; the log has it under the request's id.",
    503: "Something is down, or no answer in time; see Retry-After.",
}
_ALWAYS = (500, 503)
_KEYED = (400, 401, 403, 408, 413, 429, *_ALWAYS)
_KEYS = {
    "key": {"type": "http", "scheme": "bearer"},
    "subscription_key": {"type": "apiKey", "in": "header", "name": "Ocp-Apim-Subscription-Key"},
}
_REF = "#/components/schemas/{model}"


@dataclass(frozen=True)
class Route:
    """One path and method."""

    method: str
    path: str
    call: Callable[..., Awaitable[Response]]
    answer: type[BaseModel] | None = None
    """Body of what is well; none where it is text, or nothing."""
    scope: str | None = None
    """Scope a key needs; none where no key is asked for."""
    body: type[BaseModel] | None = None
    statuses: Sequence[int] = ()
    """Beyond those that every route of its kind may answer."""
    media: str = "application/json"
    unready: bool = False
    """Whether a 503 has the body of a 200, as a probe's has."""
    also: str | None = None
    """A second media type of a 200."""
    status: int = 200
    """Status of what is well."""
    error: type[BaseModel] = ErrorBody
    keys: Sequence[str] = ("key",)
    """Ways to give a key, names of `_KEYS`."""


def mount(api: FastAPI, routes: Sequence[Route]) -> None:
    """Add routes to an application, and document them."""
    for route in routes:
        said = (inspect.getdoc(route.call) or "").partition("\n")
        api.add_api_route(
            route.path,
            route.call,
            methods=[route.method],
            response_model=None,
            response_class=Response,
            summary=said[0],
            description=said[2].strip() or said[0],
            status_code=route.status,
            responses=_answers(route),
            dependencies=[_needs(route.scope)] if route.scope else [],
            openapi_extra=_extra(route),
            operation_id=route.call.__name__,
        )
    bodies = [route.body for route in routes if route.body]
    api.openapi = lambda: _documented(api, bodies)  # type: ignore[method-assign]


async def body_of(request: Request, kind: type[B]) -> B:
    """Read a request's body, which the edge has taken in whole.

    Raises:
        ServingError: It is no JSON, or does not fit.
    """
    try:
        return kind.model_validate_json(await request.body())
    except ValidationError as error:
        raise refused(error) from None


def caller_of(request: Request) -> Caller:
    """Name who asks; the edge has let him in."""
    caller: Caller = request.state.caller
    return caller


def _needs(scope: str) -> Dependency:
    def check(request: Request) -> None:
        caller_of(request).must_open(scope)

    return Depends(check)  # type: ignore[no-any-return]


def _answers(route: Route) -> dict[int | str, dict[str, Any]]:
    good: dict[str, Any] = {"description": "Done.", "content": {route.media: {}}}
    if route.status == 204:
        good = {"description": "Done; there is no body."}
    if route.answer:
        good = {"description": "Done.", "model": route.answer}
    if route.also:
        good["content"] = {**good.get("content", {}), route.also: {"schema": {"type": "string"}}}
    statuses = sorted({*(_KEYED if route.scope else _ALWAYS), *route.statuses})
    failed: dict[int | str, dict[str, Any]] = {
        status: {"model": route.error, "description": _MEANS[status]} for status in statuses
    }
    if route.unready:
        failed[503] = {"model": route.answer, "description": "Not ready; the body says why."}
    return {route.status: good, **failed}


def _extra(route: Route) -> dict[str, Any]:
    extra: dict[str, Any] = {"security": [{key: []} for key in route.keys] if route.scope else []}
    if route.scope:
        extra["x-scope"] = route.scope
    if route.body:
        schema = {"$ref": _REF.format(model=route.body.__name__)}
        extra["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema}},
        }
    return extra


def _documented(api: FastAPI, bodies: Sequence[type[BaseModel]]) -> dict[str, Any]:
    """Build the document once: FastAPI's, our bodies, our statuses only, and the key."""
    if api.openapi_schema:
        return api.openapi_schema
    document = get_openapi(
        title=api.title, version=api.version, description=api.description, routes=api.routes
    )
    _, told = models_json_schema([(body, "validation") for body in bodies], ref_template=_REF)
    parts = document.setdefault("components", {})
    schemas = parts.setdefault("schemas", {})
    schemas.update(told.get("$defs", {}))
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for methods in document["paths"].values():
        for operation in methods.values():
            operation["responses"].pop("422", None)
    parts["securitySchemes"] = _KEYS
    api.openapi_schema = document
    return document
