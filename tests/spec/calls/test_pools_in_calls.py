# SPDX-License-Identifier: Apache-2.0
"""A call may use pools, executors and processes of the standard library with the code of its script."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

SCRIPT = textwrap.dedent(
    '''
    """Prints a line for each check of each start method; what is wrong raises in its call."""
    import enum, functools, sys, traceback
    from flamepy import Runner

    base = 10
    shared = None

    class Color(enum.Enum):
        RED = 1

    class Point:
        count = 0
        def __init__(self, x): self.x = x
        def __eq__(self, other): return isinstance(other, Point) and self.x == other.x
        def double(self): return Point(2 * self.x)
        @classmethod
        def of(cls, x): return cls(x)

    class Child(Point):
        class Inner:
            x = 3

    class Refused(Exception):
        def __init__(self, code, *, reason):
            super().__init__(code)
            self.reason = reason
        def __reduce__(self): return functools.partial(Refused, reason=self.reason), self.args

    def square(x): return x * x
    def add(x, y=1): return base + x + y
    def refuse(x): raise Refused(x, reason=Point(x))
    def same(x): return x
    @functools.lru_cache
    def cached(x): return x if x < 2 else cached(x - 1) + cached(x - 2)

    def set_shared(lock, value):
        global shared
        shared = [lock, value]

    def read_shared(x):
        with shared[0]:
            return shared[1] + x

    @functools.lru_cache
    def read_shared_once(x): return read_shared(x)

    def executor(context):
        from concurrent.futures import ProcessPoolExecutor
        with ProcessPoolExecutor(2, mp_context=context) as pool:
            assert list(pool.map(square, range(5), timeout=60)) == [0, 1, 4, 9, 16]
            assert list(pool.map(functools.partial(add, y=2), [1, 2])) == [13, 14]
            assert list(pool.map(Point.of, [1, 2])) == [Point(1), Point(2)]
            assert list(pool.map(Point.double, [Point(4)])) == [Point(8)]
            assert pool.submit(Point(4).double).result() == Point(8)
            assert type(pool.submit(Child, 1).result()) is Child
            assert pool.submit(same, Color.RED).result() is Color.RED
            assert pool.submit(same, Child.Inner).result() is Child.Inner
            assert pool.submit(same, square).result()(3) == 9
            assert pool.submit(cached, 20).result() == 6765
            error = pool.submit(refuse, 7).exception()
            assert type(error) is Refused and error.args == (7,) and error.reason == Point(7), repr(error)
            try:
                pool.submit(lambda: 1).result()
            except Exception as error:
                assert "lambda" in str(error) or "local" in str(error), str(error)
            else:
                assert False, "a lambda is refused, as in every pool"
            assert pool.submit(square, 3).result() == 9, "and the pool goes on"

    def initialized(context):
        lock = context.Lock()
        with context.Pool(2, set_shared, (lock, 40)) as pool:
            assert pool.map(read_shared, [1, 2, 3]) == [41, 42, 43]
            assert pool.map(read_shared_once, [1, 2, 3]) == [41, 42, 43]
        assert shared is None, "what a child sets is its own"

    def run(queue, point): queue.put(point.double())

    def processes(context):
        queue = context.Queue()
        process = context.Process(target=run, args=(queue, Point(3)))
        process.start()
        assert queue.get(timeout=60) == Point(6)
        process.join()
        assert process.exitcode == 0
        one, other = context.Pipe()
        one.send([Child(1), square])
        assert other.recv()[1](2) == 4
        for each in (one, other): each.close()

    def pools_in_a_pool(context):
        from concurrent.futures import ProcessPoolExecutor
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            assert pool.submit(pool_of, context.get_start_method()).result(60) == [Point(1), Point(4)]

    def pool_of(method):
        import multiprocessing
        with multiprocessing.get_context(method).Pool(1) as pool:
            return pool.map(Point, pool.map(square, [1, 2]))

    def managers(context):
        from multiprocessing.managers import BaseManager
        global Own
        class Own(BaseManager): pass
        Own.register("Point", Point, exposed=("double",))
        with Own(ctx=context) as manager:
            assert manager.Point(4).double() == Point(8)

    def changed(context):
        """A new child begins with what the call has changed."""
        global base
        before, base = base, 20
        Point.count = 5
        try:
            with context.Pool(1) as pool:
                assert pool.apply(add, (1,)) == 22
                assert pool.apply(getattr, (Point, "count")) == 5
        finally:
            base = before
            Point.count = 0

    def in_call(name, method):
        import multiprocessing
        globals_of_script = dict(executor=executor, initialized=initialized, processes=processes,
                                 pools_in_a_pool=pools_in_a_pool, managers=managers, changed=changed)
        try:
            globals_of_script[name](multiprocessing.get_context(method))
            return "right"
        except BaseException:
            return traceback.format_exc()

    def put(queue): queue.put(Child(5))

    class Maker:
        def double(self, point): return Point(2 * point.x)

    def make(maker):
        made = maker.double(Point(4))
        assert type(made) is Point
        return made

    def versions():
        def use():
            from concurrent.futures import ProcessPoolExecutor
            with ProcessPoolExecutor(1) as pool:
                return pool.submit(version).result(60)
        exec("def version(): return 1", globals())
        globals()["use"] = use
        first = runner.service(use)
        assert first().get(60) == 1
        exec("def version(): return 2", globals())
        second = runner.service(use)
        assert [second().get(60), first().get(60), second().get(60)] == [2, 1, 2]

    if __name__ == "__main__":
        with Runner("pools") as runner:
            service = runner.service(in_call)
            for method in sys.argv[1:]:
                for name in "executor", "initialized", "processes", "pools_in_a_pool", "managers", "changed":
                    print(method, name, service(name, method).get(100), flush=True)
            versions()
            import multiprocessing
            from multiprocessing.managers import BaseManager
            BaseManager.register("Maker", Maker)
            for method in sys.argv[1:]:
                context = multiprocessing.get_context(method)
                with context.Manager() as manager:
                    queue = manager.Queue()
                    runner.service(put)(queue).get(60)
                    assert type(queue.get(timeout=60)) is Child
                with BaseManager(ctx=context) as manager:
                    maker = manager.Maker()
                    assert runner.service(make)(maker).get(60) == Point(8)
        print("end")
    '''
)
CHECKS = ("executor", "initialized", "processes", "pools_in_a_pool", "managers", "changed")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_pools_in_a_call_know_the_code_of_the_script(private_home: Path, tmp_path: Path, method: str) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py", method], cwd=tmp_path, capture_output=True, text=True, timeout=170, check=False
    )
    assert (done.stdout.splitlines(), done.stderr) == ([*(f"{method} {name} right" for name in CHECKS), "end"], "")


PLAIN = textwrap.dedent(
    '''
    """Prints what is wrong."""
    import copy, functools, os, pickle, shelve, signal, tempfile
    from flamepy import Runner

    class Point:
        def __init__(self, x): self.x = x

    class Keeper:
        def keep(self, kept):
            self.kept = kept
            return os.getpid()
        def give(self): return self.kept.x, os.getpid()

    def square(x): return x * x
    @functools.lru_cache
    def cached(x): return x

    def pickled():
        assert type(pickle.loads(pickle.dumps(Point(1)))) is Point
        for each in square, cached, Point:
            assert pickle.loads(pickle.dumps(each)) is each
        assert type(copy.deepcopy(Point(1))) is Point

    def shelved():
        with tempfile.TemporaryDirectory() as place:
            with shelve.open(place + "/shelf") as shelf: shelf["point"] = Point(1)
            with shelve.open(place + "/shelf") as shelf: assert type(shelf["point"]) is Point

    def parallel():
        from joblib import Parallel, delayed
        for backend in "loky", "multiprocessing":
            points = Parallel(n_jobs=2, backend=backend)(delayed(Point)(x) for x in range(3))
            assert [type(each) for each in points] == [Point] * 3, backend

    def returned():
        pickle.dumps(Point(1))
        return [Point(1), square]

    if __name__ == "__main__":
        with Runner("plain") as runner:
            for function in pickled, shelved, parallel:
                error = runner.service(function)().exception(60)
                if error is not None: print(function.__name__, error)
            point, function = runner.service(returned)().get(60)
            if type(point) is not Point or function(3) != 9: print("returned")
            keeper = runner.service(Keeper())
            pid = keeper.keep(Point(5)).get(60)
            os.kill(pid, signal.SIGKILL)
            x, other = keeper.give().get(60)
            if x != 5 or other == pid: print("state", x)
    '''
)


def test_plain_pickle_in_a_call_knows_the_code_of_the_script(private_home: Path, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(PLAIN)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=170, check=False
    )
    assert (done.stdout, done.stderr) == ("", "")
