# SPDX-License-Identifier: Apache-2.0
"""The browser's half of the live view. It travels with every widget: the script stays below 6 KB, the style below 4.

The script only draws what the kernel says; time is the one thing that it counts by itself, so that a running call
costs no messages. One view of a notebook is drawn anew now and then (view_updater.py): where that stays away, the
kernel has stopped, and no view counts on. A page that was loaded again gets a state of long ago: until the kernel
draws anew, both clocks are taken to be equal. Text nodes are updated in place: focus and selection survive. What is
announced is a text of its own, which the kernel writes: a page with fifty views must not speak fifty times at once.
"""

from __future__ import annotations

from flame_jupyter.display.render.html import COLOURS, INDENT_WIDTH
from flame_jupyter.display.widgets.script_parts import COMMON, COPIED, UNSEEN, squeezed

SCRIPT = squeezed(
    COMMON
    + """
const span = (s) => s < 9.95 ? s.toFixed(1) + " s" : s < 60 ? Math.floor(s) + " s"
  : s < 3600 ? Math.floor(s / 60) + " min " + Math.floor(s % 60) + " s"
  : Math.floor(s / 3600) + " h " + Math.floor(s % 3600 / 60) + " min";
const QUIET_S = 10, SILENT = "and no word from the kernel since then";
const LOST = { tone: "warn", icon: "!", state: "gone", word: "The kernel has gone", facts: "" };
export default { initialize, render({ model, el }) {
  const root = make(el, "div", "view", { role: "group" });
  const line = make(root, "div", "line");
  const icon = make(line, "span", "icon", { "aria-hidden": "true" });
  const word = make(line, "strong", "word");
  const time = make(line, "span", "time");
  const arrow = make(line, "span", "", { "aria-hidden": "true" });
  const value = make(line, "code", "value");
  const facts = make(line, "span", "facts");
  const cancel = make(line, "button", "ask", { type: "button" });
  const refer = make(line, "button", "ask", { type: "button" });
  const error = make(root, "div", "error");
  const said = make(root, "div", "said", { role: "status", "aria-live": "polite" });
  const log = make(root, "details", "log", { open: "" });
  const title = make(log, "summary");
  const text = make(log, "pre", "", { tabindex: "0", role: "group", "aria-label": "Output" });
  const body = make(root, "div", "body jp-RenderedHTMLCommon");
  let view = {}, skew = 0, wanted = false, sent = "";
  const passed = (now) => span(Math.max(0, now - skew - view.since));
  const tick = () => {
    if (!view.ticks || view.gone || document.hidden) return;
    const now = Date.now() / 1000, last = heard.get(source(model)) ?? now, silent = now - last > QUIET_S;
    write(time, passed(silent ? last : now));
    write(facts, silent ? SILENT : view.facts);
  };
  const draw = () => {
    view = { ...model.get("view"), gone: model.get("gone") };
    if (view.ticks && view.gone) {
      Object.assign(view, LOST, { ticks: false, time: "after " + passed(view.gone) });
      write(said, document.querySelector("[data-state=gone]") ? "" : LOST.word);
    }
    const off = view.cancelling || (sent && !model.get("heard").includes(sent));
    root.dataset.tone = view.tone;
    root.dataset.state = view.state;
    root.setAttribute("aria-label", view.label);
    write(icon, view.icon);
    write(word, view.word);
    if (!view.ticks) write(time, view.time);
    write(arrow, view.value ? "→" : "");
    write(value, view.value);
    if (!view.ticks) write(facts, view.facts);
    write(error, view.error);
    cancel.hidden = !view.ticks;
    cancel.disabled = off;
    write(cancel, off ? "Cancelling" : "Cancel");
    cancel.title = view.hint;
    cancel.setAttribute("aria-label", cancel.textContent + " " + view.label);
    refer.hidden = !view.copies || view.gone;
    write(refer, "Copy reference");
    refer.setAttribute("aria-label", "Copy reference of " + view.label);
    if (wanted && view.reference) copy(view.reference, said, refer);
    wanted = wanted && !view.reference;
    tick();
  };
  const news = () => {
    const { now } = model.get("view");
    skew = Date.now() / 1000 - now;
    hear(model);
    draw();
  };
  const print = () => {
    if (model.get("over")) return;
    const end = text.scrollTop + text.clientHeight >= text.scrollHeight - 4;
    write(text, model.get("log"));
    write(title, model.get("log_title"));
    log.hidden = !model.get("log") || !!model.get("body");
    if (end) text.scrollTop = text.scrollHeight;
  };
  const fill = () => { if (!model.get("over")) body.innerHTML = model.get("body"); print(); };
  const say = () => write(said, model.get("say"));
  cancel.addEventListener("click", () => { sent = send(model, "cancel"); draw(); });
  refer.addEventListener("click", () => {
    if (view.reference) return copy(view.reference, said, refer);
    wanted = true;
    send(model, "reference");
  });
  const leave = watch(model, { view: news, heard: draw, gone: draw, log: print, body: fill, say });
  const { ticks, now } = model.get("view");
  if (Math.abs(Date.now() / 1000 - now) < 2) news();
  else { draw(); if (ticks && !view.gone) send(model, "draw"); }
  fill();
  if (!heard.has(source(model))) hear(model);
  const timer = setInterval(tick, 200);
  return () => { clearInterval(timer); leave(); };
} };
"""
)

TONES = f".flame-view{{--indent:{INDENT_WIDTH}}}" + "".join(
    f".flame-view[data-tone={tone}]{{--tone:{colour}}}" for tone, colour in COLOURS.items()
)

STYLE = (
    TONES
    + f".flame-said{UNSEEN}.flame-ask{COPIED}"
    + """
.flame-view{font:var(--jp-ui-font-size1,13px)/1.5 var(--jp-ui-font-family,system-ui,sans-serif);
color:var(--jp-ui-font-color1,inherit);border-left:3px solid var(--tone);padding-left:10px;
position:relative;margin:4px 0 6px var(--indent)}
.flame-line{display:flex;flex-wrap:wrap;align-items:baseline;column-gap:.4em}
.flame-icon{color:var(--tone);font-weight:700}
.flame-time{font-variant-numeric:tabular-nums}
.flame-view code,.flame-error,.flame-log pre{font-family:var(--jp-code-font-family,monospace);white-space:pre-wrap;
overflow-wrap:anywhere}
.flame-facts{color:var(--jp-ui-font-color2,inherit)}
.flame-ask{font:inherit;font-size:12px;line-height:1;padding:4px 10px;margin-left:.5em;border-radius:3px;
cursor:pointer;color:inherit;background:var(--jp-layout-color1,transparent);
border:1px solid var(--jp-ui-font-color2,#767676)}
.flame-ask:hover:enabled{background:var(--jp-layout-color2,#8883)}
.flame-ask:focus-visible,.flame-view pre:focus-visible,.flame-view summary:focus-visible{
outline:2px solid var(--jp-brand-color1,#1976d2);outline-offset:1px}
.flame-view [hidden]{display:none}
.flame-view summary{cursor:pointer}
.flame-log pre{font-size:var(--jp-code-font-size,13px);line-height:1.4;max-height:20em;overflow:auto;margin:4px 0}
.flame-line>:empty{display:none}
.flame-view .flame-body{font-size:inherit;line-height:inherit;padding:0}
@media (prefers-reduced-motion:no-preference){
.flame-view[data-state=running] .flame-icon{animation:flame-pulse 1.6s ease-in-out infinite}
@keyframes flame-pulse{50%{opacity:.35}}}
@media (forced-colors:active){.flame-view{border-left-color:CanvasText}}
"""
)
