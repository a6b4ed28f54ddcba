// The tab of models that do not chat: fill a mask, tag entities, answer a question, classify, translate. Only what a
// served model can do is offered.
import {request} from "./api.js";
import {byId, el} from "./dom.js";
import {bars, percent} from "./tokens.js";

const area = (name, rows, placeholder) => el("textarea", {name, rows, placeholder, required: true});
const field = (label, input) => el("label", {class: "field"}, el("span", {}, label), input);

// Places in answers count code points, as do these pieces.
function pieces(text, spans, mark) {
  const points = Array.from(text);
  const out = [];
  let at = 0;
  for (const span of [...spans].sort((a, b) => a.start - b.start)) {
    if (span.start < at) continue;
    out.push(points.slice(at, span.start).join(""), mark(points.slice(span.start, span.end).join(""), span));
    at = span.end;
  }
  return [...out, points.slice(at).join("")];
}

const marked = (text, spans) =>
  el(
    "div",
    {class: "marked-text"},
    pieces(text, spans, (part, {label, score}) =>
      el("mark", {title: percent(score)}, part, label ? el("small", {}, label) : null),
    ),
  );

const kinds = {
  fill: {
    title: "Fill a mask",
    action: "Fill",
    form({mask}) {
      const input = area("input", 4, `The capital of France is ${mask}.`);
      return [field("Text with a gap", input)];
    },
    more(form, {mask}) {
      return el(
        "button",
        {
          type: "button",
          class: "button",
          onclick: () => {
            const {input} = form.elements;
            input.setRangeText(mask, input.selectionStart, input.selectionEnd, "end");
            input.focus();
          },
        },
        `Insert ${mask}`,
      );
    },
    path: "/v1/fill",
    body: ({input}) => ({input, top_k: 6}),
    outcome: ({data: [{fillings}]}) =>
      fillings.map((list, i) =>
        el(
          "section",
          {class: "outcome"},
          fillings.length > 1 ? el("h3", {}, `Gap ${i + 1}`) : null,
          bars(list.map(({token_str: text, score}) => ({text: text.trim() || text, part: score}))),
          el("p", {class: "sequence"}, list[0].sequence),
        ),
      ),
  },
  tag: {
    title: "Tag entities",
    action: "Tag",
    form: () => [field("Text", area("input", 6, "Ada Lovelace was born in London."))],
    path: "/v1/tag",
    body: ({input}) => ({input}),
    outcome: ({data: [{entities}]}, {input}) => [
      marked(input, entities),
      entities.length === 0 ? el("p", {class: "note"}, "No entities were found.") : null,
    ],
  },
  answer: {
    title: "Answer a question",
    action: "Answer",
    form: () => [
      field("Text that holds the answer", area("context", 8, "Paste a text")),
      field("Question", area("question", 2, "What do you want to know?")),
    ],
    path: "/v1/answer",
    body: ({question, context}) => ({question, context, top_k: 4}),
    outcome: ({answers}, {context}) =>
      answers.length === 0
        ? el("p", {class: "note"}, "The text does not answer it.")
        : [bars(answers.map(({answer, score}) => ({text: answer, part: score}))), marked(context, answers.slice(0, 1))],
  },
  classify: {
    title: "Classify",
    action: "Classify",
    form: () => [field("Text", area("input", 5, "I liked this film very much."))],
    path: "/v1/classify",
    body: ({input}) => ({input, top_k: 10}),
    outcome: ({data: [{labels}]}) => bars(labels.map(({label, score}) => ({text: label, part: score}))),
  },
  translate: {
    title: "Rewrite or translate",
    action: "Go",
    form: () => [field("Text", area("input", 6, "Good morning."))],
    path: "/v1/translate",
    body: ({input}) => ({input}),
    outcome: ({data: [{text}]}) => el("div", {class: "marked-text"}, text),
  },
};

const ableTo = (models, kind) => models.filter(({tasks}) => tasks?.includes(kind));

export const offeredTasks = (models) => Object.keys(kinds).filter((kind) => ableTo(models, kind).length > 0);

export function showTasks(models) {
  const offered = offeredTasks(models);
  const place = el("div");
  const buttons = offered.map((kind) =>
    el("button", {type: "button", class: "button", "data-task": kind, onclick: () => show(kind)}, kinds[kind].title),
  );
  const forms = new Map();
  function show(kind) {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.task === kind));
    if (!forms.has(kind)) forms.set(kind, taskForm(kind, ableTo(models, kind)));
    place.replaceChildren(forms.get(kind));
  }
  byId("tasks").replaceChildren(
    el(
      "div",
      {class: "tasks-body"},
      el("div", {class: "task-list", role: "group", "aria-label": "Tasks"}, buttons),
      place,
    ),
  );
  if (offered.length > 0) show(offered[0]);
}

function taskForm(kind, models) {
  const {title, action, path, body, form: fields, more, outcome} = kinds[kind];
  const model = el(
    "select",
    {name: "model"},
    models.map(({id}) => el("option", {}, id)),
  );
  const result = el("div", {class: "outcome", "aria-live": "polite"});
  const go = el("button", {class: "button main"}, action);
  const inputs = el("div", {class: "task-form"});
  const buttons = el("div", {class: "buttons"});
  const refill = () => {
    const chosen = models.find(({id}) => id === model.value);
    inputs.replaceChildren(...fields(chosen));
    buttons.replaceChildren(go, ...(more ? [more(form, chosen)] : []));
  };
  model.onchange = refill;
  const form = el(
    "form",
    {
      class: "task-form",
      onsubmit: async (event) => {
        event.preventDefault();
        const values = Object.fromEntries(new FormData(form));
        go.disabled = true;
        try {
          const answer = await request("POST", path, {model: values.model, ...body(values)});
          result.replaceChildren(...[outcome(answer, values)].flat().filter(Boolean));
        } catch (error) {
          result.replaceChildren(el("p", {class: "problem", role: "alert"}, error.message));
        }
        go.disabled = false;
      },
      onkeydown: (event) => {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
      },
    },
    el("h2", {}, title),
    models.length > 1 ? field("Model", model) : el("div", {hidden: true}, model),
    inputs,
    buttons,
    result,
  );
  refill();
  return form;
}
