// Keeps a page that could not be sent. Without this file every form works as a plain form.
//
// What was typed is encrypted before it is stored on the device. The key lives in this tab's
// session only: once the tab is closed, what is left on the device cannot be read by anybody.
"use strict";
(() => {
  const KEPT = "cdr-draft-kept:", KEY = "cdr-draft-key", TAB = "cdr-draft-tab", SAID = "cdr-draft-said";
  const said = document.getElementById("kept");
  const say = (text) => { if (said) { said.textContent = text; said.hidden = !text; } };
  const clock = () => new Date().toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: "Europe/London" });
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
  // Each tab keeps its own: one must not throw away what another is waiting to send.
  const mine = () => {
    let tab = sessionStorage.getItem(TAB);
    if (!tab) { tab = crypto.randomUUID(); sessionStorage.setItem(TAB, tab); }
    return KEPT + tab;
  };
  const keep = async (item) => {
    const iv = crypto.getRandomValues(new Uint8Array(12));
    const plain = new TextEncoder().encode(JSON.stringify(item));
    const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, await key(true), plain);
    localStorage.setItem(mine(), JSON.stringify({ at: Date.now(), iv: b64(iv), sealed: b64(sealed) }));
  };
  const forget = () => { localStorage.removeItem(mine()); sessionStorage.removeItem(KEY); };
  const kept = async () => {
    const text = localStorage.getItem(mine());
    if (!text) return null;
    try {
      const { iv, sealed } = JSON.parse(text);
      const plain = await crypto.subtle.decrypt({ name: "AES-GCM", iv: raw(iv) }, await key(false), raw(sealed));
      return JSON.parse(new TextDecoder().decode(plain));
    } catch { forget(); return null; }
  };
  // What tabs long closed have left behind, which nobody can read any more.
  for (const name of Object.keys(localStorage).filter((n) => n.startsWith(KEPT) && n !== mine())) {
    let at = 0;
    try { at = JSON.parse(localStorage.getItem(name)).at; } catch { /* Not ours to read. */ }
    if (Date.now() - at > 3600000) localStorage.removeItem(name);
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

  let waiting = false, busy = false;
  const arrived = (answer) => {
    forget();
    const waited = waiting;
    waiting = false;
    if (waited) sessionStorage.setItem(SAID, `Received at ${answer.at}.`);
    window.location.assign(answer.to);
  };
  const wait = (item) => {
    waiting = true;
    say(`Kept on this phone at ${item.at}. It has not been received yet. It is sent by itself as soon as there is a connection; leave this page open.`);
  };
  const again = async () => {
    if (!waiting || busy) return;
    busy = true;
    try {
      const item = await kept();
      if (!item) { waiting = false; return; }
      const r = await post(item);
      if (r.ok) arrived(await r.json());
      else if (r.status < 500 && r.type !== "opaqueredirect") {
        // It arrived and was not taken as it is: the page itself says why.
        forget(); waiting = false;
        say("There is a connection again. Please press the button once more.");
      }
    } catch { /* Still no connection. */ } finally { busy = false; }
  };
  window.addEventListener("online", again);
  setInterval(again, 4000);

  document.addEventListener("submit", async (e) => {
    const form = e.target;
    if (!form.matches("[data-keep]") || form.dataset.plain) return;
    e.preventDefault();
    if (busy) return;
    busy = true;
    const data = new URLSearchParams(new FormData(form, e.submitter));
    const item = { action: form.getAttribute("action"), body: data.toString(), at: clock() };
    try {
      const r = await post(item);
      if (r.ok) { arrived(await r.json()); return; }
      if (r.status >= 500) throw new Error("not stored");
      // Refused, or somewhere else to go: the browser does it itself and shows the page.
      form.dataset.plain = "yes";
      if (e.submitter && e.submitter.name) {
        const h = document.createElement("input");
        Object.assign(h, { type: "hidden", name: e.submitter.name, value: e.submitter.value });
        form.append(h);
      }
      form.submit();
    } catch {
      try { await keep(item); wait(item); } catch {
        say("There is no connection. What you typed is still in this page: try again in a moment, or ring.");
      }
    } finally { busy = false; }
  });

  // Leaving with something kept would throw the key away.
  window.addEventListener("beforeunload", (e) => { if (waiting) e.preventDefault(); });

  (async () => {
    const item = await kept();
    if (item) { wait(item); again(); }
  })();
})();
