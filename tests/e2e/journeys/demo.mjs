// What the README promises of the demo, as somebody who tries it does it, with ladders that climb in
// seconds: a response is triggered by the notification's pages, nobody answers and the ladder climbs
// on a board that is never loaded again, four agencies answer in four ways, the case is withdrawn and
// exactly those who were tried are told so, and a drill ends in its page.
import { startDemo, until } from "../program.mjs";

/** It has a program of its own and mostly waits. */
export const aside = true;

const SLOW = { timeout: 90_000 };

export default async function ({ check }) {
  const { demo, stop } = await startDemo("--cases", "2", "--speed", "60");
  try {
    await story(check, demo);
  } finally {
    await check.closeAll();
    await stop();
  }
}

/** A board that is open, with what shows whether it was ever loaded again. */
async function watch(page, address) {
  let loads = 0;
  page.on("framenavigated", () => loads++);
  await page.goto(address);
  return {
    page,
    loads: () => loads,
    /** The row of an agency as soon as it says this. */
    says: async (agency, words) => {
      const row = page.locator("#board tr", { has: page.locator("th", { hasText: agency }) });
      await row.filter({ hasText: words }).first().waitFor(SLOW);
    },
    top: (words) => page.locator("#board [data-say]", { hasText: words }).waitFor(SLOW),
  };
}

async function story(check, demo) {
  const { url } = demo;
  const outbox = async () => (await fetch(`${url}/demo/outbox.json`)).json();
  const before = (await outbox()).length;
  const sent = async () => (await outbox()).slice(before);

  // A death is notified, page by page, with half the facts unknown.
  const phone = await check.page({ viewport: { width: 390, height: 844 } });
  const on = async (to) => {
    await phone.locator("main form button:has-text('Continue'), main form button:has-text('Send now')").first().click();
    await phone.waitForURL(`${url}/notify/${to}`);
  };
  await phone.goto(`${url}/notify`);
  await phone.check("input[value='death']");
  for (const to of ["who", "when", "where", "sudden"]) await on(to);
  await phone.check("input[value='yes']");
  await on("cause");
  await phone.getByRole("link", { name: "Skip to the end" }).click();
  await phone.waitForURL(`${url}/notify/caller`);
  await phone.fill("[id='notifier.telephone']", "07700 900123");
  await on("check");
  await on("done");
  const reference = (await phone.textContent(".big")).trim();

  // Nobody answers. The board is opened once, by a press on Today.
  const desk = await check.signIn(await check.page(), "coordinator", demo);
  const board = await watch(desk, `${url}/cases/${reference}/reached`);
  await board.top("5 partners have not acknowledged yet");
  await board.says("Designated doctor", "mobile (call)");
  await board.says("Response nurse", /Nurse \w+, JAR nurse.*Nurse \w+, JAR nurse \(call\)/);
  await board.says("Northshire Police", "duty manager was told at");
  await board.top("5 partners have not acknowledged yet");
  const told = await sent();
  const manager = told.filter((m) => m.to === "duty.manager@northshire-nhs.example").map((m) => m.text);
  check.ok(manager.some((t) => t.includes("01632 960101")), `the duty manager is not told which number to ring: ${manager.join(" | ")}`);
  const personal = told.filter((m) => /07700 ?900123|Unknown child/.test(m.text));
  check.equal(personal.length, 0, "messages with the caller's own number in them");

  // One by the link in a mail: opening it answers nothing, the button does.
  const mail = told.find((m) => m.to === "control-room@police.example" && m.text.includes(reference));
  const link = mail.links.find((l) => l.includes("/a/"));
  const police = await check.page();
  await police.goto(link);
  check.equal(await desk.locator("#board .tag.good").count(), 0, "agencies that have acknowledged once a link was opened");
  await police.fill("#name", "Sergeant Placehold");
  await police.fill("#role", "On-call supervisor");
  await Promise.all([police.waitForNavigation(), police.click("main form button")]);
  await board.says("Northshire Police", /acknowledged by Sergeant Placehold, On-call supervisor.*\(by the link\)/);
  await board.top("4 partners have not acknowledged yet");

  // Two on the telephone network: a key in a call, a word in reply to a text.
  const network = await check.page();
  await network.goto(`${url}/demo/outbox`);
  const message = (kind, number) =>
    network.locator(`p:has-text("${kind} to ${number}") + pre + form`).first();
  await message("voice", "+447700900103").getByRole("button", { name: "Press 1" }).click();
  await network.waitForURL(`${url}/demo/outbox`);
  await board.says("Designated doctor", /acknowledged.*\(by key during a call\)/);
  await message("sms", "+447700900102").getByRole("button", { name: /^Reply YES/ }).click();
  await network.waitForURL(`${url}/demo/outbox`);
  await board.says("Social Care", /acknowledged.*\(by text\)/);

  // One by the coordinator, who has spoken to them. The board stays open in its own window.
  const other = await desk.context().newPage();
  await other.goto(`${url}/cases/${reference}/reached`);
  await other.getByRole("link", { name: /Spoke to them.*Coroner/ }).click();
  await other.fill("#name", "Officer Templeford");
  await other.check("input[name=answer][value=can]");
  await Promise.all([other.waitForNavigation(), other.click("main form button")]);
  await board.says("Coroner's officer", /acknowledged by Officer Templeford.*telephone/);
  await board.top("1 partner has not acknowledged yet");
  check.equal(board.loads(), 1, "how often the board was loaded");

  // Withdrawn: exactly those who were tried are told so, where they were tried.
  await other.goto(`${url}/cases/${reference}`);
  await other.click("summary:has-text('Withdraw this notification')");
  await other.fill("#withdraw_reason", "Made in error");
  const tried = new Set((await sent()).map((m) => m.to));
  const count = (await sent()).length;
  await Promise.all([other.waitForNavigation(), other.click("button:has-text('Withdraw and tell everybody')")]);
  const recalls = async () => (await sent()).slice(count);
  const missing = async () => {
    const now = new Set((await recalls()).map((m) => m.to));
    return [...tried].filter((to) => !now.has(to));
  };
  await until(async () => (await missing()).length === 0, "everybody who was tried is told of the withdrawal", 60).catch(
    async (e) => check.wrong(`${e.message}; not told: ${(await missing()).join(", ")}`),
  );
  const after = await recalls();
  for (const m of after) {
    check.ok(tried.has(m.to), `${m.to} is told of the withdrawal and never was of the death`);
    check.ok(/withdrawn/i.test(`${m.subject} ${m.text}`), `${m.channel} to ${m.to} after the withdrawal says something else: ${m.text.slice(0, 80)}`);
  }
  check.ok(tried.size > 10, `only ${tried.size} addresses were tried`);
  check.equal(new Set(after.map((m) => `${m.channel} ${m.to}`)).size, after.length, "recalls, each once");
  await board.says("Response nurse", "recalled");
  await board.says("Northshire Police", "Notification withdrawn");
  const said = await desk.textContent("#board [data-say]");
  check.ok(!said.includes("has acknowledged"), `after the withdrawal the board says: ${said}`);
  check.equal(board.loads(), 1, "how often the board was loaded in the end");

  // A drill from its page: it runs on its own board, one answers, it ends, and says how it went.
  await other.goto(`${url}/drills`);
  await Promise.all([other.waitForNavigation(), other.click("main form button")]);
  check.ok((await other.textContent("main")).includes("It is running"), "the drill is not running");
  const drill = (await other.textContent("h1")).replace("Drill", "").trim();
  const live = await watch(desk, `${url}/cases/${drill}/reached`);
  await live.top("5 partners have not acknowledged yet");
  check.ok((await desk.textContent("#board")).includes("This is a drill"), "the drill's board does not say that it is one");
  const first = await until(async () => (await sent()).find((m) => m.to === "designated.doctor@northshire-nhs.example" && m.text.includes(drill)), "the drill's mail");
  check.ok(first.subject.startsWith("DRILL"), `the drill's mail begins: ${first.subject}`);
  await police.goto(first.links.find((l) => l.includes("/a/")));
  await police.fill("#name", "Dr Standinford");
  await Promise.all([police.waitForNavigation(), police.click("main form button")]);
  await live.says("Designated doctor", "acknowledged by Dr Standinford");
  check.equal(live.loads(), 1, "how often the drill's board was loaded");
  await other.reload();
  await Promise.all([other.waitForNavigation(), other.click("button:has-text('End the drill')")]);
  const result = (await other.innerText("main")).replace(/\s+/g, " ");
  check.ok(result.includes("1 of 5 partners reached"), `the drill's result is not 1 of 5: ${result.slice(0, 200)}`);
  check.ok(/ended \d/.test(result), "the result does not say when the drill ended");
  check.ok(/\d+ min \d\d s, Dr Standinford \(by the link\)/.test(result), `the result does not say who answered, after how long and how: ${result}`);
  await check.look(other, "drill-result");
  await until(async () => (await sent()).some((m) => m.to === first.to && m.subject.startsWith("DRILL") && /over|withdrawn/i.test(m.subject + m.text) && m.text.includes(drill)), "the doctor hears that the drill is over");
}
