// SPDX-License-Identifier: Apache-2.0
// The browser's half of the live view of a call. It travels with every view: below 6 KB with what is common.
//
// It only draws what the kernel says; time is the one thing that it counts by itself, so that a running call costs no
// messages. One view of a notebook is drawn anew now and then (output_updater.py): where that stays away, the kernel has
// stopped, and no view counts on. A page that was loaded again gets a state of long ago: until the kernel draws anew,
// both clocks are taken to be equal. Text nodes are updated in place: focus and selection survive. What is announced is
// a text of its own, which the kernel writes: a page with fifty views must not speak fifty times at once.

import { clock, hear, heard, initialize, make, press, send, source, watch, write } from "./common.js";

// "| 0" drops the fraction
const span = (s) => s < 9.95 ? s.toFixed(1) + " s" : s < 60 ? (s | 0) + " s"
  : s < 3600 ? (s / 60 | 0) + " min " + (s % 60 | 0) + " s"
  : (s / 3600 | 0) + " h " + (s % 3600 / 60 | 0) + " min";
const HIDDEN = { "aria-hidden": "true" }, QUIET_S = 10;
const LOST = { tone: "warn", icon: "!", state: "gone", word: "The kernel has gone", facts: "" };
export default { initialize, render({ model, el }) {
  const root = make(el, "div", "view", { role: "group" });
  const line = make(root, "div", "line");
  const icon = make(line, "span", "icon", HIDDEN);
  const word = make(line, "strong", "word");
  const time = make(line, "span", "time");
  const arrow = make(line, "span", "", HIDDEN);
  const value = make(line, "code", "value");
  const facts = make(line, "span", "facts");
  const buttons = make(line, "span", "buttons");
  const error = make(root, "div", "error");
  const said = make(root, "div", "said", { role: "status" });
  const log = make(root, "details", "log", { open: "" });
  const title = make(log, "summary");
  const text = make(log, "pre", "", { tabindex: "0", role: "group", "aria-label": "Output" });
  const body = make(root, "div", "body jp-RenderedHTMLCommon");
  let view = {}, skew = 0;
  const passed = (now) => span(Math.max(0, now - skew - view.since));
  const tick = () => {
    if (!view.ticks || view.gone || document.hidden) return;
    const now = clock(), last = heard.get(source(model)) ?? now, silent = now - last > QUIET_S;
    write(time, passed(silent ? last : now));
    write(facts, silent ? "and no word from the kernel since then" : view.facts);
  };
  const draw = () => {
    view = { ...model.get("view"), gone: model.get("gone") };
    if (view.ticks && view.gone) {
      Object.assign(view, LOST, { ticks: 0, time: "after " + passed(view.gone) });
      write(said, document.querySelector("[data-state=gone]") ? "" : view.word);
    }
    root.dataset.tone = view.tone;
    root.dataset.state = view.state;
    root.setAttribute("aria-label", view.label);
    write(icon, view.icon);
    write(word, view.word);
    write(arrow, view.value ? "→" : "");
    write(value, view.value);
    if (!view.ticks) { write(time, view.time); write(facts, view.facts); }
    write(error, view.error);
    press(model, buttons, said, view.gone ? [] : view.buttons);
    tick();
  };
  const news = () => { skew = clock() - model.get("view").now; draw(); };
  const print = () => {
    if (model.get("over")) return;
    const html = model.get("body");
    if (body.source !== html) body.innerHTML = body.source = html;
    const end = text.scrollTop + text.clientHeight >= text.scrollHeight - 4;
    write(text, model.get("log"));
    write(title, model.get("log_title"));
    log.hidden = !model.get("log") || !!html;
    if (end) text.scrollTop = text.scrollHeight;
  };
  const say = () => write(said, model.get("say"));
  const leave = watch(model, { view: news, heard: draw, gone: draw, log: print, body: print, say });
  if (Math.abs(clock() - model.get("view").now) < 2) { hear(model); news(); }
  else { draw(); if (view.ticks) send(model, "draw"); }
  print();
  if (!heard.has(source(model))) hear(model);
  const timer = setInterval(tick, 200);
  return () => { clearInterval(timer); leave(); };
} };
