# SPDX-License-Identifier: Apache-2.0
"""``python -m flamepy serve``: starts the server, says where it answers, and ends it when it is told to."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import logging
import os
import signal
import sys
from collections.abc import Sequence

from flamepy.core.resources import parse_bytes
from flamepy.engine.local.workers.cpu_limits import usable_cpus
from flamepy.errors import FlameError, InvalidArgument
from flamepy.server.certificates import ServerTls
from flamepy.server.ports import check_is_free
from flamepy.server.settings import DEFAULT_GRACE_S, DEFAULT_MEMORY_BYTES, DEFAULT_START_LIMIT_S, Settings


def main(argv: Sequence[str]) -> int:
    """Serve until SIGTERM or SIGINT comes. Returns the exit code."""
    logging.basicConfig(level=logging.WARNING, format="flamepy serve: %(message)s")
    try:
        settings = settings_from(argv)
        check_is_free("port", settings.host, settings.port)
        check_is_free("cache port", settings.host, settings.cache_port)
        # here: what neither helps nor wrong arguments need, and may be missing
        from flamepy.server.server import Server
    except ImportError as error:
        return _refused(f"{error.name} is missing: pip install 'flame-jupyter[cluster]' brings what a server needs.")
    except FlameError as error:
        return _refused(str(error))

    async def serve() -> int:
        ending = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ending.set)
        try:
            server = await Server.start(settings)
        except FlameError as error:
            return _refused(str(error))
        print(f"FLAME_ENDPOINT={server.endpoint} FLAME_CACHE_ENDPOINT={server.cache_endpoint}", flush=True)
        await ending.wait()
        ending.clear()
        closing = asyncio.create_task(server.close(settings.grace_s))
        hurried = asyncio.create_task(ending.wait())  # the second signal
        await asyncio.wait({closing, hurried}, return_when=asyncio.FIRST_COMPLETED)
        if not closing.done():
            server.hurry()
        await closing
        hurried.cancel()
        if server.is_stuck:  # everything is done, and the interpreter would wait for that client
            sys.stderr.flush()
            os._exit(0)
        return 0

    return asyncio.run(serve())


def settings_from(argv: Sequence[str]) -> Settings:
    """What the arguments say. Raises InvalidArgument; exits as argparse does for what is no argument."""
    given = _parser().parse_args(argv)
    if (given.tls_cert is None) != (given.tls_key is None):
        missing = "--tls-cert" if given.tls_cert is None else "--tls-key"
        raise InvalidArgument(f"{missing} is missing: a certificate is shown with its key. Give both files.")
    if given.tls_client_ca is not None and given.tls_cert is None:
        raise InvalidArgument("--tls-client-ca needs a server with TLS: give --tls-cert and --tls-key, too.")
    # who has a certificate of that authority may come from anywhere
    if given.tls_client_ca is None and not given.allow_remote and not _is_loopback(given.host):
        raise InvalidArgument(
            f"{given.host} can be reached from other machines, and whoever reaches the server runs code as you: it "
            "asks for no password. Leave out --host, let only those in who have a certificate of --tls-client-ca, or "
            "add --allow-remote if the network is yours alone."
        )
    return Settings(
        host=given.host,
        port=given.port,
        cache_port=given.cache_port,
        slots=given.workers,
        memory_bytes=given.memory,
        grace_s=given.grace,
        start_limit_s=given.start_limit,
        advertised_name=given.advertise,
        tls=None if given.tls_cert is None else ServerTls(given.tls_cert, given.tls_key, given.tls_client_ca),
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, which may lead anywhere
        return False


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m flamepy serve",
        description="One engine for several programs of this machine. The first line says what to set in theirs.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=0, help="for clients (default: a free one)")
    parser.add_argument("--cache-port", type=_port, default=0, help="of the object cache (default: a free one)")
    parser.add_argument(
        "--workers", type=_positive, default=usable_cpus(), help="how many run at one time (default: %(default)s)"
    )
    parser.add_argument(
        "--memory",
        type=_size,
        default=DEFAULT_MEMORY_BYTES,
        metavar="SIZE",
        help="for objects, such as 2g; what is more moves to disk (default: 1g)",
    )
    parser.add_argument(
        "--grace",
        type=_seconds,
        default=DEFAULT_GRACE_S,
        metavar="SECONDS",
        help="for running tasks, when the server is told to end (default: %(default)g)",
    )
    parser.add_argument(
        "--start-limit",
        type=_seconds,
        default=DEFAULT_START_LIMIT_S,
        metavar="SECONDS",
        help="until a worker listens (default: %(default)g)",
    )
    parser.add_argument(
        "--allow-remote", action="store_true", help="listen on an address that other machines reach; they run code here"
    )
    parser.add_argument(
        "--advertise",
        metavar="NAME",
        help="what others call this machine, where it has several names (default: --host)",
    )
    parser.add_argument("--tls-cert", metavar="FILE", help="encrypt, and show this certificate (PEM)")
    parser.add_argument("--tls-key", metavar="FILE", help="the private key of it")
    parser.add_argument(
        "--tls-client-ca", metavar="FILE", help="let only those in who have a certificate of this authority"
    )
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give a number from 0 to 65535, 0 for a free one")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def _size(text: str) -> int:
    try:
        return parse_bytes(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return seconds


def _refused(why: str) -> int:
    print(f"flamepy serve: {why}", file=sys.stderr)
    return 1
