// Light, dark, or as the system has it.
import {iconButton} from "./dom.js";
import {recall, remember} from "./remembered.js";

const order = ["system", "light", "dark"];
const icons = {system: "system", light: "sun", dark: "moon"};
const labels = {system: "Colours: as the system has them", light: "Colours: light", dark: "Colours: dark"};

function apply(theme) {
  document.documentElement.style.colorScheme = theme === "system" ? "light dark" : theme;
}

// At once: the page must not flash.
let theme = recall("theme", "system");
apply(theme);

export function themeButton() {
  const make = () => iconButton(icons[theme], labels[theme], next, {id: "theme"});
  let button = make();
  function next() {
    theme = order[(order.indexOf(theme) + 1) % order.length];
    remember("theme", theme);
    apply(theme);
    const fresh = make();
    button.replaceWith(fresh);
    button = fresh;
    button.focus();
  }
  return button;
}
