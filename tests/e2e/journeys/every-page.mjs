// Pages that no link of the coordinator's leads to: what each other role sees first, the pages of the
// auditor, the guardian and the administrator, a case that is restricted, opened by break-glass and
// one that is destroyed, drafts that were left, the rest of the form, and the pages that say no.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { cdr, root, startDemo } from "../program.mjs";

/** It has a program of its own: it restricts and destroys cases, and uses up what one may ask. */
export const aside = true;

const LONG = "Professor Wilhelmina Quorlswickhamshire-Featherstonehaugh-Cholmondeley of Northshire and Neighbouring Districts";
const REASON = "Needed for the meeting with the coroner's officer at nine, and nobody on the list can be reached before then";
// Sign-ins a minute from one address, so that the page that says "too many" comes soon.
const SIGN_INS = 40;
const RULES = `
[[rule]]
name = "reviewed death, kept for a year in this exercise of the rules and for no longer than that"
outcome = ["closed"]
years = 1
why = "made up: so that a case can be due"
`;

export default async function ({ check }) {
  const folder = mkdtempSync(path.join(tmpdir(), "cdr-e2e-rules-"));
  const rules = path.join(folder, "retention.toml");
  writeFileSync(rules, RULES);
  const settings = { CDR__PRIVACY__RETENTION_FILE: rules, CDR__LIMITS__SIGN_IN_A_MINUTE: String(SIGN_INS) };
  Object.assign(process.env, settings);
  const up = await startDemo("--cases", "6").finally(() => Object.keys(settings).forEach((k) => delete process.env[k]));
  try {
    await pages(check, up.demo);
    check.ok(!/panicked|could not be rendered/.test(up.said()), `the program said: ${up.said().slice(-800)}`);
  } finally {
    await check.closeAll();
    await up.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function pages(check, demo) {
  const { url } = demo;
  const people = [
    ["panel_member", "northshire"],
    ["chair", "northshire"],
    ["guardian", "northshire"],
    ["notifier", "northshire"],
  ];
  for (const [role, area] of people) {
    const email = `${role.replace("_", ".")}.with.a.long.name.indeed@northshire-and-neighbouring-districts.example`;
    const password = "kettle orbit parsnip";
    cdr(["user", "add", "--email", email, "--name", LONG, "--role", role, "--area", area], { ...demo.env, CDR_PASSWORD: password });
    demo.users.push({ email, password, role });
  }
  const as = {};
  for (const role of ["coordinator", "administrator", "auditor", "guardian", "chair", "panel_member", "notifier"]) {
    as[role] = await check.page();
    const user = demo.users.find((u) => u.role === role);
    await as[role].goto(`${url}/sign-in`);
    await as[role].fill("#email", user.email);
    await as[role].fill("#password", user.password);
    await Promise.all([as[role].waitForNavigation(), as[role].click("main button")]);
    check.ok(!as[role].url().endsWith("/sign-in"), `${role} cannot sign in`);
  }
  const open = async (page, to, name, status = 200) => {
    const answer = await page.goto(url + to);
    check.equal(answer.status(), status, `${name} (${to})`);
    await check.look(page, name);
  };
  const send = (page, button = "main form button") => Promise.all([page.waitForNavigation(), page.locator(button).first().click()]);
  const api = async (to, body) => {
    const answer = await fetch(`${url}/api/v1/${to}`, {
      method: "POST",
      headers: { authorization: `Bearer ${demo.api_token}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${to}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  };

  // What each role sees first.
  for (const role of ["administrator", "auditor", "guardian", "chair", "panel_member", "notifier"]) {
    await check.look(as[role], `first-page-${role.replace("_", "-")}`);
  }

  // The administrator's accounts, and an invitation with nothing in it.
  await open(as.administrator, "/users", "users");
  await send(as.administrator, "button:has-text('Send the invitation')");
  check.ok((await as.administrator.title()).startsWith("Error: "), "an invitation of nobody is no error");
  await check.look(as.administrator, "users-errors");

  // A case of long ago, which is over: its year has passed.
  const day = (years) => `${new Date().getUTCFullYear() - years}-03-01`;
  const { reference: old } = await api("notifications", {
    event: "death",
    child: { given_names: "Wilhelmina", family_name: "Longagoham", date_of_birth: day(4) },
    death: { date: day(3) },
    household: [{ relationship: "Mother", name: "Philippa Longagoham", age_or_date_of_birth: "31" }, { relationship: "Brother", name: "Peregrine Longagoham" }],
    notifier: { name: "Dr Mockley", telephone: "01632 960999" },
  });
  await open(as.guardian, "/retention", "retention-empty");
  await api(`cases/${old}/milestones`, { milestone: "finalised", standing: "done", on: day(2), category: 5 });
  await open(as.guardian, "/retention?all=true", "retention-all");

  // A copy for somebody who is named in it.
  await open(as.coordinator, "/subject-access", "subject-access");
  await send(as.coordinator);
  await check.look(as.coordinator, "subject-access-errors");
  await as.coordinator.fill("#reference", old);
  await as.coordinator.fill("#name", "Philippa Longagoham");
  await send(as.coordinator);
  check.ok((await as.coordinator.innerText("main")).includes("masked"), "the copy does not say what was masked");
  await check.look(as.coordinator, "subject-copy");

  // Asked for by one, confirmed by another, and gone.
  await open(as.guardian, "/retention", "retention");
  await send(as.guardian, "button:has-text('Ask for its destruction')");
  await check.look(as.guardian, "retention-asked");
  await open(as.guardian, `/retention/${old}`, "certificate-asked");
  await as.administrator.goto(`${url}/retention`);
  await send(as.administrator, `button:has-text('Destroy ${old} for good')`);
  check.ok((await as.administrator.textContent("h1")).includes("Certificate of destruction"), "no certificate of the destruction");
  await check.look(as.administrator, "certificate");
  await open(as.coordinator, `/cases/${old}`, "gone", 410);

  // Restricted, opened by break-glass, looked into by the guardian, and who looked at it.
  await as.coordinator.goto(`${url}/cases`);
  const secret = (await as.coordinator.locator("td.case a").allTextContents()).map((t) => t.trim()).find((r) => r !== old);
  await as.guardian.goto(`${url}/cases/${secret}`);
  await as.guardian.locator("summary", { hasText: "Restrict this case" }).click();
  await as.guardian.locator("label", { hasText: LONG }).first().click();
  await as.guardian.fill("#access_reason", REASON);
  await send(as.guardian, "button:has-text('Only these people')");
  await open(as.guardian, `/cases/${secret}`, "restricted");
  await open(as.coordinator, "/cases", "list-restricted");
  await open(as.coordinator, `/cases/${secret}`, "shut", 404);
  await open(as.coordinator, "/break-glass", "break-glass");
  await send(as.coordinator);
  await check.look(as.coordinator, "break-glass-errors");
  await as.coordinator.fill("#reference", secret);
  await as.coordinator.fill("#reason", REASON);
  await send(as.coordinator);
  check.ok((await as.coordinator.textContent("h1")).includes(secret), "break-glass does not open the case");
  await open(as.coordinator, `/cases/${secret}/plan`, "plan");
  await open(as.auditor, "/audit", "audit");
  const who = await as.auditor.$$eval("#who option", (all) => all.map((o) => [o.value, o.textContent]));
  const coordinator = who.find(([, name]) => name.includes("Coordinator Exampleby"));
  await open(as.auditor, `/audit?who=${coordinator[0]}`, "audit-person");
  await open(as.auditor, `/audit?who=${coordinator[0]}&from=2001-01-01&to=2001-01-02`, "audit-nothing");
  await open(as.guardian, `/audit/cases/${secret}`, "audit-case-waiting");
  await as.guardian.locator("#note-1").fill("It was needed");
  await send(as.guardian, "button:has-text('I have looked into it')");
  await open(as.auditor, `/audit/cases/${secret}`, "audit-case");

  // Drafts: none, and one that was begun yesterday.
  await open(as.coordinator, "/drafts", "drafts-none");
  const caller = await check.page();
  const on = async (to) => {
    await caller.locator("main form button:has-text('Continue'), main form button:has-text('Send now')").first().click();
    await caller.waitForURL(`${url}/notify/${to}`);
  };
  await caller.goto(`${url}/notify`);
  await caller.check("input[value='death']");
  await on("who");
  await caller.goto(`${url}/notify/caller`);
  await caller.fill("[id='notifier.telephone']", "07700 900123");
  await caller.fill("[id='notifier.email']", "wilhelmina.quorlswickhamshire.featherstonehaugh@northshire-and-neighbouring-districts.example");
  await on("check");
  const file = demo.env.CDR__DATABASE__URL.replace("sqlite://", "");
  const older = "import sqlite3,sys; d=sqlite3.connect(sys.argv[1], timeout=30); d.execute(\"update draft set started_at = date(substr(started_at,1,10),'-1 day') || substr(started_at,11)\"); d.commit()";
  const done = spawnSync(process.env.CDR_TEST_PYTHON ?? path.join(root, "tests/.venv/bin/python"), ["-c", older, file], { encoding: "utf8" });
  check.ok(done.status === 0, `the draft could not be made older: ${done.error ?? done.stderr}`);
  await open(as.coordinator, "/drafts", "drafts");
  check.ok((await as.coordinator.innerText("main")).includes("07700 900123"), "the draft of yesterday is not listed with where to ring");

  // A page that belongs to another notification than this browser is on.
  await caller.goto(`${url}/notify/who`);
  await caller.locator("input[name='_draft']").first().evaluate((e) => { e.value = "0000000000000000"; });
  await caller.fill("[id='child.family_name']", LONG);
  await send(caller);
  check.ok((await caller.innerText("main")).includes("belongs to another notification"), "a page of another notification was taken");
  check.ok((await caller.innerText("main")).includes(LONG), "what was typed on it is not shown");
  await check.look(caller, "other-notification");
  await caller.goto(`${url}/notify/check`);
  await caller.locator("button:has-text('Throw it away')").click();

  // The rest of the form, its mistakes, and what happened next.
  await on("done");
  for (const part of ["home", "death", "professionals"]) await open(caller, `/notify/more/${part}`, `more-${part}`);
  await caller.fill("[id='professionals.0.name']", LONG);
  await caller.fill("[id='professionals.0.telephone']", "no number");
  await send(caller, "button:has-text('Save')");
  await check.look(caller, "more-professionals-sent");
  await open(caller, "/notify/next", "next");

  // Pages that say no.
  await open(as.coordinator, "/users", "not-allowed", 403);
  await open(as.notifier, "/cases", "not-allowed-notifier", 403);
  await open(as.chair, "/panels", "panels-chair");
  await open(as.coordinator, "/cases/CDR-2026-999999", "no-such-case", 404);
  await open(as.coordinator, "/invitation/no-such-link", "no-such-invitation", 404);
  const stranger = await check.page();
  await stranger.goto(`${url}/notify`);
  await stranger.check("input[value='death']");
  await Promise.all([stranger.waitForURL(`${url}/notify/who`), stranger.click("main form button")]);
  await stranger.context().clearCookies();
  await stranger.fill("[id='child.family_name']", "Lostwithiel");
  const [lost] = await Promise.all([stranger.waitForNavigation(), stranger.click("main form button")]);
  check.equal(lost.status(), 410, "a page of a draft that the browser no longer knows");
  await check.look(stranger, "lost-draft");
  // What was used up comes back by the second: all at once, and again where the machine is slow.
  let many;
  for (let round = 0; round < 5 && many?.status() !== 429; round++) {
    await stranger.goto(`${url}/sign-in`);
    await stranger.fill("#email", "nobody@northshire.example");
    await stranger.fill("#password", "wrong");
    const tries = Array.from({ length: 2 * SIGN_INS }, () => stranger.request.post(`${url}/sign-in/code`, { form: { code: "0" } }));
    await Promise.all(tries);
    [many] = await Promise.all([stranger.waitForNavigation(), stranger.click("main button")]);
  }
  check.equal(many.status(), 429, "one sign-in too many");
  await check.look(stranger, "too-many");
}
