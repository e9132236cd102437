// Keeps a board up to date over server-sent events, and the demo's outbox by looking again. Without
// this file the pages refresh by themselves.
"use strict";
(() => {
  const list = document.querySelector("[data-again]");
  if (!list) return;
  setInterval(async () => {
    // Nobody's button vanishes under the finger.
    if (list.contains(document.activeElement) || document.hidden) return;
    const page = await fetch(window.location.href).then((r) => r.text()).catch(() => null);
    const fresh = page && new DOMParser().parseFromString(page, "text/html").querySelector("[data-again]");
    if (fresh && fresh.innerHTML !== list.innerHTML) list.replaceChildren(...fresh.childNodes);
  }, 5000);
})();
(() => {
  const board = document.getElementById("board");
  const told = document.getElementById("told");
  if (!board || !window.EventSource) return;
  let last = (board.querySelector("[data-say]") || {}).textContent;
  const busy = () => board.querySelector("details[open]") !== null;
  const source = new EventSource(board.dataset.live);
  source.addEventListener("board", (e) => {
    // Nobody loses what they are typing.
    if (busy()) { told.textContent = "Something changed. Close the form to see it."; return; }
    board.innerHTML = e.data;
    const said = (board.querySelector("[data-say]") || {}).textContent;
    // Read aloud only what is new, not the whole board each time.
    if (said !== last) { told.textContent = said; last = said; }
  });
  source.addEventListener("gone", () => { source.close(); window.location.reload(); });
  source.onerror = () => { told.textContent = "Not connected. Trying again."; };
  source.onopen = () => { told.textContent = ""; };
})();
