// Every page that links lead to, from the coordinator's desk, the public pages and the outbox.

/** Pages alike are looked at once: what names one case, agency, person or version is left out. */
const kind = (path) =>
  path
    .replace(/(cases|drills|panels|policy|history|a)\/(?!new|last)[^/]+/g, "$1/*")
    .replace(/compare\/[^/]+/, "compare/*")
    .replace(/(alerts|documents)\/[^/]+/, "$1/*")
    .replace(/agency\/(?!new)[^/]+/, "agency/*")
    .replace(/rota\/[^/]+/, "rota/*")
    .replace(/(contact|person|rotation|cover)\/(?!new)[^/]+/, "$1/*");

// /areas/… is a name in webhooks, not a page.
const SKIPPED = /^\/(static|api|areas)\/|\.(csv|ics|json|pdf)$|\/live$/;

export default async function ({ url, check }) {
  const page = await check.signIn(await check.page());
  // Links come and go with the data; these must be there.
  const due = ["/", "/cases", "/board", "/panels", "/drills", "/directory", "/notify", "/demo/outbox"];
  const seen = new Set();
  while (due.length) {
    const path = due.shift();
    if (seen.has(kind(path))) continue;
    seen.add(kind(path));
    const answer = await page.goto(url + path, { waitUntil: "load" });
    if (answer.status() === 204) continue;
    check.equal(answer.status(), 200, path);
    const name = kind(path).replaceAll("*", "one").replace(/[^a-z]+/g, "-").replace(/^-|-$/g, "") || "today";
    await check.look(page, name);
    const links = await page.$$eval("a[href]", (all) => all.map((a) => a.href));
    for (const link of links) {
      const to = new URL(link);
      if (to.origin === url && !SKIPPED.test(to.pathname) && !seen.has(kind(to.pathname))) due.push(to.pathname);
    }
  }
  for (const must of ["/cases/*", "/cases/*/reached", "/directory/northshire", "/a/*", "/directory/northshire/agency/*"]) {
    check.ok(seen.has(must), `no link led to ${must}; seen were ${[...seen].join(" ")}`);
  }
  const missing = await page.goto(`${url}/nowhere`);
  check.equal(missing.status(), 404, "/nowhere");
  await check.look(page, "missing");
}
