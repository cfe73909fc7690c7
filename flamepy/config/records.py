# SPDX-License-Identifier: Apache-2.0
"""What a configuration says, whatever it was read from. Values are checked before they get here."""

from __future__ import annotations

from dataclasses import dataclass, field

from flamepy.errors import InvalidConfig

DEFAULT_EXCLUDES = (".venv", "__pycache__", ".gitignore", "*.pyc")
DEFAULT_TEMPLATE = "flmrun"


@dataclass(frozen=True)
class FlameContextTls:
    """Whom to trust at the other end, and what to show to it. Files are in PEM format.

    Attributes:
        ca_file: The authority that signed the server's certificate; None = those of the system.
        cert_file: The certificate of this side, with those between it and its authority; None = it shows none.
        key_file: The private key of that certificate, without a password.
        server_name: The name to look for in the server's certificate; None = the host of the address.
    """

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    server_name: str | None = None


@dataclass(frozen=True)
class FlameContextCache:
    """Where a cluster keeps objects.

    Attributes:
        endpoint: The address; None = nothing is said.
        tls: Whom to trust there; None = nothing is said.
        storage: A local directory that they are written through to; None = they are not.
    """

    endpoint: str | None = None
    tls: FlameContextTls | None = None
    storage: str | None = None


@dataclass(frozen=True)
class FlamePackage:
    """How a Runner's project directory is packed.

    Attributes:
        storage: URL of the place that takes the archives, such as ``file:///opt/packages``, ``https://host/packages``
            or ``s3://bucket/packages``; None = a private store of the engine.
        excludes: Patterns of what stays here; a configuration file adds its own to the default ones.
    """

    storage: str | None = field(default=None, repr=False)  # it may have a password in it
    excludes: list[str] = field(default_factory=lambda: list(DEFAULT_EXCLUDES))


@dataclass(frozen=True)
class FlameContextRunner:
    """What a Runner's application is made of.

    Attributes:
        template: The registered application that it is copied from.
    """

    template: str = DEFAULT_TEMPLATE


@dataclass(frozen=True)
class ContextFields:
    """One selected context (or cluster), environment included.

    name: of the context, None without a file. source: the file. schema: ``contexts``, ``clusters`` or ``""``.
    endpoint: of the cluster; None = the embedded engine.
    workers, memory_limit_bytes: of the embedded engine; None = it decides.
    """

    name: str | None = None
    source: str | None = None
    schema: str = ""
    endpoint: str | None = None
    tls: FlameContextTls | None = None
    cache: FlameContextCache = field(default_factory=FlameContextCache)
    package: FlamePackage | None = None
    runner: FlameContextRunner = field(default_factory=FlameContextRunner)
    workers: int | None = None
    memory_limit_bytes: int | None = None

    @property
    def cache_endpoint(self) -> str | None:
        """The address of a cluster's object cache; None = the embedded engine has its own."""
        return self.cache.endpoint

    @property
    def cache_tls(self) -> FlameContextTls | None:
        """Whom to trust there; None = nothing is said."""
        return self.cache.tls

    @property
    def private_files(self) -> tuple[str, ...]:
        """What must not leave this machine: the keys that connections are made with."""
        return tuple(each.key_file for each in (self.tls, self.cache.tls) if each is not None and each.key_file)

    def required_package(self) -> FlamePackage:
        """The package settings of a Runner. Raises InvalidConfig when a file of the ``clusters:`` schema has none.

        The other schema and no file at all mean a private store with the default excludes.
        """
        if self.package is not None:
            return self.package
        if self.schema != "clusters":
            return FlamePackage()
        raise InvalidConfig(
            f"cluster {self.name!r} in {self.source} has no 'package' section, and a Runner needs one to store its "
            "code. Add 'package: {storage: \"file:///opt/flame/packages\"}' to it."
        )
