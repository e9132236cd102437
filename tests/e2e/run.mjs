// Starts the demo with a few cases, opens its pages in Debian's Chromium as people do, and says
// what is wrong with them. Every file in journeys/ is one journey; name some to run only those:
//
//     node tests/e2e/run.mjs notify desk
//
// A journey exports an async function of { browser, url, demo, check }; see check.mjs.
// CDR_BIN and CHROMIUM name other programs. Screenshots go to target/screenshots.
import { readdirSync } from "node:fs";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { chromium } from "playwright-core";
import { Check } from "./check.mjs";
import { root, startDemo } from "./program.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));

const wanted = process.argv.slice(2);
const journeys = readdirSync(path.join(here, "journeys"))
  .filter((f) => f.endsWith(".mjs"))
  .filter((f) => wanted.length === 0 || wanted.some((w) => f.includes(w)))
  .sort();
if (journeys.length === 0) throw new Error(`no journey is named ${wanted.join(" or ")}`);

const { demo, stop, said } = await startDemo("--cases", "12");
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
});
const shots = path.join(root, "target/screenshots");
const problems = [];

async function run({ name, journey }) {
  const check = new Check({ browser, url: demo.url, demo, shots, name });
  const began = Date.now();
  try {
    await journey({ browser, url: demo.url, demo, check });
  } catch (e) {
    check.wrong(`stopped: ${e.stack ?? e}`);
  }
  await check.closeAll();
  problems.push(...check.problems);
  const result = check.problems.length ? `${check.problems.length} PROBLEMS` : "well";
  console.log(`${name}: ${check.done} checks, ${result} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
}

const all = [];
for (const file of journeys) {
  const module = await import(pathToFileURL(path.join(here, "journeys", file)));
  all.push({ name: path.basename(file, ".mjs"), journey: module.default, aside: module.aside });
}
// Two at once: those that sign in to the one demo, one after the other; and beside them those that
// say they may be, because they have a program of their own or sign in as nobody.
const lane = async (of) => {
  for (const one of of) await run(one);
};
try {
  await Promise.all([lane(all.filter((j) => !j.aside)), lane(all.filter((j) => j.aside))]);
} finally {
  await browser.close();
  await stop();
}
if (problems.length) {
  console.log(`\n${problems.join("\n")}\n\n${problems.length} problems; screenshots in target/screenshots`);
  if (/panicked|could not be rendered/.test(said())) console.log(`\nThe program said:\n${said()}`);
  process.exit(1);
}
if (/panicked|could not be rendered/.test(said())) {
  console.log(`The program said:\n${said()}`);
  process.exit(1);
}
