# SPDX-License-Identifier: Apache-2.0
"""Running a service cell again: what counts as a change, what the line says, and that the old service stays whole."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import pytest
from IPython.utils.capture import capture_output

from flame_jupyter.cells.captured_data import HeavyServiceWarning
from flame_jupyter.service.staleness import LOOK_EVERY_S, StalenessWatch
from tests.notebook.shells import Shell

USE = "%%flame_service use\ndef use(x):\n    return helper(x)"
HELPER = "def helper(x):\n    return x + rate"


@pytest.fixture
def used(shell: Shell) -> Shell:
    """A service that uses a function of another cell, which uses data of a third."""
    shell.run("rate = 1")
    shell.run(HELPER)
    shell.run(USE)
    return shell


# -- 1. what counts


@pytest.mark.parametrize(
    ("cell", "again", "said"),
    [
        pytest.param(USE, USE + " * 10", "because its cell changed", id="its cell"),
        pytest.param(USE, USE.replace("use\n", "use --warmup 1\n", 1), "because its options changed", id="its options"),
        pytest.param(HELPER + " * 10", USE, "because helper changed", id="a function of the notebook"),
        pytest.param("rate = 10", USE, "because rate changed", id="data of the notebook"),
        pytest.param(USE, USE.replace("use\n", "use --force\n", 1), "because of --force", id="--force"),
    ],
)
def test_a_change_of_what_the_service_is_made_of_is_a_redefinition_that_names_it(
    used: Shell, cell: str, again: str, said: str
) -> None:
    assert used.run("use(1).get()").value == 2
    used.run(cell)
    printed = used.run(again).printed
    assert "use: redefined" in printed
    assert said in printed


def test_the_new_code_is_what_runs(used: Shell) -> None:
    used.run("rate = 10")
    used.run(HELPER.replace("+", "*"))
    assert used.run("use(2).get()").value == 3  # not run again yet
    assert "because helper and rate changed" in used.run(USE).printed
    assert used.run("use(2).get()").value == 20


def test_an_identical_cell_of_a_helper_or_of_data_changes_nothing(used: Shell) -> None:
    used.run("# again\nrate = 1")
    used.run(HELPER + "  # again")
    assert "use: unchanged\n" in used.run(USE).printed


def test_an_identical_class_changes_nothing_though_its_pickle_differs(shell: Shell) -> None:
    model = "class Model:\n    def __init__(self, by): self.by = by\n    def of(self, x): return x * self.by"
    shell.run(model)
    shell.run("model = Model(3)")
    use = "%%flame_service use\ndef use(x):\n    return model.of(x), Model(2).of(x)"
    shell.run(use)
    shell.run(model)
    shell.run("model = Model(3)")
    assert "use: unchanged" in shell.run(use).printed
    shell.run("model = Model(4)")
    assert "because model changed" in shell.run(use).printed
    assert shell.run("use(5).get()").value == (20, 10)
    shell.run(model + " + 1")
    shell.run("model = Model(4)")
    assert "because model and Model changed" in shell.run(use).printed


def test_an_exported_module_counts_and_a_data_file_does_not(shell: Shell, project: Path) -> None:
    shell.run("#| export tools\nFACTOR = 2")
    use = "%%flame_service use\ndef use(x):\n    import tools\n    return x * tools.FACTOR"
    shell.run(use)
    (project / "out.csv").write_text("1,2")
    (project / "run.log").write_text("began")
    assert "use: unchanged" in shell.run(use).printed
    shell.run("#| export tools\nFACTOR = 3")
    assert "because tools.py changed" in shell.run(use).printed
    assert shell.run("use(2).get()").value == 6


def test_a_service_that_calls_another_is_made_anew_when_that_one_is(shell: Shell) -> None:
    inner, outer = (
        "%%flame_service inner\ndef inner():\n    return 1",
        ("%%flame_service outer\ndef outer():\n    return inner().get()"),
    )
    shell.run(inner)
    shell.run(outer)
    printed = shell.run(inner.replace("1", "2")).printed
    assert "inner changed: run the cells of outer again to use the new code" in printed
    assert shell.run("outer().get()").value == 1  # its inner one stays until then
    assert "because inner changed" in shell.run(outer).printed
    assert shell.run("outer().get()").value == 2
    assert "draining" not in repr(shell.run("%flame_runner services").value)
    assert "outer: unchanged" in shell.run(outer).printed


def test_a_restart_serves_what_calls_other_services_on_their_new_sessions(shell: Shell) -> None:
    shell.run("%%flame_service inner\ndef inner():\n    return 1")
    shell.run("%%flame_service outer\ndef outer():\n    return inner().get()")
    shell.run("%flame_runner restart --quiet")
    assert shell.run("outer().get()").value == 1
    assert "outer: unchanged" in shell.run("%%flame_service outer\ndef outer():\n    return inner().get()").printed


# -- 4. and 6. state, and old handles


def test_an_old_handle_kept_in_a_collection_names_the_new_one(shell: Shell) -> None:
    cell = (
        "%%flame_service tally\nclass Tally:\n    def __init__(self):\n        self.n = 0\n    def add(self):\n"
        "        self.n += 1\n        return self.n\ntally = Tally()"
    )
    shell.run(cell)
    shell.run("kept = {'old': tally, 'method': tally.add}; tally.add().get()")
    assert "state reset, because its cell changed" in shell.run(cell.replace("+= 1", "+= 5")).printed
    for call in ("kept['old'].add()", "kept['method']()"):
        error = shell.run_any(call).error
        assert type(error).__name__ == "ServiceRedefined"
        assert "Use the variable tally, which holds the new one" in str(error)
    assert shell.run("tally.add().get()").value == 5


# -- 5. and 7. a failure or an interrupt leaves the old service whole


class _Interrupts:
    """Data that a user interrupts while it is being sent."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __reduce__(self) -> tuple[object, ...]:
        raise self.error


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_when_opening_the_new_session_fails_the_old_service_is_whole(shell: Shell, error: type[BaseException]) -> None:
    shell.run("rate = 1")
    cell = (
        "%%flame_service tally\nclass Tally:\n    n = 0\n    def add(self):\n        self.n += rate\n"
        "        return self.n\ntally = Tally()"
    )
    shell.run(cell)
    shell.run("tally.add().get(); handle = tally")
    sessions = "import flamepy; len([s for s in flamepy.list_sessions() if s.state.name == 'OPEN'])"
    before = shell.run(sessions).value
    shell.ip.user_ns["rate"] = _Interrupts(error)
    assert shell.run_any(cell).error is not None
    assert shell["tally"] is shell["handle"]
    assert shell.run("tally.add().get()").value == 2
    assert shell.run(sessions).value == before
    shell.run("rate = 1")
    assert "tally: unchanged" in shell.run(cell).printed


def test_an_interrupted_restart_leaves_every_service_on_the_old_runner(shell: Shell) -> None:
    shell.run("%%flame_service first\ndef first():\n    return 1")
    shell.run("rate = 1")
    shell.run("%%flame_service second\ndef second():\n    return rate")
    shell.run("r = %flame_runner start")
    shell.ip.user_ns["rate"] = _Interrupts(KeyboardInterrupt)
    assert isinstance(shell.run_any("%flame_runner restart").error, KeyboardInterrupt)
    assert shell.run("first().get(), second().get()").value == (1, 1)
    assert shell.run("r2 = %flame_runner start\nr2 is r").value is True


# -- drift: %config FlameMagics.on_drift


MODULE = "%%flame_service {0}\ndef {0}():\n    from helper import VALUE\n    return VALUE"


def test_on_drift_warn_keeps_the_session_and_says_how_to_get_the_new_files(shell: Shell, project: Path) -> None:
    (project / "helper.py").write_text("VALUE = 1\n")
    shell.run("%config FlameMagics.on_drift = 'warn'")
    shell.run(MODULE.format("use"))
    (project / "helper.py").write_text("VALUE = 2000\n")
    printed = shell.run(MODULE.format("use")).printed
    assert "use: unchanged" in printed
    assert "but helper.py changed: --force serves the new files" in printed
    assert shell.run("use().get()").value == 1
    shell.run("%config FlameMagics.on_drift = 'ignore'")
    printed = shell.run(MODULE.format("use")).printed
    assert "use: unchanged" in printed
    assert "helper.py" not in printed
    assert "because of --force" in shell.run(MODULE.format("use --force").replace("def use --force", "def use")).printed
    assert shell.run("use().get()").value == 2000


def test_a_call_of_a_service_whose_modules_have_changed_says_so_once_and_not_as_an_error(
    shell: Shell, project: Path
) -> None:
    (project / "helper.py").write_text("VALUE = 1\n")
    shell.run(MODULE.format("use"))
    (project / "helper.py").write_text("VALUE = 2000\n")
    (project / "data.csv").write_text("1,2")
    assert (
        shell.run("use().get();").printed == ""
    )  # two seconds after a look: thousands of calls must not stat every file
    record = shell["use"]._record
    record.looked_at_s -= LOOK_EVERY_S
    with capture_output() as captured:
        shell.ip.run_cell("use().get();")
    assert captured.stderr == ""
    assert captured.stdout == (
        "Note: helper.py changed since use was defined: its calls still run the old code. "
        "Run the cell that defines use again.\n"
    )
    record.looked_at_s -= LOOK_EVERY_S
    assert shell.run("use().get();").printed == ""


def test_the_first_call_of_a_class_blames_no_other_service_with_a_line_of_ours(shell: Shell, project: Path) -> None:
    (project / "helper.py").write_text("VALUE = 1\n")
    shell.run(MODULE.format("use"))
    shell.run(
        "%%flame_service Late\nclass Late:\n    def value(self):\n"
        "        from helper import VALUE\n        return VALUE"
    )
    (project / "helper.py").write_text("VALUE = 2000\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert shell.run("Late.value().get()").value == 2000


def test_looking_for_drift_is_bounded_by_time_and_policy() -> None:
    class Record:
        looked_at_s, is_told_stale, looks = 0.0, False, 0
        variable = "use"

        def changed_modules(self) -> list[str]:
            self.looks += 1
            return []

    policy, now, record = "warn", 100.0, Record()
    watch = StalenessWatch(lambda: policy, lambda: now)
    for _ in range(3):
        watch.before_call(record)  # type: ignore[arg-type]
    assert record.looks == 1
    now += LOOK_EVERY_S
    watch.before_call(record)  # type: ignore[arg-type]
    assert record.looks == 2
    policy, now = "ignore", now + LOOK_EVERY_S
    watch.before_call(record)  # type: ignore[arg-type]
    assert record.looks == 2


def test_futures_and_services_in_data_are_told_apart_without_opening_or_keeping_anything(shell: Shell) -> None:
    shell.run("%%flame_service square\ndef square(x):\n    return x * x")
    shell.run("%%flame_service Late\nclass Late:\n    def f(self): return 1")
    shell.run("calls = {'a': [square(3)]}; tools = [Late]")
    cell = "%%flame_service use\nn = len(tools)\ndef use(x):\n    return x + calls['a'][0]"
    shell.run(cell)
    assert shell["Late"]._record.service is None
    assert "use: unchanged" in shell.run(cell).printed
    shell.run("calls['a'][0] = square(3)")
    assert "because calls changed" in shell.run(cell).printed


# -- data that travels with the code


def test_a_service_that_takes_much_data_along_is_a_warning_that_names_it_and_the_cure(shell: Shell) -> None:
    shell.run("table = bytes(12_000_000); small = bytes(1000)")
    cell = "%%flame_service use\ndef use():\n    return len(table), len(small)"
    with pytest.warns(HeavyServiceWarning) as caught:
        shell.run(cell)
    said = str(caught[0].message)
    assert said.startswith("use takes 11 MB of data along to every worker that runs it: 'table' (11 MB), 'small' (")
    assert "r.put_object(table)" in said
    assert shell.run("use().get()").value == (12_000_000, 1000)


# -- modules that workers cannot find


def test_a_module_from_outside_of_the_package_is_a_mistake_with_two_cures(shell: Shell, project: Path) -> None:
    package = project / "package"
    package.mkdir()
    (project / "beside.py").write_text("VALUE = 1\n")
    shell.run(f"%flame_runner start --root {package}")
    shell.run("import sys; sys.path.insert(0, ''); import beside")
    cell = "%%flame_service use\ndef use():\n    return beside.VALUE"
    said = shell.mistake(cell)
    assert f"'beside' comes from {project}, where workers do not look" in said
    assert f"%flame_runner restart --root {project}" in said
    assert "cloudpickle.register_pickle_by_value(beside)" in said
    shell.run("import cloudpickle; cloudpickle.register_pickle_by_value(beside)")
    shell.run(cell)
    assert shell.run("use().get()").value == 1
    shell.run("cloudpickle.unregister_pickle_by_value(beside); sys.path.remove(''); del sys.modules['beside']")


def test_a_module_that_a_rule_leaves_out_is_a_mistake_that_names_the_cure(shell: Shell, project: Path) -> None:
    (project / "private.py").write_text("VALUE = 1\n")
    (project / ".flameignore").write_text("private.py\n")
    shell.run("import sys; sys.path.insert(0, ''); import private")
    cell = "%%flame_service use\nimport private\ndef use():\n    return private.VALUE"
    said = shell.mistake(cell)
    assert "the module 'private' is used, and the package leaves private.py out: add --include private.py" in said
    (project / ".flameignore").write_text("")
    shell.run(cell)
    assert shell.run("use().get()").value == 1
    shell.run("sys.path.remove(''); del sys.modules['private']")


# -- a class that names itself


VECTOR = """%%flame_service Vector
class Vector:
    def __init__(self, x=1):
        self.x = x
    def twice(self):
        return Vector(2 * self.x)
    def is_one(self, other):
        return isinstance(other, Vector) and (lambda: Vector)() is type(self)
    @staticmethod
    def zero():
        return Vector(0)
    def shadowed(self, Vector):
        return Vector"""


def test_an_object_whose_methods_name_its_class_means_the_class_in_any_workers_hands(shell: Shell) -> None:
    shell.run(VECTOR)
    shell.run(
        "%%flame_service other\ndef other(v):\n    w = v.twice()\n"
        "    return w.x, v.is_one(w), v.zero().x, v.shadowed(7), type(w) is type(v)"
    )
    assert shell.run("other(Vector.local(3)).get()").value == (6, True, 0, 7, True)
    assert shell.run("other(Vector(4).twice()).get()").value == (16, True, 0, 7, True)
    assert shell.run("Vector.local(3).twice().x").value == 6  # and here it is no call to a worker


def test_a_class_that_a_decorator_has_made_anew_names_the_new_one(shell: Shell) -> None:
    shell.run("import dataclasses")
    shell.run(
        "%%flame_service Point\n@dataclasses.dataclass(slots=True)\nclass Point:\n    x: int = 1\n"
        "    def twice(self):\n        return Point(2 * self.x)\n    def who(self): return type(self) is Point"
    )
    shell.run("%%flame_service other\ndef other(p):\n    return p.twice().who(), p.twice() == type(p)(6)")
    assert shell.run("other(Point.local(3)).get()").value == (True, True)


def test_a_traceback_through_such_a_method_shows_the_line_as_it_is_written(shell: Shell) -> None:
    shell.run(
        "%%flame_service Vector\nclass Vector:\n    def __init__(self, x):\n        self.x = 1 / x\n"
        "    def broken(self):\n        return Vector(0)"
    )
    printed = shell.run_any("Vector(1).broken().get()").printed
    assert "return Vector(0)" in printed
    assert "__class__" not in printed


def test_the_working_directory_is_left_as_it_was(used: Shell, project: Path) -> None:
    used.run("use(1).get()")
    assert Path(os.getcwd()) == project
    assert list(project.iterdir()) == []
