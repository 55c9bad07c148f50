"""Opening the port, serving, and closing it when Ctrl-C is pressed."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Callable

from i2i.errors import UserError

EXTRA = "pip install 'i2i[serve]'"
WAITING = 128
"""Callers that wait until they are answered."""
GRACE_SECONDS = 60
"""That requests are given to end when the server does."""


def refuse_missing() -> None:
    """Refuse to go on without the libraries that serve.

    Raises:
        UserError: one is not installed.
    """
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise UserError(f"{error.name} is not installed, which serving takes: {EXTRA}") from error


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens; who calls before the server runs waits until it does.

    Raises:
        UserError: the port is taken or not allowed, or there is no such host on this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError) as error:  # the latter of empty parts between dots
        raise UserError(f"--host {host}: there is no such address; say 127.0.0.1, or 0.0.0.0 for all") from error
    bound = socket.socket(family, kind, protocol)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
        bound.listen(WAITING)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise UserError(f"--port {port}: is taken, perhaps by another i2i serve; say --port {port + 1}") from error
        if error.errno == errno.EACCES:
            raise UserError(f"--port {port}: may not be opened by you; say --port 8000") from error
        raise UserError(f"--host {host}: cannot be listened at ({error.strerror}); say 127.0.0.1") from error
    return bound


def is_loopback(bound: socket.socket) -> bool:
    """Say whether only this machine reaches the address."""
    return ipaddress.ip_address(bound.getsockname()[0]).is_loopback


def url_of(bound: socket.socket) -> str:
    """Return the address to type into a browser on this machine."""
    host, port = bound.getsockname()[:2]
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(app: Callable[..., object], bound: socket.socket, opened: Callable[[], None]) -> None:
    """Serve until Ctrl-C or SIGTERM; requests that run are finished first, within a minute or until a second Ctrl-C.

    Args:
        app: the application.
        bound: where it listens.
        opened: called when it begins.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed.
    """
    import uvicorn

    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            backlog=WAITING,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )
    opened()
    server.run(sockets=[bound])
