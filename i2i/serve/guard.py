"""What keeps other people's pages out: the server's own name is asked for, and browsers are told what is allowed."""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})

HEADERS = {
    # No script, style, font or picture but the server's own, and no page of others around it.
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Guard:
    """Refuses requests that other sites' pages make, and sends security headers with every answer.

    A name that an attacker has let point at this machine (DNS rebinding) makes the browser take the attacker's page
    for ours; it still sends that name as ``Host``. A plain request from another site shows in ``Sec-Fetch-Site``, which
    browsers send to this machine and to https, and in ``Origin``, which they send wherever there is a body.

    Args:
        app: what is guarded.
        hosts: the names that it may be called by, without port; empty: any.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] = ()) -> None:
        self.app, self.hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        headers = Headers(scope=scope)
        called = headers.get("host", "").lower()
        # An IPv6 address without a port has colons too.
        name = called if called.endswith("]") else called.rpartition(":")[0] or called
        refusal = None
        if self.hosts and name not in self.hosts:
            refusal = JSONResponse({"error": f"this server does not answer to the name '{name}'"}, 403)
        elif scope["path"].startswith("/api/") and _is_of_another_site(headers, called):
            refusal = JSONResponse({"error": "pages of other sites may not use this server"}, 403)
        await (refusal or self.app)(scope, receive, send_guarded)


def _is_of_another_site(headers: Headers, called: str) -> bool:
    """Say whether a browser tells of a request that another site's page made it."""
    origin = headers.get("origin")
    return headers.get("sec-fetch-site") in ("cross-site", "same-site") or (
        origin is not None and origin.lower().partition("://")[2] != called
    )
