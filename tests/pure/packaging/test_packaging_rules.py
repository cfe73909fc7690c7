# SPDX-License-Identifier: Apache-2.0
"""Which path is packed: a table of rules and what each says."""

from __future__ import annotations

import pytest

from flamepy.packaging.selection.ignorefile import IgnoreChain, IgnoreFile
from flamepy.packaging.selection.rules import FLAMEIGNORE, GITIGNORE, INCLUDED, Patterns, Rules, Verdict

NOTHING = IgnoreChain()


def verdict(
    path: str,
    *,
    is_directory: bool = False,
    rules: Rules | None = None,
    above: Verdict = INCLUDED,
    gitignore: str = "",
    flameignore: str = "",
) -> Verdict:
    """What the rules say about ``path``, with ignore files of these texts at the root."""
    return (rules or Rules()).decide(
        path,
        is_directory=is_directory,
        above=above,
        flameignore=IgnoreChain((IgnoreFile("", FLAMEIGNORE, flameignore),)),
        gitignore=IgnoreChain((IgnoreFile("", GITIGNORE, gitignore),)),
    )


@pytest.mark.parametrize(
    ("path", "is_directory", "is_included"),
    [
        ("main.py", False, True),
        ("data/table.csv", False, True),
        ("name with spaces é.txt", False, True),
        (".venv", True, False),
        ("deep/down/__pycache__", True, False),
        ("module.pyc", False, False),
        ("mine.egg-info", True, False),
        (".git", True, False),
        ("analysis.ipynb", False, False),
        ("sub/.ipynb_checkpoints", True, False),
        ("dist", True, False),
        ("lib/dist", True, True),
        ("dist", False, True),
        (".gitignore", False, False),
        ("sub/.flameignore", False, False),
        ("flamepy", True, True),
    ],
)
def test_the_built_in_rules_keep_code_and_data_and_drop_what_tools_made(
    path: str, is_directory: bool, is_included: bool
) -> None:
    assert verdict(path, is_directory=is_directory).is_included is is_included


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("*.log", "a.log", True),
        ("*.log", "deep/down/a.log", True),
        ("data/*", "data/x", True),
        ("data/*", "data/deep/x", True),  # fnmatch's star crosses "/", as in 0.6
        ("data/*", "my/data/x", False),
        ("secret", "sub/secret", True),
        ("secret", "secrets", False),
        ("[ab].txt", "b.txt", True),
        ("[!ab].txt", "b.txt", False),
        ("./top.txt", "top.txt", True),
        ("cache/", "cache", False),  # a directory was asked for, this is a file
        ("*.LOG", "a.log", False),
        ("wéird name", "wéird name", True),
    ],
)
def test_configured_excludes_are_fnmatch_patterns_for_the_path_and_for_the_last_name(
    pattern: str, path: str, fits: bool
) -> None:
    found = Patterns([pattern]).match(path, path.rpartition("/")[2], is_directory=False)
    assert found == (pattern if fits else None)


def test_a_pattern_with_a_slash_at_the_end_means_directories_only() -> None:
    assert Patterns(["cache/"]).match("cache", "cache", is_directory=True) == "cache/"


@pytest.mark.parametrize(
    ("text", "path", "is_directory", "is_included"),
    [
        ("*.csv", "data/a.csv", False, False),
        ("*.csv\n!keep.csv", "keep.csv", False, True),
        ("/top.txt", "top.txt", False, False),
        ("/top.txt", "sub/top.txt", False, True),
        ("build/", "build", True, False),
        ("build/", "build", False, True),
        ("a/**/z", "a/b/c/z", False, False),
        ("# a comment\n\n", "# a comment", False, True),
        ("\\#sharp", "#sharp", False, False),
        ("né*", "nébuleuse", False, False),
    ],
)
def test_gitignore_is_read_in_gits_language(text: str, path: str, is_directory: bool, is_included: bool) -> None:
    assert verdict(path, is_directory=is_directory, gitignore=text).is_included is is_included


def test_the_nearest_gitignore_decides() -> None:
    outer = IgnoreFile("", GITIGNORE, "*.bin\n")
    inner = IgnoreFile("models", GITIGNORE, "!small.bin\n")
    chain = IgnoreChain((outer,)).below(inner)
    decide = Rules().decide
    kept = decide("models/small.bin", is_directory=False, above=INCLUDED, flameignore=NOTHING, gitignore=chain)
    dropped = decide("models/big.bin", is_directory=False, above=INCLUDED, flameignore=NOTHING, gitignore=chain)
    assert kept.is_included
    assert dropped == Verdict(is_included=False, rule=".gitignore:1 *.bin")


@pytest.mark.parametrize(
    ("rules", "gitignore", "flameignore", "is_included"),
    [
        (Rules(), "model.bin", "!model.bin", True),
        (Rules(), "!model.bin", "model.bin", False),
        (Rules(excludes=["*.bin"]), "", "!model.bin", False),
        (Rules(excludes=["*.bin"], includes=["model.bin"]), "model.bin", "model.bin", True),
    ],
)
def test_includes_win_over_excludes_over_flameignore_over_gitignore(
    rules: Rules, gitignore: str, flameignore: str, is_included: bool
) -> None:
    said = verdict("model.bin", rules=rules, gitignore=gitignore, flameignore=flameignore)
    assert said.is_included is is_included


def test_flameignore_can_bring_back_what_is_left_out_by_default() -> None:
    assert verdict("lesson.ipynb", flameignore="!lesson.ipynb").is_included
    assert not verdict("lesson.ipynb", gitignore="!lesson.ipynb").is_included


def test_a_verdict_names_the_rule() -> None:
    assert verdict("a.log", rules=Rules(excludes=["*.log"])).rule == "exclude *.log"
    assert verdict("a.log", gitignore="x\n*.log").rule == ".gitignore:2 *.log"
    assert verdict("a.pyc").rule == "built-in *.pyc"
    assert verdict("dist", is_directory=True).rule == "built-in /dist/"


def test_what_lies_in_an_included_directory_is_included_except_what_tools_made() -> None:
    rules = Rules(excludes=["data*"], includes=["data"])
    above = verdict("data", is_directory=True, rules=rules)
    assert above.is_included
    assert verdict("data/x.csv", rules=rules, above=above, gitignore="data/").is_included
    assert not verdict("data/__pycache__", is_directory=True, rules=rules, above=above).is_included


def test_an_excluded_directory_is_entered_only_when_an_include_names_something_in_it() -> None:
    rules = Rules(excludes=["build", "other"], includes=["build/*/model.bin", "*.txt", "**/deep.bin", "a/**/x"])
    said = Verdict(is_included=False, rule="exclude")
    entered = [d for d in ("build", "build/out", "build/out/x", "other", "a", "a/b/c/d") if rules.must_enter(d, said)]
    assert entered == ["build", "build/out", "a", "a/b/c/d"]
    above = verdict("build", is_directory=True, rules=rules)
    assert verdict("build/out/model.bin", rules=rules, above=above).is_included
    assert verdict("build/out/log", rules=rules, above=above) == above


def test_a_cluster_gets_no_copy_of_flamepy() -> None:
    rules = Rules(is_for_cluster=True)
    assert not verdict("flamepy", is_directory=True, rules=rules).is_included
    assert verdict("vendor/flamepy", is_directory=True, rules=rules).is_included
