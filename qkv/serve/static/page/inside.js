// The panel about one token: its alternatives, and what the model looked at.
import {AttentionView} from "./attention.js";
import {el} from "./dom.js";
import {openPanel} from "./panel.js";
import {alternatives, visible} from "./tokens.js";
import {promptOf} from "./writer.js";

// `path` are the messages before the answer. `closed` is told when the panel shows something else.
export function inspect({model, settings, path, message, index, closed}) {
  const token = message.extra.tokens[index];
  const ids = message.extra.tokens.map(({id}) => id);
  const place = el("div");
  // The row that wrote a token is that of the token before it.
  const show = (itself) => {
    const view = new AttentionView();
    place.replaceChildren(view.element);
    view.load({
      model: model.id,
      ...promptOf(model, path, settings),
      continuation: ids.slice(0, index + (itself ? 1 : 0)),
    });
  };
  const choice = (value, label, checked) =>
    el(
      "label",
      {class: "tick"},
      el("input", {type: "radio", name: "row", checked, onchange: () => show(value)}),
      label,
    );
  const known = model.attention && ids.slice(0, index + 1).every(Number.isInteger);
  const body = [
    el("section", {}, el("h3", {}, "What could have stood here"), alternatives(token)),
    known
      ? el(
          "section",
          {},
          el("h3", {}, "What the model looked at"),
          choice(false, "when it wrote this token", true),
          choice(true, "when it read this token, to write the next", false),
          place,
        )
      : el("p", {class: "note"}, "What this model looks at cannot be shown."),
  ];
  openPanel(`Token ${index + 1}: ${visible(token.text)}`, body, closed);
  if (known) show(false);
}
