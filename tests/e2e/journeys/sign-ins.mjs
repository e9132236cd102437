// Every way to sign in but the passkey, in a browser, on a service that asks for a second factor as a
// real one does: invited by e-mail, a password, an authenticator app, recovery codes, and an account
// elsewhere. Mail and the provider are doubles on this machine; the provider is the one that the Rust
// tests use.
import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { cdr, root, start, until } from "../program.mjs";

/** It has a program of its own. */
export const aside = true;

const PASSWORD = "kettle orbit parsnip";
const python = process.env.CDR_TEST_PYTHON ?? path.join(root, "tests/.venv/bin/python");

const freePort = () =>
  new Promise((done) => {
    const s = net.createServer().listen(0, "127.0.0.1", () => {
      const { port } = s.address();
      s.close(() => done(port));
    });
  });

/** Takes mail and keeps it: enough SMTP for our own mailer. */
async function mailbox() {
  const mails = [];
  const server = net.createServer((socket) => {
    let [left, inside, text, to] = ["", false, "", []];
    socket.write("220 catcher\r\n");
    socket.on("error", () => {});
    socket.on("data", (d) => {
      left += d;
      const lines = left.split("\r\n");
      left = lines.pop();
      for (const line of lines) {
        if (inside) {
          if (line !== ".") { text += `${line}\n`; continue; }
          mails.push({ to: to.join(), text: text.replace(/=\n/g, "").replace(/=3D/g, "=") });
          [inside, text, to] = [false, "", []];
          socket.write("250 caught\r\n");
        } else if (/^EHLO/i.test(line)) socket.write("250-catcher\r\n250 8BITMIME\r\n");
        else if (/^DATA/i.test(line)) { inside = true; socket.write("354 go on\r\n"); }
        else if (/^QUIT/i.test(line)) socket.end("221 bye\r\n");
        else {
          const address = /^RCPT TO:<([^>]*)>/i.exec(line);
          if (address) to.push(address[1]);
          socket.write("250 ok\r\n");
        }
      }
    });
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return { mails, port: server.address().port, close: () => server.close() };
}

/** What an authenticator app shows (RFC 6238: SHA-1, six digits, 30 seconds). */
function code(secret, at = Date.now()) {
  let bits = "";
  for (const c of secret.replaceAll(" ", "")) bits += "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c).toString(2).padStart(5, "0");
  const key = Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(at / 30_000)));
  const digest = createHmac("sha1", key).update(counter).digest();
  const number = digest.readUInt32BE(digest[19] & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
}

async function provider() {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const program = spawn(python, ["-W", "ignore", "-m", "oidc_provider_mock", "--require-nonce", "true", "--port", String(port)], { stdio: "ignore" });
  let broken = "";
  program.on("error", (e) => (broken = e.message));
  const stop = () => program.kill("SIGTERM");
  await until(async () => {
    if (broken || program.exitCode !== null) throw new Error(`the provider does not start (${broken || program.exitCode}): run tests/run`);
    return (await fetch(`${url}/.well-known/openid-configuration`).catch(() => null))?.ok;
  }, "the provider answers").catch((e) => { stop(); throw e; });
  const person = async (subject, claims) => {
    const answer = await fetch(`${url}/users/${subject}`, { method: "PUT", headers: { "content-type": "application/json" }, body: JSON.stringify(claims) });
    if (answer.status !== 204) throw new Error(`the provider does not take a person: ${answer.status}`);
  };
  return { url, person, stop };
}

export default async function ({ check }) {
  const folder = mkdtempSync(path.join(tmpdir(), "cdr-e2e-sign-ins-"));
  const ends = [() => rmSync(folder, { recursive: true, force: true })];
  try {
    const mail = await mailbox();
    ends.unshift(mail.close);
    const there = await provider();
    ends.unshift(there.stop);
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const file = path.join(folder, "cdr.toml");
    writeFileSync(path.join(folder, "master.key"), cdr(["keys", "new"]).trim());
    // One area with one agency: nothing but signing in happens here.
    writeFileSync(path.join(folder, "area.toml"), `
id = "northshire"
name = "Northshire"
call_back = "01632 960100"
extra_triggers = []
extra_bank_holidays = []
cancelled_bank_holidays = []
[office_hours]
from = "08:30:00"
to = "17:30:00"
[last_step]
name = "Northshire NHS switchboard, duty manager"
number = "01632 960100"
after_seconds = 900
repeat_seconds = 900
[[last_step.contact]]
id = "duty-manager-mail"
channel = "email"
address = "duty.manager@northshire-nhs.example"
[deadlines]
notify_cdop_hours = 48
cdr_meeting_months = 3
review_months = 6
[[agency]]
id = "cdop_office"
name = "Child Death Overview Panel office"
ring = "01632 960106"
told_of = ["jar_triggered", "jar_provisional", "jar_upgraded", "death_notified"]
[[agency.contact]]
id = "mail"
channel = "email"
address = "cdop@northshire.example"
`);
    writeFileSync(file, `
[server]
listen = "127.0.0.1:${port}"
public_url = "${url}"
[database]
url = "sqlite://${path.join(folder, "cdr.sqlite")}"
[areas]
files = ["${path.join(folder, "area.toml")}"]
[mail]
host = "127.0.0.1"
port = ${mail.port}
tls = "none"
[[oidc]]
id = "elsewhere"
label = "Elsewhere"
issuer = "${there.url}"
client_id = "cdr"
client_secret = "not a secret"
scopes = ["profile", "email"]
subject_claim = "oid"
allowed_tenants = ["t1"]
acr_values = ["aal3", "aal2"]
assurance_claim = "acr"
assurance_allowed = ["aal3", "aal2"]
`);
    const env = { CDR__CRYPT__MASTER_KEY_FILE: path.join(folder, "master.key") };
    const first = cdr(["--config", file, "user", "invite", "--print", "--email", "admin@northshire.example", "--name", "Administrator Testerby", "--role", "administrator", "--area", "*"], env);
    const up = await start(["--config", file, "serve"], async () => (await fetch(`${url}/health/ready`).catch(() => null))?.ok, env);
    ends.unshift(up.stop);
    await ways(check, url, mail.mails, there, first.match(/http:\S+/)[0]);
    check.ok(!/panicked|could not be rendered/.test(up.said()), `the program said: ${up.said().slice(-800)}`);
  } finally {
    await check.closeAll();
    for (const end of ends) await end();
  }
}

async function ways(check, url, mails, there, firstLink) {
  const press = (page, name) => Promise.all([page.waitForNavigation(), page.getByRole("button", { name, exact: true }).click()]);
  const at = (page) => new URL(page.url()).pathname;
  const says = async (page, words) => (await page.innerText("main")).includes(words);
  const codeUsed = new Set();
  /** A code that was not used before: each works once. */
  const fresh = async (secret) => until(() => { const c = code(secret); return !codeUsed.has(c) && codeUsed.add(c) && c; }, "the app shows a new code", 45);
  const signOut = async (page) => { await press(page, "Sign out"); check.equal(at(page), "/sign-in", "the page after signing out"); };
  const withPassword = async (page, email, password = PASSWORD) => {
    await page.goto(`${url}/sign-in`);
    await page.getByLabel("E-mail address").fill(email);
    await page.getByLabel("Password", { exact: true }).fill(password);
    await press(page, "Sign in");
  };
  const withCode = async (page, text) => {
    await page.locator("#code").fill(text);
    await press(page, "Continue");
  };
  /** From the link to the first page: a password, an app, its recovery codes. */
  const setUp = async (page, link, looks = "") => {
    await page.goto(link);
    if (looks) await check.look(page, `${looks}-invitation`);
    await press(page, "Begin");
    check.equal(at(page), "/account", "the page after beginning");
    // Nothing else is to be had before a way to sign in is set up.
    await page.goto(`${url}/cases`);
    check.equal(at(page), "/account", "the page of somebody who has not set up a sign-in");
    if (looks) await check.look(page, `${looks}-enrolment`);
    await page.goto(`${url}/account/password`);
    if (looks) await check.look(page, `${looks}-password`);
    await page.getByLabel("New password", { exact: true }).fill("password1234");
    await page.getByLabel("New password again").fill("password1234");
    await press(page, "Set the password");
    check.ok((await page.title()).startsWith("Error: "), "password1234 was taken");
    await page.getByLabel("New password", { exact: true }).fill(PASSWORD);
    await page.getByLabel("New password again").fill(PASSWORD);
    await press(page, "Set the password");
    await page.goto(`${url}/account/app`);
    if (looks) await check.look(page, `${looks}-app`);
    const secret = (await page.textContent("main code")).trim();
    await page.locator("#code").fill("000000");
    await press(page, "Use this app");
    check.ok((await page.title()).startsWith("Error: "), "a wrong code was taken");
    await page.locator("#code").fill(await fresh(secret));
    await press(page, "Use this app");
    const codes = await page.$$eval("#codes code", (all) => all.map((c) => c.textContent.trim()));
    check.ok(codes.length >= 8, `${codes.length} recovery codes`);
    if (looks) await check.look(page, `${looks}-codes`);
    await page.getByRole("link", { name: "I have kept them: continue" }).click();
    await page.waitForURL((u) => !u.pathname.startsWith("/account"));
    return { secret, codes };
  };

  // The first administrator by the printed link, and from the page an invitation by e-mail.
  const admin = await check.page();
  await setUp(admin, firstLink);
  await admin.goto(`${url}/users`);
  const email = "wilhelmina.featherstonehaugh@northshire.example";
  await admin.getByLabel("Name", { exact: true }).fill("Wilhelmina Featherstonehaugh");
  await admin.getByLabel("E-mail address at work").fill(email);
  await admin.getByLabel("Coordinator").check();
  await admin.getByLabel("Northshire", { exact: true }).check();
  await press(admin, "Send the invitation");
  check.ok(await says(admin, "invited, link until"), "the accounts do not say that somebody was invited");
  const mail = await until(() => mails.find((m) => m.to === email), "the invitation's mail");
  const link = mail.text.match(/http:\/\/\S+\/invitation\/\S+/)[0];

  const person = await check.page();
  const { secret, codes } = await setUp(person, link, "new");
  check.equal(at(person), "/", "the page of a coordinator who is set up");
  const again = await person.goto(link);
  check.equal(again.status(), 404, "the link, a second time");
  await check.look(person, "link-used");
  await person.goto(`${url}/`);
  await signOut(person);

  // Password and app; the password alone opens nothing, and a code works once.
  await withPassword(person, email, "kettle orbit parsnips");
  check.equal(at(person), "/sign-in", "the page after a wrong password");
  check.ok((await person.title()).startsWith("Error: "), "a wrong password is no error");
  await withPassword(person, email);
  check.equal(at(person), "/sign-in/code", "the page after the password");
  await person.goto(`${url}/cases`);
  check.equal(at(person), "/sign-in", "the cases after the password alone");
  await withPassword(person, email);
  await check.look(person, "code");
  const shown = await fresh(secret);
  await withCode(person, shown);
  check.equal(at(person), "/", "the page after password and code");
  await signOut(person);
  await withPassword(person, email);
  await withCode(person, shown);
  check.equal(at(person), "/sign-in/code", "a code that was used before");
  await check.look(person, "code-wrong");

  // A recovery code: once.
  await withCode(person, codes[0]);
  check.equal(at(person), "/", "the page after a recovery code");
  await person.goto(`${url}/account`);
  check.ok(await says(person, `${codes.length - 1} recovery codes left`), "a used recovery code is still counted");
  await check.look(person, "account");
  await signOut(person);
  await withPassword(person, email);
  await withCode(person, codes[0]);
  check.equal(at(person), "/sign-in/code", "the page after a recovery code that was used before");
  check.ok((await person.title()).startsWith("Error: "), "a used recovery code is no error");
  await withCode(person, codes[1].toLowerCase());
  check.equal(at(person), "/", "the page after another recovery code");

  // An account elsewhere: unknown until its owner links it, then it opens theirs and nobody else's.
  await there.person("wilhelmina", { tid: "t1", oid: "o1", acr: "aal2", email: "x@elsewhere.example" });
  await there.person("weak", { tid: "t1", oid: "o1", acr: "aal1", email: "x@elsewhere.example" });
  await there.person("other", { tid: "t2", oid: "o1", acr: "aal2", email });
  const elsewhere = async (page, subject) => {
    await page.waitForURL((u) => u.origin === there.url);
    await page.locator("input[name=sub]").fill(subject);
    await page.locator("form").first().locator("button, input[type=submit]").first().click();
    await page.waitForURL((u) => u.origin === url);
  };
  const come = async (page, subject) => {
    await page.goto(`${url}/sign-in`);
    await page.getByRole("link", { name: "Sign in with Elsewhere" }).click();
    await elsewhere(page, subject);
  };
  const outside = await check.page();
  // The provider's own page asks the internet for its looks.
  for (const p of [outside, person]) await p.route(/jsdelivr|favicon/, (r) => r.fulfill({ status: 200, body: "" }));
  await come(outside, "wilhelmina");
  check.ok(await says(outside, "not linked to one here"), "an account that nobody linked does not say so");
  await check.look(outside, "not-linked");
  await person.goto(`${url}/account`);
  await person.getByRole("link", { name: "Link Elsewhere" }).click();
  await elsewhere(person, "wilhelmina");
  await person.goto(`${url}/account`);
  check.ok(await says(person, "linked "), "the account page does not say that it is linked");
  await come(outside, "wilhelmina");
  check.equal(at(outside), "/", "the page after signing in elsewhere");
  await outside.goto(`${url}/account`);
  check.ok(await says(outside, "by Elsewhere"), "the session does not say that it came from elsewhere");
  check.ok(await says(outside, email), "an account elsewhere opened somebody else's");
  await signOut(outside);
  for (const subject of ["weak", "other"]) {
    await come(outside, subject);
    check.ok((await outside.title()).startsWith("Error: ") || (await outside.textContent("h1")) !== "Today", `${subject}: let in`);
    await outside.goto(`${url}/cases`);
    check.equal(at(outside), "/sign-in", `the cases for an account elsewhere that is ${subject}`);
  }
}
