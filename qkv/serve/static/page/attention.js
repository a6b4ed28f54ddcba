// What a token's place attended to: layers and heads to choose from, and the earlier tokens warmed by their weights.
import {request} from "./api.js";
import {el} from "./dom.js";
import {bars, percent, shown, visible} from "./tokens.js";

// Weights over the tokens: of one head, or the mean over the heads of a layer, over all layers, or both (null: all).
export function weightsOf(layers, layer, head) {
  const chosen = layer === null ? layers : layers.filter((one) => one.layer === layer);
  const rows = chosen.flatMap(({heads}) => (head === null ? heads : [heads[head]]));
  return rows[0].map((_, i) => rows.reduce((sum, row) => sum + row[i], 0) / rows.length);
}

// Asks for the weights. Where all layers together are too many numbers, one layer comes at a time.
async function fetchLayers(body, layer) {
  try {
    return await request("POST", "/attention", layer === null ? body : {...body, layer});
  } catch (error) {
    if (error.code !== "too_many_weights" || layer !== null) throw error;
    return {...(await request("POST", "/attention", {...body, layer: 0})), partial: true};
  }
}

export class AttentionView {
  element = el("section", {"aria-label": "Attention"});
  #body;
  #answer = null;
  #layer = null;
  #head = null;
  #withoutFirst = true;

  constructor() {
    this.element.append(el("p", {class: "note"}, "…"));
  }

  // `body`: the request's fields that say which text.
  async load(body) {
    this.#body = body;
    try {
      this.#answer = await fetchLayers(body, null);
      if (this.#answer.partial) this.#layer = 0;
    } catch (error) {
      this.element.replaceChildren(el("p", {class: "problem", role: "alert"}, error.message));
      return;
    }
    this.#draw();
  }

  async #choose(layer, head) {
    this.#layer = layer;
    this.#head = head;
    if (this.#answer.partial && !this.#answer.layers.some((one) => one.layer === layer)) {
      try {
        this.#answer.layers = (await fetchLayers(this.#body, layer)).layers;
      } catch (error) {
        this.element.append(el("p", {class: "problem", role: "alert"}, error.message));
        return;
      }
    }
    this.#draw();
  }

  #draw() {
    const {layers, layer_count: count, head_count: heads, tokens, partial} = this.#answer;
    const had = this.element.contains(document.activeElement) ? document.activeElement.name : null;
    const select = (label, name, number, chosen, mean, choose) => {
      const box = el(
        "select",
        {name, onchange: () => choose(box.value === "" ? null : Number(box.value))},
        mean ? el("option", {value: ""}, mean) : null,
        Array.from({length: number}, (_, i) => el("option", {value: i}, String(i + 1))),
      );
      box.value = chosen ?? "";
      return el("label", {class: "field"}, el("span", {}, label), box);
    };
    const tick = el("input", {
      type: "checkbox",
      name: "first",
      onchange: () => {
        this.#withoutFirst = tick.checked;
        this.#draw();
      },
    });
    tick.checked = this.#withoutFirst;
    const weights = weightsOf(layers, this.#layer, this.#head);
    this.element.replaceChildren(
      el(
        "div",
        {class: "choice"},
        select("Layer", "layer", count, this.#layer, partial ? null : "Mean of all", (layer) =>
          this.#choose(layer, this.#head),
        ),
        select("Head", "head", heads, this.#head, "Mean of all", (head) => this.#choose(this.#layer, head)),
      ),
      this.#text(tokens, weights),
      el("label", {class: "tick", title: "Heads with nothing to do rest there"}, tick, "Leave out the first token"),
      this.#strongest(tokens, weights),
      el("h3", {}, "All heads"),
      this.#grid(layers, heads),
    );
    if (had) this.element.querySelector(`[name="${had}"]`)?.focus();
  }

  // All heads: warmer where a head looks hard at one place beyond the first token.
  #grid(layers, heads) {
    const cells = layers.flatMap(({layer, heads: rows}) =>
      rows.map((row, head) => {
        const strongest = Math.max(0, ...row.slice(1));
        const chosen = layer === this.#layer && head === this.#head;
        const cell = el("button", {
          type: "button",
          name: `cell-${layer}-${head}`,
          "aria-pressed": String(chosen),
          "aria-label": `Layer ${layer + 1}, head ${head + 1}: at most ${percent(strongest)} on one token`,
          title: `Layer ${layer + 1}, head ${head + 1}`,
          onclick: () => (chosen ? this.#choose(this.#answer.partial ? layer : null, null) : this.#choose(layer, head)),
        });
        cell.style.setProperty("--weight", strongest.toFixed(3));
        return cell;
      }),
    );
    const grid = el("div", {class: "heads", role: "group", "aria-label": "Heads, a row for each layer"}, cells);
    grid.style.setProperty("--heads", heads);
    return grid;
  }

  #scale(weights) {
    const counted = this.#withoutFirst && weights.length > 1 ? weights.slice(1) : weights;
    return Math.max(1e-9, ...counted);
  }

  #text(tokens, weights) {
    const most = this.#scale(weights);
    return el(
      "div",
      {class: "attended", tabindex: "0", role: "group", "aria-label": "Earlier tokens, warmer where the model looked"},
      tokens.map((token, i) => {
        const left = this.#withoutFirst && i === 0 && tokens.length > 1;
        const span = el(
          "span",
          {
            class: i === this.#answer.position ? "asks" : null,
            title: `${visible(token.text)}: ${percent(weights[i] ?? 0)}`,
          },
          token.special ? el("span", {class: "special"}, token.text) : shown(token.text),
        );
        span.style.setProperty("--weight", left ? 0 : Math.min(1, (weights[i] ?? 0) / most).toFixed(3));
        return span;
      }),
    );
  }

  #strongest(tokens, weights) {
    const order = weights
      .map((part, i) => ({part, i}))
      .filter(({i}) => !(this.#withoutFirst && i === 0 && weights.length > 1))
      .sort((a, b) => b.part - a.part)
      .slice(0, 6);
    return bars(order.map(({part, i}) => ({text: visible(tokens[i].text), part})));
  }
}
