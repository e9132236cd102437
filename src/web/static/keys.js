// Single keys on the case list and on Today. Nothing depends on them, and they can be turned off.
"use strict";
(() => {
  const help = document.getElementById("keys");
  if (!help || help.dataset.keys !== "on" || !help.showModal) return;
  const rows = () => [...document.querySelectorAll("[data-row]")];
  const link = (row) => row && row.querySelector("a");
  // The row that has the focus, or had it last.
  let at = -1;
  document.addEventListener("focusin", (e) => {
    const row = e.target.closest("[data-row]");
    if (row) at = rows().indexOf(row);
  });
  const move = (by) => {
    const all = rows();
    if (!all.length) return;
    at = Math.min(Math.max(at + by, 0), all.length - 1);
    link(all[at]).focus();
  };
  const does = {
    "/": () => { const q = document.getElementById("q"); if (q) q.focus(); },
    j: () => move(1),
    k: () => move(at < 0 ? 1 : -1),
    x: () => { const box = at >= 0 && rows()[at].querySelector("input[type=checkbox]"); if (box) box.click(); },
    "?": () => help.showModal(),
  };
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.altKey || e.metaKey || e.isComposing || help.open) return;
    // Whoever types types; a ticked box is no text.
    const typing = e.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]");
    if (typing) {
      if (e.key === "Escape") e.target.blur();
      return;
    }
    if (e.key === "Enter" && at >= 0 && e.target.matches("input[type=checkbox]")) {
      e.preventDefault();
      link(rows()[at]).click();
      return;
    }
    const act = Object.hasOwn(does, e.key) && does[e.key];
    if (!act) return;
    e.preventDefault();
    act();
  });
})();
