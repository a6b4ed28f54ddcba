// Markdown on the page. Text becomes text nodes, never markup.
import {copyFrom, el, icon} from "./dom.js";
import {highlight} from "./highlight.js";
import {parse} from "./markdown.js";

const thinking = /^\s*<think>([\s\S]*?)(?:<\/think>|$)([\s\S]*)$/;

// An answer: what the model thought before it, folded, and the rest.
export function renderAnswer(container, text) {
  const [, thoughts, said] = thinking.exec(text) ?? [null, "", text];
  let [folded, blocks] = [container.querySelector(":scope > details"), container.querySelector(":scope > .blocks")];
  if (!blocks) container.replaceChildren((blocks = el("div", {class: "blocks"})));
  if (thoughts.trim() === "") folded?.remove();
  else {
    if (!folded) {
      folded = el("details", {}, el("summary", {}, "Thoughts"), el("div", {class: "blocks"}));
      container.prepend(folded);
    }
    renderMarkdown(folded.lastElementChild, thoughts.trim());
  }
  renderMarkdown(blocks, said);
}

// Shows the text. While it grows, blocks that have not changed keep their elements.
export function renderMarkdown(container, text) {
  const blocks = parse(text);
  blocks.forEach((block, i) => {
    const old = container.children[i];
    if (old?.source === block.raw) return;
    const fresh = element(block);
    fresh.source = block.raw;
    if (old) old.replaceWith(fresh);
    else container.append(fresh);
  });
  while (container.children.length > blocks.length) container.lastElementChild.remove();
}

function element(block) {
  switch (block.type) {
    case "heading":
      return el(`h${Math.min(6, block.level + 1)}`, {}, marked(block.inlines));
    case "code":
      return codeBlock(block);
    case "quote":
      return el("blockquote", {}, block.blocks.map(element));
    case "rule":
      return el("hr");
    case "list":
      return list(block);
    case "table":
      return table(block);
    default:
      return el("p", {}, marked(block.inlines));
  }
}

function marked(nodes) {
  return nodes.map((node) => {
    if (typeof node === "string") return node;
    if (node.type === "break") return el("br");
    if (node.type === "code") return el("code", {}, node.text);
    if (node.type === "link")
      return el("a", {href: node.href, target: "_blank", rel: "noopener noreferrer nofollow"}, marked(node.children));
    return el(node.type, {}, marked(node.children));
  });
}

function list(block) {
  const items = block.items.map((item) => {
    const box =
      item.checked === null
        ? null
        : el("input", {
            type: "checkbox",
            disabled: true,
            checked: item.checked,
            "aria-label": item.checked ? "done" : "to do",
          });
    // Tight lists have no paragraphs.
    const content = item.blocks.flatMap((inner) =>
      inner.type === "paragraph" && !block.loose ? marked(inner.inlines) : [element(inner)],
    );
    return el("li", {class: box && "task"}, box, content);
  });
  return block.start === null ? el("ul", {}, items) : el("ol", {start: block.start}, items);
}

function table(block) {
  const row = (cells, tag) =>
    el(
      "tr",
      {},
      cells.map((cell, i) => el(tag, {class: block.align[i]}, marked(cell))),
    );
  return el(
    "div",
    {class: "table", tabindex: "0", role: "group", "aria-label": "Table"},
    el(
      "table",
      {},
      el("thead", {}, row(block.head, "th")),
      el(
        "tbody",
        {},
        block.rows.map((cells) => row(cells, "td")),
      ),
    ),
  );
}

function codeBlock({text, language}) {
  const copy = el(
    "button",
    {type: "button", class: "copy-code", onclick: () => copyFrom(copy, text)},
    icon("copy"),
    "Copy",
  );
  const pieces = highlight(text, language).map(({text: piece, kind}) =>
    kind === "" ? piece : el("span", {class: `code-${kind}`}, piece),
  );
  return el(
    "div",
    {class: "code"},
    el("div", {class: "code-head"}, el("span", {}, language || "code"), copy),
    el("pre", {tabindex: "0"}, el("code", {}, pieces)),
  );
}
