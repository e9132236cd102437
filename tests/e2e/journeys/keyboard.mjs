// By keyboard alone, from the first key to the last: a notification page by page, signing in, and two
// cases compared and merged. The mouse is never used; the focus is always seen and on the screen.
import { until } from "../program.mjs";

export default async function ({ url, demo, check }) {
  const page = await check.page();
  const enter = (p) => Promise.all([p.waitForNavigation(), p.keyboard.press("Enter")]);
  const at = (p) => new URL(p.url()).pathname;
  /** Goes to a field and types into it. */
  const type = async (p, selector, text) => {
    await check.tabTo(p, selector);
    await p.keyboard.type(text);
    check.equal(await p.inputValue(selector), text, `typed into ${selector}`);
  };
  /** Goes to a question and chooses its n-th answer. */
  const choose = async (p, name, value) => {
    await check.tabTo(p, `input[type=radio][name="${name}"]`);
    await p.keyboard.press("Space");
    for (let i = 0; i < 6 && !(await p.isChecked(`input[name="${name}"][value="${value}"]`)); i++) await p.keyboard.press("ArrowDown");
    check.ok(await p.isChecked(`input[name="${name}"][value="${value}"]`), `${name} cannot be answered ${value} by keyboard`);
  };
  const go = async (p, to) => {
    await check.tabTo(p, "main form .n-go button, main form[action='/notify/send'] button");
    await p.keyboard.press("Enter");
    await p.waitForURL(`${url}/notify/${to}`);
  };

  await page.goto(`${url}/notify`);
  await page.keyboard.press("Tab");
  check.equal(await page.evaluate(() => document.activeElement.textContent.trim()), "Skip to main content", "the first stop of Tab");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  check.ok(await page.evaluate(() => document.querySelector("main").contains(document.activeElement)), "after skipping, Tab is not in the main part");
  await page.goto(`${url}/notify`);
  await choose(page, "event", "death");
  await go(page, "who");
  // An impossible day: the errors have the focus, and their link leads to the field.
  await type(page, "[id='child.given_names']", "Tabitha");
  await type(page, "[id='child.family_name']", "Keysborough");
  await type(page, "[id='child.date_of_birth-day']", "31");
  await type(page, "[id='child.date_of_birth-month']", "2");
  await type(page, "[id='child.date_of_birth-year']", "2019");
  await check.tabTo(page, "main form .n-go button");
  await enter(page);
  check.ok((await page.title()).startsWith("Error: "), "31 February is no error");
  check.ok(await page.evaluate(() => document.activeElement.matches(".govuk-error-summary")), "the error summary has not the focus");
  await check.tabTo(page, ".govuk-error-summary a");
  await page.keyboard.press("Enter");
  check.ok(await page.evaluate(() => document.activeElement.id.startsWith("child.date_of_birth")), "the summary's link does not lead to the field");
  await page.keyboard.press("Control+A");
  await page.keyboard.type("28");
  await go(page, "when");
  await choose(page, "death.date-is", "yesterday");
  await go(page, "where");
  await check.tabTo(page, "[id='death.place.type']");
  await page.keyboard.type("H");
  check.ok(await page.inputValue("[id='death.place.type']"), "no kind of place can be chosen by its letter");
  await go(page, "sudden");
  await choose(page, "jar_answers.sudden_no_apparent_cause", "no");
  await go(page, "cause");
  await choose(page, "jar_answers.external_cause", "possible");
  await choose(page, "jar_answers.suspicion_not_natural", "unknown");
  await go(page, "care");
  await choose(page, "jar_answers.custody_or_detention", "no");
  await go(page, "caller");
  await type(page, "[id='notifier.telephone']", "01632 960777");
  await go(page, "check");
  check.ok((await page.innerText("main")).includes("Keysborough"), "the answers do not show the name");
  await go(page, "done");
  const first = (await page.textContent(".big")).trim();
  check.ok(/^CDR-/.test(first), "no reference by keyboard alone");

  // A second report of the same child, by another ward.
  const again = await check.page();
  const day = new Date(Date.now() - 86_400_000).toLocaleDateString("en-CA", { timeZone: "Europe/London" });
  const answer = await again.request.post(`${url}/notify/one-page`, {
    form: { _key: `keys${Date.now()}`, _area: "northshire", event: "death", "child.given_names": "Tabitha", "child.family_name": "Keysborough", "child.date_of_birth": "2019-02-28", "death.date": day, "notifier.telephone": "01632 960778" },
  });
  check.equal(answer.status(), 201, "the second report");
  const second = (await answer.text()).match(/CDR-\d{4}-\d{6}/)[0];

  // The coordinator signs in, finds the case, goes to the pair and decides.
  const desk = await check.page();
  const who = demo.users.find((u) => u.role === "coordinator");
  await desk.goto(`${url}/sign-in`);
  await type(desk, "#email", "nobody@northshire.example");
  await type(desk, "#password", "wrong");
  await enter(desk);
  check.ok((await desk.title()).startsWith("Error: "), "a wrong password is no error");
  await check.tabTo(desk, "#email");
  await desk.keyboard.press("Control+A");
  await desk.keyboard.type(who.email);
  await type(desk, "#password", who.password);
  await enter(desk);
  check.equal(at(desk), "/", "the page after signing in by keyboard");
  await check.tabTo(desk, "#q");
  await desk.keyboard.type(first);
  await enter(desk);
  check.equal(at(desk), `/cases/${first}`, "the case found by keyboard");
  const link = "main a[href*='/compare/']";
  await until(async () => (await desk.locator(link).count()) > 0 || (await desk.reload(), false), "the case names the other report", 90);
  await check.tabTo(desk, link);
  await enter(desk);
  check.ok(at(desk).includes("/compare/") && at(desk).includes(second), `the pair is not of the two reports: ${at(desk)}`);
  await check.tabTo(desk, "main form button");
  await enter(desk);
  check.ok((await desk.title()).startsWith("Error: "), "a decision without an answer is no error");
  await choose(desk, "do", "same");
  await type(desk, "#reason", "Told by two wards");
  await check.tabTo(desk, "main form button");
  await enter(desk);
  check.equal(at(desk), `/cases/${first}`, "the page after merging by keyboard");
  await desk.goto(`${url}/cases/${second}`);
  check.ok((await desk.innerText("main")).includes(`${second} is a second account of this case.`), "the second report is no account of the first");
}
