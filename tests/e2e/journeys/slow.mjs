// The notification where the signal is poor: 400 kbit/s, 400 ms each way to an answer. Every page can
// be used, a button pressed twice sends once, and a connection that is cut in the middle of a page and
// in the middle of sending loses nothing and sends nothing twice.
import http from "node:http";
import { startDemo } from "../program.mjs";

/** It has a program of its own and mostly waits. */
export const aside = true;

const THIRD_GENERATION = { offline: false, latency: 400, downloadThroughput: 400_000 / 8, uploadThroughput: 400_000 / 8 };
const CUT = { ...THIRD_GENERATION, offline: true };
const SLOW = { timeout: 60_000 };

/**
 * What lies between the telephone and the service. The next POST of a path can be lost on its way there
 * or have its answer lost on its way back; from then on nothing goes through until it is mended.
 */
async function line(url) {
  const state = { cut: false, lose: null };
  const agent = new http.Agent({ keepAlive: true });
  const between = http.createServer((req, res) => {
    const mine = req.method === "POST" && state.lose?.path === req.url.split("?")[0] ? state.lose : null;
    if (state.cut || mine?.where === "there") {
      state.cut = true;
      req.socket.destroy();
      return;
    }
    const { hostname, port } = new URL(url);
    const on = http.request({ hostname, port, agent, method: req.method, path: req.url, headers: req.headers }, (answer) => {
      if (mine) {
        state.cut = true;
        answer.resume().on("end", () => req.socket.destroy());
        return;
      }
      res.writeHead(answer.statusCode, answer.rawHeaders);
      answer.pipe(res);
    });
    on.on("error", () => req.socket.destroy());
    req.pipe(on);
  });
  await new Promise((done) => between.listen(0, "127.0.0.1", done));
  return {
    url: `http://127.0.0.1:${between.address().port}`,
    lose: (where, path) => (state.lose = { where, path }),
    mend: () => Object.assign(state, { cut: false, lose: null }),
    close: () => {
      between.closeAllConnections();
      between.close();
      agent.destroy();
    },
  };
}

export default async function ({ browser, check }) {
  const { demo, stop } = await startDemo("--cases", "1");
  try {
    await night(browser, demo, check);
  } finally {
    await check.closeAll();
    await stop();
  }
}

async function night(browser, demo, check) {
  const { url } = demo;
  const open = async (options = {}) => {
    const context = await browser.newContext({ viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(SLOW.timeout);
    page.on("pageerror", (e) => check.wrong(`${page.url()}: script failed: ${e.message}`));
    const wire = await context.newCDPSession(page);
    await wire.send("Network.enable");
    await wire.send("Network.emulateNetworkConditions", THIRD_GENERATION);
    const cost = { bytes: 0, requests: 0 };
    wire.on("Network.loadingFinished", (e) => {
      cost.bytes += e.encodedDataLength;
      if (e.encodedDataLength > 0) cost.requests++;
    });
    const signal = (there) => wire.send("Network.emulateNetworkConditions", there ? THIRD_GENERATION : CUT);
    return { context, page, cost, signal };
  };
  const go = (page) => page.locator("main form button:has-text('Continue'), main form button:has-text('Send now')").first();
  const on = async (page, to) => {
    await go(page).tap();
    await page.waitForURL(`${url}/notify/${to}`, SLOW);
  };
  const begin = async (page, family) => {
    await page.goto(`${url}/notify`, SLOW);
    await page.check("input[value='death']");
    await on(page, "who");
    await page.fill("[id='child.family_name']", family);
  };
  const caller = async (page) => {
    await page.goto(`${url}/notify/caller`, SLOW);
    await page.fill("[id='notifier.telephone']", "07700 900123");
    await on(page, "check");
  };
  const cases = async (family) => {
    const answer = await fetch(`${url}/api/v1/cases/search`, {
      method: "POST",
      headers: { authorization: `Bearer ${demo.api_token}`, "content-type": "application/json" },
      body: JSON.stringify({ person: family }),
    });
    check.equal(answer.status, 200, `the search for ${family}`);
    return (await answer.json()).items.map((c) => c.reference);
  };

  // Every page from the first to the receipt: the button is there and works, nothing stays half drawn.
  {
    const { context, page, cost } = await open();
    const began = Date.now();
    await page.goto(`${url}/notify`, SLOW);
    const first = { ...cost, seconds: (Date.now() - began) / 1000 };
    await page.check("input[value='death']");
    let [most, slowest] = [0, 0];
    for (const to of ["who", "when", "where", "sudden", "cause", "care", "caller", "check", "done"]) {
      if (to === "check") await page.fill("[id='notifier.telephone']", "07700 900123");
      Object.assign(cost, { bytes: 0, requests: 0 });
      const pressed = Date.now();
      await on(page, to);
      await page.locator("main h1").first().waitFor(SLOW);
      slowest = Math.max(slowest, (Date.now() - pressed) / 1000);
      if (to !== "done") check.ok(await go(page).isEnabled(), `/notify/${to} cannot be gone on from`);
      await page.waitForLoadState("load");
      most = Math.max(most, cost.requests);
      // What was asked, and the page that follows; the rest is on the telephone already.
      check.ok(cost.requests > 0 && cost.requests <= 3, `/notify/${to} takes ${cost.requests} ways over the network`);
      check.ok(cost.bytes < 15_000, `/notify/${to} is ${cost.bytes} bytes on a slow line`);
    }
    console.log(`  on a slow line: first page ${first.seconds.toFixed(1)} s, later pages ${slowest.toFixed(1)} s at most and ${most} ways over the network`);
    check.ok(/^CDR-/.test((await page.textContent(".big")).trim()), "no reference on a slow line");
    await context.close();
  }

  // Pressed twice, with and without a script.
  for (const javaScriptEnabled of [true, false]) {
    const family = `Twicepress-${javaScriptEnabled ? "Scripted" : "Plain"}`;
    const { context, page } = await open({ javaScriptEnabled });
    await begin(page, family);
    await go(page).dblclick();
    await page.waitForURL(`${url}/notify/when`, SLOW);
    await caller(page);
    await go(page).dblclick();
    await page.waitForURL(`${url}/notify/done`, SLOW);
    const reference = (await page.textContent(".big")).trim();
    check.equal((await cases(family)).join(" "), reference, `cases after a double press (script: ${javaScriptEnabled})`);
    await context.close();
  }

  // Cut while a page is on its way, and while the notification is: lost there, or its answer lost.
  for (const where of ["there", "back"]) {
    const family = `Cutwellington-${where}`;
    const between = await line(url);
    const { context, page, signal } = await open();
    const reach = (to) => page.waitForURL(`${between.url}/notify/${to}`, SLOW);
    const press = () => go(page).tap();
    const kept = async () => {
      await page.locator("#kept", { hasText: /Kept on this phone at \d\d:\d\d. It has not been received yet/ }).waitFor(SLOW);
      await signal(false);
    };
    const mend = async () => {
      between.mend();
      await signal(true);
    };
    await page.goto(`${between.url}/notify`, SLOW);
    await page.check("input[value='death']");
    await press();
    await reach("who");
    await page.fill("[id='child.family_name']", family);
    between.lose(where, "/notify/who");
    await press();
    await kept();
    check.equal(new URL(page.url()).pathname, "/notify/who", "the page while the connection is cut");
    await mend();
    await reach("when");
    await page.goto(`${between.url}/notify/caller`, SLOW);
    await page.fill("[id='notifier.telephone']", "07700 900123");
    await press();
    await reach("check");
    check.ok((await page.textContent("main")).includes(family), "what was typed before the cut is gone");
    check.equal((await cases(family)).length, 0, "cases before anything was sent");

    between.lose(where, "/notify/send");
    await press();
    await kept();
    check.equal((await cases(family)).length, where === "back" ? 1 : 0, `cases while the connection is cut (lost on its way ${where})`);
    await mend();
    await reach("done");
    check.ok(/Received at \d\d:\d\d/.test(await page.textContent("#kept")), "the last page does not say that it was received");
    const reference = (await page.textContent(".big")).trim();
    check.equal(await page.evaluate(() => Object.keys(localStorage).length), 0, "entries left on the telephone");
    // Whatever is still tried comes within a few seconds.
    await page.waitForTimeout(5000);
    check.equal((await cases(family)).join(" "), reference, `cases in the end (lost on its way ${where})`);
    await context.close();
    between.close();
  }

  // And the office sees each of them once.
  const desk = await check.signIn(await check.page(), "coordinator", demo);
  for (const family of ["Twicepress-Scripted", "Twicepress-Plain", "Cutwellington-there", "Cutwellington-back"]) {
    await desk.goto(`${url}/`);
    await desk.fill("#q", family);
    await Promise.all([desk.waitForNavigation(), desk.click("form[role=search] button")]);
    check.equal(await desk.locator("td.case").count(), 1, `cases of ${family} in the coordinator's list`);
  }
}
