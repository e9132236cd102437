// The coordinator's desk: Today, the list by keyboard alone, without a script, on a narrow phone,
// with the longest names, and with nothing in it.

const LONG = "Overdue in the Northshire and Neighbouring Districts Joint Neonatal Panel"; // 72 letters of 80

export default async function ({ url, check }) {
  const page = await check.signIn(await check.page());
  await check.look(page, "today");
  await page.goto(`${url}/cases`);
  await check.look(page, "list");
  await page.goto(`${url}/cases`);

  // Keys: down, down, up, tick, help, search.
  const focused = () => page.evaluate(() => document.activeElement.textContent.trim() || document.activeElement.id);
  const rows = await page.$$eval("[data-row] td > a", (all) => all.map((a) => a.textContent.trim()).filter((t) => t.startsWith("CDR-")));
  check.ok(rows.length > 3, "too few cases to move through");
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  check.equal(await focused(), rows[1], "j twice");
  await page.keyboard.press("k");
  check.equal(await focused(), rows[0], "k");
  await page.keyboard.press("x");
  check.equal(await page.locator("[data-row] input:checked").count(), 1, "ticked by x");
  await page.keyboard.press("?");
  check.ok(await page.locator("dialog#keys").evaluate((d) => d.open), "? opens no help");
  await page.keyboard.press("Escape");
  await page.keyboard.press("/");
  check.equal(await focused(), "q", "/");
  await page.keyboard.type("jk?x/");
  check.equal(await page.inputValue("#q"), "jk?x/", "what is typed into a field");
  check.equal(await page.locator("[data-row] input:checked").count(), 1, "typing ticks nothing");
  await page.evaluate(() => document.getElementById("keys").showModal());
  await check.look(page, "keys");

  // By Tab alone: to a heading that sorts, a box, and the button for many.
  await page.goto(`${url}/cases`);
  await check.tabTo(page, "th a[href*='sort=due']");
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
  check.equal(await page.getAttribute("th:has(a[href*='sort=due'])", "aria-sort"), "ascending", "sorted by clock");
  await check.tabTo(page, "td.tick input");
  await page.keyboard.press("Space");
  await check.tabTo(page, "button[name=do][value=assign]");
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
  await check.look(page, "assign");
  await page.fill("#note", "On leave, markerhandover");
  await Promise.all([page.waitForNavigation(), page.click("main form button")]);
  await check.look(page, "assign-check");
  await Promise.all([page.waitForNavigation(), page.click("main form button")]);
  check.ok((await page.textContent("main")).includes("assigned to you"), "the result does not say what was done");
  await check.look(page, "assign-done");
  await Promise.all([page.waitForNavigation(), page.click("main form button")]);
  check.ok((await page.textContent("h1")).includes("Taken back"), "undo");

  // Nothing found, a mistake, and a view with the longest name.
  await page.goto(`${url}/cases?stage=withdrawn&category=9`);
  await check.look(page, "list-empty");
  await page.goto(`${url}/cases?died_from=tomorrow`);
  await check.look(page, "list-mistake");
  await page.goto(`${url}/cases?clock=overdue&sort=due`);
  await page.locator("#views summary").click();
  await page.fill("#name", LONG);
  await page.locator("#views input[name=shared]").last().check();
  await Promise.all([page.waitForNavigation(), page.click("button[value=save]")]);
  check.equal((await page.textContent("h1")).trim(), LONG, "the saved view");
  await check.look(page, "view");
  await page.locator("#views summary").click();
  await Promise.all([page.waitForNavigation(), page.click("button[value=delete]")]);

  // Every column at once, then back, with the keys off.
  await page.goto(`${url}/cases?all=true`);
  await page.locator("#columns summary").click();
  for (const box of await page.locator("#columns input[name^=column]").all()) await box.check();
  await page.uncheck("#columns input[name=keys]");
  await Promise.all([page.waitForNavigation(), page.click("#columns button")]);
  await check.look(page, "list-every-column");
  await page.keyboard.press("?");
  check.ok(!(await page.locator("dialog#keys").evaluate((d) => d.open)), "keys are off and ? still opens the help");
  await page.locator("#columns summary").click();
  for (const key of ["category", "died", "days", "area"]) await page.uncheck(`#columns input[name="column.${key}"]`);
  await page.check("#columns input[name=keys]");
  await Promise.all([page.waitForNavigation(), page.click("#columns button")]);
  await page.goto(`${url}/handed`);
  await check.look(page, "handed-empty");

  // Without a script everything is there.
  const bare = await check.signIn(await check.page({ javaScriptEnabled: false }));
  await bare.goto(`${url}/cases?all=true`);
  check.ok(!(await bare.locator("dialog#keys").isVisible()), "help that does nothing is shown");
  await bare.locator("td.tick input").first().check();
  await Promise.all([bare.waitForNavigation(), bare.click("button[value=export]")]);
  check.ok((await bare.textContent("main")).includes("without anything personal"), "the export's check page");
  await bare.goto(`${url}/cases?all=true`);
  await bare.locator("#filters summary").click();
  await bare.selectOption("#stage", "notified");
  await Promise.all([bare.waitForNavigation(), bare.click("#filters button")]);
  check.ok(new URL(bare.url()).searchParams.get("stage") === "notified", "the filter without a script");

  // Whoever may not change cases has no boxes and no buttons for many.
  const auditor = await check.signIn(await check.page(), "auditor");
  await auditor.goto(`${url}/cases`);
  check.equal(await auditor.locator("td.tick, button[value=assign]").count(), 0, "an auditor's boxes");
  await check.look(auditor, "list-auditor");
}
