"""The routes: the page, and the interface that it uses like anybody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Hashable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from i2i import __version__
from i2i.data import files
from i2i.errors import UserError
from i2i.serve.batching import Batcher
from i2i.serve.guard import Guard
from i2i.serve.images import MEDIA_TYPES, Format, Limits, decode, encode, parts_of
from i2i.serve.models import Menu
from i2i.serve.queries import ExampleQuery, OfImage, SampleQuery, TranslateQuery, read_query
from i2i.serve.refusal import Refusal
from i2i.serve.work import (
    derive,
    finish,
    noise_of,
    prepare,
    sample_batch,
    side_by_side,
    translate_batch,
)

STATIC = Path(__file__).parent / "static"
CODERS = 4
"""Images that are decoded, prepared and encoded at a time."""
MOST_UNDER_WAY = 64
"""Requests for images under way; more are refused before they are read, so that memory stays bounded."""
BODY_SECONDS = 120.0
"""Within which a request's body must have come, so that clients that stall do not keep places from others."""

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")


class Service:
    """Answers requests.

    Args:
        menu: the models.
        limits: what a request may ask for.
        batcher: runs the networks.
    """

    def __init__(self, menu: Menu, limits: Limits, batcher: Batcher) -> None:
        self.menu, self.limits, self.batcher = menu, limits, batcher
        self.coders = CapacityLimiter(CODERS)
        self.under_way = 0

    @asynccontextmanager
    async def _room(self) -> AsyncIterator[None]:
        """Count a request for as long as it takes memory.

        Raises:
            Refusal: there are too many (503).
        """
        if self.under_way >= MOST_UNDER_WAY:
            raise Refusal(503, f"{self.under_way} requests are under way already; try again in a moment")
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1

    async def _aside(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what takes the processor in a thread, so that the event loop stays free."""
        return await to_thread.run_sync(partial(function, *args, **kwargs), limiter=self.coders)

    async def _body(self, request: Request) -> bytes:
        """Read a body, no further than the limit.

        Raises:
            Refusal: it is too long (413), or takes too long to come (408).
        """
        most = self.limits.bytes
        told = request.headers.get("content-length", "")
        body = bytearray()
        if not (told.isdigit() and int(told) > most):
            try:
                async with asyncio.timeout(BODY_SECONDS):
                    async for chunk in request.stream():
                        body += chunk
                        if len(body) > most:
                            break
                    else:
                        return bytes(body)
            except TimeoutError as error:
                raise Refusal(408, f"the body had not come whole within {BODY_SECONDS:g} seconds") from error
        raise Refusal(413, f"the body has more than {most:,} bytes, which is what this server takes; send less")

    async def _image(self, request: Request) -> tuple[files.Pixels, files.Pixels | None]:
        """Return the image of a request, and its mask if it has one."""
        body = await self._body(request)
        parts = await self._aside(parts_of, body, request.headers.get("content-type", ""))
        image, mask = [
            await self._aside(decode, parts[name], self.limits, name) if name in parts else None
            for name in ("image", "mask")
        ]
        assert image is not None
        return image, mask

    async def _run(self, request: Request, key: Hashable, run: Callable[[Sequence[T]], Sequence[R]], item: T) -> R:
        """Return what the networks make of an item; see `Batcher.submit`.

        Raises:
            ClientDisconnect: the client has gone, and what was not begun for it is left undone.
        """
        work = asyncio.wrap_future(self.batcher.submit(key, run, item))
        leaving = asyncio.ensure_future(_left(request))
        try:
            await asyncio.wait((work, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise ClientDisconnect
            return work.result()
        finally:
            work.cancel()
            leaving.cancel()

    async def _answer(self, image: files.Pixels, form: Format) -> Response:
        return Response(await self._aside(encode, image, form), media_type=MEDIA_TYPES[form])

    async def translate(self, request: Request) -> Response:
        """``POST /api/translate``: an image (and a mask) in, an image out."""
        query = read_query(TranslateQuery, request.query_params)
        way = self.menu.translating(query.model).way(query.direction)
        async with self._room():
            image, mask = await self._image(request)
            size = query.size
            if query.derive:
                image = await self._aside(derive, way, image, size=size, seed=query.seed, limits=self.limits)
                size = None  # it has it
            entry = await self._aside(prepare, way, image, mask, size=size, limits=self.limits)
            key = id(way), entry.pixels.shape, entry.pixels.dtype, entry.deep
            output = await self._run(request, key, translate_batch(way.translator), entry)
            return await self._answer(await self._aside(finish, output, entry), query.format)

    async def derive(self, request: Request) -> Response:
        """``POST /api/derive``: a photo in, the model's input out, made of it as in training."""
        query = read_query(OfImage, request.query_params)
        way = self.menu.translating(query.model).way(query.direction)
        async with self._room():
            image, _ = await self._image(request)
            derived = await self._aside(derive, way, image, size=query.size, seed=query.seed, limits=self.limits)
            return await self._answer(derived, query.format)

    async def example(self, request: Request) -> Response:
        """``GET /api/example``: a held-out image, such as the model takes."""
        query = read_query(ExampleQuery, request.query_params)
        examples = self.menu.translating(query.model).way(query.direction).examples
        if query.index >= len(examples):
            raise Refusal(404, f"there is no example {query.index}: the model has {len(examples)} here")
        try:
            image = await self._aside(examples.__getitem__, query.index)
        except files.BrokenImage as error:  # which names a file of this machine
            raise Refusal(404, f"example {query.index} {error.reason}") from error
        return await self._answer(image, query.format)

    async def sample(self, request: Request) -> Response:
        """``/api/sample``: images of noise, side by side."""
        query = read_query(SampleQuery, request.query_params)
        sampler = self.menu.sampling(query.model).sampler
        async with self._room():
            noise = await self._aside(noise_of, sampler, query)
            side = sampler.shape[0]
            self.limits.refuse_large(side, len(noise.vectors) * side, "the row of images")
            images = await self._run(request, id(sampler), sample_batch(sampler), noise)
            return await self._answer(side_by_side(images), query.format)

    async def models(self, request: Request) -> Response:
        """``GET /api/models``: the menu, and what a request may ask for."""
        return JSONResponse(
            {
                "version": __version__,
                "limits": {"bytes": self.limits.bytes, "pixels": self.limits.pixels},
                "models": [model.describe() for model in self.menu.models.values()],
            }
        )

    async def health(self, request: Request) -> Response:
        """``GET /healthz``."""
        work = {"running": self.batcher.running, "waiting": len(self.batcher)}
        return JSONResponse({"status": "ok", "models": len(self.menu.models), **work})


async def _left(request: Request) -> None:
    """Return when the client of a request, whose body was read, has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def page(request: Request) -> Response:
    """``GET /``."""
    return FileResponse(STATIC / "index.html", headers={"cache-control": "no-cache"})


class Static(StaticFiles):
    """The page's own files, which a browser asks for again after an update."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        """Return a file."""
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["cache-control"] = "no-cache"
        return response


def create_app(menu: Menu, limits: Limits | None = None, hosts: Collection[str] = ()) -> Starlette:
    """Return the server's application.

    Args:
        menu: the models.
        limits: what a request may ask for.
        hosts: the names that it may be called by; empty: any. See `Guard`.
    """
    batcher = Batcher()
    service = Service(menu, limits or Limits(), batcher)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await to_thread.run_sync(batcher.close)

    return Starlette(
        routes=[
            Route("/", page),
            Route("/api/translate", service.translate, methods=["POST"]),
            Route("/api/derive", service.derive, methods=["POST"]),
            Route("/api/sample", service.sample, methods=["GET", "POST"]),
            Route("/api/example", service.example),
            Route("/api/models", service.models),
            Route("/healthz", service.health),
            Mount("/static", Static(directory=STATIC)),
        ],
        middleware=[Middleware(Guard, hosts=hosts)],
        exception_handlers={kind: _refused for kind in (UserError, HTTPException, ClientDisconnect, Exception)},
        lifespan=lifespan,
    )


async def _refused(request: Request, error: Exception) -> Response:
    """Answer with one line of JSON that says what is wrong."""
    status, headers = 400, dict[str, str]()
    match error:
        case UserError():
            status, reason = getattr(error, "status", 400), str(error)
            headers = {"retry-after": "1"} if status == 503 else {}
        case HTTPException():
            status, reason, headers = (
                error.status_code,
                f"{request.url.path}: {error.detail}",
                dict(error.headers or {}),
            )
        case ClientDisconnect():
            reason = "the request was broken off"  # nobody hears it
        case _:
            status, reason = 500, "the server has a fault; its terminal shows which"
    return JSONResponse({"error": " ".join(reason.split())}, status, headers)
