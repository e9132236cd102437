// A page that was kept on the phone and is refused when it is sent again: it stays until it was
// received, can be put back into its form after a reload, and says so where its key is gone.

const PHONE = { viewport: { width: 375, height: 740 }, isMobile: true, hasTouch: true };

export default async function ({ browser, url, check }) {
  // A page kept without a connection, by a browser on the second question.
  const keptWithout = async (name) => {
    const context = await browser.newContext(PHONE);
    const page = await context.newPage();
    await page.goto(`${url}/notify`);
    await page.check("input[value='death']");
    await page.locator("main button:has-text('Continue')").tap();
    await page.waitForURL(`${url}/notify/who`);
    await context.setOffline(true);
    await page.fill("[id='child.family_name']", name);
    await page.check("input[name='child.sex'][value='female']");
    await page.locator("main button:has-text('Continue')").tap();
    await page.waitForSelector("#kept:not([hidden])");
    return { context, page };
  };
  // What the service answers from now on; 0: it answers for itself.
  const answering = async (context) => {
    const mood = { status: 0, asked: 0 };
    await context.route("**/notify/who", async (route) => {
      if (route.request().method() !== "POST" || !mood.status) return route.continue();
      mood.asked++;
      return route.fulfill({ status: mood.status, headers: { "retry-after": "1" }, contentType: "text/html", body: "<p>no</p>" });
    });
    return mood;
  };
  const said = (page, text) =>
    page.waitForFunction((t) => document.getElementById("kept")?.textContent.includes(t), text, { timeout: 15_000 })
      .then(() => true, () => false);
  const left = (page) => page.evaluate(() => Object.keys(localStorage).length);
  const saved = async (page, name) => {
    await page.goto(`${url}/notify/check`);
    return (await page.content()).includes(name);
  };

  // Too much at once, then something wrong, a reload in between, then taken.
  {
    const { context, page } = await keptWithout("Keptford");
    const mood = await answering(context);
    mood.status = 429;
    await context.setOffline(false);
    check.ok(await said(page, "Too much is being sent"), "it does not say that it is sent again later");
    check.equal(await left(page), 1, "kept after 429");
    page.on("dialog", (d) => d.accept());
    await page.reload();
    check.ok(await said(page, "It has not been received yet"), "after a reload it does not say that it is kept");
    check.equal(await left(page), 1, "kept after a reload");
    mood.status = 422;
    check.ok(await said(page, "something in it could not be used"), "it does not say that it was not taken");
    check.ok(/ring [\d ]{10,}/.test(await page.textContent("#kept")), "it gives no number to ring");
    check.equal(await left(page), 1, "kept after 422");
    await page.reload();
    check.ok(await said(page, "Kept on this phone"), "what was refused is not offered after a reload");
    const before = mood.asked;
    await page.waitForTimeout(5_000);
    check.equal(mood.asked, before, "what was refused is sent again by itself");
    check.equal(await page.inputValue("[id='child.family_name']"), "", "the form after a reload");
    await page.locator("button:has-text('Put it back into the form')").tap();
    check.equal(await page.inputValue("[id='child.family_name']"), "Keptford", "what was put back");
    check.ok(await page.isChecked("input[name='child.sex'][value='female']"), "a choice was not put back");
    // On another page it leads back to its own.
    await page.goto(`${url}/notify/when`);
    await page.locator("a:has-text('Open the page it belongs to')").tap();
    await page.waitForURL(`${url}/notify/who`);
    await page.locator("button:has-text('Put it back into the form')").tap();
    mood.status = 0;
    await page.locator("main button:has-text('Continue')").tap();
    await page.waitForURL(`${url}/notify/when`);
    check.equal(await left(page), 0, "left after it was received");
    check.ok(await saved(page, "Keptford"), "what was put back did not arrive");
    await context.close();
  }

  // Another page that is received does not take it away; only its writer does.
  for (const status of [403, 410]) {
    const { context, page } = await keptWithout("Heldham");
    const mood = await answering(context);
    mood.status = status;
    await context.setOffline(false);
    check.ok(await said(page, "It has not been received:"), `nothing is said after ${status}`);
    await page.goto(`${url}/notify/when`);
    await page.check("input[value='today']");
    await page.locator("main button:has-text('Continue')").tap();
    await page.waitForURL(`${url}/notify/where`);
    check.equal(await left(page), 1, `kept after ${status} while another page was received`);
    await page.locator("button:has-text('Throw it away')").tap();
    check.equal(await left(page), 0, "left after it was thrown away");
    await context.close();
  }

  // Without its key nobody can read it, and it says so.
  {
    const { context, page } = await keptWithout("Keyless");
    const mood = await answering(context);
    mood.status = 422;
    await context.setOffline(false);
    await said(page, "something in it could not be used");
    await page.evaluate(() => sessionStorage.removeItem("cdr-draft-key"));
    await page.reload();
    check.ok(await said(page, "cannot be read here"), "it does not say that the key is gone");
    check.equal(await left(page), 1, "what cannot be read is thrown away unasked");
    const other = await context.newPage();
    await other.goto(`${url}/notify/who`);
    check.ok(await said(other, "If that tab is still open"), "another tab does not say that something is kept");
    check.equal(await other.locator("button:has-text('Throw it away')").count(), 0, "another tab's page can be thrown away");
    await page.locator("button:has-text('Throw it away')").tap();
    check.equal(await left(page), 0, "left after it was thrown away");
    await context.close();
  }
}
