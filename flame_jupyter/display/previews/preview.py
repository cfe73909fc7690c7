# SPDX-License-Identifier: Apache-2.0
"""A result cut to what a page can hold: its own table or picture where it has one, else text with limits.

Runs in a thread of its own (preview_jobs.py), or on a worker when the value is big, on a private copy of it, and never
raises: a result whose representation is broken must not take the display with it. Nothing is imported that the
value has not brought, save what renders Markdown.
"""

from __future__ import annotations

import base64
import io
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from html import escape
from itertools import islice
from typing import Any, ClassVar

from flame_jupyter.display.model.formatting import counted, head, size_text
from flame_jupyter.display.model.snapshot import Preview
from flame_jupyter.display.previews.grid import grid_of, is_a
from flame_jupyter.display.previews.markdown import markdown_html
from flamepy.front_ends import short_repr

PICTURE_SIDE_PX = 640
SEQUENCE_ITEMS = 20
_WRITTEN_BITS = 10_000  # of an integer: 3,000 digits are written out soon, and Python refuses 4,300
GRID_ROWS = 10
CONTAINED_ITEMS = 100  # of a container that are looked at for figures
DUMP_CHARS = 300  # of a value that its own picture would show
OUTSIDE = re.compile(
    r"<\s*(?:script|iframe|object|embed|link|base|form)\b"
    r"|<[^>]*\s(?:on\w+\s*=|(?:src|srcset|data|poster)\s*=\s*[\"']?\s*(?:https?:|//))"
    r"|url\(\s*[\"']?\s*(?:https?:|//)|@import|javascript:",
    re.IGNORECASE,
)


class GivenUp(BaseException):
    """Raised in the thread of a preview that takes too long (preview_jobs.py)."""


@dataclass(frozen=True)
class Limits:
    """fetch_bytes: bigger results are not read here; a worker looks at them. worker_bytes: still bigger ones are read
    only when the user asks. The others bound what a saved notebook has to carry.
    """

    fetch_bytes: int = 10_000_000
    worker_bytes: int = 2_000_000_000
    html_chars: int = 65_536
    text_chars: int = 2_048
    picture_bytes: int = 1_000_000


def is_for_worker(nbytes: int | None, limits: Limits) -> bool:
    """Is the value so big, or of a size that is not known, that it must not come here for a preview?"""
    return nbytes is None or nbytes > limits.fetch_bytes


def unfetched(nbytes: int | None, limits: Limits) -> Preview | None:
    """The preview of a value that is too big to be read unasked, even by a worker; None when it may be read."""
    if nbytes is None or nbytes <= limits.worker_bytes:
        return None
    limit = size_text(limits.worker_bytes)
    note = f"No preview: results over {limit} are read only on request. flame_jupyter.inspect(future) shows its pages."
    return Preview("", note=note)


def preview(value: object, limits: Limits = Limits()) -> Preview:
    """Never raises. What goes wrong is said in ``note``."""
    name = type(value).__name__
    try:
        summary = _summary(value)
    except GivenUp:
        raise
    except BaseException:  # noqa: BLE001 - a broken __len__ or shape must not hide the value
        summary = name
    try:
        return _preview(value, summary, limits)
    except GivenUp:
        raise
    except BaseException as error:  # noqa: BLE001 - the representation is the user's code, which may also call exit()
        return Preview(summary, note=f"No preview: showing this {name} raised {error_words(error)}")


def error_words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")


def has_outside_parts(html: str) -> bool:
    """Does it need scripts or resources of another place? Such HTML stays out: a saved notebook must read offline."""
    return OUTSIDE.search(html) is not None


def _preview(value: object, summary: str, limits: Limits) -> Preview:
    if isinstance(value, str):
        return Preview(summary, repr(value) if len(value) <= 60 else head(value, max_chars=limits.text_chars))
    if isinstance(value, (bytes, bytearray)):
        return Preview(summary, head(repr(bytes(value[: limits.text_chars])), max_chars=limits.text_chars))
    png = _png(value, limits)
    if png is not None:
        return _picture(png, summary, limits)
    if figures := _figures_in(value):
        return _with_figure(value, figures, summary, limits)
    if is_a(value, "numpy.ma", "MaskedArray"):
        return Preview(summary, value_text(value, limits))
    if is_a(value, "numpy", "ndarray"):
        return Preview(summary, _array_text(value, limits))
    rich = Rich(value)
    png = _bytes_of(rich.get("image/png"))
    if png is not None:
        return _picture(png, summary, limits)
    svg = rich.text("image/svg+xml")
    if svg and len(svg) <= limits.html_chars and not has_outside_parts(svg):
        return Preview(summary, value_text(value, limits), svg)
    return _page(value, rich, summary, limits)


def _page(value: object, rich: Rich, summary: str, limits: Limits) -> Preview:
    html = rich.text("text/html")
    if not html and (grid := grid_of(value, first=0, count=GRID_ROWS)) is not None:
        html = grid.html(summary)  # an Arrow table has no HTML of its own
    if html and has_outside_parts(html):
        note = "Shown as text: its HTML needs scripts or outside resources. Call .get() in a cell to see it."
        return Preview(summary, head(value_text(value, limits), max_chars=DUMP_CHARS), note=note)
    if len(html) > limits.html_chars:
        note = "Shown as text: its HTML is too long for a preview."
        return Preview(summary, _long_table_text(value, limits), note=note)
    if html:
        return Preview(summary, value_text(value, limits), html)
    if latex := rich.text("text/latex"):
        # front ends set what stands between dollars; elsewhere the source reads
        return Preview(summary, head(latex, max_chars=limits.text_chars), f"<div>{escape(latex)}</div>")
    if markdown := rich.text("text/markdown"):
        return _markdown(markdown, summary, limits)
    if rich.needs_front_end:
        note = "Shown as text: its picture needs scripts of the front end. Call .get() in a cell to see it."
        return Preview(summary, head(value_text(value, limits), max_chars=DUMP_CHARS), note=note)
    return Preview(summary, value_text(value, limits))


def _markdown(source: str, summary: str, limits: Limits) -> Preview:
    """Its text is the source, which reads well in words."""
    text = head(source, max_chars=limits.text_chars)
    html = markdown_html(source) if len(source) <= limits.html_chars else None
    if html is None or len(html) > limits.html_chars:
        return Preview(summary, text)
    if has_outside_parts(html):
        return Preview(summary, text, note="Shown as text: its Markdown has pictures of another place.")
    return Preview(summary, text, html)


class Rich:
    """What the value itself offers, by MIME type: its bundle first, then its single methods, asked when needed."""

    METHODS: ClassVar[dict[str, str]] = {
        "image/png": "_repr_png_",
        "image/svg+xml": "_repr_svg_",
        "text/html": "_repr_html_",
        "text/latex": "_repr_latex_",
        "text/markdown": "_repr_markdown_",
    }

    def __init__(self, value: object) -> None:
        self._value = value
        bundle = _own(value, "_repr_mimebundle_")
        bundle = bundle[0] if isinstance(bundle, tuple) and bundle else bundle
        self._bundle: Mapping[str, object] = bundle if isinstance(bundle, Mapping) else {}

    @property
    def needs_front_end(self) -> bool:
        """Does it show itself by widgets or scripts?"""
        return any(mime.startswith("application/") for mime in self._bundle) or (
            not isinstance(self._value, type) and hasattr(type(self._value), "_ipython_display_")
        )

    def get(self, mime: str) -> object:
        """Widgets and scripts that the bundle may hold too are never asked for."""
        found = self._bundle.get(mime)
        return _own(self._value, self.METHODS[mime]) if found is None else found

    def text(self, mime: str) -> str:
        found = self.get(mime)
        found = found[0] if isinstance(found, tuple) and found else found
        return found if isinstance(found, str) else ""


def _summary(value: Any) -> str:
    name = type(value).__name__
    if isinstance(value, str):
        return f"{name}, {counted(len(value), 'character')}"
    if isinstance(value, type) or value is None or isinstance(value, (bool, int, float, complex)):
        return name
    if is_a(value, "PIL.Image", "Image"):
        return f"{name}, {value.width} x {value.height} pixels, {value.mode}"
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and all(isinstance(side, int) for side in shape):
        dtype = f", {value.dtype}" if hasattr(value, "dtype") else ""
        if len(shape) == 2 and hasattr(value, "columns"):
            return f"{name}, {counted(shape[0], 'row')} x {counted(shape[1], 'column')}"
        return f"{name}, shape {shape}{dtype}"
    if isinstance(value, (list, tuple, dict, set, frozenset)):
        return f"{name}, {counted(len(value), 'item')}"
    return name


def value_text(value: object, limits: Limits) -> str:
    """In words, with limits. May raise: the representation is the user's code."""
    if isinstance(value, str):
        return head(value, max_chars=limits.text_chars)
    if isinstance(value, int) and value.bit_length() > _WRITTEN_BITS:
        return short_repr(value)
    from IPython.lib.pretty import pretty

    return head(pretty(value, max_width=100, max_seq_length=SEQUENCE_ITEMS), max_chars=limits.text_chars)


def _long_table_text(value: Any, limits: Limits) -> str:
    """Its head; in front of it the columns and their types, which a wide table hides."""
    dtypes = getattr(value, "dtypes", None)
    if not is_a(value, "pandas", "DataFrame") or dtypes is None:
        return value_text(value, limits)
    named = [f"{name}: {dtype}" for name, dtype in list(dtypes.items())[:GRID_ROWS]]
    return head(f"{', '.join(named)}\n{value.head(GRID_ROWS)}", max_chars=limits.text_chars)


def _array_text(array: Any, limits: Limits) -> str:
    numpy: Any = sys.modules["numpy"]
    text = numpy.array2string(array, threshold=SEQUENCE_ITEMS * 5, edgeitems=3, max_line_width=100)
    if array.size > 1 and array.dtype.kind in "iuf":
        # fmin and fmax pass over NaN, without the warning that nanmin gives for nothing but NaN
        low, high = numpy.fmin.reduce(array, axis=None), numpy.fmax.reduce(array, axis=None)
        text += f"\nmin {low}, max {high}"
    return head(text, max_chars=limits.text_chars)


def _own(value: object, method: str) -> object:
    """Ask the value for one of IPython's representations. A class is not asked: its method wants an instance."""
    if isinstance(value, type):
        return None
    ask = getattr(type(value), method, None)
    return None if ask is None else ask(value)


def _png(value: Any, limits: Limits) -> bytes | None:
    if is_a(value, "matplotlib.figure", "Figure"):
        return _figure_png(value, limits)
    if is_a(value, "PIL.Image", "Image"):
        picture = value.copy()
        picture.thumbnail((PICTURE_SIDE_PX, PICTURE_SIDE_PX))
        if picture.mode not in ("1", "L", "LA", "P", "RGB", "RGBA"):
            picture = picture.convert("RGB")
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        return buffer.getvalue()
    return None


def _bytes_of(png: object) -> bytes | None:
    """A picture as methods and bundles give it: bytes or base64, with metadata or without."""
    if isinstance(png, tuple) and png:
        png = png[0]
    if isinstance(png, str):
        return base64.b64decode(png)
    return png if isinstance(png, bytes) else None


def _figures_in(value: Any, *, levels: int = 2) -> list[Any]:
    """The figures of axes and lines, and of those in a container: what ``plot()`` and its like give back."""
    artist: Any = sys.modules.get("matplotlib.artist")
    if artist is None:
        return []
    if isinstance(value, artist.Artist) or type(value).__module__.startswith("seaborn."):
        figure = getattr(value, "figure", None)
        return [figure] if is_a(figure, "matplotlib.figure", "Figure") else []
    if levels == 0:
        return []
    if isinstance(value, Mapping):
        items: Any = value.values()
    elif isinstance(value, (list, tuple, set, frozenset)):
        items = value
    elif getattr(getattr(value, "dtype", None), "kind", "") == "O":  # an array or a series of axes
        items = getattr(value, "flat", value)
    else:
        return []
    found = [figure for each in islice(items, CONTAINED_ITEMS) for figure in _figures_in(each, levels=levels - 1)]
    return list({id(figure): figure for figure in found}.values())


def _with_figure(value: object, figures: list[Any], summary: str, limits: Limits) -> Preview:
    """The first of its figures; of a container, its words too."""
    shown = _picture(_figure_png(figures[0], limits), summary, limits)
    note = f"and {counted(len(figures) - 1, 'more figure')}" if len(figures) > 1 else shown.note
    if shown.html is None or not hasattr(value, "__len__"):
        return replace(shown, note=note)
    text = value_text(value, limits)
    return Preview(summary, text, f'<pre style="white-space:pre-wrap;margin:0">{escape(text)}</pre>{shown.html}', note)


def _figure_png(figure: Any, limits: Limits) -> bytes:
    """Draw on a canvas of our own."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    width, height = (float(side) for side in figure.get_size_inches())
    dpi = min(float(figure.get_dpi()), PICTURE_SIDE_PX * 1.5 / max(width, height, 0.1))
    FigureCanvasAgg(figure)  # becomes the figure's canvas
    for _attempt in range(3):
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=dpi, bbox_inches="tight")
        if buffer.tell() <= limits.picture_bytes:
            break
        dpi /= 2
    return buffer.getvalue()


def _picture(png: bytes, summary: str, limits: Limits) -> Preview:
    if len(png) > limits.picture_bytes:
        return Preview(summary, f"a picture of {size_text(len(png))}", note="No preview: the picture is too big.")
    data = base64.b64encode(png).decode("ascii")
    html = f'<img alt="{escape(summary)}" style="max-width:100%" src="data:image/png;base64,{data}">'
    return Preview(summary, "a picture", html)
