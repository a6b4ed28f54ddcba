// Where messages are written, and how many tokens the conversation has.
import {request} from "./api.js";
import {byId, icon, settled} from "./dom.js";
import {promptOf, waysOn} from "./writer.js";

// Keyboards on glass have no Shift+Enter: there, Enter begins a new line.
const touch = matchMedia("(hover: none) and (pointer: coarse)");

export class Composer {
  #actions;
  #writing = false;
  #asked = ""; // of what the shown count is
  #count;

  // Actions: send(text), stop(), editLast(), conversation().
  constructor(actions) {
    this.#actions = actions;
    this.#count = settled(() => this.#countTokens(), 250);
    const question = byId("question");
    question.oninput = () => {
      this.#grow();
      this.update();
    };
    question.onkeydown = (event) => {
      if (event.isComposing) return;
      if (event.key === "Enter" && !event.shiftKey && !touch.matches) {
        event.preventDefault();
        this.#submit();
      } else if (event.key === "ArrowUp" && question.value === "") {
        event.preventDefault();
        actions.editLast();
      }
    };
    byId("composer").onsubmit = (event) => {
      event.preventDefault();
      if (this.#writing) actions.stop();
      else this.#submit();
    };
    this.update();
  }

  // After whatever may change the count or the button.
  update() {
    this.#writing = this.#actions.conversation().pending !== null;
    const send = byId("send");
    const name = this.#writing ? "stop" : "send";
    if (send.dataset.shows !== name) {
      send.dataset.shows = name;
      send.toggleAttribute("data-stops", this.#writing);
      send.replaceChildren(icon(name));
      send.setAttribute("aria-label", this.#writing ? "Stop" : "Send");
      send.title = this.#writing ? "Stop (Esc)" : "Send (Enter)";
    }
    send.disabled = !this.#writing && (this.#actions.conversation().busy || byId("question").value.trim() === "");
    if (!this.#writing) this.#count();
  }

  #submit() {
    const question = byId("question");
    const text = question.value;
    if (this.#actions.conversation().busy || text.trim() === "") return;
    question.value = "";
    this.#grow();
    this.#actions.send(text);
  }

  // What could not be sent is there to be sent again.
  giveBack(text) {
    const question = byId("question");
    if (question.value === "") question.value = text;
    this.#grow();
    this.update();
  }

  #grow() {
    const question = byId("question");
    question.style.height = "auto";
    question.style.height = `${question.scrollHeight}px`;
  }

  async #countTokens() {
    const conversation = this.#actions.conversation();
    const model = conversation.model;
    if (!model) return;
    const draft = byId("question").value;
    const path = [...conversation.path, ...(draft === "" ? [] : [{role: "user", content: draft}])];
    const body = {model: model.id, ...promptOf(model, path, conversation.settings)};
    const asked = JSON.stringify([body, conversation.settings.overflow]);
    if (asked === this.#asked) return;
    this.#asked = asked;
    let count = 0;
    if (path.length > 0 || conversation.settings.system) {
      try {
        const {messages, prompt, ...rest} = body;
        ({count} = await request("POST", "/tokenize", messages ? {...rest, messages} : {...rest, content: prompt}));
      } catch {
        // Templates refuse some conversations; sending this one will say why.
        if (this.#asked === asked) byId("count").textContent = "";
        return;
      }
    }
    if (this.#asked !== asked) return;
    const element = byId("count");
    element.textContent = `${count.toLocaleString("en")} / ${model.context.toLocaleString("en")} tokens`;
    const full = count >= model.context;
    const way = waysOn(model).find(({name}) => name === conversation.settings.overflow);
    element.classList.toggle("full", full && !way);
    element.title = !full
      ? "Tokens of this conversation, and the most that the model takes"
      : (way?.title ?? "Too long for this model");
  }
}
