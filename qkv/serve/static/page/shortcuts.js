// Keys that work everywhere on the page.
const command = /Mac|iPhone|iPad/.test(navigator.platform) ? "⌘" : "Ctrl";

export const shortcuts = [
  {keys: ["Enter"], what: "Send"},
  {keys: ["Shift", "Enter"], what: "Begin a new line"},
  {keys: ["Esc"], what: "Stop the answer, or close what is open"},
  {keys: ["↑"], what: "Edit your last message, from an empty line"},
  {keys: [command, "Shift", "O"], what: "New conversation", key: "o", shift: true, does: "fresh"},
  {keys: [command, "K"], what: "Search conversations", key: "k", does: "search"},
  {keys: [command, "B"], what: "Show or hide the conversations", key: "b", does: "sidebar"},
  {keys: [command, "."], what: "Settings of this conversation", key: ".", does: "settings"},
  {keys: [command, "I"], what: "Answers as tokens, or as text", key: "i", does: "inside"},
  {keys: ["← →"], what: "From token to token; Enter looks inside"},
  {keys: [command, "/"], what: "This help", key: "/", does: "help"},
];

// Actions by name; "escape" too.
export function listen(actions) {
  document.addEventListener("keydown", (event) => {
    if (event.isComposing || document.querySelector("dialog[open]")) return;
    if (event.key === "Escape") {
      actions.escape();
      return;
    }
    if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
    const found = shortcuts.find(
      ({key, shift = false, does}) => does && key === event.key.toLowerCase() && shift === event.shiftKey,
    );
    if (!found) return;
    event.preventDefault();
    actions[found.does]();
  });
}
