# SPDX-License-Identifier: Apache-2.0
"""What the scripts of the views and the panes share. It travels inside each of them, so it is short."""

from __future__ import annotations

# ``copy`` works without a secure context too (a notebook server that is reached by plain http), where browsers hide
# their clipboard: there a selection is copied.
COMMON = """
const make = (parent, tag, name, attributes = {}, at = -1) => {
  const node = document.createElement(tag);
  if (name) node.className = "flame-" + name;
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  parent.insertBefore(node, parent.children[at] || null);
  return node;
};
const write = (node, text) => { if (node.textContent !== text) node.textContent = text; };
const copy = async (text, said, button) => {
  let done = await navigator.clipboard?.writeText(text).then(() => true, () => false);
  if (!done) {
    const focused = document.activeElement, area = make(document.body, "textarea");
    area.value = text;
    area.select();
    done = document.execCommand("copy");
    area.remove();
    focused.focus();
  }
  if (done) button.dataset.copied = "";
  write(said, done ? "Reference copied" : "Not copied: see Details");
};
"""
COPIED = "[data-copied]::after{content:' ✓'}"
UNSEEN = "{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}"


def squeezed(script: str) -> str:
    """Without what only readers of the source need: it is sent with every view."""
    lines = (line.strip() for line in script.splitlines())
    return "\n".join(line for line in lines if line)
