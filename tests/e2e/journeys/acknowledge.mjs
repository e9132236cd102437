// The page behind a message's link, in each of its states, with the keyboard alone.

async function link(check, url, page) {
  // A fresh notification, so that there is somebody to answer.
  await page.goto(`${url}/notify/one-page`);
  await page.check("input[name='event'][value='death']");
  await page.fill("[id='child.family_name']", `Exampleson ${Math.random().toString(36).slice(2, 7)}`);
  await page.fill("[id='notifier.telephone']", "01632 960999");
  await page.check("input[name='jar_answers.external_cause'][value='yes']");
  await Promise.all([page.waitForNavigation(), page.click("main form button")]);
  const reference = (await page.textContent(".big")).trim();
  for (let i = 0; i < 100; i++) {
    const sent = await (await fetch(`${url}/demo/outbox.json`)).json();
    const links = sent.filter((m) => m.text.includes(reference)).flatMap((m) => m.links).filter((l) => l.includes("/a/"));
    const own = [...new Set(links)];
    if (own.length > 1) return own;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error(`no message for ${reference} came out`);
}

export default async function ({ url, check }) {
  const page = await check.page();
  const [first, second] = await link(check, url, page);
  await page.goto(first);
  await check.look(page, "asked");

  await page.goto(first);
  await check.tabTo(page, "main form button");
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
  check.ok((await page.title()).startsWith("Error: "), "a missing name is no error");
  await check.look(page, "no-name");

  await page.goto(first);
  await check.tabTo(page, "#name");
  await page.keyboard.type("Sergeant Placehold");
  await check.tabTo(page, "#role");
  await page.keyboard.type("On-call supervisor");
  await check.tabTo(page, "input[name=answer]");
  await check.tabTo(page, "main form button");
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
  check.ok((await page.textContent("main")).includes("Thank you"), "no thanks after the answer");
  await check.look(page, "thanks");
  await page.goto(first);
  await check.look(page, "again");

  await page.goto(second);
  await page.fill("#name", "Nurse Mockley");
  await page.check("input[name=answer][value=cannot]");
  await Promise.all([page.waitForNavigation(), page.click("main form button")]);
  await check.look(page, "cannot");

  const wrong = await page.goto(`${url}/a/no-such-link`);
  check.equal(wrong.status(), 404, "a wrong link");
  await check.look(page, "wrong-link");
}
