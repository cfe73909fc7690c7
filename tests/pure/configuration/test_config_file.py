# SPDX-License-Identifier: Apache-2.0
"""Both schemas of flame.yaml, and what happens where somebody mistyped."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path

import pytest

from flamepy import FlameConfigWarning, FlameContext, FlamePackage
from flamepy.config import FlameContextCache, FlameContextTls
from flamepy.errors import FlameErrorCode, InvalidConfig

SEED = """\
---
current-cluster: flame
clusters:
  - name: flame
    endpoint: "http://127.0.0.1:30080"
    cache: "http://127.0.0.1:30090"
    package:
      storage: "file:///opt/flame/packages"
      excludes:
        - "*.log"
        - "*.pkl"
"""
CONTEXTS = """\
current-context: prod
contexts:
  - name: test
  - name: prod
    cluster: {endpoint: "https://host:8080", tls: {ca_file: /etc/ca.pem}}
    cache: {endpoint: "grpcs://host:9090", tls: {ca_file: /etc/cache.pem}, storage: /var/cache}
    package: {excludes: ["*.log"]}
    runner: {template: mine}
"""
DEFAULTS = [".venv", "__pycache__", ".gitignore", "*.pyc"]


def load(tmp_path: Path, text: str | bytes, **environ: str) -> FlameContext:
    file = tmp_path / "flame.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return FlameContext.load(file, environ)


def test_flame_package_dataclass() -> None:
    assert FlamePackage(storage="file:///opt/flame/packages").excludes == DEFAULTS
    package = FlamePackage(storage="file:///opt/flame/packages", excludes=["*.log", "*.pkl"])
    assert (package.storage, package.excludes) == ("file:///opt/flame/packages", ["*.log", "*.pkl"])
    assert FlamePackage().excludes is not FlamePackage().excludes


def test_the_file_of_the_founding_document_is_read(tmp_path: Path) -> None:
    context = load(tmp_path, SEED)
    assert (context.name, context.schema) == ("flame", "clusters")
    assert context.endpoint == "http://127.0.0.1:30080"
    assert context.cache_endpoint == "http://127.0.0.1:30090"
    assert context.package == FlamePackage("file:///opt/flame/packages", [*DEFAULTS, "*.log", "*.pkl"])
    assert context.required_package() is context.package
    assert context.runner.template == "flmrun"


def test_the_newer_schema_is_read(tmp_path: Path) -> None:
    context = load(tmp_path, CONTEXTS)
    assert (context.name, context.schema) == ("prod", "contexts")
    assert context.endpoint == "https://host:8080"
    assert context.tls == FlameContextTls("/etc/ca.pem")
    assert context.cache == FlameContextCache("grpcs://host:9090", FlameContextTls("/etc/cache.pem"), "/var/cache")
    assert context.cache_tls == FlameContextTls("/etc/cache.pem")
    assert context.package == FlamePackage(None, [*DEFAULTS, "*.log"])
    assert context.runner.template == "mine"


@pytest.mark.parametrize(
    "package",
    [
        pytest.param("package: {storage: 'file:///p', excludes: ['*.pyc', 'a']}", id="mapping"),
        pytest.param("package: [{storage: 'file:///p', excludes: ['*.pyc', 'a']}]", id="list of one mapping"),
    ],
)
def test_a_package_may_be_a_mapping_or_a_list_of_one(tmp_path: Path, package: str) -> None:
    context = load(tmp_path, f"current-cluster: a\nclusters:\n  - name: a\n    {package}\n")
    assert context.endpoint is None
    assert context.package == FlamePackage("file:///p", [*DEFAULTS, "a"])


def test_the_cache_of_a_cluster_may_be_a_mapping(tmp_path: Path) -> None:
    text = "current-cluster: a\nclusters:\n  - {name: a, cache: {endpoint: 'grpc://h:1', storage: /s}}\n"
    assert load(tmp_path, text).cache == FlameContextCache("grpc://h:1", None, "/s")


def test_a_file_with_both_schemas_means_the_newer_one(tmp_path: Path) -> None:
    assert load(tmp_path, SEED + CONTEXTS).name == "prod"


def test_aliases_and_merge_keys_work(tmp_path: Path) -> None:
    text = """\
current-context: b
contexts:
  - &base {name: a, runner: {template: mine}, package: {storage: "file:///p"}}
  - <<: *base
    name: b
"""
    context = load(tmp_path, text)
    assert (context.name, context.runner.template, context.package) == ("b", "mine", FlamePackage("file:///p"))


def test_nothing_after_a_key_means_that_it_is_absent(tmp_path: Path) -> None:
    context = load(tmp_path, "current-context: a\ncontexts:\n  - name: a\n    cluster:\n    cache:\n    package:\n")
    assert (context.endpoint, context.cache, context.package) == (None, FlameContextCache(), None)


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    assert load(tmp_path, b"\xef\xbb\xbf" + SEED.encode()).name == "flame"


def test_a_cluster_without_package_is_an_error_for_a_runner_only(tmp_path: Path) -> None:
    context = load(tmp_path, "current-cluster: a\nclusters:\n  - name: a\n")
    with pytest.raises(InvalidConfig, match=r"cluster 'a' in .*flame\.yaml has no 'package' section.*Add ") as caught:
        context.required_package()
    assert caught.value.code is FlameErrorCode.INVALID_CONFIG


def test_a_context_without_package_uses_a_private_store(tmp_path: Path) -> None:
    context = load(tmp_path, "current-context: a\ncontexts:\n  - name: a\n")
    assert context.required_package() == FlamePackage()


def test_a_context_is_frozen_and_can_be_varied(tmp_path: Path) -> None:
    context = load(tmp_path, SEED)
    with pytest.raises(dataclasses.FrozenInstanceError):
        context.endpoint = None  # type: ignore[misc]
    assert dataclasses.replace(context, endpoint=None).package == context.package
    assert FlameContext(environ={"FLAME_CONF": str(tmp_path / "flame.yaml")}, package=None).package is None


def one(line: str) -> str:
    """A file whose only cluster has ``line`` as its fourth line."""
    return f"current-cluster: a\nclusters:\n  - name: a\n    {line}\n"


MISTAKES = [
    pytest.param("- a\n", "line 1: the file must hold a mapping, not a list", id="a list"),
    pytest.param("flame\n", "line 1: the file must hold a mapping, not the text flame", id="a word"),
    pytest.param("a: [1\nb: 2\n", r"line 2, column 2: this is not YAML: .*Correct", id="broken YAML"),
    pytest.param("a:\n\tb: 1\n", "line 2, column 1: this is not YAML: .*spaces instead of tabs", id="a tab"),
    pytest.param(one("package: {excludes: [*.log]}"), r"line 4, column \d+: .*needs quotes.*\"\*\.log\"", id="bare *"),
    pytest.param("a: 1\n---\na: 1\n", "line 2, column 1: .*another document", id="two documents"),
    pytest.param("a: \x00\n", "is not YAML: .*UTF-8", id="control character"),
    pytest.param(b"a: \xff\n", "is not UTF-8 text", id="not UTF-8"),
    pytest.param("contexts: []\n", "current-context is not set.*Add it below 'contexts:'", id="no selection"),
    pytest.param("{}\n", "current-context is not set", id="nothing at all"),
    pytest.param("clusters: [{name: a}]\n", "current-cluster is not set.*The file has 'a'", id="no cluster selected"),
    pytest.param(
        "current-context: prd\ncontexts: [{name: prod}, {name: test}]\n",
        "line 1: .*context 'prd' not found. The file has 'prod', 'test'. Did you mean 'prod'?",
        id="unknown context",
    ),
    pytest.param(one("").replace(": a\nc", ": b\nc"), "line 1: .*cluster 'b' not found", id="unknown cluster"),
    pytest.param(
        "current-context: 1\ncontexts: []\n", 'line 1: .*not the number 1. Put it in quotes: "1"', id="number"
    ),
    pytest.param(
        "current-context: a\ncontexts: {name: a}\n", "line 2: contexts must be a list, not a mapping", id="map"
    ),
    pytest.param(
        "current-context: a\ncontexts: [a]\n", r"line 2: contexts\[0\] must be a mapping, not the text", id="text"
    ),
    pytest.param("current-context: a\ncontexts: [{}]\n", r"contexts\[0\]\.name is missing", id="no name"),
    pytest.param("current-context: a\ncontexts: [{name: a}, {name: a}]\n", "'a' is given to two entries", id="twice"),
    pytest.param(one("name: b"), r"line 4: clusters\[0\]\.name is given twice. Keep one", id="a key given twice"),
    pytest.param(one("1: b"), "line 4: the number 1 cannot be a key", id="a number as key"),
    pytest.param(one("endpoint: ''"), r"line 4: clusters\[0\]\.endpoint is empty", id="empty endpoint"),
    pytest.param(one("endpoint: 8080"), "line 4: .*must be text, not the number 8080", id="endpoint is a number"),
    pytest.param(one("endpoint: 2026-01-01"), "must be text, not the timestamp 2026-01-01", id="endpoint is a date"),
    pytest.param(one("endpoint: {a: b}"), "must be text, not a mapping", id="endpoint is a mapping"),
    pytest.param(one("endpoint: host:8080"), "line 4: .*has no scheme.*'http://127.0.0.1:8080'", id="no scheme"),
    pytest.param(
        one("endpoint: htps://host"), "scheme 'htps'.*Use one of http, https.*Did you mean 'https'", id="scheme"
    ),
    pytest.param(one("endpoint: http://host:99999"), "line 4: .*not a valid URL.*1 to 65535", id="port too big"),
    pytest.param(one("endpoint: http://host:port"), "not a valid URL", id="port is a word"),
    pytest.param(one("endpoint: http://host:0"), "has the port 0", id="port 0"),
    pytest.param(one("endpoint: http://:80"), "names no host", id="no host"),
    pytest.param(one("endpoint: 'http://[::1'"), "not a valid URL", id="broken address"),
    pytest.param(one("cache: ftp://h:1"), "scheme 'ftp'.*grpc, grpcs", id="cache scheme"),
    pytest.param(one("package: [{}, {}]"), "line 4: .*package is a list of 2 entries", id="package is a long list"),
    pytest.param(one("package: file:///p"), "line 4: .*package must be a mapping", id="package is a text"),
    pytest.param(one("package: {storage: /opt/p}"), "has no scheme.*'file:///opt/p'", id="storage is a path"),
    pytest.param(one("package: {storage: 'file://opt/p'}"), "names a host.*'file:///opt/p'", id="two slashes"),
    pytest.param(one("package: {storage: 'file:///'}"), "names no directory", id="storage is the root"),
    pytest.param(one("package: {excludes: '*.log'}"), "excludes must be a list, not the text", id="excludes is a text"),
    pytest.param(one("package: {excludes: [1]}"), r"excludes\[0\] must be text", id="an exclude is a number"),
    pytest.param(one("runner: {template: [a]}"), "template must be text, not a list", id="template is a list"),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES)
def test_a_mistake_names_the_file_the_line_and_the_cure(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(InvalidConfig, match=message) as caught:
        load(tmp_path, text)
    assert str(tmp_path / "flame.yaml") in str(caught.value)
    assert caught.value.code is FlameErrorCode.INVALID_CONFIG


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(SEED + "contxts: []\n", "line 12: unknown key 'contxts'. Did you mean 'contexts'?", id="top"),
        pytest.param(
            one("endpiont: a"), r"line 4: unknown key 'clusters\[0\]\.endpiont'. Did you mean 'endpoint'", id="cluster"
        ),
        pytest.param(
            one("package: {exclude: [a]}"), r"'clusters\[0\]\.package\.exclude'. Did you mean 'excludes'", id="package"
        ),
        pytest.param(one("zzz: a"), "Remove it; the keys here are name, endpoint, tls, cache", id="nothing like it"),
        pytest.param(CONTEXTS.replace("ca_file: /etc/ca.", "cafile: /etc/ca."), "Did you mean 'ca_file'", id="tls"),
        pytest.param(CONTEXTS.replace("storage: /var", "store: /var"), "Did you mean 'storage'", id="cache"),
        pytest.param(CONTEXTS.replace("template:", "templat:"), "Did you mean 'template'", id="runner"),
    ],
)
def test_an_unknown_key_is_a_warning_with_a_guess(tmp_path: Path, text: str, message: str) -> None:
    with pytest.warns(FlameConfigWarning, match=message) as caught:
        load(tmp_path, text)
    assert len(caught) == 1
    assert str(tmp_path / "flame.yaml") in str(caught[0].message)


def test_a_good_file_warns_of_nothing(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(tmp_path, SEED)
        load(tmp_path, CONTEXTS)
