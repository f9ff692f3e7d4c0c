"""The page at `/`: one HTML file, its style and its modules, for anybody with a browser and a key.

It is static, the same for everybody, and needs no key itself: what it shows it asks this API for,
with its reader's key, and shows as text, never as markup.
"""

from collections.abc import Mapping
from pathlib import Path

from fastapi import FastAPI, Response

from rapport.errors import NotFoundError

from .errors import named

PAGE = "/"
FILES = "/ui/"
_MEDIA = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",
}


def is_of_page(path: str) -> bool:
    """Whether a path is the page's or one of its files', which need no key."""
    return path == PAGE or path.startswith(FILES)


def show_page(api: FastAPI) -> None:
    """Serve the page; it is no part of the API, so the API's document does not list it."""
    files = _files()

    async def page() -> Response:
        return _answer(files, "index.html")

    async def file(name: str) -> Response:
        return _answer(files, name)

    for path, call in ((PAGE, page), (f"{FILES}{{name}}", file)):
        api.add_api_route(
            path, call, methods=["GET", "HEAD"], response_model=None, include_in_schema=False
        )


def _files() -> Mapping[str, bytes]:
    """Every file of the page by name: about 40 kB, read once a replica."""
    folder = Path(__file__).with_name("ui")
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.suffix in _MEDIA}


def _answer(files: Mapping[str, bytes], name: str) -> Response:
    if name not in files:
        raise NotFoundError(f"the page has no file {named(name)}")
    return Response(files[name], media_type=_MEDIA[Path(name).suffix], headers=_HEADERS)
