// Without JavaScript everything is there and works, and on paper as well.

export default async function ({ url, check }) {
  const page = await check.signIn(await check.page({ javaScriptEnabled: false }));
  check.equal(new URL(page.url()).pathname, "/", "signing in without JavaScript");
  await page.goto(`${url}/cases`);
  const first = await page.getAttribute("main tbody a", "href");
  for (const path of ["/", "/cases", first, `${first}/reached`, "/board", "/panels", "/drills", "/directory/northshire", "/directory/northshire/policy"]) {
    const answer = await page.goto(url + path);
    check.equal(answer.status(), 200, `${path} without JavaScript`);
    check.ok(await page.isVisible("main h1"), `${path} shows no heading without JavaScript`);
    check.ok(await page.isVisible("nav[aria-label=Main] a[href='/board']"), `${path} has no way on without JavaScript`);
  }
  await page.goto(`${url}/notify/one-page`);
  await page.check("input[name=event][value=death]");
  await page.fill("[id='child.family_name']", "Plainson");
  await page.fill("[id='notifier.telephone']", "01632 960999");
  await Promise.all([page.waitForNavigation(), page.click("main form button")]);
  check.ok((await page.textContent("h1, h2")).includes("Received"), "a notification without JavaScript is not received");

  const paper = await check.signIn(await check.page());
  await paper.goto(url + first);
  await paper.emulateMedia({ media: "print" });
  check.ok(!(await paper.isVisible("nav")), "paper shows the navigation");
  check.ok(await paper.isVisible("main h1"), "paper shows no heading");
  check.ok(!(await paper.isVisible("main form")), "paper shows forms");
}
