// The notification on one page: with the keyboard alone, with mistakes, with the longest names, and by size.

export default async function ({ url, check }) {
  // What a first visit costs, and a later page, as sent over the wire.
  const page = await check.page();
  const wire = await page.context().newCDPSession(page);
  let bytes = 0;
  await wire.send("Network.enable");
  wire.on("Network.loadingFinished", (e) => (bytes += e.encodedDataLength));
  await page.goto(`${url}/notify`, { waitUntil: "networkidle" });
  check.ok(bytes > 0 && bytes < 100_000, `the first load of /notify is ${bytes} bytes, not under 100 kB`);
  console.log(`  first load of /notify: ${(bytes / 1000).toFixed(1)} kB`);
  await check.look(page, "empty");

  // Only the keyboard: an empty form, the summary's link, the field, and send.
  await page.goto(`${url}/notify/one-page`);
  await page.keyboard.press("Tab");
  check.equal(await page.evaluate(() => document.activeElement.textContent.trim()), "Skip to main content", "the first stop of Tab");
  await check.tabTo(page, "main form button");
  bytes = 0;
  await Promise.all([page.waitForNavigation({ waitUntil: "networkidle" }), page.keyboard.press("Enter")]);
  check.ok(bytes > 0 && bytes < 15_000, `the form with its errors is ${bytes} bytes, not under 15 kB`);
  console.log(`  the same form with errors: ${(bytes / 1000).toFixed(1)} kB`);
  check.ok((await page.title()).startsWith("Error: "), "the title does not begin with Error:");
  check.ok(await page.evaluate(() => document.activeElement.matches(".govuk-error-summary")), "the error summary has not the focus");
  await check.look(page, "errors");
  const links = await page.$$eval(".govuk-error-summary a", (all) => all.map((a) => a.getAttribute("href")));
  check.ok(links.length > 0, "the summary has no links");
  for (const link of links) {
    check.ok(await page.evaluate((id) => document.getElementById(id)?.matches("input, select, textarea"), link.slice(1)), `the summary's link ${link} leads to no field`);
  }

  // The longest names that people have, and a telephone number that is all that is needed.
  const long = "Wolfeschlegelsteinhausenbergerdorff-Featherstonehaugh-Cholmondeley ".repeat(2).trim();
  await page.fill("[id='child.family_name']", long);
  await page.fill("[id='child.given_names']", "Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch Mary Ann");
  await page.fill("[id='death.place.name']", `${long} Memorial Hospital, Children's Intensive Care`);
  await page.fill("[id='notifier.name']", long);
  await page.fill("[id='notifier.telephone']", "01632 960999");
  const radio = await page.$("input[name='jar_answers.external_cause'][value='possible']");
  if (radio) await radio.check();
  await page.check("input[name='event'][value='death']");
  await Promise.all([page.waitForNavigation(), page.click("main form button")]);
  const reference = (await page.textContent(".big"))?.trim();
  check.ok(reference?.length > 8, "no reference was given");
  await check.look(page, "received");

  const desk = await check.signIn(await check.page());
  await desk.goto(`${url}/cases/${reference}`);
  await check.look(desk, "longest");
  await desk.goto(`${url}/cases/${reference}/reached`);
  await check.look(desk, "longest-reached");
  await desk.goto(`${url}/cases`);
  await check.look(desk, "longest-queue");
}
