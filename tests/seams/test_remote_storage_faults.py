# SPDX-License-Identifier: Apache-2.0
"""What a storage behind a network does when the other end does not, and what the user is told: one line with a cure."""

from __future__ import annotations

import errno
import socket
import ssl
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, ReadTimeoutError

from flamepy import ApplicationAttributes, FlameContext, FlamePackage
from flamepy.core.shown import url_without_secrets
from flamepy.errors import FlameError, InvalidArgument, InvalidConfig, PackageError
from flamepy.packaging import fetch_archive, open_storage
from flamepy.packaging.storages.faults import Fault, without_secrets
from flamepy.packaging.storages.fsspec_faults import fault_of
from flamepy.packaging.storages.fsspec_storage import FsspecStorage
from flamepy.packaging.storages.http_storage import HttpStorage
from flamepy.packaging.storages.remote_storage import PAUSES_S
from tests.projects.storage_servers import Answer, HttpFiles, http_server, use_s3

NAME = "app.tar.gz"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "archive"
    path.write_bytes(bytes(1_000_000))
    return path


@pytest.fixture
def server() -> Iterator[HttpFiles]:
    with http_server() as server:
        yield server


def nowhere() -> str:
    """A port at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize(
    ("method", "status", "error", "words"),
    [
        ("PUT", 401, PackageError, r"wants credentials.*~/\.netrc"),
        ("PUT", 403, PackageError, r"no permission \(HTTP 403 Forbidden\)\. Give this user the right"),
        ("PUT", 404, InvalidConfig, r"the place does not exist.*Create it"),
        ("PUT", 409, InvalidConfig, r"the place does not exist"),
        ("PUT", 405, PackageError, r"does not do that.*WebDAV"),
        ("PUT", 413, PackageError, r"full, or the package is bigger"),
        ("PUT", 507, PackageError, r"it is full.*Delete old packages"),
        ("PUT", 418, PackageError, r"HTTP 418 I'm a Teapot\. Check package\.storage"),
    ],
)
def test_what_a_server_refuses_is_told_in_one_line_with_a_cure(
    server: HttpFiles, archive: Path, method: str, status: int, error: type[FlameError], words: str
) -> None:
    server.answers[method] = [Answer(status)]
    with pytest.raises(error, match=words) as caught:
        open_storage(server.url).upload(archive, NAME)
    assert str(caught.value).startswith(f"cannot upload {NAME} to {server.url}: ")
    assert "\n" not in str(caught.value)
    assert server.methods().count(method) == 1, "a refusal is not tried again"
    assert server.files == {}


@pytest.mark.parametrize("bad", [Answer(503), Answer(0)], ids=["says so", "hangs up"])
def test_a_server_that_fails_for_a_moment_is_asked_again(server: HttpFiles, archive: Path, bad: Answer) -> None:
    server.answers = {"HEAD": [bad], "PUT": [bad, bad], "GET": [bad], "DELETE": [bad]}
    pauses_s: list[float] = []
    storage = HttpStorage(server.url, pause=pauses_s.append)
    url = storage.upload(archive, NAME)
    assert fetch_archive(url, archive.parent / "fetched").read_bytes() == archive.read_bytes()
    assert pauses_s == [PAUSES_S[0], *PAUSES_S]
    storage.delete(url)
    assert server.files == {}


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (Answer(502), r"failure of its own \(HTTP 502 Bad Gateway\)"),
        (Answer(0), r"the connection was cut \(.*\)\. .* of this size"),
    ],
)
def test_a_server_that_goes_on_failing_is_given_up(server: HttpFiles, bad: Answer, words: str) -> None:
    server.answers["HEAD"] = [bad] * 9
    pauses_s: list[float] = []
    with pytest.raises(PackageError, match=words):
        HttpStorage(server.url, pause=pauses_s.append).find(NAME)
    assert pauses_s == list(PAUSES_S)


def test_an_upload_that_fails_leaves_nothing_under_the_name(archive: Path) -> None:
    with http_server(moves=True) as server:
        server.answers["MOVE"] = [Answer(507)]
        with pytest.raises(PackageError, match="it is full"):
            open_storage(server.url).upload(archive, NAME)
        assert server.files == {}
        assert ("PUT", f"/packages/{NAME}") not in server.asked, "readers could have seen a half"


def test_an_interrupt_in_an_upload_leaves_nothing(server: HttpFiles, archive: Path) -> None:
    def press_ctrl_c(sent: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_storage(server.url).upload(archive, NAME, press_ctrl_c)
    assert server.files == {}


def test_two_programs_that_bring_the_same_at_once_are_both_content(archive: Path) -> None:
    for moves in (False, True):
        with http_server(moves=moves) as server:
            server.answers["HEAD"] = [Answer(404), Answer(404)]  # both ask before either has brought it
            storage = open_storage(server.url)
            assert storage.upload(archive, NAME) == storage.upload(archive, NAME)
            assert list(server.files) == [f"/packages/{NAME}"]


def test_a_host_that_is_not_there_is_told_soon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    place = nowhere()
    use_s3(monkeypatch, f"http://{place}", tmp_path)
    pauses_s: list[float] = []
    http = HttpStorage(f"http://{place}", pause=pauses_s.append)
    for storage in (http, FsspecStorage("s3://packages", pause=pauses_s.append)):
        with pytest.raises(PackageError, match=r"the host cannot be reached \(.*\)\. Check the address"):
            storage.find(NAME)
    assert pauses_s == [*PAUSES_S, *PAUSES_S]


def test_a_server_that_says_nothing_is_waited_for_within_a_bound(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:  # connections are made, and nobody takes them
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        use_s3(monkeypatch, url, tmp_path)
        pauses_s: list[float] = []
        http = HttpStorage(url, pause=pauses_s.append, read_limit_s=0.05)
        for storage in (http, FsspecStorage("s3://packages", pause=pauses_s.append, read_limit_s=0.05)):
            with pytest.raises(PackageError, match=r"does not answer in time.*Look at the server"):
                storage.find(NAME)
        assert pauses_s == [*PAUSES_S, *PAUSES_S]


def test_a_certificate_is_trusted_when_its_authority_is_named(
    archive: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with http_server(tls=context) as server:
        with pytest.raises(PackageError, match=r"its certificate is not trusted \(.*\)\. .*SSL_CERT_FILE"):
            open_storage(server.url).upload(archive, NAME)
        use_s3(monkeypatch, server.url, tmp_path)
        with pytest.raises(PackageError, match=r"its certificate is not trusted .*AWS_CA_BUNDLE"):
            open_storage("s3://packages").find(NAME)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        url = open_storage(server.url).upload(archive, NAME)
        assert fetch_archive(url, tmp_path / "fetched").stat().st_size == 1_000_000


def test_credentials_come_from_the_url_or_the_netrc_file_and_are_never_told(
    archive: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "netrc").write_text("machine localhost login ada password s3cret")
    (tmp_path / "netrc").chmod(0o600)
    with http_server(user="ada:s3cret") as server:
        url = open_storage(server.url).upload(archive, NAME)
        open_storage(server.url).delete(url)
        with_user = server.url.replace("//", "//ada:s3cret@")
        storage = open_storage(with_user)
        url = storage.upload(archive, NAME)
        assert fetch_archive(url, tmp_path / "fetched").exists()
        storage.delete(url)
        wrong = open_storage(server.url.replace("//", "//ada:wr0ng@"))
        with pytest.raises(PackageError, match="the credentials are not accepted") as caught:
            wrong.upload(archive, NAME)
        records = [FlamePackage(storage=url), ApplicationAttributes(url=url)]
        told = "".join(traceback.format_exception(caught.value)) + f"{storage}{wrong}{records}"
        assert "wr0ng" not in told
        assert "s3cret" not in told
        with pytest.raises(InvalidArgument) as refused:
            storage.delete(f"http://ada:s3cret@other/{NAME}")
        assert "s3cret" not in str(refused.value)


def s3_error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "in its own words"}}, "PutObject")


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (s3_error("ExpiredToken"), Fault.EXPIRED),
        (s3_error("InvalidAccessKeyId"), Fault.BAD_CREDENTIALS),
        (s3_error("AccessDenied"), Fault.FORBIDDEN),
        (s3_error("NoSuchBucket"), Fault.NO_PLACE),
        (s3_error("RequestTimeTooSkewed"), Fault.WRONG_CLOCK),
        (s3_error("QuotaExceeded"), Fault.FULL),
        (s3_error("SlowDown"), Fault.FAILING),
        (s3_error("Teapot"), Fault.OTHER),
        (NoCredentialsError(), Fault.NO_CREDENTIALS),
        (ReadTimeoutError(endpoint_url="http://s3"), Fault.SILENT),
        (EndpointConnectionError(endpoint_url="http://s3"), Fault.UNREACHABLE),
        (FileNotFoundError("it"), Fault.NOT_THERE),
        (PermissionError("it"), Fault.FORBIDDEN),
        (OSError(errno.ENOSPC, "no room"), Fault.FULL),
        (NotImplementedError(), Fault.NOT_SUPPORTED),
        (ValueError("it"), Fault.OTHER),
    ],
)
def test_errors_of_libraries_are_told_apart(error: Exception, fault: Fault) -> None:
    assert fault_of(error).fault is fault


def test_the_cause_of_a_translated_error_counts() -> None:
    translated = OSError("translated")
    translated.__cause__ = s3_error("ExpiredToken")
    assert (fault_of(translated).fault, fault_of(translated).detail) == (Fault.EXPIRED, "in its own words")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://ada:s3cret@host:80/a?sig=s3cret#s3cret", "https://host:80/a"),
        ("ada:s3cret@host/a", "host/a"),
        ("memory:///a@b", "memory:///a@b"),
        ("/opt/packages", "/opt/packages"),
    ],
)
def test_a_url_is_shown_without_secrets(url: str, shown: str) -> None:
    assert url_without_secrets(url) == shown


@pytest.mark.parametrize("url", ["https://ada:s3cret@host:99999/a", "ada:s3cret@host/a", "htp://ada:s3cret@host/a"])
def test_a_configuration_that_is_wrong_is_told_without_its_password(url: str, tmp_path: Path) -> None:
    file = tmp_path / "flame.yaml"
    file.write_text(f"current-context: c\ncontexts: [{{name: c, package: {{storage: '{url}'}}}}]\n")
    with pytest.raises(InvalidConfig) as caught:
        open_storage(str(FlameContext(str(file)).required_package().storage))
    assert "s3cret" not in str(caught.value)


def test_what_a_library_says_is_told_without_secrets() -> None:
    said = "GET https://ada:pw@host/a?X-Amz-Signature=abc&sig=d%20e failed"
    assert without_secrets(said) == "GET https://host/a?X-Amz-Signature=...&sig=... failed"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("s3:///packages", "names no bucket or host: write it like s3://name/packages"),
        ("https:///packages", "names no host"),
        ("https://host/packages?sig=s3cret", "https://host/packages goes on behind its path"),
        ("gs://bucket/packages", "needs libraries that are not installed: pip install gcsfs"),
    ],
)
def test_a_url_that_cannot_work_is_a_configuration_error(url: str, says: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        open_storage(url, source="flame.yaml")
    assert str(caught.value).startswith("flame.yaml: package.storage ")
    assert says in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("url", ["https://host/packages", "s3://bucket/packages"])
def test_a_missing_extra_is_named(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("urllib3", "fsspec", "s3fs"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InvalidConfig, match=r"not installed: pip install 'flame-jupyter\[storage\]'$"):
        open_storage(url)
