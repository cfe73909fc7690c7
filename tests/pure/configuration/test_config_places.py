# SPDX-License-Identifier: Apache-2.0
"""Where the configuration is looked for, and what the environment changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from flamepy import FlameContext, FlamePackage
from flamepy.config import FlameConfigWarning, FlameContextCache, FlameContextTls
from flamepy.errors import InvalidConfig

TEXT = """\
current-context: a
contexts:
  - name: a
    cluster: {endpoint: "http://host:1", tls: {ca_file: /kept}}
    cache: {endpoint: "grpc://host:2", storage: /s}
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def write(file: Path, text: str = TEXT) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_without_any_file_the_embedded_engine_is_meant(home: Path) -> None:
    context = FlameContext.load(environ={})
    assert (context.endpoint, context.source, context.schema) == (None, None, "")
    assert context.required_package() == FlamePackage()
    assert context.runner.template == "flmrun"


def test_the_file_below_the_home_directory_is_read(home: Path) -> None:
    file = write(home / ".flame" / "flame.yaml")
    context = FlameContext.load(environ={})
    assert (context.name, context.source) == ("a", str(file))


def test_every_context_of_the_file_can_be_asked_for(home: Path) -> None:
    write(home / ".flame" / "flame.yaml", TEXT + "  - name: b\n    cache: {storage: /b}\n")
    both = FlameContext.all(environ={"FLAME_WORKERS": "3"})
    assert [(each.name, each.endpoint, each.workers) for each in both] == [("a", "http://host:1", 3), ("b", None, 3)]
    assert FlameContext.named("b", environ={}).cache.storage == "/b"
    with pytest.raises(InvalidConfig, match=r"no context 'bb' in .*The file has 'a', 'b'. Did you mean 'b'\?"):
        FlameContext.named("bb", environ={})


def test_without_a_file_there_are_no_contexts(home: Path) -> None:
    assert FlameContext.all(environ={}) == []
    with pytest.raises(InvalidConfig, match=r"because there is no configuration file: write .*flame.yaml"):
        FlameContext.named("a", environ={})


def test_flame_conf_wins_over_the_home_directory_and_an_argument_over_both(home: Path) -> None:
    write(home / ".flame" / "flame.yaml")
    write(home / "other.yaml", TEXT.replace(" a\n", " b\n"))
    write(home / "third.yaml", TEXT.replace(" a\n", " c\n"))
    environ = {"FLAME_CONF": "~/other.yaml"}
    assert FlameContext.load(environ=environ).name == "b"
    assert FlameContext.load("~/third.yaml", environ).name == "c"
    assert FlameContext.load(environ={"FLAME_CONF": ""}).name == "a"


def test_the_environment_of_the_process_is_used_by_default(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAME_CONF", str(write(home / "other.yaml")))
    monkeypatch.setenv("FLAME_WORKERS", "3")
    assert (FlameContext().name, FlameContext().workers) == ("a", 3)


def test_a_named_file_has_to_be_there(home: Path) -> None:
    with pytest.raises(InvalidConfig, match=r"there is no configuration file .*nowhere\.yaml. Correct the path"):
        FlameContext.load(home / "nowhere.yaml", {})
    with pytest.raises(InvalidConfig, match="there is no configuration file ~nobody-here/x"):
        FlameContext.load(environ={"FLAME_CONF": "~nobody-here/x"})


def test_a_file_in_place_of_the_directory_counts_as_no_configuration(home: Path) -> None:
    write(home / ".flame", "")
    assert FlameContext.load(environ={}).source is None


def test_the_environment_wins_over_the_file(home: Path) -> None:
    environ = {
        "FLAME_ENDPOINT": "https://other:8080",
        "FLAME_CACHE_ENDPOINT": "grpcs://other:9090",
        "FLAME_CACHE_STORAGE": "/other",
        "FLAME_WORKERS": "2",
        "FLAME_MEMORY_LIMIT": "2g",
    }
    context = FlameContext.load(write(home / "f.yaml"), environ)
    assert context.endpoint == "https://other:8080"
    assert context.cache == FlameContextCache("grpcs://other:9090", None, "/other")
    assert (context.workers, context.memory_limit_bytes) == (2, 2 << 30)


def test_empty_variables_change_nothing(home: Path) -> None:
    file = write(home / "f.yaml")
    names = ("ENDPOINT", "CACHE_ENDPOINT", "CACHE_STORAGE", "CA_FILE", "WORKERS", "MEMORY_LIMIT")
    assert FlameContext.load(file, {f"FLAME_{name}": " " for name in names}) == FlameContext.load(file, {})


def test_the_authority_of_the_environment_fills_in_and_never_replaces(home: Path) -> None:
    context = FlameContext.load(write(home / "f.yaml"), {"FLAME_CA_FILE": "~/from-environment"})
    assert context.tls == FlameContextTls("/kept")
    assert context.cache_tls == FlameContextTls(str(home / "from-environment"))  # %env of a notebook expands nothing


def test_so_do_certificate_and_key_of_the_environment_together(home: Path) -> None:
    pair = {"FLAME_CERT_FILE": "/c", "FLAME_KEY_FILE": "/k"}
    text = TEXT.replace("/kept", "/kept, cert_file: ~/mine, key_file: /its, server_name: other")
    context = FlameContext.load(write(home / "f.yaml", text), pair)
    assert context.tls == FlameContextTls("/kept", str(home / "mine"), "/its", "other")
    assert context.cache_tls == FlameContextTls(None, "/c", "/k")
    assert context.private_files == ("/its", "/k")
    with pytest.raises(InvalidConfig, match="FLAME_KEY_FILE is missing: a certificate is shown with its key"):
        FlameContext.load(home / "f.yaml", {"FLAME_CERT_FILE": "/c"})
    write(home / "f.yaml", TEXT.replace("/kept", "/kept, key_file: /its"))
    with pytest.raises(InvalidConfig, match=r"line 4: .*tls\.key_file needs cert_file beside it"):
        FlameContext.load(home / "f.yaml", {})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("FLAME_ENDPOINT", "host:8080", "FLAME_ENDPOINT is not a URL.*no scheme.*unset FLAME_ENDPOINT"),
        ("FLAME_CACHE_ENDPOINT", "grpc://h:x", "FLAME_CACHE_ENDPOINT is not a valid URL"),
        ("FLAME_WORKERS", "many", "FLAME_WORKERS is 'many', not a number of processes.*unset it"),
        ("FLAME_WORKERS", "0", "FLAME_WORKERS is '0'"),
        ("FLAME_WORKERS", "-1", "FLAME_WORKERS is '-1'"),
        ("FLAME_MEMORY_LIMIT", "2 elephants", "FLAME_MEMORY_LIMIT: '2 elephants' is not a size.*unset it"),
        ("FLAME_MEMORY_LIMIT", "0", "FLAME_MEMORY_LIMIT is 0"),
    ],
)
def test_a_wrong_variable_is_named_with_its_cure(home: Path, name: str, value: str, message: str) -> None:
    with pytest.raises(InvalidConfig, match=message):
        FlameContext.load(environ={name: value})


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "# nothing\n---\n", "---\n...\n", "null\n"])
def test_a_file_without_content_is_no_configuration(home: Path, text: str) -> None:
    write(home / ".flame" / "flame.yaml", text)
    assert FlameContext.load(environ={}).required_package() == FlamePackage()
    assert FlameContext.load(write(home / "named.yaml", text), environ={}).endpoint is None
    assert FlameContext.all(environ={}) == []


def test_a_default_place_that_cannot_be_looked_into_is_no_configuration(home: Path) -> None:
    place = home / ".flame"
    place.symlink_to(place)  # a loop: also root cannot enter it
    assert FlameContext.load(environ={}).source is None
    with pytest.raises(InvalidConfig, match="cannot read"):
        FlameContext.load(place / "flame.yaml", environ={})


def test_a_default_file_that_cannot_be_read_is_told_once_and_left_out(home: Path) -> None:
    (home / ".flame" / "flame.yaml").mkdir(parents=True)
    with pytest.warns(FlameConfigWarning, match=r"flame.yaml is not read: Is a directory. Make it a readable file"):
        assert FlameContext.load(environ={}).source is None
