// The program as people start it, for the runner and for journeys that want one of their own.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const root = path.join(path.dirname(fileURLToPath(import.meta.url)), "../..");
export const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const bin = process.env.CDR_BIN ?? path.join(root, "target/debug/cdr");

/** What a look gives as soon as it gives something; says what it waited for if it never does. */
export async function until(look, what, seconds = 60) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`after ${seconds} s still not: ${what}`);
    await wait(200);
  }
}

/** A command of the program; what it said. */
export function cdr(args, env = {}) {
  const done = spawnSync(bin, args, { env: { ...process.env, ...env }, encoding: "utf8" });
  if (done.status !== 0) throw new Error(`cdr ${args.join(" ")}: ${done.stdout}${done.stderr}`);
  return done.stdout;
}

/** A program that stays; `ready` says when it can be used. */
export async function start(args, ready, env = {}) {
  const program = spawn(bin, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  program.stdout.on("data", (d) => (said += d));
  program.stderr.on("data", (d) => (said += d));
  const stop = async () => {
    if (program.exitCode !== null) return;
    const gone = new Promise((done) => program.once("exit", done));
    program.kill("SIGTERM");
    await Promise.race([gone, wait(10_000)]);
  };
  try {
    const found = await until(() => {
      if (program.exitCode !== null) throw new Error("it ended");
      return ready();
    }, "ready");
    return { found, stop, said: () => said };
  } catch (e) {
    await stop();
    throw new Error(`cdr ${args.join(" ")} did not start (${e.message}):\n${said}`);
  }
}

/** A demo in a folder of its own. `env` is for other commands on the same data. */
export async function startDemo(...options) {
  return startDemoIn(tmpdir(), ...options);
}

/** The same with its folder in this one. */
export async function startDemoIn(folder, ...options) {
  const data = mkdtempSync(path.join(folder, "cdr-e2e-"));
  const sheet = path.join(data, "demo.json");
  const up = await start(["demo", "--listen", "127.0.0.1:0", "--data", data, ...options], () => existsSync(sheet));
  const env = {
    CDR__DATABASE__URL: `sqlite://${path.join(data, "cdr.sqlite")}`,
    CDR__CRYPT__MASTER_KEY_FILE: path.join(data, "master.key"),
  };
  const stop = async () => {
    await up.stop();
    rmSync(data, { recursive: true, force: true });
  };
  return { demo: { ...JSON.parse(readFileSync(sheet, "utf8")), env }, stop, said: up.said };
}
