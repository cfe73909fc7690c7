# SPDX-License-Identifier: Apache-2.0
"""Markdown of a result as HTML that reads anywhere: in the live view, in a saved notebook, in an exported page.

A front end could do it from the source, but in an output of its own only, and then without the line of the state. The
library is the one that nbconvert renders with, so it is in almost every notebook environment; elsewhere the source is
shown.
"""

from __future__ import annotations

PLUGINS = ["table", "strikethrough", "math"]  # formulas are left to the front end, between its delimiters


def markdown_html(source: str) -> str | None:
    """None when the library is not there. HTML inside of the Markdown is shown as text; a link may leave the page."""
    try:
        import mistune
    except ImportError:
        return None
    rendered = mistune.create_markdown(escape=True, plugins=PLUGINS)(source)
    return rendered if isinstance(rendered, str) else None
