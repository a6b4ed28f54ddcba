// How the model shall write: a form in the panel. Empty fields are left to the model.
import {el, settled} from "./dom.js";
import {waysOn} from "./writer.js";

const numbers = [
  {
    name: "temperature",
    label: "Temperature",
    min: 0,
    max: 5,
    step: 0.05,
    title: "0: always the likeliest token; higher: more surprising",
    usual: "1",
  },
  {name: "max_tokens", label: "Longest answer", min: 1, step: 1, title: "Tokens of an answer", usual: "no limit"},
  {
    name: "top_p",
    label: "Top p",
    min: 0,
    max: 1,
    step: 0.01,
    title: "Choose among the likeliest tokens that together have this probability",
    usual: "1",
  },
  {name: "top_k", label: "Top k", min: 0, step: 1, title: "Choose among so many of the likeliest tokens", usual: "all"},
  {
    name: "min_p",
    label: "Min p",
    min: 0,
    max: 1,
    step: 0.01,
    title: "Leave out tokens less likely than this part of the likeliest",
    usual: "0",
  },
  {name: "seed", label: "Seed", step: 1, title: "The same seed gives the same answer", usual: "random"},
  {
    name: "repetition_penalty",
    label: "Repetition penalty",
    min: 0.01,
    max: 10,
    step: 0.01,
    title: "Above 1: what has been said becomes less likely",
    usual: "1",
  },
  {
    name: "frequency_penalty",
    label: "Frequency penalty",
    min: -2,
    max: 2,
    step: 0.1,
    title: "Less likely for each time it was said",
    usual: "0",
  },
  {
    name: "presence_penalty",
    label: "Presence penalty",
    min: -2,
    max: 2,
    step: 0.1,
    title: "Less likely once it was said",
    usual: "0",
  },
];

// Calls `changed` with the whole settings a little after the last change. Empty fields show what the model has there.
export function settingsForm(settings, model, changed) {
  const current = {...settings};
  const later = settled(() => changed({...current}), 300);
  const set = (name, value) => {
    if (value === undefined || value === "") delete current[name];
    else current[name] = value;
    later();
  };
  const system = el("textarea", {
    rows: 5,
    id: "system",
    placeholder: "What the model should know or be, in every conversation turn",
    oninput: () => set("system", system.value),
  });
  system.value = current.system ?? "";
  const fields = numbers.map(({name, label, usual, title, ...range}) => {
    const input = el("input", {
      type: "number",
      inputmode: "decimal",
      placeholder: model?.sampling?.[name] ?? usual,
      ...range,
      oninput: () => {
        if (input.validity.valid) set(name, input.value === "" ? undefined : input.valueAsNumber);
      },
    });
    input.value = current[name] ?? "";
    input.name = name;
    return el("label", {class: "field", title}, el("span", {}, label), input);
  });
  const stop = el("textarea", {
    rows: 2,
    placeholder: "one a line; \\n is a line's end",
    oninput: () => set("stop", stop.value),
  });
  stop.value = current.stop ?? "";
  const full = el(
    "select",
    {name: "overflow", onchange: () => set("overflow", full.value)},
    el("option", {value: ""}, "say so"),
    waysOn(model).map(({name, label}) => el("option", {value: name}, label)),
  );
  full.value = current.overflow ?? "";
  if (full.selectedIndex < 0) full.value = "";
  const reset = el(
    "button",
    {
      type: "button",
      class: "button",
      onclick: () => {
        for (const key of Object.keys(current)) if (!["model", "system", "overflow"].includes(key)) delete current[key];
        form.replaceWith(settingsForm(current, model, changed));
        changed({...current});
      },
    },
    "Back to the model's own",
  );
  const form = el(
    "form",
    {class: "panel-form", onsubmit: (event) => event.preventDefault()},
    el("label", {class: "field"}, el("span", {}, "System prompt"), system),
    el("div", {class: "numbers"}, fields, el("label", {class: "field"}, el("span", {}, "When the context is full"), full)),
    el("label", {class: "field"}, el("span", {}, "Stop at"), stop),
    reset,
    el("p", {class: "note"}, "These belong to this conversation; new ones begin with them."),
  );
  return form;
}
