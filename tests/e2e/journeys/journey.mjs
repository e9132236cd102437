// From a ward at night to the desk in the morning. On a telephone's touch screen, with half the facts
// unknown, a person logs a death page by page; presses and letters are counted and give an estimate of
// how long a practised person takes. Then a coordinator finds that very case by what the office is
// told on the telephone, reads it, corrects the birth date, sees it in its history and undoes it.

// The keystroke-level model (Card, Moran and Newell 1980) with values for a telephone: a press with
// the thumb, with the way to it; a letter on a glass keyboard (about 40 words a minute is 0.3 s);
// reading a question and making up one's mind (the model's M, 1.2 s to 1.35 s) once for each page and
// once for each field that is answered; and a page's way over the network.
const PRESS = 1.1;
const LETTER = 0.28;
const THINK = 1.2;
const NETWORK = 0.5;
const MOST = 120;

const CHILD = { given: "Wendeline", family: "Glasspool-Marchbank", nhs: "999 000 5547" };

// Born three months ago, on the 4th, or as somebody says later on the 14th.
const BORN = new Date(Date.UTC(new Date().getUTCFullYear(), new Date().getUTCMonth() - 3, 4));
const MONTH = BORN.toLocaleDateString("en-GB", { month: "long", year: "numeric", timeZone: "UTC" });
const [FIRST, THEN] = [`4 ${MONTH}`, `14 ${MONTH}`];

export default async function ({ url, check }) {
  const page = await check.page({ viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true });
  const spent = { presses: 0, letters: 0, thoughts: 0, pages: 1 };
  const press = async (target) => {
    spent.presses++;
    await page.locator(target).first().tap();
  };
  const choose = async (name, value) => {
    spent.thoughts++;
    await press(`input[name="${name}"][value="${value}"]`);
  };
  const type = async (name, text) => {
    spent.thoughts++;
    await press(`[id="${name}"]`);
    spent.letters += text.length;
    await page.keyboard.type(text);
  };
  // A list opens by one press, and its line is another.
  const pick = async (name, label) => {
    spent.thoughts++;
    spent.presses += 2;
    await page.locator(`[id="${name}"]`).selectOption({ label });
  };
  const on = async (to, button = "Continue") => {
    await press(`main form button:has-text('${button}')`);
    await page.waitForURL(`${url}/notify/${to}`);
    spent.pages++;
  };

  await page.goto(`${url}/notify`);
  await choose("event", "death");
  await on("who");
  await type("child.given_names", CHILD.given);
  await type("child.family_name", CHILD.family);
  await type("child.nhs_number", CHILD.nhs.replaceAll(" ", ""));
  await type("child.date_of_birth-day", "4");
  await type("child.date_of_birth-month", String(BORN.getUTCMonth() + 1));
  await type("child.date_of_birth-year", String(BORN.getUTCFullYear()));
  await on("when");
  await choose("death.date-is", "today");
  await on("where");
  const places = await page.locator("[id='death.place.type'] option").allTextContents();
  await pick("death.place.type", places.find((p) => /emergency|hospital/i.test(p)) ?? places[1]);
  await on("sudden");
  await choose("jar_answers.sudden_no_apparent_cause", "yes");
  await on("cause");
  await choose("jar_answers.external_cause", "unknown");
  await choose("jar_answers.suspicion_not_natural", "unknown");
  await on("care");
  await on("caller");
  await type("notifier.telephone", "07700900123");
  await on("check");
  check.ok((await page.textContent("main")).includes(CHILD.family), "the last page does not show the name");
  await on("done", "Send now");
  const reference = (await page.textContent(".big")).trim();

  const { presses, letters, thoughts, pages } = spent;
  const seconds = presses * PRESS + letters * LETTER + (thoughts + pages) * THINK + pages * NETWORK;
  console.log(`  a death with half the facts unknown: ${pages} pages, ${presses} presses, ${letters} letters, about ${Math.round(seconds)} s of a person's time`);
  check.ok(seconds <= MOST, `logging a death takes about ${Math.round(seconds)} s, more than ${MOST}`);
  const small = await page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth);
  check.ok(small, "the last page scrolls sideways on the telephone");

  // The desk, in the morning. Nobody there has the reference.
  const desk = await check.signIn(await check.page());
  for (const asked of [CHILD.family, CHILD.family.toUpperCase(), CHILD.nhs, CHILD.nhs.replaceAll(" ", "")]) {
    await desk.goto(`${url}/`);
    await desk.fill("#q", asked);
    await Promise.all([desk.waitForNavigation(), desk.click("form[role=search] button")]);
    check.ok(!desk.url().includes(encodeURIComponent(asked)), "what was searched for stands in the address");
    const found = await desk.$$eval("td.case a", (all) => all.map((a) => a.textContent.trim()));
    check.equal(found.join(" "), reference, `found by "${asked}"`);
  }
  await desk.locator("td.case a").first().click();
  await desk.waitForURL(`${url}/cases/${reference}`);

  const row = async (key) =>
    (await desk.locator(".case-summary > div", { has: desk.locator("dt", { hasText: key }) }).first().innerText()).replace(/\s+/g, " ");
  check.ok((await row("What happened")).includes(`${CHILD.given} ${CHILD.family}`), "the summary does not name the child");
  check.ok((await row("Joint Agency Response")).includes("is due"), "the summary does not say that a response is due");
  const waits = await row("Not reached yet");
  check.ok(waits.includes("Police"), `the summary does not say who has not been reached: ${waits}`);
  const jar = await desk.textContent("#jar");
  check.ok(jar.includes("riggered"), `the decision is not that a response is due: ${jar}`);
  const criteria = (await desk.innerText("[aria-label=Criteria]")).toLowerCase();
  check.ok(criteria.includes("met") && criteria.includes("cannot tell"), "the criteria do not show what is met and what nobody can tell yet");
  await desk.goto(`${url}/cases/${reference}/reached`);
  check.ok(/\d partners have not acknowledged yet/.test(await desk.textContent("[data-say]")), "the board does not say who is waited for");

  // The mother says on the telephone that it was the 14th.
  const shown = async () => {
    await desk.goto(`${url}/cases/${reference}`);
    return desk.locator("main").innerText();
  };
  check.ok((await shown()).includes(FIRST), "the birth date that was typed is not on the case's page");
  await desk.click(`a[href="/cases/${reference}/edit/child"]`);
  await desk.fill('[name="child.date_of_birth-day"]', "14");
  await desk.fill("#_reason", "Said by the mother on the telephone");
  const save = () => Promise.all([desk.waitForNavigation(), desk.click("main form .govuk-button")]);
  await save();
  if ((await desk.textContent("h1")).startsWith("Check")) await save();
  check.ok((await desk.textContent(".govuk-notification-banner")).includes("Date of birth"), "the page does not say what was changed");
  check.ok((await shown()).includes(THEN), "the corrected birth date is not on the case's page");

  await desk.goto(`${url}/cases/${reference}/history?field=child.date_of_birth`);
  const history = await desk.innerText("main");
  for (const said of ["Coordinator Exampleby", "Said by the mother on the telephone", FIRST, THEN]) {
    check.ok(new RegExp(`\\b${said}`).test(history), `the history of the birth date does not say "${said}"`);
  }
  await Promise.all([desk.waitForNavigation(), desk.click("text=Undo this change")]);
  await save();
  check.ok((await desk.textContent(".govuk-notification-banner")).includes("undone"), "the page does not say that it was undone");
  const after = await shown();
  check.ok(new RegExp(`\\b${FIRST}`).test(after) && !after.includes(THEN), "the birth date does not stand as before");
  await desk.goto(`${url}/cases/${reference}/history?field=child.date_of_birth`);
  check.ok((await desk.innerText("main")).includes(THEN), "the history forgot what was undone");
}
