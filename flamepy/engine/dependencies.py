# SPDX-License-Identifier: Apache-2.0
"""The results of other calls that a call takes as arguments: for engines whose workers do not hand them on themselves.

Nothing here blocks a thread: a call that waits for its arguments is a callback of those.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from flamepy.cache.api import ObjectStore, Value
from flamepy.core.cache import ObjectRef
from flamepy.core.task import TaskState
from flamepy.engine.completion import Completion, Outcome

Dependencies = Sequence[Completion | ObjectRef]


def when_all_ended(dependencies: Dependencies, then: Callable[[], object]) -> None:
    """Call ``then`` once when the calls among ``dependencies`` have ended: now, or in the thread that ends the last."""
    awaited = [each for each in dependencies if isinstance(each, Completion) and not each.is_done()]
    if not awaited:
        then()
        return
    count = itertools.count(1)  # next() on a count is atomic

    def one_has_ended() -> None:
        if next(count) == len(awaited):
            then()

    for each in awaited:
        each.on_done(one_has_ended)


def failed_dependency(dependencies: Dependencies) -> Outcome | None:
    """How the call ends that takes these, when one of them has given no value; None when all have."""
    for each in dependencies:
        if isinstance(each, Completion) and each.outcome is not None and each.outcome.value is None:
            return Outcome(TaskState.FAILED, failed_dependency=each.outcome)
    return None


def values_of(dependencies: Dependencies, objects: ObjectStore) -> list[Value]:
    """The arguments, in their order, when all calls among them have ended with a value. Raises NotFound."""
    values: list[Value] = []
    for each in dependencies:
        if isinstance(each, ObjectRef):
            values.append(objects.get(each).base)
        else:
            assert each.outcome is not None, "see when_all_ended"
            assert each.outcome.value is not None, "see failed_dependency"
            values.append(each.outcome.value)
    return values
