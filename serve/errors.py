"""Errors as clients see them: OpenAI's shape, under Azure's paths its own; no text of a user."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException

from rapport.errors import NotFoundError, ServingError

from .azure_errors import PREFIX, azure_body, azure_internal_body

_NAME = re.compile(r"[\w.:/@+-]{1,64}", flags=re.ASCII)
_PLACE = re.compile(r"[\w.:/@+\[\],-]{1,64}", flags=re.ASCII)
_MAPS = frozenset({"attributes", "rapport::tags", "tags", "metadata", "features", "preferences"})
"""Fields whose keys are the client's own words."""


class ErrorDetail(BaseModel):
    """What went wrong, for people (`message`) and for programs (the rest)."""

    message: str
    type: str = Field(description="invalid_request_error | rate_limit_error | server_error | ...")
    code: str | None
    param: str | None = Field(description="The field, header or parameter that is wrong.")


class ErrorBody(BaseModel):
    """Body of every answer whose status is 400 or more."""

    error: ErrorDetail


_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


def error_body(error: ServingError, path: str = "") -> dict[str, dict[str, Any]]:
    """Shape an error as clients of a path expect it: OpenAI's way, or the Personalizer's."""
    if path.startswith(PREFIX):
        return azure_body(error, path)
    kind = "invalid_request_error" if error.status < 500 else "server_error"
    return {
        "error": {
            "message": str(error),
            "type": _TYPES.get(error.status, kind),
            "code": error.code,
            "param": error.param,
        }
    }


def error_response(error: ServingError, path: str = "") -> JSONResponse:
    """Answer with an error; `Retry-After` where trying again may help."""
    headers = {}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after_s)))
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    return JSONResponse(error_body(error, path), status_code=error.status, headers=headers)


def internal_body(kind: str, request_id: str, path: str) -> dict[str, dict[str, Any]]:
    """Shape a fault of ours: its kind and the id under which the log has the place."""
    message = f"internal error {kind}, request {request_id}"
    if path.startswith(PREFIX):
        return azure_internal_body(message)
    detail = {"message": message, "type": "server_error", "code": "internal", "param": None}
    return {"error": detail}


def refused(error: ValidationError | RequestValidationError) -> ServingError:
    """Turn pydantic's first finding into a 400 that names the field, never the value."""
    first = error.errors()[0]
    param = _place(first["loc"]) or "body"
    return ServingError(f"{param}: {first['msg'].removeprefix('Value error, ')}", param)


def named(value: str) -> str:
    """Quote a name the client gave; of what does not look like one only the length is told."""
    return repr(value) if _NAME.fullmatch(value) else f"of {len(value)} characters"


async def on_serving_error(request: Request, error: Exception) -> JSONResponse:
    """Answer an error of ours."""
    assert isinstance(error, ServingError)
    request.state.code = error.code
    return error_response(error, request.url.path)


async def on_validation_error(request: Request, error: Exception) -> JSONResponse:
    """Answer a parameter that FastAPI refused with 400, as everywhere."""
    assert isinstance(error, RequestValidationError)
    return await on_serving_error(request, refused(error))


async def on_http_error(request: Request, error: Exception) -> JSONResponse:
    """Answer a path or method that does not exist."""
    assert isinstance(error, HTTPException)
    path = request.url.path
    if error.status_code == 404:
        return error_response(NotFoundError("no such path; see /openapi.json"), path)
    shaped = ServingError("this path does not take that method; see /openapi.json")
    body = error_body(shaped, path)
    body["error"]["code"] = "method_not_allowed" if error.status_code == 405 else "http"
    return JSONResponse(body, status_code=error.status_code, headers=error.headers)


def _place(parts: Sequence[Any]) -> str:
    """Join where a finding is; keys of the client's own maps become `*`."""
    told: list[str] = []
    for part in map(str, parts):
        if not told and part in ("query", "path", "header"):
            continue
        inside = bool(told) and told[-1] in _MAPS
        told.append(part if _PLACE.fullmatch(part) and not inside else "*")
    return ".".join(told)
