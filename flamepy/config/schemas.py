# SPDX-License-Identifier: Apache-2.0
"""Both schemas of ``flame.yaml`` and the environment -> ContextFields."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from flamepy.config.document import Section, did_you_mean
from flamepy.config.records import (
    DEFAULT_EXCLUDES,
    ContextFields,
    FlameContextCache,
    FlameContextRunner,
    FlameContextTls,
    FlamePackage,
)
from flamepy.core.resources import parse_bytes
from flamepy.core.shown import url_without_secrets
from flamepy.errors import InvalidConfig

ENDPOINT_SCHEMES = ("http", "https")
CACHE_SCHEMES = ("grpc", "grpcs", "http", "https")
_EXAMPLES = {"http": "http://127.0.0.1:8080", "grpc": "grpc://127.0.0.1:9090", "file": "file:///opt/flame/packages"}
_TLS_KEYS = ("ca_file", "cert_file", "key_file", "server_name")
_TOP_KEYS = ("current-context", "contexts", "current-cluster", "clusters")


def fields_from(document: Section, name: str | None = None) -> ContextFields:
    """The context that the file selects, or the one of that ``name``. Raises InvalidConfig.

    Where the file speaks both schemas, the newer one.
    """
    document.warn_of_unknown(_TOP_KEYS)
    if _has_contexts(document):
        return _from_context(document.source, _selected(document, "current-context", "contexts", "context", name))
    return _from_cluster(document.source, _selected(document, "current-cluster", "clusters", "cluster", name))


def all_fields_from(document: Section) -> list[ContextFields]:
    """Every context of the file, in its order. Raises InvalidConfig."""
    document.warn_of_unknown(_TOP_KEYS)
    if _has_contexts(document):
        return [_from_context(document.source, each) for each in _entries(document, "contexts").values()]
    return [_from_cluster(document.source, each) for each in _entries(document, "clusters").values()]


def with_environment(fields: ContextFields, environ: Mapping[str, str]) -> ContextFields:
    """``fields`` with what the environment says instead; an empty variable says nothing. Raises InvalidConfig."""
    given = {name: value for name, value in environ.items() if name.startswith("FLAME_") and value.strip()}
    cache = fields.cache
    return replace(
        fields,
        endpoint=_environment_url(given, "FLAME_ENDPOINT", ENDPOINT_SCHEMES) or fields.endpoint,
        tls=_with_trust(fields.tls, given),
        cache=FlameContextCache(
            _environment_url(given, "FLAME_CACHE_ENDPOINT", CACHE_SCHEMES) or cache.endpoint,
            _with_trust(cache.tls, given),
            given.get("FLAME_CACHE_STORAGE") or cache.storage,
        ),
        workers=_environment_workers(given) or fields.workers,
        memory_limit_bytes=_environment_memory(given) or fields.memory_limit_bytes,
    )


def _has_contexts(document: Section) -> bool:
    return "current-context" in document or "contexts" in document or "clusters" not in document


def _entries(document: Section, list_key: str) -> dict[str, Section]:
    entries: dict[str, Section] = {}
    for entry in document.sections(list_key):
        name = entry.text("name")
        if name is None:
            raise entry.error("name", "is missing", "Give each entry a name.")
        if name in entries:
            raise entry.error("name", f"{name!r} is given to two entries", "Rename one of them.")
        entries[name] = entry
    return entries


def _selected(document: Section, current_key: str, list_key: str, noun: str, name: str | None) -> Section:
    entries = _entries(document, list_key)
    known = f"The file has {', '.join(map(repr, entries))}." if entries else f"Add it below '{list_key}:'."
    if name is not None:
        if name not in entries:
            raise InvalidConfig(
                f"there is no {noun} {name!r} in {document.source}. {known}{did_you_mean(name, entries)}"
            )
        return entries[name]
    wanted = document.text(current_key)
    if wanted is None:
        raise document.error(current_key, "is not set", f"Add '{current_key}: NAME'. {known}")
    if wanted not in entries:
        problem = f"{noun} {wanted!r} not found"
        raise document.error(current_key, f"is wrong: {problem}", f"{known}{did_you_mean(wanted, entries)}")
    return entries[wanted]


def _from_context(source: str, entry: Section) -> ContextFields:
    entry.warn_of_unknown(("name", "cluster", "cache", "package", "runner"))
    cluster = entry.section("cluster")
    if cluster is not None:
        cluster.warn_of_unknown(("endpoint", "tls"))
    return ContextFields(
        name=entry.text("name"),
        source=source,
        schema="contexts",
        endpoint=_url(cluster, "endpoint", ENDPOINT_SCHEMES) if cluster else None,
        tls=_tls(cluster) if cluster else None,
        cache=_cache(entry),
        package=_package(entry),
        runner=_runner(entry),
    )


def _from_cluster(source: str, entry: Section) -> ContextFields:
    entry.warn_of_unknown(("name", "endpoint", "tls", "cache", "package", "runner"))
    is_address = entry.is_text("cache")
    return ContextFields(
        name=entry.text("name"),
        source=source,
        schema="clusters",
        endpoint=_url(entry, "endpoint", ENDPOINT_SCHEMES),
        tls=_tls(entry),
        cache=FlameContextCache(_url(entry, "cache", CACHE_SCHEMES)) if is_address else _cache(entry),
        package=_package(entry),
        runner=_runner(entry),
    )


def _cache(entry: Section) -> FlameContextCache:
    cache = entry.section("cache")
    if cache is None:
        return FlameContextCache()
    cache.warn_of_unknown(("endpoint", "tls", "storage"))
    return FlameContextCache(_url(cache, "endpoint", CACHE_SCHEMES), _tls(cache), cache.text("storage"))


def _tls(entry: Section) -> FlameContextTls | None:
    tls = entry.section("tls")
    if tls is None:
        return None
    tls.warn_of_unknown(_TLS_KEYS)
    for one, other in (("cert_file", "key_file"), ("key_file", "cert_file")):
        if tls.text(one) is not None and tls.text(other) is None:
            raise tls.error(one, f"needs {other} beside it", "A certificate is shown with its key: name both files.")
    ca_file, cert_file, key_file = (_file(tls, key) for key in ("ca_file", "cert_file", "key_file"))
    return FlameContextTls(ca_file, cert_file, key_file, tls.text("server_name"))


def _file(entry: Section, key: str) -> str | None:
    path = entry.text(key)
    return None if path is None else os.path.expanduser(path)


def _package(entry: Section) -> FlamePackage | None:
    """A mapping, or a list of one mapping as the founding design document has it."""
    if entry.is_list("package"):
        listed = entry.sections("package")
        if len(listed) != 1:
            raise entry.error("package", f"is a list of {len(listed)} entries", "Write one mapping with 'storage:'.")
        package = listed[0]
    else:
        found = entry.section("package")
        if found is None:
            return None
        package = found
    package.warn_of_unknown(("storage", "excludes"))
    excludes = list(dict.fromkeys((*DEFAULT_EXCLUDES, *package.texts("excludes"))))
    return FlamePackage(_url(package, "storage", None), excludes)


def _runner(entry: Section) -> FlameContextRunner:
    runner = entry.section("runner")
    if runner is None:
        return FlameContextRunner()
    runner.warn_of_unknown(("template",))
    template = runner.text("template")
    return FlameContextRunner() if template is None else FlameContextRunner(template)


def _url(entry: Section, key: str, schemes: Sequence[str] | None) -> str | None:
    url = entry.text(key)
    problem = None if url is None else problem_of_url(url, schemes)
    if problem is not None:
        raise entry.error(key, *problem)
    return url


def problem_of_url(url: str, schemes: Sequence[str] | None) -> tuple[str, str] | None:
    """What is wrong with ``url``, and the cure; None when nothing is. ``schemes`` None: a package storage, of any."""
    example = _EXAMPLES["file" if schemes is None else schemes[0]]
    shown = url_without_secrets(url)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return f"is not a valid URL: {shown!r} ({error})", f"Write it like {example!r}, with a port from 1 to 65535."
    if "://" not in url:
        guess = f"file://{url}" if schemes is None and url.startswith("/") else example
        return f"is not a URL: {shown!r} has no scheme", f"Write it like {guess!r}."
    if schemes is not None and parts.scheme not in schemes:
        cure = f"Use one of {', '.join(schemes)}, such as {example!r}.{did_you_mean(parts.scheme, schemes)}"
        return f"has the scheme {parts.scheme!r}, which nothing here understands", cure
    if parts.scheme == "file":
        if parts.hostname not in (None, "localhost"):
            return f"names a host: {shown!r}", f"A path needs three slashes: 'file:///{parts.netloc}{parts.path}'."
        if not parts.path.strip("/"):
            return f"names no directory: {shown!r}", f"Write it like {example!r}."
        return None
    if schemes is None:
        return None  # what else there is to say of it, its storage says (packaging/storage.py)
    if not parts.hostname:
        return f"names no host: {shown!r}", f"Write it like {example!r}."
    if port == 0:
        return f"has the port 0: {shown!r}", f"Write it like {example!r}, with a port from 1 to 65535."
    return None


def _with_trust(tls: FlameContextTls | None, given: Mapping[str, str]) -> FlameContextTls | None:
    """The environment fills in where the file names no authority, or no certificate, and never replaces one."""
    kept, filling = tls or FlameContextTls(), tls_of_environment(given)
    if kept.ca_file is None:
        kept = replace(kept, ca_file=filling.ca_file)
    if kept.cert_file is None:
        kept = replace(kept, cert_file=filling.cert_file, key_file=filling.key_file)
    return tls if kept == FlameContextTls() else kept


def tls_of_environment(environ: Mapping[str, str]) -> FlameContextTls:
    """What the variables alone say, in a worker too. Raises InvalidConfig."""
    names = ("FLAME_CA_FILE", "FLAME_CERT_FILE", "FLAME_KEY_FILE")
    ca_file, cert_file, key_file = (os.path.expanduser(environ.get(name, "").strip()) or None for name in names)
    if (cert_file is None) != (key_file is None):
        missing = "FLAME_KEY_FILE" if key_file is None else "FLAME_CERT_FILE"
        raise InvalidConfig(
            f"environment variable {missing} is missing: a certificate is shown with its key. Set FLAME_CERT_FILE and "
            "FLAME_KEY_FILE, or unset both."
        )
    return FlameContextTls(ca_file, cert_file, key_file)


def _environment_url(given: Mapping[str, str], name: str, schemes: Sequence[str]) -> str | None:
    url = given.get(name)
    problem = None if url is None else problem_of_url(url, schemes)
    if problem is not None:
        what, cure = problem
        raise InvalidConfig(f"environment variable {name} {what}. {cure} Or unset {name}.")
    return url


def _environment_workers(given: Mapping[str, str]) -> int | None:
    text = given.get("FLAME_WORKERS")
    if text is None:
        return None
    if not text.strip().isdecimal() or int(text) == 0:
        raise InvalidConfig(
            f"environment variable FLAME_WORKERS is {text!r}, not a number of processes: "
            "set it to a whole number from 1, or unset it to use every CPU of this machine."
        )
    return int(text)


def _environment_memory(given: Mapping[str, str]) -> int | None:
    text = given.get("FLAME_MEMORY_LIMIT")
    if text is None:
        return None
    try:
        nbytes = parse_bytes(text)
    except ValueError as error:
        raise InvalidConfig(f"environment variable FLAME_MEMORY_LIMIT: {error}. Or unset it.") from error
    if nbytes == 0:
        raise InvalidConfig(
            "environment variable FLAME_MEMORY_LIMIT is 0: give the cache room, such as '2g', or unset it."
        )
    return nbytes
