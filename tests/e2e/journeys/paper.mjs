// The receipt on paper, and what pages cost on the wire: every page of the notification after the
// first, and the list of cases when it is full.
import { startDemo } from "../program.mjs";

/** It has a program of its own, with a list that is full. */
export const aside = true;

const MOST = 15_000;

export default async function ({ check }) {
  const up = await startDemo("--cases", "55");
  try {
    await costs(check, up.demo);
  } finally {
    await check.closeAll();
    await up.stop();
  }
}

async function costs(check, demo) {
  const { url } = demo;
  const counted = async (page) => {
    const wire = await page.context().newCDPSession(page);
    const cost = { bytes: 0 };
    await wire.send("Network.enable");
    wire.on("Network.loadingFinished", (e) => (cost.bytes += e.encodedDataLength));
    return cost;
  };
  const small = (cost, what) => check.ok(cost.bytes > 300 && cost.bytes < MOST, `${what} is ${cost.bytes} bytes on the wire, not under ${MOST}`);

  const phone = await check.page({ viewport: { width: 390, height: 844 } });
  const cost = await counted(phone);
  await phone.goto(`${url}/notify`, { waitUntil: "networkidle" });
  await phone.check("input[value='death']");
  const sizes = [];
  for (const to of ["who", "when", "where", "sudden", "cause", "care", "caller", "check", "done"]) {
    if (to === "when") {
      await phone.fill("[id='child.given_names']", "Wilhelmina Philippa");
      await phone.fill("[id='child.family_name']", "Papersworth");
    }
    if (to === "cause") await phone.check("input[name='jar_answers.sudden_no_apparent_cause'][value='yes']");
    if (to === "check") await phone.fill("[id='notifier.telephone']", "07700 900123");
    cost.bytes = 0;
    await phone.locator("main form button:has-text('Continue'), main form button:has-text('Send now')").first().click();
    await phone.waitForURL(`${url}/notify/${to}`);
    await phone.waitForLoadState("networkidle");
    small(cost, `/notify/${to}, with what was sent to come there,`);
    sizes.push(`${to} ${(cost.bytes / 1000).toFixed(1)}`);
  }
  for (const to of ["more", "more/child", "more/home", "more/family", "more/death", "more/professionals", "more/other", "next", "code"]) {
    cost.bytes = 0;
    await phone.goto(`${url}/notify/${to}`, { waitUntil: "networkidle" });
    small(cost, `/notify/${to}`);
    sizes.push(`${to} ${(cost.bytes / 1000).toFixed(1)}`);
  }
  console.log(`  kB on the wire: ${sizes.join(", ")}`);

  const desk = await check.signIn(await check.page(), "coordinator", demo);
  const list = await counted(desk);
  await desk.goto(`${url}/cases`, { waitUntil: "networkidle" });
  list.bytes = 0;
  await desk.goto(`${url}/cases`, { waitUntil: "networkidle" });
  const rows = await desk.locator("tr[data-row]").count();
  check.equal(rows, 50, "rows of a full list");
  small(list, `the list of ${rows} cases`);
  console.log(`  the list of ${rows} cases: ${(list.bytes / 1000).toFixed(1)} kB`);

  // The receipt, printed from a telephone that is set to dark.
  await phone.goto(`${url}/notify/done`);
  const reference = (await phone.textContent(".big")).trim();
  await phone.emulateMedia({ media: "print", colorScheme: "dark" });
  const paper = await phone.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const ink = await phone.evaluate(() => getComputedStyle(document.querySelector("main .big")).color);
  const light = (colour) => colour.match(/[\d.]+/g).slice(0, 3).every((n) => Number(n) > 200) || /^rgba\(.*, 0\)$/.test(colour);
  check.ok(light(paper), `paper is dark: ${paper}`);
  check.ok(!light(ink), `ink is light: ${ink}`);
  const printed = await phone.evaluate(() => document.body.innerText);
  for (const said of [reference, "Received at", "What has been decided", "Who is being told", "What is asked of you tonight", "01632 960100", "Northshire Police"]) {
    check.ok(printed.includes(said), `the printed receipt does not say "${said}"`);
  }
  for (const secret of ["Wilhelmina", "Papersworth", "07700 900123"]) check.ok(!printed.includes(secret), `the printed receipt says ${secret}`);
  for (const gone of ["main form", "main button", "header nav", ".govuk-skip-link", ".noprint", "footer"]) {
    const shown = await phone.locator(gone).filter({ visible: true }).count();
    check.equal(shown, 0, `${gone} on paper`);
  }
  await phone.setViewportSize({ width: 700, height: 990 });
  check.ok(await phone.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth), "the receipt is wider than the paper");
  const pdf = (await phone.pdf({ format: "A4" })).toString("latin1");
  const sheets = (pdf.match(/\/Type\s*\/Page\b/g) ?? []).length;
  check.ok(sheets >= 1 && sheets <= 2, `the receipt takes ${sheets} sheets of A4`);
  console.log(`  the receipt takes ${sheets} sheet${sheets === 1 ? "" : "s"} of A4`);
}
