// The panel on the right: one thing at a time, with a title. On a phone it comes from below.
import {byId, el, iconButton} from "./dom.js";

let closed = () => {};
let before = null; // what had the focus

export const panelIsOpen = () => !byId("panel").hidden;

// `onClose` is told when something else takes its place, too.
export function openPanel(title, body, onClose = () => {}) {
  const panel = byId("panel");
  const told = closed;
  closed = onClose;
  told();
  if (panel.hidden) before = document.activeElement;
  panel.hidden = false;
  panel.setAttribute("aria-label", title);
  panel.replaceChildren(
    el(
      "div",
      {class: "panel-head"},
      el("h2", {}, title),
      iconButton("close", "Close panel", closePanel, {id: "close-panel"}),
    ),
    el("div", {class: "panel-body"}, body),
  );
}

export function closePanel() {
  const panel = byId("panel");
  if (panel.hidden) return;
  const hadFocus = panel.contains(document.activeElement);
  panel.hidden = true;
  panel.replaceChildren();
  const told = closed;
  closed = () => {};
  told();
  if (hadFocus && before?.isConnected) before.focus();
}
