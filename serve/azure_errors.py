"""Keys and errors as clients of the retired Azure Personalizer know them.

`{"error": {"code", "message", "target", "innererror": {"code"}}}`: `code` is the service's own
word, or the status where its gateway would have answered; our code stands inside.

Source: the service's public specification, `azure-rest-api-specs`, Personalizer v1.0.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field
from starlette.datastructures import Headers

from rapport.errors import ServingError

PREFIX = "/personalizer/"
KEY_HEADER = "ocp-apim-subscription-key"

_NOT_VALID: Mapping[str, str] = {
    "rank": "InvalidRankRequest",
    "reward": "InvalidRewardRequest",
    "activate": "InvalidEventIdToActivate",
}
_CODES: Mapping[int, str] = {
    404: "ResourceNotFound",
    413: "PayloadSizeExceeded",
    500: "InternalServerError",
}


class InnerError(BaseModel):
    """The same in our words."""

    code: str | None


class AzureErrorDetail(BaseModel):
    """What went wrong."""

    code: str = Field(description="InvalidRankRequest | ResourceNotFound | ... | a status")
    message: str
    target: str | None = Field(description="The field, header or parameter that is wrong.")
    innererror: InnerError


class AzureErrorBody(BaseModel):
    """Body of every answer to this wire format whose status is 400 or more."""

    error: AzureErrorDetail


def authorization(headers: Headers, path: str) -> str | None:
    """The `Authorization` header, or the one that this format's subscription key stands for."""
    given = headers.get("authorization")
    key = headers.get(KEY_HEADER) if path.startswith(PREFIX) else None
    return f"Bearer {key}" if key and not given else given


def azure_body(error: ServingError, path: str) -> dict[str, Any]:
    """Shape an error as the service did."""
    code = _CODES.get(error.status, str(error.status))
    if error.status == 400:
        code = _NOT_VALID.get(path.rpartition("/")[2], "BadRequest")
    return _shaped(code, str(error), target=error.param, inner=error.code)


def azure_internal_body(message: str) -> dict[str, Any]:
    """Shape a fault of ours as the service did."""
    return _shaped(_CODES[500], message, target=None, inner="internal")


def _shaped(code: str, message: str, *, target: str | None, inner: str) -> dict[str, Any]:
    detail = {"code": code, "message": message, "target": target, "innererror": {"code": inner}}
    return {"error": detail}
