# SPDX-License-Identifier: Apache-2.0
"""Thirty futures of every kind, as the cells of one notebook: what a call can give, and how it can end."""

from __future__ import annotations

MAKE = """%%flame_service make --quiet
def make(kind):
    import os, threading, time
    from IPython.display import HTML, SVG, Latex, Markdown
    print("making", kind)
    if kind == "error":
        raise ValueError("no such city")
    if kind == "lost":
        os._exit(3)
    if kind == "stuck":
        threading.Event().wait()
    if kind == "slow":
        time.sleep(0.5)
    if kind in ("table", "series", "big table"):
        import numpy, pandas
        if kind == "series":
            return pandas.Series([3, 4], name="lengths")
        rows = 17 if kind == "table" else 2_000_000
        return pandas.DataFrame({"zeros": numpy.zeros(rows)})
    if kind == "array":
        import numpy
        return numpy.arange(25)
    if kind == "image":
        import PIL.Image
        return PIL.Image.new("RGB", (40, 30), "teal")
    if kind == "figure":
        import matplotlib.figure
        figure = matplotlib.figure.Figure(figsize=(3, 1))
        figure.add_subplot().plot([1, 3, 2])
        return figure
    return {
        "slow": "took its time",
        "text": "many words " + "x" * 5000,
        "bytes": b"raw " * 500,
        "none": None,
        "yes": True,
        "list": list(range(100)),
        "dict": {"city": "Oslo", "height": 23},
        "set": {"only one"},
        "tuple": ([1, [2, [3]]], {"deep": {"deeper": ()}}),
        "html": HTML("<b>bold words</b>"),
        "svg": SVG("<svg xmlns='http://www.w3.org/2000/svg' width='60' height='20'><text y='15'>drawn</text></svg>"),
        "latex": Latex(r"$\\frac{1}{2}$"),
        "markdown": Markdown("*soft words*"),
        "lock": threading.Lock() if kind == "lock" else None,
    }.get(kind, 42)
"""
NESTED = """%%flame_service nested --quiet
def nested(count):
    return sum(make("number").get() for _ in range(count))
"""
USE = """%%flame_service use --quiet
def use(value):
    return f"used {value}"
"""
COUNTER = """%%flame_service Counter --quiet
class Counter:
    def __init__(self, start=0):
        self.value = start

    def add(self, amount):
        self.value += amount
        return self.value

    def rows(self, count):
        for number in range(count):
            yield f"row number {number}"
"""
DEFINITIONS = (MAKE, NESTED, USE, COUNTER)
STREAM = "stream = Counter.rows(3)\nstream"  # read by a later cell
PICTURE = "a picture"

# What a cell displays -> how its call ended, and what of its result every reader sees. PICTURE: an image, not words.
KINDS = {
    "make('number')": ("done in", "42"),
    "make('none')": ("done in", "None"),
    "make('yes')": ("done in", "True"),
    "make('text')": ("done in", "many words xxx"),
    "make('bytes')": ("done in", "raw raw raw"),
    "make('list')": ("done in", "list, 100 items"),
    "make('dict')": ("done in", "'height': 23"),
    "make('set')": ("done in", "only one"),
    "make('tuple')": ("done in", "{'deep': {'deeper': ()}}"),
    "make('table')": ("done in", "17 rows x 1 column"),
    "make('series')": ("done in", "Series, shape (2,)"),
    "make('big table')": ("done in", "2,000,000 rows x 1 column"),
    "make('array')": ("done in", "ndarray, shape (25,), int64"),
    "make('image')": ("done in", PICTURE),
    "make('figure')": ("done in", PICTURE),
    "make('svg')": ("done in", "SVG, "),
    "make('html')": ("done in", "HTML, "),
    "make('latex')": ("done in", "Latex, "),  # as words or as a formula: JupyterLab sets it
    "make('markdown')": ("done in", "soft words"),
    "make('slow')": ("done in", "took its time"),
    "make('error')": ("failed after", "ValueError: no such city"),
    "make('lock')": ("failed after", "NotPicklable: the result cannot be pickled"),
    "make('lost')": ("failed after", "exit code 3"),
    "stuck = make('stuck')\nstuck.cancel()\nstuck": ("cancelled", ""),
    "nested(2)": ("done in", "84"),
    "use(make('dict'))": ("done in", "used {'city': 'Oslo', 'height': 23}"),
    "use(make('error'))": ("failed after", "use did not run"),
    "Counter.add(5)": ("done in", "5"),
    "Counter(10).add(5)": ("done in", "15"),
    "parts = list(stream)\nparts[2]": ("done in", "row number 2"),
}
ASIDE = (
    "%flame_runner",
    "import flame_jupyter\nflame_jupyter.progress([make('slow'), make('error')])",
    "flame_jupyter.inspect(make('table'))",
)


def visible(kind: str) -> str:
    """The words of its result; "" when that is a picture."""
    _, text = KINDS[kind]
    return "" if text == PICTURE else text
