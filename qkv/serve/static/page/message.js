// One message on the page, with what can be done with it.
import {copyFrom, el, icon, iconButton} from "./dom.js";
import {renderAnswer} from "./render.js";
import {TokenView} from "./tokens.js";

const ends = {length: "cut at the longest length", stopped: "stopped", content_filter: "filtered"};

export class MessageView {
  element;
  #actions;
  #body;
  #row = el("div", {class: "tools-row"});
  #tokens = null;
  #message = null;

  // Actions: edit(message, text), regenerate(message), retry(), choose(message), inspect(message, index).
  constructor(message, actions) {
    this.#actions = actions;
    const user = message.role === "user";
    this.#body = el("div", {class: user ? "said" : "written"});
    this.element = el(
      "article",
      {class: `message ${user ? "user" : "assistant"}`, "aria-label": user ? "You" : "The model"},
      this.#body,
      this.#row,
    );
  }

  // `writing`: it still grows. `busy`: an answer does. `inside`: shown as tokens. `last`: of its branch.
  update(message, {branches, writing, busy, inside, last}) {
    this.#message = message;
    if (this.element.classList.contains("editing")) return;
    if (message.role === "user") {
      if (this.#body.textContent !== message.content) this.#body.textContent = message.content;
    } else {
      this.#showAnswer(message, writing, inside);
    }
    const state = JSON.stringify([
      message.id,
      branches.map(({id}) => id),
      writing,
      busy,
      last,
      message.extra?.finish,
      message.extra?.model,
    ]);
    if (this.#row.state === state) return;
    this.#row.state = state;
    this.element.classList.toggle("branched", branches.length > 1 || (last && !busy));
    this.#row.replaceChildren(...this.#tools(branches, writing, busy, last));
  }

  #showAnswer(message, writing, inside) {
    const tokens = inside && message.extra?.tokens?.length > 0;
    if (tokens !== (this.#tokens !== null)) {
      this.#tokens = tokens ? new TokenView((index) => this.#actions.inspect(this.#message, index)) : null;
      this.#body.replaceChildren(...(tokens ? [this.#tokens.element] : []));
    }
    if (this.#tokens) {
      this.#tokens.update(message.extra.tokens);
    } else if (message.content === "") {
      this.#body.replaceChildren(
        writing
          ? el("span", {class: "cursor", role: "img", "aria-label": "The model begins"})
          : el("p", {class: "note"}, "The model said nothing."),
      );
    } else {
      renderAnswer(this.#body, message.content);
    }
  }

  choose(index) {
    this.#tokens?.choose(index);
  }

  #tools(branches, writing, busy, last) {
    const message = this.#message;
    if (writing) return [];
    const tools = [];
    if (branches.length > 1) {
      const at = branches.findIndex(({id}) => id === message.id);
      const to = (place, name, label) =>
        iconButton(name, label, () => this.#actions.choose(branches[place]), {
          disabled: place < 0 || place >= branches.length || busy,
        });
      tools.push(
        el(
          "span",
          {class: "branches"},
          to(at - 1, "left", "Earlier version"),
          el("span", {"aria-label": `Version ${at + 1} of ${branches.length}`}, `${at + 1}/${branches.length}`),
          to(at + 1, "right", "Later version"),
        ),
      );
    }
    const copy = iconButton("copy", "Copy", () => copyFrom(copy, message.content));
    tools.push(copy);
    if (message.role === "user") {
      tools.push(iconButton("edit", "Edit", () => this.edit(), {disabled: busy}));
      if (last && !busy) tools.push(iconButton("again", "Write an answer", () => this.#actions.retry()));
    } else {
      tools.push(
        iconButton("again", "Write another answer", () => this.#actions.regenerate(message), {disabled: busy}),
        el("span", {class: "facts"}, facts(message.extra ?? {})),
      );
    }
    return tools;
  }

  edit() {
    const message = this.#message;
    const area = el("textarea", {
      rows: Math.min(12, message.content.split("\n").length + 1),
      "aria-label": "Edit your message",
    });
    area.value = message.content;
    const close = () => {
      this.element.classList.remove("editing");
      this.element.replaceChildren(this.#body, this.#row);
    };
    const form = el(
      "form",
      {
        onsubmit: (event) => {
          event.preventDefault();
          if (area.value.trim() === "") return;
          close();
          this.#actions.edit(message, area.value);
        },
      },
      area,
      el(
        "div",
        {class: "row-end"},
        el("button", {type: "button", class: "button", onclick: close}, "Cancel"),
        el("button", {class: "button main"}, icon("send"), "Send"),
      ),
    );
    area.onkeydown = (event) => {
      if (event.isComposing) return;
      if (event.key === "Escape") {
        event.stopPropagation();
        close();
      } else if (event.key === "Enter" && !event.shiftKey) {
        event.preventDefault();
        form.requestSubmit();
      }
    };
    this.element.classList.add("editing");
    this.element.replaceChildren(form);
    area.focus();
    area.setSelectionRange(area.value.length, area.value.length);
  }
}

function facts({model, usage, finish}) {
  return [model, usage && `${usage.completion_tokens} tokens`, ends[finish]].filter(Boolean).join(" · ");
}
