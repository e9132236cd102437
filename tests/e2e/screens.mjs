// Makes the pictures of the README anew from the demo: node tests/e2e/screens.mjs
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), "../..");
const out = path.join(root, "docs/screens");
mkdirSync(out, { recursive: true });
const data = mkdtempSync(path.join(tmpdir(), "cdr-screens-"));
const bin = process.env.CDR_BIN ?? path.join(root, "target/debug/cdr");
const program = spawn(bin, ["demo", "--listen", "127.0.0.1:0", "--data", data, "--cases", "12"], { stdio: "ignore" });
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const sheet = path.join(data, "demo.json");
while (!existsSync(sheet)) {
  if (program.exitCode !== null) throw new Error("the demo did not start");
  await wait(100);
}
const demo = JSON.parse(readFileSync(sheet, "utf8"));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
});
try {
  const open = async (width, height, colorScheme) => {
    const context = await browser.newContext({ viewport: { width, height }, colorScheme });
    return context.newPage();
  };
  const keep = (page, name) => page.screenshot({ path: path.join(out, `${name}.png`) });

  // A notification at night, on a phone.
  const phone = await open(375, 720, "dark");
  const next = async (page) => {
    await phone.locator("main form button:has-text('Continue'), main form button:has-text('Send now')").first().click();
    await phone.waitForURL(`${demo.url}/notify/${page}`);
  };
  await phone.goto(`${demo.url}/notify`);
  await keep(phone, "notify");
  await phone.check("input[value='death']");
  await next("who");
  await phone.fill("[id='child.age_description']", "about 4 months");
  await next("when");
  await phone.check("input[value='today']");
  await next("where");
  await next("sudden");
  await phone.check("input[value='yes']");
  await next("cause");
  await keep(phone, "decision");
  await next("care");
  await next("caller");
  await phone.fill("[id='notifier.telephone']", "07700 900123");
  await next("check");
  await next("done");
  await keep(phone, "done");
  const reference = (await phone.textContent(".big")).trim();

  // The office, by day.
  const desk = await open(1100, 760, "light");
  const who = demo.users.find((u) => u.role === "coordinator");
  await desk.goto(`${demo.url}/sign-in`);
  await desk.fill("input[name=email]", who.email);
  await desk.fill("input[name=password]", who.password);
  await desk.click("main button:has-text('Sign in')");
  await desk.waitForURL(`${demo.url}/`);
  await keep(desk, "today");
  // One agency answers by the page, the others' ladders climb.
  await wait(35_000);
  await desk.goto(`${demo.url}/cases/${reference}/reached`);
  await keep(desk, "reached");
  await desk.goto(`${demo.url}/cases/${reference}`);
  await keep(desk, "case");
  await desk.goto(`${demo.url}/cases`);
  await keep(desk, "cases");
} finally {
  await browser.close();
  program.kill("SIGTERM");
  await wait(1500);
  rmSync(data, { recursive: true, force: true });
}
