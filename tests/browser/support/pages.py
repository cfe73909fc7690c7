# SPDX-License-Identifier: Apache-2.0
"""What axe says of our parts of a page."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

OURS = ".flame-view, .flame-pane, [role=group][aria-label^='Flame'], .jp-OutputArea-output:has(.flame-pending)"
# Rules about the page around us, of which a test of one part says nothing.
PAGE_RULES = {
    "region", "page-has-heading-one", "landmark-one-main", "html-has-lang", "document-title", "bypass",
    "heading-order",  # headings are those of a value
}  # fmt: skip


def violations(page: Page, selector: str = OURS) -> list[str]:
    """What axe finds in our parts of the page, as lines to read."""
    included = [[each.strip()] for each in selector.split(",") if page.query_selector(each)]
    # a table that the value itself has drawn is not ours to mend
    found = Axe().run(page, context={"include": included, "exclude": [["table.dataframe"]]}).response["violations"]
    return [
        f"{rule['id']}: {node['html'][:200]}: {node.get('failureSummary', '')}"
        for rule in found
        if rule["id"] not in PAGE_RULES
        for node in rule["nodes"]
    ]
