// The shown branch of a conversation. Elements of messages that stay are kept; the end is followed while it grows.
import {announce, byId, el, icon} from "./dom.js";
import {MessageView} from "./message.js";
import {waysOn} from "./writer.js";

const near = 60; // pixels from the end that count as the end

export class Thread {
  #actions;
  #conversation = null;
  #views = new Map(); // by message
  #scheduled = false;
  #inside = false;
  #writing = false;
  #changed = () => this.#schedule();

  constructor(actions) {
    this.#actions = actions;
    const scroll = byId("scroll");
    byId("to-end").append(icon("down"));
    byId("to-end").setAttribute("aria-label", "To the end");
    byId("to-end").onclick = () => this.toEnd();
    scroll.addEventListener("scroll", () => this.#updateEnd(), {passive: true});
  }

  show(conversation) {
    this.#conversation?.removeEventListener("change", this.#changed);
    this.#conversation = conversation;
    conversation.addEventListener("change", this.#changed);
    this.#views.clear();
    byId("thread").replaceChildren();
    this.#writing = conversation.pending !== null;
    this.#draw();
    this.toEnd();
  }

  // Answers as tokens or as text.
  setInside(inside) {
    this.#inside = inside;
    this.#draw();
  }

  redraw() {
    this.#draw();
  }
  viewOf(message) {
    return this.#views.get(message);
  }
  editLast() {
    const last = this.#conversation.path.findLast(({role}) => role === "user");
    if (last && !this.#conversation.busy) this.#views.get(last).edit();
  }

  toEnd() {
    const scroll = byId("scroll");
    scroll.scrollTop = scroll.scrollHeight;
  }

  #atEnd() {
    const scroll = byId("scroll");
    return scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < near;
  }

  #updateEnd() {
    byId("to-end").hidden = this.#atEnd();
  }

  // Once a frame at most, however fast tokens come.
  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    const draw = () => {
      this.#scheduled = false;
      this.#draw();
    };
    if (document.hidden) setTimeout(draw, 100);
    else requestAnimationFrame(draw);
  }

  #draw() {
    const conversation = this.#conversation;
    if (conversation === null) return;
    const follow = this.#atEnd();
    const path = conversation.path,
      {pending} = conversation;
    byId("welcome").hidden = path.length > 0;
    const views = new Map();
    const elements = path.map((message) => {
      const view = this.#views.get(message) ?? new MessageView(message, this.#actions);
      view.update(message, {
        branches: conversation.branches(message),
        writing: message === pending,
        busy: conversation.busy,
        inside: this.#inside,
        last: message.id === conversation.leaf,
      });
      views.set(message, view);
      return view.element;
    });
    this.#views = views;
    if (conversation.error) elements.push(this.#problem(conversation));
    const thread = byId("thread");
    elements.forEach((element, i) => {
      if (thread.children[i] !== element) thread.insertBefore(element, thread.children[i] ?? null);
    });
    while (thread.children.length > elements.length) thread.lastElementChild.remove();
    if (follow) this.toEnd();
    this.#updateEnd();
    this.#tell(pending !== null, path.at(-1));
    this.#actions.drawn();
  }

  // Those who listen hear that an answer begins, and all of it when it is there.
  #tell(writing, last) {
    if (writing !== this.#writing)
      announce(writing ? "The model is writing" : last?.role === "assistant" ? last.content : "Stopped");
    this.#writing = writing;
  }

  #problem(conversation) {
    const {error, settings, model} = conversation;
    const button = (label, work, title = null) =>
      el("button", {type: "button", class: "button", title, onclick: work}, label);
    let help = [];
    // Trying the same again would not help where the context is full.
    if (error.code === "context_length_exceeded")
      help = waysOn(model)
        .filter(({name}) => name !== settings.overflow)
        .map(({name, act, title}) => button(act, () => this.#actions.goOn(name), title));
    else if (conversation.path.at(-1)?.role === "user") help = [button("Try again", () => this.#actions.retry())];
    return el(
      "div",
      {class: "problem", role: "alert"},
      el("span", {}, error.message),
      help.length > 0 ? el("span", {class: "help"}, help) : null,
    );
  }
}
