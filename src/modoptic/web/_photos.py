"""The gallery over HTTP. Everything that reads or writes a disk runs in a thread."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import anyio.to_thread
import msgspec
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from modoptic.errors import FileError, ModopticError
from modoptic.web._contracts import GalleryLike

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}")
_THUMB_SIZES = (256, 512, 1024)
_KINDS: dict[str, tuple[Literal["jpg", "dng"], str]] = {
    "jpg": ("jpg", "image/jpeg"),
    "dng": ("dng", "image/x-adobe-dng"),
}
_FOREVER = {"cache-control": "private, max-age=86400"}  # pages name the version they mean
_AGAIN = {"cache-control": "private, no-cache"}
_NEVER = {"cache-control": "no-store"}


class Photos:
    """Routes of the gallery."""

    def __init__(self, gallery: GalleryLike) -> None:
        self._gallery = gallery

    def routes(self) -> list[Route]:
        photo = "/api/photos/{name}"
        return [
            Route("/api/photos", self._list),
            Route(photo, self._info, methods=["GET"]),
            Route(photo, self._delete, methods=["DELETE"]),
            Route(f"{photo}/restore", self._restore, methods=["POST"]),
            Route(f"{photo}/thumb", self._thumb),
            Route(f"{photo}/tile/{{level:int}}/{{x:int}}/{{y:int}}", self._tile),
            Route("/photos/{file}", self._file),
        ]

    async def _list(self, request: Request) -> Response:
        return _json(await _in_thread(self._gallery.list))

    async def _info(self, request: Request) -> Response:
        return _json(await _in_thread(self._gallery.info, _name(request)))

    async def _delete(self, request: Request) -> Response:
        await _in_thread(self._gallery.delete, _name(request))
        return _json({"deleted": _name(request)})

    async def _restore(self, request: Request) -> Response:
        await _in_thread(self._gallery.restore, _name(request))
        return _json({"restored": _name(request)})

    async def _thumb(self, request: Request) -> Response:
        asked = request.query_params.get("size", "512")
        wanted = int(asked) if asked.isdecimal() and len(asked) < 6 else 512
        size = next((size for size in _THUMB_SIZES if size >= wanted), _THUMB_SIZES[-1])
        return _jpeg(await _in_thread(self._gallery.thumbnail, _name(request), size))

    async def _tile(self, request: Request) -> Response:
        place = (request.path_params[part] for part in ("level", "x", "y"))
        return _jpeg(await _in_thread(self._gallery.tile, _name(request), *place))

    async def _file(self, request: Request) -> Response:
        stem, _, suffix = request.path_params["file"].rpartition(".")
        if suffix not in _KINDS or not _NAME.fullmatch(stem):
            raise NoPhotoError(request.path_params["file"])
        kind, media = _KINDS[suffix]
        path = await _in_thread(self._gallery.path, stem, kind)
        if not await _in_thread(Path(path).is_file):
            raise NoPhotoError(f"{stem}.{suffix}")
        download = f"{stem}.{suffix}" if "download" in request.query_params else None
        return FileResponse(path, media_type=media, filename=download, headers=_AGAIN)


class NoPhotoError(FileError):
    """There is no such photo in the gallery."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "no such photo in the gallery")


def problem_response(request: Request, error: Exception) -> Response:
    """What a client is told of an error: one sentence, never a trace."""
    if isinstance(error, NoPhotoError | KeyError | FileNotFoundError):
        return _json({"problem": "There is no such photo in the gallery."}, 404)
    if isinstance(error, FileError):
        return _json({"problem": str(error)}, 404 if "no such" in error.problem else 500)
    if isinstance(error, ModopticError):
        return _json({"problem": str(error)}, 400)
    return _json({"problem": "That did not work; the log says why."}, 500)


def _name(request: Request) -> str:
    name: str = request.path_params["name"]
    if not _NAME.fullmatch(name):
        raise NoPhotoError(name)
    return name


async def _in_thread(job: Callable[..., Any], *arguments: Any) -> Any:
    return await anyio.to_thread.run_sync(job, *arguments)


def _json(value: object, status: int = 200) -> Response:
    body = msgspec.json.encode(value)
    return Response(body, status, headers=_NEVER, media_type="application/json")


def _jpeg(data: bytes) -> Response:
    return Response(data, headers=_FOREVER, media_type="image/jpeg")
