// Keeps a page that could not be sent. Without this file every form works as a plain form.
//
// What was typed is encrypted before it is stored on the device. The key lives in this tab's
// session only: once the tab is closed, what is left on the device cannot be read by anybody.
// It stays until it was received, or whoever typed it throws it away.
"use strict";
(() => {
  const KEPT = "cdr-draft-kept:", KEY = "cdr-draft-key", TAB = "cdr-draft-tab", SAID = "cdr-draft-said", TOLD = "cdr-draft-told";
  const said = document.getElementById("kept");
  const say = (text) => { if (said) { said.textContent = text; said.hidden = !text; } };
  const clock = (at) => new Date(at).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: "Europe/London" });
  const b64 = (b) => btoa(String.fromCharCode(...new Uint8Array(b)));
  const raw = (t) => Uint8Array.from(atob(t), (c) => c.charCodeAt(0));
  const safe = window.isSecureContext && window.crypto && crypto.subtle;

  // The state of alerts on the last page, so that nobody has to press reload.
  const told = document.getElementById("told");
  if (told) {
    setInterval(async () => {
      try {
        const r = await fetch(told.dataset.told, { cache: "no-store", redirect: "error" });
        if (r.ok) told.innerHTML = await r.text();
      } catch { /* Not connected: what is shown says as of when. */ }
    }, 10000);
  }

  // A word from the page before: what arrived, and when.
  try {
    const word = sessionStorage.getItem(SAID);
    if (word) { say(word); sessionStorage.removeItem(SAID); }
  } catch { return; }
  if (!safe) return;

  const key = async (make) => {
    let text = sessionStorage.getItem(KEY);
    if (!text && make) {
      text = b64(crypto.getRandomValues(new Uint8Array(32)));
      sessionStorage.setItem(KEY, text);
    }
    return text && crypto.subtle.importKey("raw", raw(text), "AES-GCM", false, ["encrypt", "decrypt"]);
  };
  // Each tab keeps its own, page by page: one must not throw away what another is waiting to send.
  const mine = () => {
    let tab = sessionStorage.getItem(TAB);
    if (!tab) { tab = crypto.randomUUID(); sessionStorage.setItem(TAB, tab); }
    return `${KEPT}${tab}:`;
  };
  const names = () => Object.keys(localStorage).filter((n) => n.startsWith(KEPT));
  const own = () => names().filter((n) => n.startsWith(mine()));
  const place = (action) => action.split("?")[0];
  const name = (action) => mine() + place(action);
  const keep = async (item) => {
    const iv = crypto.getRandomValues(new Uint8Array(12));
    const plain = new TextEncoder().encode(JSON.stringify(item));
    const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, await key(true), plain);
    localStorage.setItem(name(item.action), JSON.stringify({ at: Date.now(), iv: b64(iv), sealed: b64(sealed) }));
  };
  const drop = (n) => {
    localStorage.removeItem(n);
    if (!own().length) sessionStorage.removeItem(KEY);
  };
  const at = (n) => { try { return JSON.parse(localStorage.getItem(n)).at || 0; } catch { return 0; } };
  // What this tab keeps, the oldest first; without `item` where the key does not open it.
  const kept = async () => {
    const all = [];
    for (const n of own().sort((a, b) => at(a) - at(b))) {
      let item = null;
      try {
        const { iv, sealed } = JSON.parse(localStorage.getItem(n));
        const plain = await crypto.subtle.decrypt({ name: "AES-GCM", iv: raw(iv) }, await key(false), raw(sealed));
        item = JSON.parse(new TextDecoder().decode(plain));
      } catch { /* The key is gone. */ }
      all.push({ n, item });
    }
    return all;
  };
  // What other tabs have left behind a day ago: nobody waits for it any more.
  for (const n of names()) {
    if (!n.startsWith(mine()) && Date.now() - at(n) > 86400000) localStorage.removeItem(n);
  }

  // One try. The same body goes out each time, with the same keys in it, so that one which arrived
  // although its answer was lost is not taken twice.
  const post = async (item) => {
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), 20000);
    try {
      return await fetch(item.action, {
        method: "POST", body: item.body, redirect: "manual", signal: stop.signal, cache: "no-store",
        headers: { "content-type": "application/x-www-form-urlencoded", "x-draft-script": "1" },
      });
    } finally { clearTimeout(timer); }
  };

  let waiting = false, busy = false, sending = false, notBefore = 0;
  const arrived = (action, answer) => {
    drop(name(action));
    if (waiting) sessionStorage.setItem(SAID, `Received at ${answer.at}.`);
    waiting = false;
    window.location.assign(answer.to);
  };

  // Buttons below what is said: what can be done with what is kept.
  const offer = (...all) => {
    document.getElementById("kept-do")?.remove();
    if (!said || !all.length) return;
    const row = Object.assign(document.createElement("p"), { id: "kept-do", className: "n-kept-do" });
    for (const [text, what] of all) {
      const e = document.createElement(typeof what === "string" ? "a" : "button");
      e.textContent = text;
      if (typeof what === "string") e.href = what;
      else { e.type = "button"; e.className = "second"; e.addEventListener("click", what); }
      row.append(e);
    }
    said.after(row);
  };
  const ring = () => {
    const number = document.querySelector("a.tel")?.textContent;
    return number ? `ring ${number}` : "ring us";
  };
  const discard = (n) => ["Throw it away", () => { drop(n); waiting = false; say("Thrown away."); offer(); show(); }];
  const formOf = (item) => [...document.querySelectorAll("form[data-keep]")]
    .find((f) => place(f.getAttribute("action")) === place(item.action));
  // Puts what was typed back into the fields of its form.
  const putBack = (form, item) => {
    const body = new URLSearchParams(item.body), used = {};
    for (const e of form.elements) {
      if (!e.name || e.name.startsWith("_")) continue;
      const values = body.getAll(e.name);
      if (e.type === "radio" || e.type === "checkbox") e.checked = values.includes(e.value);
      else if (values.length) { e.value = values[used[e.name] ?? 0] ?? ""; used[e.name] = (used[e.name] ?? 0) + 1; }
    }
    say(`What you typed at ${item.at} is in the form again. Look at it, and press the button.`);
    offer(discard(name(item.action)));
  };
  // Where a page stands that is only ever sent.
  const page = (item) => place(item.action).replace(/\/more\/send$/, "/more").replace(/\/send$/, "/check");
  const backOf = (item) => {
    const form = formOf(item);
    const typed = [...new URLSearchParams(item.body).keys()].some((n) => !n.startsWith("_"));
    if (form && !typed) return [];
    return form ? [["Put it back into the form", () => putBack(form, item)]] : [["Open the page it belongs to", page(item)]];
  };
  const wait = (item, why, ...ways) => {
    waiting = true;
    say(`Kept on this phone at ${item.at}. It has not been received yet. ${why ?? "It is sent by itself as soon as there is a connection; leave this page open."}`);
    offer(...ways);
  };
  const REFUSED = {
    403: "it was not taken from where it was sent",
    410: "this browser no longer knows which notification it belongs to",
    413: "it is too long",
    422: "something in it could not be used",
  };
  const refused = (item) => {
    const why = REFUSED[item.refused] ?? "it was not taken as it is";
    const code = item.refused === 410 ? [["Enter your code", "/notify/resume"]] : [];
    say(`Kept on this phone at ${item.at}. It has not been received: ${why}. Open it again and press the button to see what to mend, or ${ring()}.`);
    offer(...backOf(item), ...code, discard(name(item.action)));
  };
  // A redirect is no receipt for this script: it leads to where a notification is begun or found.
  const status = (r) => (r.type === "opaqueredirect" ? 410 : r.status);
  // Tried again by itself, and not sooner than was asked for.
  const isLater = (s) => s === 429 || s === 408 || s >= 500;
  const later = (r) => {
    const seconds = Number(r.headers.get("retry-after")) || 0;
    notBefore = Date.now() + Math.min(seconds, 300) * 1000;
  };
  const BUSY = () => `Too much is being sent just now. It is sent again by itself; leave this page open, or ${ring()}.`;

  const again = async () => {
    if (!waiting || busy || Date.now() < notBefore) return;
    busy = true;
    try {
      const next = (await kept()).map((k) => k.item).find((i) => i && !i.refused);
      if (!next) { waiting = false; return; }
      const r = await post(next);
      const s = status(r);
      // Whoever presses a button meanwhile goes on with what they see, not with what was kept.
      if (r.ok && sending) { drop(name(next.action)); waiting = false; }
      else if (r.ok) arrived(next.action, await r.json());
      else if (isLater(s)) { later(r); if (s === 429) wait(next, BUSY()); }
      else {
        // It arrived and was not taken as it is: it stays here until somebody has mended it.
        waiting = false;
        const item = { ...next, refused: s };
        await keep(item);
        refused(item);
      }
    } catch { /* Still no connection. */ } finally { busy = false; }
  };
  window.addEventListener("online", again);
  setInterval(again, 4000);

  document.addEventListener("submit", async (e) => {
    const form = e.target;
    if (!form.matches("[data-keep]") || form.dataset.plain) return;
    e.preventDefault();
    if (sending) return;
    sending = true;
    // What was kept before goes first; the press waits for it and is not lost.
    if (busy) say("Sending what was kept here first.");
    while (busy) await new Promise((done) => { setTimeout(done, 100); });
    busy = true;
    const data = new URLSearchParams(new FormData(form, e.submitter));
    const item = { action: form.getAttribute("action"), body: data.toString(), at: clock(Date.now()) };
    try {
      const r = await post(item);
      const s = status(r);
      if (r.ok) { arrived(item.action, await r.json()); return; }
      if (isLater(s)) { later(r); throw s === 429 ? BUSY() : new Error("not stored"); }
      // The page that comes back from 422 holds what was typed; no other does.
      if (s !== 422 || localStorage.getItem(name(item.action))) await keep({ ...item, refused: s }).catch(() => {});
      // Refused, or somewhere else to go: the browser does it itself and shows the page.
      form.dataset.plain = "yes";
      if (e.submitter && e.submitter.name) {
        const h = document.createElement("input");
        Object.assign(h, { type: "hidden", name: e.submitter.name, value: e.submitter.value });
        form.append(h);
      }
      waiting = false;
      form.submit();
    } catch (why) {
      try { await keep(item); wait(item, typeof why === "string" ? why : undefined); } catch {
        say(`There is no connection. What you typed is still in this page: try again in a moment, or ${ring()}.`);
      }
    } finally { busy = false; sending = false; }
  });

  // Closing the tab with something kept would throw the key away.
  window.addEventListener("beforeunload", (e) => { if (waiting) e.preventDefault(); });

  const show = async () => {
    const all = await kept();
    const items = all.map((k) => k.item).filter(Boolean);
    const next = items.find((i) => !i.refused);
    if (next) { wait(next, undefined, ...backOf(next)); again(); return; }
    const here = items.find(formOf) ?? items[0];
    if (here) { refused(here); return; }
    const lost = all.find((k) => !k.item)?.n;
    const others = lost ?? names().find((n) => !n.startsWith(mine()));
    if (!others || (!lost && sessionStorage.getItem(TOLD))) return;
    say(`A page kept on this phone at ${clock(at(others))} has not been received, and cannot be read here: its key was in another tab. If that tab is still open, go on there. If not, fill the page in again, or ${ring()}.`);
    // Another tab may be waiting to send it: only what was this one's own is thrown away here.
    if (lost) offer(discard(lost)); else sessionStorage.setItem(TOLD, "yes");
  };
  show();
})();
