// SPDX-License-Identifier: Apache-2.0
// What the scripts of the views and of the live outputs share. It travels inside each of them, so it is short.
//
// What a view draws comes from the kernel, so the end of that is told by something else, the page's connection to it:
// `gone` is when that was, in seconds, and `shown` how many views a model has here. Both are set by the page alone.
// A model that is over is closed where nothing shows it. `send` returns the press of a button: until `heard` has it,
// what comes from the kernel does not know of it. `hear` notes that the kernel has said something, for all views of its
// notebook. `copy` works without a secure context too (a notebook server that is reached by plain http), where browsers
// hide their clipboard: there a selection is copied.
export const make = (parent, tag, name, attributes = {}, at = -1) => {
  const node = document.createElement(tag);
  if (name) node.className = "flame-" + name;
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  parent.insertBefore(node, parent.children[at] || null);
  return node;
};
export const initialize = ({ model }) => {
  const manager = model.widget_manager, kernel = manager?.kernel;
  const go = () => model.get("gone") || model.set("gone", Date.now() / 1000);
  const follow = (_, word) => /restarting|terminating|dead/.test(word) && go();
  kernel?.statusChanged?.connect(follow);
  kernel?.disposed?.connect(go);
  model.on("comm_live_update", go);
  model.on("change:over", async () => model.get("shown") || (await manager?.get_model(model.get("over")))?.close(true));
  return () => { kernel?.statusChanged?.disconnect(follow); kernel?.disposed?.disconnect(go); };
};
export const heard = globalThis.flameHeard ||= new WeakMap();
export const source = (model) => model.widget_manager ?? globalThis;
export const hear = (model) => heard.set(source(model), Date.now() / 1000);
export const watch = (model, events) => {
  const count = (step) => model.set("shown", (model.get("shown") || 0) + step);
  for (const name in events) model.on("change:" + name, events[name]);
  count(1);
  return () => { for (const name in events) model.off("change:" + name, events[name]); count(-1); };
};
export const send = (model, ask) => { const press = String(Math.random()); model.send({ ask, press }); return press; };
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
