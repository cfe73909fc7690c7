# SPDX-License-Identifier: Apache-2.0
"""The lines of the magics: what they mean, and what a wrong one says."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from IPython.core.error import UsageError

from flame_jupyter.lines import RunnerLine, ServiceLine
from flame_jupyter.magics.parse import expanded, parse_runner, parse_service
from flamepy.tools.installation import kernel_problem
from tests.tracing import interrupted_at


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        pytest.param("", RunnerLine("start"), id="nothing starts"),
        pytest.param("demo", RunnerLine("start", name="demo"), id="another word names the Runner"),
        pytest.param("start --name demo", RunnerLine("start", name="demo"), id="start with a name"),
        pytest.param('--root "my project"', RunnerLine("start", root="my project"), id="quotes are stripped"),
        pytest.param("--workers 2 start", RunnerLine("start", workers=2), id="options before the word"),
        pytest.param(
            "start --include *.ipynb --include 'a b'", RunnerLine("start", include=("*.ipynb", "a b")), id="globs"
        ),
        pytest.param("stop --cancel --wait 2.5", RunnerLine("stop", cancel=True, wait_s=2.5), id="stop"),
        pytest.param("package --dry-run", RunnerLine("package", dry_run=True), id="dry run"),
        pytest.param("wait a b --timeout 3", RunnerLine("wait", ("a", "b"), timeout_s=3.0), id="wait"),
        pytest.param("status --quiet", RunnerLine("status", quiet=True), id="status"),
    ],
)
def test_a_runner_line_means(line: str, meaning: RunnerLine) -> None:
    assert parse_runner(line) == meaning


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        pytest.param("", ServiceLine(None), id="no target"),
        pytest.param("Counter", ServiceLine("Counter"), id="target"),
        pytest.param("--autoscale Counter", ServiceLine("Counter", autoscale=True), id="option before the target"),
        pytest.param("Counter --fixed --as c", ServiceLine("Counter", bind_as="c", autoscale=False), id="fixed, as"),
        pytest.param("f --warmup 2 --retries 3", ServiceLine("f", warmup=2, retries=3), id="numbers"),
        pytest.param("f --resreq cpu=1,mem=2g", ServiceLine("f", resreq="cpu=1,mem=2g"), id="resources"),
        pytest.param("Counter --instance", ServiceLine("Counter", expression=""), id="instance of the target"),
        pytest.param(
            "c --instance Counter(5,  {'a b': 1}) --quiet",
            ServiceLine("c", expression="Counter(5,  {'a b': 1})", quiet=True),
            id="an expression keeps its spaces and quotes",
        ),
    ],
)
def test_a_service_line_means(line: str, meaning: ServiceLine) -> None:
    assert parse_service(line) == meaning


@pytest.mark.parametrize(
    ("line", "said"),
    [
        pytest.param("statis", "did you mean 'status'?", id="one typo of a subcommand"),
        pytest.param("strat", "did you mean 'start'?", id="two letters swapped"),
        pytest.param("--workesr 3", "unknown option --workesr. Did you mean --workers?", id="unknown option"),
        pytest.param("--workers many", "--workers many: not a whole number", id="no number"),
        pytest.param("--workers 0", "at least 1", id="no workers"),
        pytest.param("stop --wait soon", "--wait soon: not a number of seconds", id="no seconds"),
        pytest.param("start --cancel", "--cancel belongs to '%flame_runner stop'", id="option of another subcommand"),
        pytest.param("stop now", "takes no word 'now'", id="a word too many"),
        pytest.param("--local --cluster prod", "exclude each other", id="two engines"),
        pytest.param("demo --name other", "named twice", id="two names"),
        pytest.param("--name 'demo", "close the quote", id="open quote"),
        pytest.param("--cluster {cluster}", "'{cluster}' is not defined", id="braces that nothing replaced"),
        pytest.param("--name $demo", "'$demo' is not defined", id="a dollar that nothing replaced"),
        pytest.param("--as 1a", "not a name that a variable can have", id="no identifier"),
    ],
)
def test_a_wrong_runner_line_says_what_and_how_else(line: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_runner(line)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Counter --autoscale --fixed", "exclude each other"),
        ("Counter --warmup x", "--warmup x: not a whole number"),
        ("Counter --autoscal e f", "unrecognized arguments"),
        ("Counter --rety 1", "Did you mean --retries?"),
        ("not-a-name", "not a name that a variable can have"),
    ],
)
def test_a_wrong_service_line_says_what_and_how_else(line: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_service(line)
    assert said in str(caught.value)


def test_expansion_leaves_expressions_and_globs_alone() -> None:
    line = "{x} --instance f({y}) --exclude {a,b} --as {z}"
    assert expanded(line, lambda text: text.replace("{", "<").replace("}", ">")) == (
        "<x> --instance f({y}) --exclude {a,b} --as <z>"
    )


def test_the_one_broken_ipykernel_is_named_with_the_cure() -> None:
    problem = kernel_problem("7.0.1")
    assert problem is not None
    assert "ipykernel!=7.0.*" in problem
    assert kernel_problem("6.29.5") is None
    assert kernel_problem("7.1.0") is None


@pytest.mark.parametrize("line", ["stop --wait 3", "Counter --instance Counter(1) --as c"])
def test_an_interrupt_at_any_line_of_reading_stays_one_and_the_next_line_is_read_as_before(line: str) -> None:
    parse: Callable[[str], object] = parse_runner if line.startswith("stop") else parse_service
    expected = parse(line)
    step = 1
    while interrupted_at(step, lambda: parse(line), counts=lambda _: True):
        assert parse(line) == expected, f"after an interrupt at step {step}"
        step += 1
    assert step > 100, "else the test traces something else"
