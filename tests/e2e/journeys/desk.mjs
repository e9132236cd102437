// The desk's states: nothing found, mistakes in forms, a drill, a panel, and what others may see.

export default async function ({ url, check }) {
  const signIn = await check.page();
  await signIn.goto(`${url}/sign-in`);
  await check.look(signIn, "sign-in");
  await signIn.fill("#email", "nobody@northshire.example");
  await signIn.fill("#password", "wrong");
  await Promise.all([signIn.waitForNavigation(), signIn.click("main button")]);
  await check.look(signIn, "sign-in-wrong");

  const page = await check.signIn(await check.page());
  const wire = await page.context().newCDPSession(page);
  let bytes = 0;
  await wire.send("Network.enable");
  wire.on("Network.loadingFinished", (e) => (bytes += e.encodedDataLength));
  await page.goto(`${url}/cases`);
  const first = await page.getAttribute("main tbody a", "href");
  for (const path of ["/", "/cases", first, "/directory/northshire"]) {
    bytes = 0;
    await page.goto(url + path, { waitUntil: "load" });
    await page.waitForTimeout(200);
    check.ok(bytes > 0 && bytes < 15_000, `${path} is ${bytes} bytes on a later visit, not under 15 kB`);
    console.log(`  ${path}: ${(bytes / 1000).toFixed(1)} kB`);
  }

  await page.goto(`${url}/`);
  await page.fill("#q", "Nobody of that name");
  await Promise.all([page.waitForNavigation(), page.click("form[role=search] button")]);
  await check.look(page, "found-nothing");

  await page.goto(`${url}/panels`);
  await Promise.all([page.waitForNavigation(), page.click("main form button")]);
  await check.look(page, "panel-errors");
  await page.fill("#name", "The Northshire and Neighbouring Districts Joint Neonatal and Perinatal Panel");
  await page.fill("#held_on", "2030-01-31");
  await Promise.all([page.waitForNavigation(), page.click("main form button")]);
  if (!new URL(page.url()).pathname.startsWith("/panels/")) await page.click("main ul a");
  await page.waitForLoadState();
  await check.look(page, "panel-empty");

  // A step that cannot be, in a form that was folded away.
  await page.goto(url + first);
  const steps = page.locator("details", { has: page.locator("#milestone") });
  await steps.locator("summary").click();
  await page.fill("#category", "99");
  await Promise.all([page.waitForNavigation(), steps.locator("button").click()]);
  check.ok((await page.title()).startsWith("Error: "), "category 99 is no error");
  await check.look(page, "step-refused");

  await page.goto(`${url}/drills`);
  await Promise.all([page.waitForNavigation(), page.click("main form button")]);
  await check.look(page, "drill");

  await page.goto(`${url}/directory/northshire/agency/new`);
  await Promise.all([page.waitForNavigation(), page.click("main form button")]);
  await check.look(page, "agency-errors");

  for (const role of ["agency", "auditor"]) {
    const other = await check.signIn(await check.page(), role);
    await check.look(other, `first-page-${role}`);
    await other.goto(`${url}/panels`);
    await check.look(other, `panels-${role}`);
  }
}
