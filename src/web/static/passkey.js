// Passkeys: asks the service for a question, the browser for the answer, and hands it in. Without
// this file its forms stay hidden, and people sign in another way.
"use strict";
(() => {
  const forms = document.querySelectorAll("form[data-passkey]");
  if (!window.PublicKeyCredential || !navigator.credentials) return;
  // Browsers allow passkeys at a name only; a demo is also to be had as localhost.
  if (/^[0-9.]+$/.test(location.hostname)) return;
  const bytes = (text) => {
    const plain = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
    return Uint8Array.from(plain, (c) => c.charCodeAt(0));
  };
  const text = (buffer) => {
    let plain = "";
    for (const b of new Uint8Array(buffer)) plain += String.fromCharCode(b);
    return btoa(plain).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  };
  const post = async (to, form, more) => {
    const body = new URLSearchParams(new FormData(form));
    for (const [name, value] of Object.entries(more || {})) body.set(name, value);
    const answer = await fetch(to, { method: "POST", body, credentials: "same-origin" });
    const kind = answer.headers.get("content-type") || "";
    if (answer.redirected || !kind.includes("json")) throw new Error("Load the page again and repeat.");
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.error || said.detail || "That did not work. Begin again.");
    return said;
  };
  const create = async (question) => {
    const q = question.publicKey;
    q.challenge = bytes(q.challenge);
    q.user.id = bytes(q.user.id);
    for (const c of q.excludeCredentials || []) c.id = bytes(c.id);
    const made = await navigator.credentials.create({ publicKey: q });
    const r = made.response;
    return {
      id: made.id, rawId: text(made.rawId), type: made.type, extensions: {},
      response: {
        attestationObject: text(r.attestationObject),
        clientDataJSON: text(r.clientDataJSON),
        transports: r.getTransports ? r.getTransports() : undefined,
      },
    };
  };
  const get = async (question) => {
    const q = question.publicKey;
    q.challenge = bytes(q.challenge);
    for (const c of q.allowCredentials || []) c.id = bytes(c.id);
    const found = await navigator.credentials.get({ publicKey: q });
    const r = found.response;
    return {
      id: found.id, rawId: text(found.rawId), type: found.type, extensions: {},
      response: {
        authenticatorData: text(r.authenticatorData),
        clientDataJSON: text(r.clientDataJSON),
        signature: text(r.signature),
        userHandle: r.userHandle ? text(r.userHandle) : null,
      },
    };
  };
  for (const form of forms) {
    const said = form.querySelector("[role=alert]");
    const button = form.querySelector("button");
    form.hidden = false;
    form.addEventListener("submit", async (e) => {
      e.preventDefault();
      said.hidden = true;
      button.disabled = true;
      try {
        const question = await post(form.dataset.ask, form);
        const answer = form.dataset.passkey === "new" ? await create(question) : await get(question);
        const done = await post(form.dataset.answer, form, { answer: JSON.stringify(answer) });
        location.assign(done.to);
      } catch (why) {
        // What the browser itself says of a cancelled dialogue helps nobody.
        const own = why.name === "NotAllowedError" || why.name === "InvalidStateError";
        said.textContent = own ? "No passkey was used. Try again, or use another way." : why.message;
        said.hidden = false;
        button.disabled = false;
      }
    });
  }
})();
