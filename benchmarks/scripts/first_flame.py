# SPDX-License-Identifier: Apache-2.0
"""The shortest program with flamepy."""

from flamepy import Runner


def increment(number: int) -> int:
    return number + 1


if __name__ == "__main__":
    with Runner("first") as runner:
        assert runner.service(increment)(1).get() == 2
        print("R", flush=True)
