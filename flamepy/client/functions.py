# SPDX-License-Identifier: Apache-2.0
"""What a connection can do as functions, on the engine of this process. The names are those of 0.6."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flamepy.client.connection import Connection, Session
from flamepy.config import FlameContextTls
from flamepy.core.application import Application, ApplicationAttributes
from flamepy.core.resources import ResourceRequirement
from flamepy.core.session import SessionAttributes
from flamepy.engine.api import WorkerView
from flamepy.engine.current import current_engine
from flamepy.engine.select import no_cluster

_NO_CONNECTION = "this release runs the calls of Runners there, and no plain sessions"


def connect(addr: str | None = None, tls_config: FlameContextTls | None = None) -> Connection:
    """Connect to the configured engine.

    Args:
        addr: Of a cluster; by default what is configured.
        tls_config: For a cluster; by default what is configured.

    Returns:
        The connection, to be closed or used with ``with``.

    Raises:
        InvalidArgument: For an address or TLS: plain sessions of clusters are for a later release.
        InvalidConfig: When the configuration is wrong.

    Example:
        >>> import flamepy
        >>> with flamepy.connect() as connection:
        ...     [each.name for each in connection.list_applications()]
        ['flmrun']
    """
    if addr is not None:
        raise no_cluster(addr, _NO_CONNECTION, "call connect() without an address")
    if tls_config is not None:
        raise no_cluster("(no address)", _NO_CONNECTION, "call connect() without tls_config")
    return Connection(current_engine())


def create_session(
    application: str,
    common_data: bytes | None = None,
    session_id: str | None = None,
    min_instances: int = 0,
    max_instances: int | None = None,
    batch_size: int = 1,
    resreq: ResourceRequirement | None = None,
) -> Session:
    """Open a new session of an application.

    Args:
        application: Its name; ``flmrun`` is built in, and runs pickled calls.
        common_data: What all of its tasks share, by default nothing; for ``flmrun`` a pickled ``RunnerContext``.
        session_id: Its id; by default one is made up.
        min_instances: Workers to keep for it on a cluster; by default none.
        max_instances: Workers that it may have at one time; by default there is no limit of its own.
        batch_size: How many tasks start together on a cluster; by default 1.
        resreq: What one worker needs on a cluster; by default nothing in particular.

    Returns:
        The open session.

    Raises:
        NotFound: When there is no such application.
        AlreadyExists: When there is a session of that id.
        InvalidArgument: When the common data is not bytes.

    Example:
        >>> import pickle
        >>> import flamepy
        >>> from flamepy.runner import RunnerContext, RunnerRequest
        >>> session = flamepy.create_session("flmrun", pickle.dumps(RunnerContext(len)))
        >>> session.state.name
        'OPEN'
        >>> session.close()
    """
    attributes = SessionAttributes(
        application, session_id, common_data, min_instances, max_instances, batch_size, resreq
    )
    return connect().create_session(attributes)


def open_session(session_id: str, spec: SessionAttributes | None = None) -> Session:
    """Join an open session.

    Args:
        session_id: Its id.
        spec: What to open it with when there is none; by default that is an error.

    Returns:
        The session.

    Raises:
        NotFound: When there is no such session, and no ``spec``.
        InvalidArgument: When it is closed, or was opened with something else than ``spec``.

    Example:
        >>> import flamepy
        >>> session = flamepy.open_session("mine", flamepy.SessionAttributes("flmrun"))
        >>> flamepy.open_session("mine").id
        'mine'
        >>> session.close()
    """
    return connect().open_session(session_id, spec)


def register_application(name: str, app_attrs: ApplicationAttributes | Mapping[str, Any]) -> None:
    """Make an application known to the engine.

    Args:
        name: Its name, in letters, digits, ``-``, ``_`` and ``.``.
        app_attrs: What it is; may be a mapping of the record's fields.

    Raises:
        AlreadyExists: When the name is taken.
        InvalidArgument: For a field that there is not, or a value that cannot be.

    Example:
        >>> import flamepy
        >>> flamepy.register_application("my-app", flamepy.ApplicationAttributes(description="an example"))
        >>> flamepy.get_application("my-app").description
        'an example'
    """
    connect().register_application(name, app_attrs)


def unregister_application(name: str) -> None:
    """Remove an application and its closed sessions.

    Args:
        name: Its name.

    Raises:
        NotFound: When there is no such application.
        InvalidState: While sessions of it are open.

    Example:
        >>> import flamepy
        >>> flamepy.register_application("my-app", {})
        >>> flamepy.unregister_application("my-app")
        >>> print(flamepy.get_application("my-app"))
        None
    """
    connect().unregister_application(name)


def get_application(name: str) -> Application | None:
    """Look an application up.

    Args:
        name: Its name.

    Returns:
        What is registered; None when there is no such application.

    Example:
        >>> import flamepy
        >>> flamepy.get_application("flmrun").state.name
        'ENABLED'
    """
    return connect().get_application(name)


def list_applications() -> list[Application]:
    """Every registered application, the built-in ones too.

    Example:
        >>> import flamepy
        >>> [each.name for each in flamepy.list_applications()]
        ['flmrun']
    """
    return connect().list_applications()


def list_executors() -> list[WorkerView]:
    """The worker processes as they are now.

    Example:
        >>> import flamepy
        >>> flamepy.list_executors()
        []
    """
    return connect().list_executors()


def list_sessions() -> list[Session]:
    """Every session, closed ones too, as long as their application is there.

    Example:
        >>> import flamepy
        >>> flamepy.create_session("flmrun", session_id="mine").close()
        >>> [(each.id, each.state.name) for each in flamepy.list_sessions()]
        [('mine', 'CLOSED')]
    """
    return connect().list_sessions()


def get_session(session_id: str) -> Session:
    """Look a session up.

    Args:
        session_id: Its id.

    Returns:
        The session as it is now, open or closed.

    Raises:
        NotFound: When there is no such session.

    Example:
        >>> import flamepy
        >>> session = flamepy.create_session("flmrun", session_id="mine")
        >>> flamepy.get_session("mine").application
        'flmrun'
        >>> session.close()
    """
    return connect().get_session(session_id)


def close_session(session_id: str) -> Session:
    """No new tasks in a session; those that wait are cancelled, those that run end by themselves. Idempotent.

    Args:
        session_id: Its id.

    Returns:
        The closed session.

    Raises:
        NotFound: When there is no such session.

    Example:
        >>> import flamepy
        >>> session = flamepy.create_session("flmrun", session_id="mine")
        >>> flamepy.close_session("mine").state.name
        'CLOSED'
    """
    return connect().close_session(session_id)
