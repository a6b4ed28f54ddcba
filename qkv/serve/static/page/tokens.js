// An answer as its tokens: the less likely, the warmer; who rests on one sees what else could have stood there.
import {byId, el} from "./dom.js";

export const percent = (part) =>
  part >= 0.9995
    ? "100 %"
    : part >= 0.01
      ? `${(100 * part).toFixed(1)} %`
      : part >= 0.0001
        ? `${(100 * part).toFixed(2)} %`
        : "< 0.01 %";

// White space can be seen: it is what the token is about, often.
export const visible = (text) =>
  text
    .replaceAll("\n", "⏎")
    .replaceAll("\t", "⇥")
    .replace(/^ +| +$/g, (run) => "␣".repeat(run.length)) || "∅";

// Bars of probabilities: [{text, part, chosen}].
export function bars(entries) {
  return el(
    "dl",
    {class: "bars"},
    entries.map(({text, part, chosen}) => {
      const fill = el("i");
      fill.style.setProperty("--part", `${100 * part}%`);
      return [
        el("dt", {class: chosen ? "is-chosen" : null, title: text}, text),
        el("dd", {}, el("span", {class: "bar"}, fill), el("span", {class: "part"}, percent(part))),
      ];
    }),
  );
}

// What could have stood at a token's place, with what stands there.
export function alternatives(token) {
  const entries = token.top.map(({text, score}) => ({
    text: visible(text),
    part: Math.exp(score),
    chosen: text === token.text,
  }));
  if (!entries.some(({chosen}) => chosen))
    entries.push({text: visible(token.text), part: Math.exp(token.score), chosen: true});
  return bars(entries);
}

export class TokenView {
  element = el("div", {
    class: "tokens",
    role: "group",
    "aria-label": "Tokens of the answer; arrow keys move, Enter looks inside",
  });
  #tokens = [];
  #inspect;

  constructor(inspect) {
    this.#inspect = inspect;
    const of = (event) => event.target.closest?.(".token");
    // After a click the panel moves the text: what comes to lie under a pointer that rests was not meant.
    let clicked = null;
    this.element.addEventListener("pointerover", (event) => {
      const rests = clicked?.clientX === event.clientX && clicked?.clientY === event.clientY;
      if (event.pointerType !== "touch" && !rests) this.#card(of(event));
    });
    this.element.addEventListener("pointerout", () => this.#card(null));
    this.element.addEventListener("focusin", (event) => {
      if (of(event)?.matches(":focus-visible")) this.#card(of(event));
    });
    this.element.addEventListener("focusout", () => this.#card(null));
    this.element.addEventListener("click", (event) => {
      const token = of(event);
      clicked = event;
      this.#card(null);
      if (token) this.#inspect(Number(token.dataset.index));
    });
    this.element.addEventListener("keydown", (event) => this.#key(event, of(event)));
  }

  update(tokens) {
    for (let i = this.#tokens.length; i < tokens.length; ++i) {
      const {text, score} = tokens[i];
      const span = el(
        "span",
        {
          class: "token",
          role: "button",
          tabindex: i === 0 ? "0" : "-1",
          "data-index": i,
          "aria-label": text.trim() === "" ? visible(text) : null,
        },
        shown(text),
      );
      span.style.setProperty("--surprise", (0.75 * (1 - Math.exp(score))).toFixed(3));
      this.element.append(span);
    }
    this.#tokens = tokens.slice();
  }

  // Marks the token that is looked into; null: none.
  choose(index) {
    this.element.querySelector(".chosen")?.classList.remove("chosen");
    if (index !== null) this.element.children[index]?.classList.add("chosen");
  }

  #key(event, token) {
    if (!token) return;
    const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
    const next = step === 1 ? token.nextElementSibling : step === -1 ? token.previousElementSibling : null;
    if (next) {
      event.preventDefault();
      token.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.#inspect(Number(token.dataset.index));
    }
  }

  #card(token) {
    const card = byId("token-card");
    card.hidden = !token;
    if (!token) return;
    card.replaceChildren(
      alternatives(this.#tokens[Number(token.dataset.index)]),
      el("p", {class: "note"}, "Click: what the model looked at"),
    );
    const place = token.getClientRects()[0];
    const left = Math.min(Math.max(8, place.left), innerWidth - card.offsetWidth - 8);
    const below = place.bottom + 8 + card.offsetHeight < innerHeight;
    card.style.left = `${left}px`;
    card.style.top = `${below ? place.bottom + 8 : place.top - card.offsetHeight - 8}px`;
  }
}

// A token's text, with line ends that are seen and end the line.
export function shown(text) {
  return text
    .split(/(\n)/)
    .filter((part) => part !== "")
    .flatMap((part) => (part === "\n" ? [el("span", {class: "space-mark"}, "⏎"), "\n"] : [part]));
}
