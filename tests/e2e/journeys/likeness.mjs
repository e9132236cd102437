// Two reports that may be of one death: the pair on the queue, side by side, merged and parted.
import { until } from "../program.mjs";

const report = (given, nhs, day) => ({
  _area: "northshire",
  event: "death",
  "child.given_names": given,
  "child.family_name": "Quorlswickhamshire-Featherstonehaugh",
  "child.nhs_number": nhs,
  "child.date_of_birth": "2019-03-01",
  "death.date": day,
  "notifier.name": `Dr Marker of ${given}`,
  "notifier.telephone": "01632 960777",
});

export default async function ({ url, check }) {
  const page = await check.signIn(await check.page());
  const send = async (given, nhs, day) => {
    const answer = await page.request.post(`${url}/notify/one-page`, { form: { _key: `${given}${nhs}${day}`, ...report(given, nhs, day) } });
    check.equal(answer.status(), 201, `a report of ${given}`);
    return (await answer.text()).match(/CDR-\d{4}-\d{6}/)[0];
  };
  const first = await send("Wilhelmina", "999 000 9996", "2026-02-20");
  // Certain: attached, and the first case says so.
  const certain = await send("Wilhelmina", "999 000 9996", "2026-02-21");
  await page.goto(`${url}/cases/${certain}`);
  check.ok((await page.textContent("main")).includes(`${certain} is a second account of this case.`), "the second account does not open its case");
  await check.look(page, "second-account");
  await page.goto(`${url}/cases/${first}/compare/${certain}`);
  await check.look(page, "compare-attached");

  // Not certain: a pair for the office.
  const perhaps = await send("Wilhelmina", "", "2026-02-20");
  // Pairs are looked for once the report is answered.
  await page.goto(`${url}/`);
  await until(async () => (await page.locator('a[href="/likeness"]').count()) > 0 || (await page.reload(), false), "the pair on Today", 90);
  await check.look(page, "queue-with-pairs");
  await Promise.all([page.waitForNavigation(), page.click('a[href="/likeness"]')]);
  await check.look(page, "pairs");
  await Promise.all([page.waitForNavigation(), page.click(`a[href="/cases/${first}/compare/${perhaps}"]`)]);
  await check.look(page, "compare");
  const sendForm = () => Promise.all([page.waitForNavigation(), page.click("main form button")]);
  await sendForm();
  check.ok((await page.title()).startsWith("Error: "), "a decision without an answer is no error");
  await check.look(page, "compare-errors");
  await page.check('input[name="do"][value="same"]');
  await page.fill("#reason", "Told by two wards");
  await sendForm();
  check.equal(new URL(page.url()).pathname, `/cases/${first}`, "after merging");
  await page.goto(`${url}/cases/${first}/compare/${perhaps}`);
  await page.fill("#reason", "Two children after all");
  await sendForm();
  await page.goto(`${url}/cases/${perhaps}`);
  check.ok((await page.textContent("h1")).includes(perhaps), "it is no case of its own again");
}
