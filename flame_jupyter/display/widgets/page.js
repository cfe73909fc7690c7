// SPDX-License-Identifier: Apache-2.0
// The browser's half of a page: progress, panel, inspector, stream. Below 6 KB with what is common.
//
// Tabs are kept while they only change their text, and one is drawn again only when its HTML changed: focus, selection
// and scroll position survive. Until a tab is chosen, the first one is shown; what was unfolded stays so. What is
// announced is on the page in other words: the status is for screen readers. Arrow keys are caught at the window: further
// down, the front end has taken them for its own shortcuts.

import { drop, initialize, make, press, watch, write } from "./common.js";

const find = (parent, id) => [...parent.children].find((node) => node.dataset.id === id);
let count = 0;
export default { initialize, render({ model, el }) {
  const name = "flame-pane-" + Date.now() + "-" + count++;
  const root = make(el, "div", "pane", { role: "group" });
  const bar = make(root, "div", "bar");
  const list = make(bar, "div", "tabs", { role: "tablist" });
  const buttons = make(bar, "div", "buttons");
  const status = make(root, "div", "said", { role: "status" });
  const gone = make(root, "div", "gone", { role: "status" });
  const pages = make(root, "div", "pages");
  let current = "", chosen = false;
  const choose = (id, focus) => {
    current = id;
    for (const tab of list.children) {
      const on = tab.dataset.id === id;
      tab.setAttribute("aria-selected", on);
      tab.tabIndex = on ? 0 : -1;
      if (on && focus) tab.focus();
    }
    for (const page of pages.children) page.hidden = page.dataset.id !== id;
  };
  const turn = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step || !list.contains(event.target)) return;
    const all = [...list.children];
    const at = all.findIndex((tab) => tab.dataset.id === current);
    event.preventDefault();
    event.stopPropagation();
    chosen = true;
    choose(all[(at + step + all.length) % all.length].dataset.id, true);
  };
  window.addEventListener("keydown", turn, true);
  const facts = () => {
    const view = { ...model.get("facts") };
    root.setAttribute("aria-label", view.label);
    list.setAttribute("aria-label", view.label);
    write(status, view.status);
    const end = model.get("gone");
    if (end && !view.final) {
      write(gone, "! The kernel has gone: this is how it was at " + new Date(end * 1000).toTimeString().slice(0, 8));
      view.buttons = [];
    }
    press(model, buttons, status, view.buttons);
  };
  const fill = () => {
    if (model.get("over")) return;
    const tabs = model.get("tabs");
    const ids = tabs.map((tab) => tab.id);
    const many = tabs.length > 1;
    list.hidden = !many;
    drop(list, ids);
    drop(pages, ids);
    tabs.forEach((tab, at) => {
      let page = find(pages, tab.id);
      if (!page) {
        page = make(pages, "div", "page jp-RenderedHTMLCommon", {}, at);
        page.dataset.id = tab.id;
        page.id = name + tab.id;
        const button = make(list, "button", "tab", { type: "button", role: "tab", "aria-controls": page.id }, at);
        button.id = page.id + "-tab";
        button.dataset.id = tab.id;
        button.addEventListener("click", () => { chosen = true; choose(tab.id, false); });
      }
      if (many) {
        page.setAttribute("role", "tabpanel");
        page.setAttribute("aria-labelledby", page.id + "-tab");
      }
      write(find(list, tab.id), tab.title);
      if (page.source !== tab.html) {
        const open = [...page.querySelectorAll("details")].map((node) => node.open);
        page.innerHTML = page.source = tab.html;
        if (open.length) page.querySelectorAll("details").forEach((node, nth) => { node.open = open[nth] ?? node.open; });
      }
    });
    choose(chosen && ids.includes(current) ? current : ids[0], false);
  };
  const leave = watch(model, { facts, heard: facts, gone: facts, tabs: fill });
  facts();
  fill();
  return () => { window.removeEventListener("keydown", turn, true); leave(); };
} };
