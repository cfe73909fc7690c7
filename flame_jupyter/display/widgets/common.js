// SPDX-License-Identifier: Apache-2.0
// What the scripts of calls and of pages share. It travels inside each of them, so it is short.
//
// What a view draws comes from the kernel, so the end of that is told by something else, the page's connection to it:
// `gone` is when that was, in seconds, and `shown` how many views a model has here. Both are set by the page alone.
// A model that is over is closed where nothing shows it. `send` returns the press of a button: until `heard` has it,
// what comes from the kernel does not know of it. `press` draws buttons, which are kept while they only change their
// text: focus survives. `hear` notes that the kernel has said something, for all views of its notebook, also where it was
// about a model that has no view any more, since its cell ran again. `copy` works without a secure context too (a notebook
// server that is reached by plain http), where browsers hide their clipboard: there a selection is copied.
export const make = (parent, tag, name, attributes = {}, at = -1) => {
  const node = document.createElement(tag);
  if (name) node.className = "flame-" + name;
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  parent.insertBefore(node, parent.children[at] || null);
  return node;
};
export const initialize = ({ model }) => {
  const manager = model.widget_manager, kernel = manager?.kernel;
  const go = () => model.get("gone") || model.set("gone", clock());
  const follow = (_, word) => /restarting|terminating|dead/.test(word) && go();
  kernel?.statusChanged?.connect(follow);
  kernel?.disposed?.connect(go);
  model.on("comm_live_update", go);
  model.on("change:view", () => hear(model));
  model.on("change:over", async () => model.get("shown") || (await manager?.get_model(model.get("over")))?.close(true));
  return () => { kernel?.statusChanged?.disconnect(follow); kernel?.disposed?.disconnect(go); };
};
export const clock = () => Date.now() / 1000;
export const heard = globalThis.flameHeard ||= new WeakMap();
export const source = (model) => model.widget_manager ?? globalThis;
export const hear = (model) => heard.set(source(model), clock());
export const watch = (model, events) => {
  const count = (step) => model.set("shown", (model.get("shown") || 0) + step);
  for (const name in events) model.on("change:" + name, events[name]);
  count(1);
  return () => { for (const name in events) model.off("change:" + name, events[name]); count(-1); };
};
export const send = (model, ask) => { const press = String(Math.random()); model.send({ ask, press }); return press; };
export const drop = (parent, ids) => {
  // oxlint-disable-next-line unicorn/no-useless-spread - the list is live: it changes while nodes go
  for (const node of [...parent.children]) if (!ids.includes(node.dataset.id)) node.remove();
};
export const write = (node, text) => { if (node.textContent !== text) node.textContent = text; };
export const copy = async (text, said, button) => {
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
export const press = (model, parent, said, buttons) => {
  drop(parent, buttons.map((button) => button.ask));
  buttons.forEach((button, at) => {
    let node = parent.querySelector(`[data-id=${button.ask}]`);
    if (!node) {
      node = make(parent, "button", "button", { "data-id": button.ask }, at);
      node.addEventListener("click", () => node.act());
    }
    const waits = !!node.press && !model.get("heard").includes(node.press), off = waits || !button.is_enabled;
    write(node, (waits && button.pressed) || button.text);
    node.title = button.title;
    node.setAttribute("aria-label", node.textContent + " " + button.about);
    node.setAttribute("aria-disabled", off);
    node.act = () => {
      if (off) return;
      node.wanted = !button.copies;
      if (button.copies) return copy(button.copies, said, node);
      node.press = send(model, button.ask);
      press(model, parent, said, buttons);
    };
    if (node.wanted && button.copies) node.act();
  });
};
