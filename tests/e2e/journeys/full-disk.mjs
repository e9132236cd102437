// The disk is full in the middle of a notification: the page that comes back says so, holds what was
// typed, and goes on with one press once there is room.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { startDemoIn } from "../program.mjs";

const run = (...args) => spawnSync(args[0], args.slice(1), { encoding: "utf8" });

export default async function ({ check }) {
  const small = mkdtempSync(path.join(tmpdir(), "cdr-small-"));
  const mounted = run("mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", small);
  if (!check.equal(mounted.status, 0, `a small disk (needs root): ${mounted.stderr}`)) return;
  try {
    const own = await startDemoIn(small, "--cases", "0");
    try {
      await notify(own.demo, path.join(small, "filler"), check);
    } finally {
      await own.stop();
    }
  } finally {
    run("umount", "-l", small);
    rmSync(small, { recursive: true, force: true });
  }
}

async function notify({ url, api_token }, filler, check) {
  // Without the pages' scripts, which would keep the page themselves (journey "kept").
  const page = await check.page();
  await page.route("**/*.js", (route) => route.fulfill({ contentType: "text/javascript", body: "" }));
  await page.goto(`${url}/notify`);
  await page.check("input[name=event][value=death]");
  await Promise.all([page.waitForNavigation(), page.click("main form button")]);
  await page.fill("[id='child.family_name']", "Fullerdisk");
  run("dd", "if=/dev/zero", "bs=4k", `of=${filler}`);
  // What is left in the files themselves is used up by others.
  for (let n = 0; n < 400; n++) {
    const headers = { authorization: `Bearer ${api_token}`, "content-type": "application/json" };
    const body = JSON.stringify({ event: "death", notifier: { telephone: "01632 960999" }, death: { circumstances: "x".repeat(20_000) } });
    if ((await fetch(`${url}/api/v1/notifications`, { method: "POST", headers, body })).status === 503) break;
  }
  const [answer] = await Promise.all([page.waitForNavigation(), page.click("main form button")]);
  check.equal(answer.status(), 503, "a page that cannot be stored");
  const words = await page.textContent("main");
  check.ok(words.includes("Not saved yet") && words.includes("Fullerdisk") && words.includes("ring 01632 960100"), `what is said of it: ${words}`);
  await check.look(page, "not-saved-yet");
  rmSync(filler);
  await Promise.all([page.waitForNavigation(), page.click("main button:has-text('Try again')")]);
  check.equal(new URL(page.url()).pathname, "/notify/when", "where it goes on");
  await page.goto(`${url}/notify/who`);
  check.equal(await page.inputValue("[id='child.family_name']"), "Fullerdisk", "the name is saved");
}
