// A page renews itself in place. Not while somebody reads or writes in it: then it waits for the next time.
const TYPING = "input, textarea, select, button, summary, a";

function busy() {
  const main = document.getElementById("main");
  const focused = document.activeElement;
  const chosen = window.getSelection();
  return document.hidden
    || main.querySelector("details[open]") !== null
    || (main.contains(focused) && focused.matches(TYPING))
    || (chosen !== null && !chosen.isCollapsed);
}

document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.detail.elt.id === "main" && busy()) event.preventDefault();
});

// A table that was pushed aside stays where it was.
let pushed = [];
document.addEventListener("htmx:beforeSwap", () => {
  pushed = [...document.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
});
document.addEventListener("htmx:afterSettle", () => {
  document.querySelectorAll(".scroll").forEach((one, index) => { one.scrollLeft = pushed[index] ?? 0; });
});
