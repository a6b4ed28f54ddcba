// Questions that must be answered first.
import {el} from "./dom.js";

// Shows a dialog; resolves to the value of the button that closed it, "" when it was left.
function ask(content, label) {
  const dialog = el("dialog", {"aria-label": label}, content);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => {
      dialog.remove();
      resolve(dialog.returnValue);
    };
    dialog.onclick = ({target}) => {
      if (target === dialog) dialog.close("");
    };
  });
}

// Not one that submits: Enter in a field presses the first of those.
function cancelButton(attributes = {}) {
  const cancel = ({target}) => target.closest("dialog").close("");
  return el("button", {type: "button", class: "button", onclick: cancel, ...attributes}, "Cancel");
}

export async function confirmed(question, action) {
  const answer = await ask(
    el(
      "form",
      {method: "dialog"},
      el("h2", {}, question),
      el("p", {class: "note"}, "This cannot be undone."),
      el(
        "div",
        {class: "row-end"},
        cancelButton({autofocus: true}),
        el("button", {class: "button danger", value: "yes"}, action),
      ),
    ),
    question,
  );
  return answer === "yes";
}

// Resolves to {key, remember} or null.
export async function askForKey(wrong) {
  const key = el("input", {
    type: "password",
    autocomplete: "current-password",
    required: true,
    autofocus: true,
    name: "key",
  });
  const kept = el("input", {type: "checkbox"});
  const answer = await ask(
    el(
      "form",
      {method: "dialog"},
      el("h2", {}, "This server asks for an API key"),
      wrong ? el("p", {class: "problem", role: "alert"}, "That key is not one of the server's.") : null,
      el("label", {class: "field"}, el("span", {}, "API key"), key),
      el("label", {class: "tick"}, kept, "Remember it on this device"),
      el("div", {class: "row-end"}, cancelButton(), el("button", {class: "button main", value: "yes"}, "Use this key")),
    ),
    "API key",
  );
  return answer === "yes" && key.value !== "" ? {key: key.value.trim(), remember: kept.checked} : null;
}

export function showHelp(shortcuts) {
  const keys = shortcuts.map(({keys: all, what}) => [
    el(
      "dt",
      {},
      all.flatMap((key, i) => [i > 0 ? " + " : "", el("kbd", {}, key)]),
    ),
    el("dd", {}, what),
  ]);
  return ask(
    el(
      "form",
      {method: "dialog"},
      el("h2", {}, "Keyboard"),
      el("dl", {class: "keys"}, keys),
      el("div", {class: "row-end"}, el("button", {class: "button main", autofocus: true}, "Close")),
    ),
    "Keyboard shortcuts",
  );
}
