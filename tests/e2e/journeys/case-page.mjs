// The coordinator finds a case, understands it, corrects a birth date, sees the history and undoes;
// two people at one field; two accounts settled. The second half without JavaScript.

export default async function ({ url, check }) {
  const page = await check.signIn(await check.page());
  await page.goto(`${url}/cases`);
  const first = await page.getAttribute("main tbody a[href^='/cases/']", "href");
  const go = (p, path) => p.goto(url + first + path);
  const press = (p, button) => Promise.all([p.waitForNavigation(), p.click(button)]);

  await go(page, "");
  const top = await page.textContent("main");
  for (const said of ["Stands at", "Joint Agency Response", "Not reached yet", "Waits for"]) {
    check.ok(top.includes(said), `the case page does not say "${said}"`);
  }
  for (const way of await page.$$eval(".on-page a", (all) => all.map((a) => a.hash))) {
    check.ok(await page.$(way), `${way} leads nowhere on the page`);
  }
  await check.look(page, "case");

  // By keyboard from the top of the page to the form.
  await page.keyboard.press("Home");
  await check.tabTo(page, `a[href="${first}/edit/child"]`);
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
  await check.look(page, "form");
  const was = await page.inputValue('[name="child.date_of_birth-day"]');
  const now = was === "5" ? "6" : "5";
  for (const [box, v] of [["day", now], ["month", "3"], ["year", "2024"]]) {
    await page.fill(`[name="child.date_of_birth-${box}"]`, v);
  }
  await page.fill("#_reason", "Seen on the red book");
  await press(page, "main form .govuk-button");
  // An unlikely value would be shown first.
  if ((await page.textContent("h1")).startsWith("Check")) await press(page, "main form .govuk-button");
  check.ok((await page.textContent(".govuk-notification-banner")).includes("Date of birth"), "the banner does not say what was done");
  await check.look(page, "changed");
  await go(page, "/history?field=child.date_of_birth");
  check.ok((await page.textContent("main")).includes("Seen on the red book"), "the reason is not in the history");
  await check.look(page, "history");
  await press(page, "text=Undo this change");
  await check.look(page, "undo");
  await press(page, "main form .govuk-button");
  check.ok((await page.textContent(".govuk-notification-banner")).includes("undone"), "the banner does not say that it was undone");

  for (const group of ["death", "places", "jar", "household", "professionals", "notifier"]) {
    await go(page, `/edit/${group}`);
    await check.look(page, `form-${group}`);
  }

  // What cannot be, and what was typed still there.
  await go(page, "/edit/death");
  await page.fill('[name="death.date-day"]', "31");
  await page.fill('[name="death.date-month"]', "2");
  await page.fill('[name="death.date-year"]', "2026");
  await press(page, "main form .govuk-button");
  check.ok((await page.title()).startsWith("Error: "), "31 February is no error");
  await check.look(page, "form-error");

  // Without JavaScript: an emptied box, a clash, two accounts.
  const plain = await check.signIn(await check.page({ javaScriptEnabled: true }));
  const other = await check.signIn(await check.page({ javaScriptEnabled: false }));
  await go(other, "/edit/child");
  await go(plain, "/edit/child");
  await plain.fill('[name="child.family_name"]', "Theirs");
  await press(plain, "main form .govuk-button");
  await other.fill('[name="child.family_name"]', "Ours");
  await press(other, "main form .govuk-button");
  check.ok((await other.textContent("h1")).includes("Somebody else changed this too"), "a clash was not asked about");
  await other.click('[name="_keep.child.family_name"][value="both"]');
  await press(other, "main form .govuk-button");
  check.ok((await other.textContent("main")).includes("Also said"), "two accounts do not stand side by side");
  // The same clash by the browser that checks look at.
  await go(page, "/edit/child");
  await go(plain, "/edit/child");
  await plain.fill('[name="child.given_names"]', "Theirs");
  await press(plain, "main form .govuk-button");
  await page.fill('[name="child.given_names"]', "Ours, with a very long name that somebody wrote in one go-and-never-stopped-writing-it");
  await press(page, "main form .govuk-button");
  await check.look(page, "clash");
  await press(page, "main form .govuk-button");
  await check.look(page, "clash-no-choice");
  await page.click('[name="_keep.child.given_names"][value="theirs"]');
  await press(page, "main form .govuk-button");

  await go(page, "/settle/child.family_name");
  await check.look(page, "settle");
  await press(page, "main form .govuk-button");
  await check.look(page, "settle-error");
  await page.click("#choice-0");
  await page.fill("#_reason", "The birth certificate");
  await press(page, "main form .govuk-button");
  check.ok(!(await page.textContent("main")).includes("Also said"), "settled accounts still stand side by side");

  await go(page, "/edit/child");
  await page.fill('[name="child.family_name"]', "");
  await press(page, "main form .govuk-button");
  await check.look(page, "check");

  // A document: refused, taken, withdrawn.
  await go(page, "/documents");
  await check.look(page, "documents-empty");
  const file = (name, text) => ({ name, mimeType: "application/octet-stream", buffer: Buffer.from(text) });
  await page.setInputFiles("#file", file("report.pdf", "no PDF"));
  await press(page, "main form .govuk-button");
  check.ok((await page.textContent("main")).includes("not what its name says"), "a wrong content was taken");
  await check.look(page, "documents-error");
  await page.setInputFiles("#file", file(`${"a-very-long-name-".repeat(12)}.pdf`, "%PDF-1.7 made up"));
  await press(page, "main form .govuk-button");
  await check.look(page, "documents");
  const [download] = await Promise.all([page.waitForEvent("download"), page.click(".points a")]);
  check.ok(download.suggestedFilename().endsWith(".pdf"), "the download has another name");
  await press(page, "text=Withdraw");
  await check.look(page, "document-withdraw");
  await page.fill("#reason", "Made up");
  await press(page, "main form .govuk-button");
  await check.look(page, "documents-withdrawn");
}
