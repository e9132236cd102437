// What journeys ask of pages. Nothing stops at the first problem: all are gathered and told at the end.
import axe from "axe-core";
import { mkdirSync } from "node:fs";
import path from "node:path";

const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
const DESK = { width: 1280, height: 900 };
const PHONE = { width: 320, height: 640 };
// 200 % on a desk of 1280.
const ZOOMED = { width: 640, height: 450 };

export class Check {
  problems = [];
  done = 0;
  #contexts = [];

  constructor({ browser, url, demo, shots, name }) {
    Object.assign(this, { browser, url, demo, shots, journey: name });
    mkdirSync(shots, { recursive: true });
  }

  wrong(what) {
    this.problems.push(`${this.journey}: ${what}`);
  }

  ok(holds, what) {
    this.done++;
    if (!holds) this.wrong(what);
    return Boolean(holds);
  }

  equal(found, expected, what) {
    return this.ok(found === expected, `${what}: expected ${JSON.stringify(expected)}, found ${JSON.stringify(found)}`);
  }

  /** A fresh browser window; whatever it logs as an error is a problem. */
  async page(options = {}) {
    const context = await this.browser.newContext({ viewport: DESK, colorScheme: "light", ...options });
    this.#contexts.push(context);
    const page = await context.newPage();
    page.on("pageerror", (e) => this.wrong(`${page.url()}: script failed: ${e.message}`));
    page.on("console", (m) => {
      if (m.type() !== "error") return;
      // A form that comes back with 422 is no fault of the page's; a missing file is.
      const aPage = m.text().startsWith("Failed to load resource") && m.location().url === page.url();
      if (!aPage) this.wrong(`${page.url()}: console says: ${m.text()} (${m.location().url})`);
    });
    page.on("requestfailed", (r) => {
      const left = /ERR_ABORTED/.test(r.failure()?.errorText ?? "");
      if (!left) this.wrong(`${page.url()}: could not load ${r.url()}: ${r.failure()?.errorText}`);
    });
    return page;
  }

  async closeAll() {
    for (const context of this.#contexts.splice(0)) await context.close();
  }

  /** Signs in as one of the demo's people, by role. */
  async signIn(page, role = "coordinator", demo = this.demo) {
    const user = demo.users.find((u) => u.role === role);
    await page.goto(`${demo.url}/sign-in`);
    await page.fill("#email", user.email);
    await page.fill("#password", user.password);
    await Promise.all([page.waitForURL(`${demo.url}/`), page.click("main button")]);
    return page;
  }

  /**
   * The page as it stands, by all that every page must be: no accessibility problem by light and by
   * dark, no sideways scroll on a narrow phone and at 200 %, one first heading, a title, a language.
   */
  async look(page, name) {
    const at = `${name} (${new URL(page.url()).pathname})`;
    await page.setViewportSize(DESK);
    await page.emulateMedia({ colorScheme: "light" });
    // Before the first screenshot: Playwright styles elements for that.
    const facts = await page.evaluate(() => ({
      h1: document.querySelectorAll("h1").length,
      title: document.title,
      lang: document.documentElement.lang,
      inline: document.querySelectorAll("[style], style, script:not([src])").length,
      handlers: [...document.querySelectorAll("*")].filter((e) => [...e.attributes].some((a) => a.name.startsWith("on"))).length,
    }));
    this.equal(facts.h1, 1, `${at}: first headings`);
    this.ok(facts.title.length > 3 && facts.lang === "en", `${at}: has no title or language`);
    this.equal(facts.inline + facts.handlers, 0, `${at}: inline styles, scripts or handlers`);
    await this.#axe(page, `${at}, light`);
    await this.#shot(page, `${name}-desk`);
    await page.emulateMedia({ colorScheme: "dark" });
    await this.#axe(page, `${at}, dark`, ["color-contrast"]);
    const paper = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = paper.match(/\d+/g).slice(0, 3).every((n) => Number(n) > 60);
    this.ok(!light, `${at}: stays light at night (${paper})`);
    await this.#shot(page, `${name}-dark`);
    for (const [size, label] of [[ZOOMED, "at 200 %"], [PHONE, "at 320 px"]]) {
      await page.setViewportSize(size);
      const wide = await page.evaluate(() => {
        const limit = document.documentElement.clientWidth;
        if (document.documentElement.scrollWidth <= limit) return null;
        const over = [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > limit + 1);
        return over.slice(0, 3).map((e) => e.outerHTML.slice(0, 120)).join(" | ") || "something";
      });
      this.ok(wide === null, `${at}: scrolls sideways ${label}: ${wide}`);
    }
    await page.emulateMedia({ colorScheme: "light" });
    await this.#axe(page, `${at}, phone`);
    await this.#shot(page, `${name}-phone`);
    // And with everything unfolded.
    const folded = await page.$$eval("details:not([open])", (all) => all.map((d) => (d.open = true)).length);
    if (folded > 0) {
      await this.#axe(page, `${at}, unfolded`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      this.ok(wide <= 0, `${at}: scrolls sideways by ${wide} px at 320 px when unfolded`);
      await page.setViewportSize(DESK);
      await this.#shot(page, `${name}-unfolded`);
      await page.$$eval("details[open]", (all) => all.forEach((d) => (d.open = false)));
    }
    await page.setViewportSize(DESK);
  }

  async #axe(page, at, only) {
    if (!(await page.evaluate(() => Boolean(window.axe)))) await page.evaluate(axe.source);
    const runOnly = only ? { type: "rule", values: only } : { type: "tag", values: RULES };
    // Only what is wrong: the long list of what is well takes twice the time to bring here.
    const violations = await page.evaluate(
      async (o) => (await window.axe.run(document, o)).violations,
      { runOnly, resultTypes: ["violations"] },
    );
    this.ok(
      violations.length === 0,
      `${at}: ${violations.map((v) => `${v.id} (${v.help}): ${v.nodes.slice(0, 3).map((n) => `${n.target.join(" ")} ${n.any[0]?.message ?? ""}`).join("; ")}`).join("\n    ")}`,
    );
  }

  async #shot(page, name) {
    await page.screenshot({ path: path.join(this.shots, `${this.journey}-${name}.jpg`), type: "jpeg", quality: 75, fullPage: true });
  }

  /** Presses Tab until the element has the focus; says where the focus went if it never does. */
  async tabTo(page, selector, most = 120) {
    const seen = [];
    for (let i = 0; i < most; i++) {
      await page.keyboard.press("Tab");
      const found = await page.evaluate((s) => {
        const e = document.activeElement;
        return { there: e.matches(s), what: e.id || e.name || e.textContent.trim().slice(0, 30) };
      }, selector);
      if (found.there) {
        const seenAs = await page.evaluate(() => {
          const style = getComputedStyle(document.activeElement);
          const box = document.activeElement.getBoundingClientRect();
          return { shown: style.outlineStyle !== "none" || style.boxShadow !== "none", on: box.bottom > 0 && box.top < innerHeight };
        });
        this.ok(seenAs.shown || /radio|checkbox/.test(await page.evaluate(() => document.activeElement.type ?? "")), `${page.url()}: the focus on ${selector} cannot be seen`);
        this.ok(seenAs.on, `${page.url()}: the focus on ${selector} is off the screen`);
        return true;
      }
      seen.push(found.what);
    }
    this.wrong(`${page.url()}: Tab never reaches ${selector}; it went ${seen.slice(-12).join(", ")}`);
    return false;
  }
}
