// Starts the demo with a few cases, opens its pages in Debian's Chromium as people do, and says
// what is wrong with them. Every file in journeys/ is one journey; name some to run only those:
//
//     node tests/e2e/run.mjs notify desk
//
// A journey exports an async function of { browser, url, demo, check }; see check.mjs.
// CDR_BIN and CHROMIUM name other programs. Screenshots go to target/screenshots.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, existsSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { chromium } from "playwright-core";
import { Check } from "./check.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.join(here, "../..");

const wait = (ms) => new Promise((done) => setTimeout(done, ms));

async function startDemo() {
  const bin = process.env.CDR_BIN ?? path.join(root, "target/debug/cdr");
  const data = mkdtempSync(path.join(tmpdir(), "cdr-e2e-"));
  const program = spawn(bin, ["demo", "--listen", "127.0.0.1:0", "--data", data, "--cases", "12"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  program.stdout.on("data", (d) => (said += d));
  program.stderr.on("data", (d) => (said += d));
  const sheet = path.join(data, "demo.json");
  for (let i = 0; !existsSync(sheet); i++) {
    if (program.exitCode !== null || i > 600) throw new Error(`the demo did not start:\n${said}`);
    await wait(100);
  }
  const stop = async () => {
    const gone = new Promise((done) => program.once("exit", done));
    program.kill("SIGTERM");
    await Promise.race([gone, wait(10_000)]);
    rmSync(data, { recursive: true, force: true });
  };
  return { demo: JSON.parse(readFileSync(sheet, "utf8")), stop, said: () => said };
}

const wanted = process.argv.slice(2);
const journeys = readdirSync(path.join(here, "journeys"))
  .filter((f) => f.endsWith(".mjs"))
  .filter((f) => wanted.length === 0 || wanted.some((w) => f.includes(w)))
  .sort();
if (journeys.length === 0) throw new Error(`no journey is named ${wanted.join(" or ")}`);

const { demo, stop, said } = await startDemo();
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
});
const check = new Check({ browser, url: demo.url, demo, shots: path.join(root, "target/screenshots") });
try {
  for (const file of journeys) {
    check.journey = path.basename(file, ".mjs");
    const before = { problems: check.problems.length, done: check.done };
    const began = Date.now();
    try {
      const journey = (await import(pathToFileURL(path.join(here, "journeys", file)))).default;
      await journey({ browser, url: demo.url, demo, check });
    } catch (e) {
      check.wrong(`stopped: ${e.stack ?? e}`);
    }
    await check.closeAll();
    const wrong = check.problems.length - before.problems;
    const result = wrong ? `${wrong} PROBLEMS` : "well";
    console.log(`${check.journey}: ${check.done - before.done} checks, ${result} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
  }
} finally {
  await browser.close();
  await stop();
}
if (check.problems.length) {
  console.log(`\n${check.problems.join("\n")}\n\n${check.problems.length} problems; screenshots in target/screenshots`);
  if (/panicked|could not be rendered/.test(said())) console.log(`\nThe program said:\n${said()}`);
  process.exit(1);
}
if (/panicked|could not be rendered/.test(said())) {
  console.log(`The program said:\n${said()}`);
  process.exit(1);
}
