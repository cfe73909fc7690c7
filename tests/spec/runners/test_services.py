# SPDX-License-Identifier: Apache-2.0
"""What becomes a service and how it behaves; and the life of the Runner that it belongs to."""

from __future__ import annotations

import functools
import os
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import flamepy
from flamepy import FlameError, ObjectFuture, Runner, RunnerService
from flamepy.core.application import ApplicationAttributes
from flamepy.engine.api import Engine
from flamepy.errors import AlreadyExists, CallCancelled, InvalidArgument, NotPicklable, RunnerClosed, WorkerLost
from flamepy.front_ends import view_of
from flamepy.runner import (
    ConstructorNeedsArguments,
    EnvironmentWarning,
    SessionContext,
    StaleCodeWarning,
    UnknownMethod,
    UnsavedStateWarning,
)
from tests.signs import reached

BOUND_S = 20.0


@pytest.fixture
def project(project: Path) -> Path:
    (project / "helper_of_tests.py").write_text("VALUE = 1\n")
    return project


@pytest.fixture
def runner(engine: Engine, project: Path) -> Iterator[Runner]:
    runner = Runner("services")
    yield runner
    runner.close(cancel=True)  # a failed test must not wait for its calls


class Account:
    """Has one of everything."""

    limit = 100

    def __init__(self, balance: int = 0) -> None:
        self.balance = balance

    def pay_in(self, amount: int, *, times: int = 1) -> int:
        self.balance += amount * times
        if self.balance > self.limit:
            raise ValueError("too much")
        return self.balance

    def read(self) -> int:
        return self.balance

    @staticmethod
    def currency() -> str:
        return "EUR"

    @classmethod
    def named(cls) -> str:
        return cls.__name__

    @property
    def risk(self) -> int:
        raise AssertionError("a property of the user's object has run in the caller")


class Doubler:
    def __call__(self, value: int) -> int:
        return 2 * value

    def thrice(self, value: int) -> int:
        return 3 * value


def echo(value: Any = None) -> Any:
    return value


def until(path: str) -> str:
    import os
    import time

    while not os.path.exists(path):
        time.sleep(0.005)
    return "released"


@pytest.mark.inline
def test_methods_of_every_kind_are_called_with_positions_and_keywords(runner: Runner) -> None:
    account = runner.service(Account(1))
    assert account.pay_in(2, times=3).get(BOUND_S) == 7
    assert account.currency().get(BOUND_S) == "EUR"
    assert account.named().get(BOUND_S) == "Account"
    assert account.read().name == "Account.read"


@pytest.mark.inline
def test_a_call_that_raises_leaves_the_state_as_it_was(runner: Runner) -> None:
    account = runner.service(Account)
    account.pay_in(60)
    with pytest.raises(ValueError, match="too much"):
        account.pay_in(60).get(BOUND_S)
    assert account.read().get(BOUND_S) == 60


@pytest.mark.inline
def test_calls_of_a_stateful_service_run_in_the_order_in_which_they_were_made(runner: Runner) -> None:
    account = runner.service(Account)
    futures = [account.pay_in(1) for _ in range(50)]
    assert runner.get(futures) == list(range(1, 51))


def test_later_calls_of_a_stateful_service_wait_behind_one_that_waits(runner: Runner, tmp_path: Path) -> None:
    account = runner.service(Account)
    gate = tmp_path / "gate"
    length = runner.service(len)
    first = account.pay_in(length(runner.service(until)(str(gate))))
    second = account.pay_in(1)
    assert not second.wait(0.1)
    gate.touch()
    assert runner.get([first, second]) == [8, 9]


@pytest.mark.inline
def test_an_autoscaled_class_is_made_on_each_worker(runner: Runner) -> None:
    account = runner.service(Account, autoscale=True)
    assert account.read().get(BOUND_S) == 0
    with pytest.raises(ValueError, match="always fixed"):
        runner.service(Account(), autoscale=True)


@pytest.mark.inline
def test_a_callable_object_is_called_and_has_methods(runner: Runner) -> None:
    doubler = runner.service(Doubler())
    assert doubler(4).get(BOUND_S) == 8
    assert doubler.thrice(4).get(BOUND_S) == 12


@pytest.mark.inline
@pytest.mark.parametrize(
    ("function", "args", "value"),
    [
        pytest.param(len, ([1, 2],), 2, id="builtin"),
        pytest.param(functools.partial(pow, 2), (5,), 32, id="partial"),
        pytest.param(Account(5).read, (), 5, id="bound method"),
        pytest.param(lambda x: x + 1, (1,), 2, id="lambda"),
    ],
)
def test_functions_of_every_kind_are_services(runner: Runner, function: Any, args: tuple[Any, ...], value: int) -> None:
    assert runner.service(function)(*args).get(BOUND_S) == value


@pytest.mark.inline
def test_a_service_that_is_no_function_says_what_to_call(runner: Runner) -> None:
    account = runner.service(Account)
    with pytest.raises(TypeError, match=r"call one of its methods: pay_in\(\)"):
        account(1)
    with pytest.raises(UnknownMethod, match="Did you mean 'pay_in'"):
        account.payin(1)
    with pytest.raises(AttributeError, match="no public method 'balance'"):
        _ = account.balance
    assert set(dir(account)) == {"close", "pay_in", "read", "currency", "named"}


@pytest.mark.inline
def test_mistakes_are_found_before_anything_is_sent(runner: Runner) -> None:
    class Needs:
        def __init__(self, start: int) -> None: ...

        def go(self) -> None: ...

    class Closes:
        def close(self) -> None: ...

    lock = threading.Lock()
    with pytest.raises(ConstructorNeedsArguments, match=r"Needs\(\) needs 'start': pass an instance"):
        runner.service(Needs)
    with pytest.raises(InvalidArgument, match="rename the method"):
        runner.service(Closes)
    with pytest.raises(NotPicklable, match="lock"):
        runner.service(lambda: lock)
    with pytest.raises(ValueError, match="warmup must be"):
        runner.service(echo, warmup=-1)
    with pytest.raises(ValueError, match="retries=1 does not fit Account"):
        runner.service(Account, retries=1)
    with pytest.raises(ValueError, match="is not a resource"):
        runner.service(echo, resreq="much")
    assert runner.services() == []


@pytest.mark.inline
def test_a_state_that_cannot_be_saved_works_with_one_warning(runner: Runner) -> None:
    class Guarded:
        def __init__(self) -> None:
            import threading

            self.guard = threading.Lock()
            self.count = 0

        def add(self) -> int:
            self.count += 1
            return self.count

    guarded = runner.service(Guarded)
    with pytest.warns(UnsavedStateWarning, match=r"Guarded\.add: .*guard"):
        assert guarded.add().get(BOUND_S) == 1
    assert guarded.add().get(BOUND_S) == 2


@pytest.mark.inline
def test_a_name_and_the_view_of_a_service(runner: Runner) -> None:
    service = runner.service(Account, name="savings", warmup=1)
    view = view_of(service)
    assert (view.name, view.kind, view.is_closed) == ("savings", "class", False)
    assert runner.services() == [view]
    assert repr(service) == (
        f"<RunnerService savings (methods pay_in, read, currency, named) session {view.session_id}>"
    )
    assert service.read().name == "savings.read"
    service.close()
    assert runner.services() == []


@pytest.mark.inline
@pytest.mark.uplink
def test_a_session_id_of_the_users_choice_joins_the_open_session(runner: Runner) -> None:
    one, other = Account(5), Account(50)
    for each in (one, other):
        each._session_context = SessionContext("my-own-session")  # type: ignore[attr-defined]
    first, second = runner.service(one), runner.service(other)
    first.pay_in(1)
    assert second.read().get(BOUND_S) == 6
    assert view_of(second).session_id == "my-own-session"


@pytest.mark.inline
def test_a_session_context_of_another_type_is_ignored_with_a_warning(runner: Runner) -> None:
    account = Account()
    account._session_context = "mine"  # type: ignore[attr-defined]
    with pytest.warns(UserWarning, match="it is ignored"):
        service = runner.service(account)
    assert service.read().get(BOUND_S) == 0


@pytest.mark.inline
@pytest.mark.uplink
def test_an_object_in_the_cache_is_given_to_many_calls(runner: Runner) -> None:
    ref = runner.put_object([1, 2, 3])
    assert ref.key.startswith("services/shared/")
    total = runner.service(sum)
    assert runner.get([total(ref), total(ref, start=10)]) == [6, 16]
    assert runner.service(echo)([ref]).get(BOUND_S) == [ref]


@pytest.mark.inline
def test_a_handle_travels_as_a_name_and_calls_the_same_service(runner: Runner) -> None:
    account = runner.service(Account(1))

    def pay(target: RunnerService, amount: int) -> int:
        value: int = target.pay_in(amount).get()
        return value

    def pay_by(method: Any) -> int:
        value: int = method(5).get()
        return value

    assert runner.service(pay)(account, 2).get(BOUND_S) == 3
    assert runner.service(pay_by)(account.pay_in).get(BOUND_S) == 8
    returned = runner.service(echo)(account).get(BOUND_S)
    assert returned.read().get(BOUND_S) == 8


@pytest.mark.inline
def test_a_call_can_return_a_future_of_a_call_that_it_made(runner: Runner) -> None:
    account = runner.service(Account(1))

    def begin(target: RunnerService) -> ObjectFuture:
        future: ObjectFuture = target.pay_in(1)
        return future

    inner = runner.service(begin)(account).get(BOUND_S)
    assert isinstance(inner, ObjectFuture)
    assert inner.get(BOUND_S) == 2


@pytest.mark.inline
def test_a_runner_inside_a_call_joins_the_one_outside(runner: Runner) -> None:
    def fibonacci(n: int) -> int:
        from flamepy import Runner

        if n < 2:
            return n
        with Runner("services") as nested:
            service = nested.service(fibonacci)
            return sum(nested.get([service(n - 1), service(n - 2)]))

    assert runner.service(fibonacci)(4).get(BOUND_S) == 3
    assert flamepy.get_application("services") is not None


def test_a_runner_inside_a_call_runs_the_code_of_that_call(runner: Runner, project: Path) -> None:
    def value() -> int:
        import importlib

        return int(importlib.import_module("helper_of_tests").VALUE)

    def nested() -> int:
        from flamepy import Runner

        with Runner("services") as inner:
            got: int = inner.service(value)().get()
            return got

    assert runner.service(nested)().get(BOUND_S) == 1
    (project / "helper_of_tests.py").write_text("VALUE = 2000\n")
    with pytest.warns(StaleCodeWarning):
        again = runner.service(nested)
    assert again().get(BOUND_S) == 2000


@pytest.mark.inline
def test_data_written_beside_the_code_is_there_for_new_services_without_a_word(runner: Runner, project: Path) -> None:
    def read() -> str:
        from pathlib import Path

        return Path("out.csv").read_text()

    ref = runner.put_object("kept")
    runner.service(echo)
    (project / "out.csv").write_text("1,2")
    assert runner.service(read)().get(BOUND_S) == "1,2"
    assert runner.service(echo)(ref).get(BOUND_S) == "kept"


def test_a_lost_worker_with_a_runner_inside_does_not_keep_the_application(engine: Engine, project: Path) -> None:
    def vanish() -> None:
        import os

        from flamepy import Runner

        Runner("lost").service(len)
        os._exit(3)

    with Runner("lost") as runner, pytest.raises(WorkerLost):
        runner.service(vanish)().get(BOUND_S)
    assert reached(lambda: flamepy.get_application("lost") is None)


# --- the life of a Runner


def test_without_with_it_works_until_it_is_closed(engine: Engine, project: Path) -> None:
    runner = Runner("plain")
    service = runner.service(echo)
    assert service(1).get(BOUND_S) == 1
    runner.close()
    runner.close()
    with pytest.raises(RunnerClosed, match=r"Open a new one: Runner\('plain'\)"):
        service(1)
    for use in (lambda: runner.service(echo), lambda: runner.put_object(1), runner.__enter__):
        with pytest.raises(RunnerClosed):
            use()


def test_leaving_normally_waits_for_the_calls_that_are_out(engine: Engine, project: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with Runner("waits") as runner:
        future = runner.service(until)(str(gate))
        threading.Timer(0.2, gate.touch).start()
    assert future.done()
    assert future.get() == "released"


def test_leaving_by_an_exception_cancels_them(engine: Engine, project: Path, tmp_path: Path) -> None:
    futures: list[ObjectFuture] = []

    def fail_inside() -> None:
        with Runner("cancels") as runner:
            futures.append(runner.service(until)(str(tmp_path / "never")))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()
    (future,) = futures
    assert future.done()
    with pytest.raises(CallCancelled):
        future.get()


@pytest.mark.uplink
def test_closing_with_a_timeout_cancels_what_is_out_then(engine: Engine, project: Path, tmp_path: Path) -> None:
    runner = Runner("timeout")
    future = runner.service(until)(str(tmp_path / "never"))
    began_s = time.monotonic()
    runner.close(timeout=0.1)
    assert time.monotonic() - began_s < BOUND_S
    assert future.cancelled()
    assert flamepy.get_application("timeout") is None


def test_closing_without_waiting_lets_the_calls_end_behind(engine: Engine, project: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    runner = Runner("behind")
    service = runner.service(until)
    future = service(str(gate))
    runner.close(wait=False)
    assert not future.done()
    with pytest.raises(RunnerClosed):
        service(str(gate))
    gate.touch()
    assert future.get(BOUND_S) == "released"
    for thread in threading.enumerate():
        if thread.name == "flame-close":
            thread.join(BOUND_S)
    assert flamepy.get_application("behind") is None


def test_a_name_that_exists_is_refused_only_when_asked(runner: Runner, project: Path) -> None:
    with pytest.raises(AlreadyExists, match="fail_if_exists=False"):
        Runner("services", fail_if_exists=True)
    with Runner("services") as second:
        assert second.application == "services"
        assert second.service(echo)(2).get(BOUND_S) == 2
    assert runner.service(echo)(1).get(BOUND_S) == 1
    assert flamepy.get_application("services") is not None


@pytest.mark.inline
@pytest.mark.uplink
def test_the_last_runner_of_a_name_takes_the_application_away(engine: Engine, project: Path) -> None:
    first, second = Runner("shared"), Runner("shared")
    first.close()
    assert flamepy.get_application("shared") is not None
    second.close()
    assert flamepy.get_application("shared") is None


def test_other_content_under_the_same_name_gets_an_application_beside(runner: Runner, tmp_path: Path) -> None:
    def read() -> str:
        from pathlib import Path

        return Path("which.txt").read_text()

    other = tmp_path / "other"
    other.mkdir()
    (other / "which.txt").write_text("the other")
    with Runner("services", root=other) as second:
        assert second.package is not None
        assert second.application == f"services.{second.package.sha[:8]}"
        assert second.service(read)().get(BOUND_S) == "the other"
    assert flamepy.get_application(second.application) is None
    assert flamepy.get_application("services") is not None


@pytest.mark.inline
def test_an_application_that_the_user_registered_is_joined_and_left_alone(engine: Engine, project: Path) -> None:
    flamepy.register_application("by-hand", ApplicationAttributes(description="mine"))
    with Runner("by-hand") as runner:
        assert runner.package is None
        assert runner.service(echo)(1).get(BOUND_S) == 1
    assert flamepy.get_application("by-hand") is not None
    flamepy.unregister_application("by-hand")


@pytest.mark.uplink
def test_an_edited_module_is_new_code_for_new_services_and_a_warning_for_open_ones(
    runner: Runner, project: Path
) -> None:
    def value() -> int:
        import importlib

        return int(importlib.import_module("helper_of_tests").VALUE)

    old = runner.service(value)
    assert old().get(BOUND_S) == 1
    (project / "helper_of_tests.py").write_text("VALUE = 2000\n")
    assert runner.stale_files() == ["helper_of_tests.py"]
    with pytest.warns(StaleCodeWarning, match=r"helper_of_tests\.py changed.*value still run the old"):
        new = runner.service(value)
    assert new().get(BOUND_S) == 2000
    assert old().get(BOUND_S) == 1
    assert runner.stale_files() == []


@pytest.mark.inline
def test_each_open_service_is_named_once_by_the_warning(runner: Runner, project: Path) -> None:
    old = runner.service(echo, name="old")
    (project / "helper_of_tests.py").write_text("VALUE = 2000\n")
    with pytest.warns(StaleCodeWarning, match="but old still run") as caught:
        young = runner.service(echo, name="young")
    assert caught[0].filename == __file__
    (project / "helper_of_tests.py").write_text("VALUE = 3000\n")
    with pytest.warns(StaleCodeWarning, match="but young still run"):
        youngest = runner.service(echo, name="youngest")
    assert [each(1).get(BOUND_S) for each in (old, young, youngest)] == [1, 1, 1]


def test_files_that_only_the_package_has_are_imported_by_workers(engine: Engine, project: Path) -> None:
    def value() -> int:
        import importlib

        return int(importlib.import_module("only_in_package").VALUE)

    files = {"only_in_package.py": b"VALUE = 7\n"}
    with Runner("extra", extra_files=lambda: files) as runner:
        assert runner.service(value)().get(BOUND_S) == 7
        assert runner.stale_files() == []
        files["only_in_package.py"] = b"VALUE = 80\n"
        assert runner.stale_files() == ["only_in_package.py"]
        with pytest.warns(StaleCodeWarning, match=r"only_in_package\.py changed"):
            again = runner.service(value)
        assert again().get(BOUND_S) == 80
    assert not (project / "only_in_package.py").exists()


@pytest.mark.parametrize(
    ("here", "there"), [("module://matplotlib_inline.backend_inline", "agg"), ("svg", "svg")], ids=["kernel", "chosen"]
)
def test_a_call_draws_into_no_cell(
    engine: Engine, project: Path, monkeypatch: pytest.MonkeyPatch, here: str, there: str
) -> None:
    monkeypatch.setenv("MPLBACKEND", here)
    with Runner("plots") as runner:
        assert runner.service(os.getenv)("MPLBACKEND").get(BOUND_S) == there


@pytest.mark.inline
def test_a_failed_deployment_leaves_nothing_behind(engine: Engine, project: Path, tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    storage.mkdir()
    context = flamepy.FlameContext(
        package=flamepy.FlamePackage(storage=storage.as_uri()), runner=flamepy.FlameContextRunner(template="missing")
    )
    with pytest.raises(FlameError, match="template application 'missing' not found"):
        Runner("undone", context=context)
    assert list(storage.iterdir()) == []
    assert flamepy.get_application("undone") is None


@pytest.mark.inline
def test_the_package_leaves_the_storage_with_the_last_runner(engine: Engine, project: Path, tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    storage.mkdir()
    context = flamepy.FlameContext(package=flamepy.FlamePackage(storage=storage.as_uri()))
    with Runner("stored", context=context):
        with Runner("stored", context=context):
            pass
        assert [each.name.split("-")[0] for each in storage.iterdir()] == ["stored"]
    assert list(storage.iterdir()) == []


@pytest.mark.inline
def test_what_the_embedded_engine_cannot_install_is_an_error_or_a_warning(engine: Engine, project: Path) -> None:
    with pytest.raises(InvalidArgument, match="'no-such-package-of-ours' is not installed here"):
        Runner("wants", dependencies=["no-such-package-of-ours"])
    with pytest.raises(InvalidArgument, match=r"python_version is '2\.7'"):
        Runner("wants", python_version="2.7")
    with pytest.warns(EnvironmentWarning, match="does not check versions"):
        Runner("wants", dependencies=["cloudpickle>=1"]).close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Runner("wants", dependencies=["cloudpickle"]).close()


@pytest.mark.inline
def test_closing_after_the_engine_has_ended_is_quiet(engine: Engine, project: Path) -> None:
    runner = Runner("late")
    runner.service(echo)
    engine.close()
    runner.close()
