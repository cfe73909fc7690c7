# SPDX-License-Identifier: Apache-2.0
"""Results of every kind, cut to what a page can hold, whatever their own representation does."""

from __future__ import annotations

import base64
import importlib
import io
import sys
import threading
from collections.abc import Callable

import ipywidgets
import matplotlib.figure
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import PIL.Image
import plotly.graph_objects
import pytest

from flame_jupyter.display.model.snapshot import take
from flame_jupyter.display.previews.grid import grid_of
from flame_jupyter.display.previews.preview import Limits, has_outside_parts, is_for_worker, preview, unfetched
from flame_jupyter.display.previews.preview_jobs import preview_of, preview_within_budget
from flame_jupyter.display.render import html
from flamepy.codec.pickling import decode, encode
from tests.notebook.display_parts import HandFuture

PNG = b"\x89PNG\r\n\x1a\n"


class Raises:
    def __repr__(self) -> str:
        raise RuntimeError("no words")


class Page:
    def __init__(self, html: str) -> None:
        self.html = html

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return "Page()"


@pytest.mark.parametrize(
    ("value", "summary", "text"),
    [
        (28, "int", "28"),
        pytest.param(10**5000, "int", "<an integer of about 5,001 digits>", id="long number"),
        (None, "NoneType", "None"),
        ("four", "str, 4 characters", "'four'"),
        (b"\x00\x01", "bytes", r"b'\x00\x01'"),
        ([1, 2], "list, 2 items", "[1, 2]"),
        ({"a": 1}, "dict, 1 item", "{'a': 1}"),
        (list(range(100)), "list, 100 items", "[" + "".join(f"{n}, " for n in range(20)) + "...]"),
        (Page, "type", "tests.notebook.views.test_display_preview.Page"),
        (np.arange(3), "ndarray, shape (3,), int64", "[0 1 2]\nmin 0, max 2"),
        (np.array([1.0, np.nan, 3.0]), "ndarray, shape (3,), float64", "[ 1. nan  3.]\nmin 1.0, max 3.0"),
        (np.array([np.nan, np.nan]), "ndarray, shape (2,), float64", "[nan nan]\nmin nan, max nan"),
        (np.float64(0.5), "float64", "np.float64(0.5)"),
        (np.array([]), "ndarray, shape (0,), float64", "[]"),
    ],
)
def test_a_value_is_shown_in_words(value: object, summary: str, text: str) -> None:
    shown = preview(value)
    assert (shown.summary, shown.text, shown.html, shown.note) == (summary, text, None, "")


def test_a_long_string_is_cut_and_the_rest_is_counted() -> None:
    shown = preview("ab" * 5000)
    assert shown.summary == "str, 10,000 characters"
    assert shown.text.endswith("… (7,952 more characters)")


def test_a_data_frame_shows_its_own_table() -> None:
    shown = preview(pd.DataFrame({"a": [1, 2, 3], "b": list("xyz")}))
    assert shown.summary == "DataFrame, 3 rows x 2 columns"
    assert shown.html is not None
    assert "<table" in shown.html
    assert shown.text.startswith("   a  b")


def test_a_table_that_is_too_long_for_a_page_is_shown_as_text() -> None:
    shown = preview(pd.DataFrame({"a": [1]}), Limits(html_chars=50))
    assert shown.html is None
    assert shown.text == "a: int64\n   a\n0  1"
    assert "too long" in shown.note


class Holder:
    """Holds something that nobody sees in its words."""

    def __init__(self, held: object) -> None:
        self.held = held


def drawn() -> matplotlib.figure.Figure:
    """As a function on a worker makes it."""
    return plt.subplots(2, 2, figsize=(3, 2))[0]


@pytest.mark.parametrize(
    "make",
    [
        drawn,
        lambda: drawn().axes[0],
        lambda: {"figure": drawn(), "accuracy": 0.9},
        lambda: [drawn(), drawn()],
        lambda: np.array(drawn().axes).reshape(2, 2),
        lambda: drawn().axes[0].plot([1, 2]),
        lambda: drawn().axes[0].hist([1, 2, 2]),
        lambda: {"nested": [drawn().axes[1]]},
        lambda: pd.DataFrame({"a": [1, 2]}).plot(),
        lambda: pd.DataFrame({"a": [1, 2], "b": [2, 3]}).hist(),
        lambda: pd.Series(drawn().axes),
    ],
    ids=["figure", "axes", "dict", "list", "array", "lines", "tuple", "nested", "plot", "hist", "series"],
)
def test_a_figure_in_a_result_is_a_picture_and_pyplot_does_not_learn_of_it(make: Callable[[], object]) -> None:
    payload = encode(make())
    plt.close("all")  # those of the worker
    value = decode(payload)
    shown = preview(value)
    assert shown.html is not None
    assert base64.b64decode(shown.html.split("base64,")[1].split('"')[0]).startswith(PNG)
    assert plt.get_fignums() == []


def test_a_figure_that_nobody_sees_stays_out_of_pyplot_too() -> None:
    payload = encode(Holder({"figures": (drawn(), drawn())}))
    plt.close("all")
    value = decode(payload)
    assert isinstance(value, Holder)
    assert plt.get_fignums() == []
    value.held["figures"][0].savefig(io.BytesIO())  # type: ignore[index]


def test_what_is_left_out_of_many_figures_is_counted() -> None:
    shown = preview([matplotlib.figure.Figure(), matplotlib.figure.Figure(), matplotlib.figure.Figure()])
    assert shown.note == "and 2 more figures"
    assert "Figure size" in str(shown.html)


def test_a_huge_figure_stays_below_the_limit_of_a_picture() -> None:
    figure = matplotlib.figure.Figure(figsize=(40, 30), dpi=300)
    figure.add_subplot().imshow(np.random.default_rng(0).random((400, 400)))
    shown = preview(figure, Limits(picture_bytes=200_000))
    assert shown.html is None or len(shown.html) < 300_000


def test_a_pillow_image_becomes_a_thumbnail() -> None:
    shown = preview(PIL.Image.new("CMYK", (3000, 2000)))
    assert shown.summary == "Image, 3000 x 2000 pixels, CMYK"
    assert shown.html is not None
    assert len(shown.html) < 20_000


@pytest.mark.parametrize(
    "page",
    [
        "<script>x()</script>", "<img src='https://a.example/x.png'>", "<img src=//a.example/x>", "<iframe srcdoc=''>",
        "<link rel=stylesheet href=x>", "<style>@import 'x'</style>", "<p style='background:url(http://a.example)'>",
        "<b onclick='x()'>", "<a href='javascript:x()'>", "<object data=x>",
    ],
)  # fmt: skip
def test_html_that_needs_scripts_or_outside_resources_is_shown_as_text(page: str) -> None:
    shown = preview(Page(page))
    assert shown.html is None
    assert shown.text == "Page()"
    assert ".get()" in shown.note


@pytest.mark.parametrize(
    "page",
    ["<table><td>1 &lt;script&gt;</table>", "<a href='https://a.example'>link</a>",
     "<img src='data:image/png;base64,A'>", "<p>on = off, see https://a.example//x</p>"],
)  # fmt: skip
def test_html_that_reads_offline_is_kept(page: str) -> None:
    assert not has_outside_parts(page)
    assert preview(Page(page)).html == page


def test_a_value_that_shows_itself_by_scripts_is_short_and_says_so() -> None:
    for value in (plotly.graph_objects.Figure({"data": [{"y": list(range(50))}]}), ipywidgets.IntSlider()):
        shown = preview(value)
        assert shown.html is None
        assert len(shown.text) < 400
        assert "needs scripts" in shown.note


@pytest.mark.parametrize(
    ("error", "words"), [(SystemExit(3), "SystemExit: 3"), (KeyboardInterrupt(), "KeyboardInterrupt")]
)
def test_a_representation_that_wants_to_end_the_program_is_told(error: BaseException, words: str) -> None:
    class Ends:
        def __repr__(self) -> str:
            raise error

        def __len__(self) -> int:
            raise error

    assert preview(Ends()).note == f"No preview: showing this Ends raised {words}"
    future = HandFuture(value=error)
    future.end()
    assert preview_of(future, Limits()).note == f"No preview: reading the result raised {words}"


def test_a_small_value_has_a_small_output() -> None:
    future = HandFuture()
    future.end()
    assert len(html.card(take(future, now_s=1003.0, preview=preview(28)))) < 1500


def test_a_masked_array_is_shown_without_a_warning() -> None:
    assert "--" in preview(np.ma.array([1, 2], mask=[False, True])).text
    assert preview(np.ma.array([1.0, 2.0], mask=True)).note == ""


def test_a_value_whose_representation_raises_is_told_by_its_type() -> None:
    shown = preview(Raises())
    assert shown.summary == "Raises"
    assert "showing this Raises raised RuntimeError: no words" in shown.note


def test_a_huge_result_is_not_even_read_by_a_worker() -> None:
    future = HandFuture(value=AssertionError("it was read"))
    future.end(nbytes=20_000_000_000)
    shown = preview_of(future, Limits())
    assert "over 2.0 GB" in shown.note
    assert "flame_jupyter.inspect(future)" in shown.note


def test_a_big_result_and_one_of_unknown_size_are_left_to_a_worker() -> None:
    assert is_for_worker(10_000_001, Limits())
    assert is_for_worker(None, Limits())
    assert not is_for_worker(10_000_000, Limits())
    assert unfetched(None, Limits()) is None


class Offers:
    """Has one of IPython's representations."""

    def __init__(self, content: object) -> None:
        self.content = content

    def __repr__(self) -> str:
        return "Offers()"


def offering(method: str, content: object) -> object:
    return type("Offers", (Offers,), {method: lambda self: self.content})(content)


@pytest.mark.parametrize(
    ("method", "content", "text", "html"),
    [
        ("_repr_html_", "<b>3</b>", "Offers()", "<b>3</b>"),
        ("_repr_svg_", "<svg/>", "Offers()", "<svg/>"),
        ("_repr_latex_", "$x < 1$", "$x < 1$", "<div>$x &lt; 1$</div>"),
        (
            "_repr_markdown_",
            "**3** < $x_1$",
            "**3** < $x_1$",
            '<p><strong>3</strong> &lt; <span class="math">\\(x_1\\)</span></p>\n',
        ),
        ("_repr_mimebundle_", {"text/html": "<b>3</b>", "application/javascript": "x()"}, "Offers()", "<b>3</b>"),
        ("_repr_mimebundle_", ({"text/latex": "$x$"}, {}), "$x$", "<div>$x$</div>"),
        ("_repr_mimebundle_", {"application/vnd.jupyter.widget-view+json": {}}, "Offers()", None),
    ],
)
def test_the_values_own_representations_are_used_without_widgets_and_scripts(
    method: str, content: object, text: str, html: str | None
) -> None:
    shown = preview(offering(method, content))
    assert (shown.text, shown.html) == (text, html)


def test_markdown_is_shown_as_what_it_means() -> None:
    shown = preview(offering("_repr_markdown_", "## Scores\n\n| k | score |\n|---|---|\n| 3 | 0.93 |"))
    assert shown.html is not None
    assert "<h2>Scores</h2>" in shown.html
    assert "<td>0.93</td>" in shown.html
    assert shown.text.startswith("## Scores")


def test_markdown_brings_no_script_and_nothing_from_elsewhere() -> None:
    shown = preview(offering("_repr_markdown_", "[x](javascript:alert(1))\n\n<script>alert(1)</script>"))
    assert shown.html is not None
    assert "<script" not in shown.html
    assert "javascript" not in shown.html
    picture = preview(offering("_repr_markdown_", "![p](https://example.org/p.png)"))
    assert picture.html is None
    assert "another place" in picture.note


@pytest.mark.parametrize("is_too_long", [True, False])
def test_markdown_that_cannot_be_rendered_is_shown_as_its_source(
    monkeypatch: pytest.MonkeyPatch, is_too_long: bool
) -> None:
    if not is_too_long:
        monkeypatch.setitem(sys.modules, "mistune", None)  # as if it were not installed
    shown = preview(offering("_repr_markdown_", "**3**" * (20_000 if is_too_long else 1)))
    assert shown.html is None
    assert shown.text.startswith("**3**")


@pytest.mark.parametrize("content", [PNG, base64.b64encode(PNG).decode(), (PNG, {"width": 3})])
def test_a_png_of_the_value_is_a_picture(content: object) -> None:
    assert "data:image/png;base64," in str(preview(offering("_repr_png_", content)).html)
    assert "data:image/png;base64," in str(preview(offering("_repr_mimebundle_", {"image/png": PNG})).html)


@pytest.mark.parametrize(
    ("value", "columns", "rows"),
    [
        (pd.DataFrame({"a": [1, 2, 3], "b": list("xyz")}), ("a", "b"), (("1", "2", "y"), ("2", "3", "z"))),
        (pd.Series([1, 2, 3], index=list("abc")), ("value",), (("b", "2"), ("c", "3"))),
        (np.arange(6).reshape(3, 2), ("0", "1"), (("1", "2", "3"), ("2", "4", "5"))),
        (np.arange(3), ("value",), (("1", "1"), ("2", "2"))),
    ],
)
def test_pages_of_a_table_are_cut_where_the_value_is(value: object, columns: object, rows: object) -> None:
    grid = grid_of(value, first=1, count=5)
    assert grid is not None
    assert (grid.columns, grid.rows, grid.first, grid.total) == (columns, rows, 1, 3)


@pytest.mark.parametrize("value", [np.zeros((2, 2, 2)), [1, 2], "text", np.float64(1)])
def test_what_has_no_rows_and_columns_has_no_pages(value: object) -> None:
    assert grid_of(value, first=0, count=5) is None


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_tables_of_other_libraries_are_tables_too(library: str) -> None:
    module = importlib.import_module(library)  # polars and pyarrow have no types that mypy could follow
    columns = {"city": ["Lisbon", "<Oslo>"], "height": [2, 23]}
    value = module.DataFrame(columns) if library == "polars" else module.table(columns)
    shown = preview(value)
    assert "2 rows x 2 columns" in shown.summary
    assert "&lt;Oslo&gt;" in str(shown.html)
    grid = grid_of(value, first=1, count=5)
    assert grid is not None
    assert grid.rows == (("1", "<Oslo>", "23"),)


def test_a_wide_table_says_how_many_columns_are_left_out() -> None:
    grid = grid_of(pd.DataFrame(np.zeros((2, 100))), first=0, count=5)
    assert grid is not None
    assert (len(grid.columns), grid.hidden_columns) == (40, 60)


def test_a_result_that_cannot_be_read_says_why() -> None:
    future = HandFuture(value=ModuleNotFoundError("No module named 'gone'"))
    future.end()
    assert preview_of(future, Limits()).note == (
        "No preview: reading the result raised ModuleNotFoundError: No module named 'gone'"
    )


def test_a_preview_within_its_budget_is_there_at_once() -> None:
    future = HandFuture(value=28)
    future.end()
    assert preview_within_budget(future, Limits()).text == "28"


@pytest.mark.slow
def test_a_representation_in_python_that_never_ends_keeps_no_thread() -> None:
    threads: list[threading.Thread] = []

    class Endless:
        def __repr__(self) -> str:
            threads.append(threading.current_thread())
            while True:
                pass

    future = HandFuture(value=Endless())
    future.end()
    assert "more than 2 s" in preview_within_budget(future, Limits()).note
    threads[0].join(30)
    assert not threads[0].is_alive()


@pytest.mark.slow
def test_a_representation_in_native_code_that_never_ends_costs_two_seconds_and_no_more() -> None:
    end = threading.Event()

    class Waits:
        def __repr__(self) -> str:
            end.wait(60)
            return "late"

    future = HandFuture(value=Waits())
    future.end()
    assert "more than 2 s" in preview_within_budget(future, Limits()).note
    end.set()
