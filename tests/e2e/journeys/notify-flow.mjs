// The notification page by page, on a phone: the shortest way, without JavaScript, with a
// connection that drops in the middle, backwards, pressed twice, and in two tabs.

/** Signs in as nobody: nothing that the others do to accounts matters to it. */
export const aside = true;

const PHONE = { viewport: { width: 375, height: 740 }, isMobile: true, hasTouch: true };

export default async function ({ browser, url, check }) {
  const open = async (options = {}) => {
    const context = await browser.newContext({ ...PHONE, ...options });
    return { context, page: await context.newPage() };
  };
  const on = async (page, to) => {
    await page.locator("main form button:has-text('Continue'), main form button:has-text('Send now')").first().click();
    await page.waitForURL(`${url}/notify/${to}`, { timeout: 10_000 });
  };
  const begin = async (page) => {
    await page.goto(`${url}/notify`);
    await page.check("input[value='death']");
    await on(page, "who");
  };
  const path = async (page) => {
    await begin(page);
    await page.fill("[id='child.age_description']", "about 4 months");
    await on(page, "when");
    await page.check("input[value='today']");
    await on(page, "where");
    await on(page, "sudden");
    await page.check("input[value='yes']");
    await on(page, "cause");
    check.ok(await page.getByText("A Joint Agency Response is due").first().isVisible(), "the decision is not shown as soon as it is known");
    await on(page, "care");
    await on(page, "caller");
    await page.fill("[id='notifier.telephone']", "07700 900123");
    await on(page, "check");
    await on(page, "done");
    return (await page.textContent(".big")).trim();
  };

  // The whole path, with and without JavaScript.
  for (const javaScriptEnabled of [true, false]) {
    const { context, page } = await open({ javaScriptEnabled });
    const reference = await path(page);
    check.ok(/^CDR-/.test(reference), `no reference with JavaScript ${javaScriptEnabled}`);
    check.ok(!(await page.content()).includes("4 months"), "the receipt says something about the child");
    await context.close();
  }

  // The shortest way: counted in presses.
  {
    const { context, page } = await open();
    let presses = 0;
    const press = async (selector) => { presses++; await page.locator(selector).first().tap(); };
    await page.goto(`${url}/notify`);
    await press("input[value='death']");
    await press("main button:has-text('Continue')");
    await page.waitForURL(`${url}/notify/who`);
    await press("a:has-text('Skip to how we reach you')");
    await page.waitForURL(`${url}/notify/caller`);
    await page.fill("[id='notifier.telephone']", "07700 900123");
    await press("main button:has-text('Continue')");
    await page.waitForURL(`${url}/notify/check`);
    await press("main button:has-text('Send now')");
    await page.waitForURL(`${url}/notify/done`);
    console.log(`  the shortest notification takes ${presses} presses and one number`);
    check.ok(presses <= 6, `the shortest notification takes ${presses} presses`);
    await context.close();
  }

  // The connection drops in the middle: kept, encrypted, and sent by itself.
  {
    const { context, page } = await open();
    await begin(page);
    await context.setOffline(true);
    await page.fill("[id='child.family_name']", "Offlineham");
    await page.locator("main button:has-text('Continue')").tap();
    await page.waitForSelector("#kept:not([hidden])");
    check.ok(/Kept on this phone at \d\d:\d\d/.test(await page.textContent("#kept")), "it does not say that it is kept on this phone");
    const stored = await page.evaluate(() => JSON.stringify({ ...localStorage }));
    check.ok(stored.includes("sealed") && !stored.includes("Offlineham"), "what was typed is on the device in clear");
    check.ok(await page.evaluate(() => !JSON.stringify({ ...sessionStorage }).includes("Offlineham")), "what was typed is in the session in clear");
    await context.setOffline(false);
    await page.waitForURL(`${url}/notify/when`, { timeout: 15_000 });
    check.ok(/Received at \d\d:\d\d/.test(await page.textContent("#kept")), "it does not say that it was received");
    check.equal(await page.evaluate(() => Object.keys(localStorage).length), 0, "entries left on the device");
    await page.goto(`${url}/notify/check`);
    check.ok((await page.content()).includes("Offlineham"), "what was kept did not arrive");

    // Sent without a connection, too, and the answer to the first try is lost on its way.
    await page.goto(`${url}/notify/caller`);
    await page.fill("[id='notifier.telephone']", "07700 900123");
    await on(page, "check");
    let lost = 0;
    await page.route("**/notify/send", async (route) => {
      if (lost++ > 0) { await route.continue(); return; }
      await route.fetch({ maxRedirects: 0 });
      await route.abort("connectionreset");
    });
    await page.locator("main button:has-text('Send now')").first().tap();
    await page.waitForURL(`${url}/notify/done`, { timeout: 15_000 });
    check.ok(lost >= 2, "the lost answer was not asked for again");
    check.ok(/Received at/.test(await page.textContent("#kept")), "the last page does not say that it was received");
    await context.close();
  }

  // Back by the browser, another answer, and pressed twice at once.
  {
    const { context, page } = await open();
    await begin(page);
    await page.fill("[id='child.family_name']", "Backfield");
    await on(page, "when");
    await page.goBack();
    await page.waitForURL(`${url}/notify/who`);
    check.equal(await page.inputValue("[id='child.family_name']"), "Backfield", "what was typed, after going back");
    await page.fill("[id='child.family_name']", "Backham");
    await on(page, "when");
    await page.goto(`${url}/notify/caller`);
    await page.fill("[id='notifier.telephone']", "07700 900123");
    await on(page, "check");
    check.ok((await page.content()).includes("Backham"), "the changed answer is not there");
    await page.locator("main button:has-text('Send now')").first().dblclick();
    await page.waitForURL(`${url}/notify/done`);
    const reference = await page.textContent(".big");
    await page.goBack();
    await page.waitForURL(`${url}/notify/done`).catch(() => {});
    check.equal(await page.textContent(".big"), reference, "the reference, after going back and on");
    await context.close();
  }

  // Two tabs of one draft: the last one wins, and it says so.
  {
    const { context, page } = await open();
    await begin(page);
    const other = await context.newPage();
    await other.goto(`${url}/notify/who`);
    await page.fill("[id='child.family_name']", "Firsttab");
    await on(page, "when");
    await other.fill("[id='child.family_name']", "Secondtab");
    await on(other, "when");
    check.ok(await other.getByText("had been changed in another tab").isVisible(), "a stale page does not say so");
    await page.goto(`${url}/notify/check`);
    check.ok((await page.content()).includes("Secondtab"), "the last tab did not win");
    await context.close();
  }

  // By code in another browser.
  {
    const { context, page } = await open();
    await begin(page);
    await page.fill("[id='child.family_name']", "Codeford");
    await on(page, "when");
    await page.goto(`${url}/notify/code`);
    const code = (await page.textContent(".n-code")).trim();
    await context.close();
    const two = await open({ javaScriptEnabled: false });
    await two.page.goto(`${url}/notify/resume`);
    await two.page.fill("[id='code']", code.toLowerCase().replaceAll("-", " "));
    await two.page.locator("main form button").first().click();
    await two.page.waitForURL(`${url}/notify/check`);
    check.ok((await two.page.content()).includes("Codeford"), "the code does not bring back what was typed");
    check.ok(!two.page.url().includes(code), "the code is in the address");
    await two.context.close();
  }

  // How the pages look, where the runner can judge it.
  if (check.look && check.page) {
    const page = await check.page();
    await begin(page);
    for (const name of ["who", "when", "where", "sudden", "cause", "care", "caller", "check", "code", "resume"]) {
      await page.goto(`${url}/notify/${name}`);
      await check.look(page, name);
    }
    await page.goto(`${url}/notify/caller`);
    await page.fill("[id='notifier.telephone']", "07700 900123");
    await on(page, "check");
    await on(page, "done");
    await check.look(page, "done");
    for (const name of ["more", "more/child", "more/family", "more/other"]) {
      await page.goto(`${url}/notify/${name}`);
      await check.look(page, name.replace("/", "-"));
    }
  }
}
