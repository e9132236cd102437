// A passkey from a virtual authenticator: added on the account page, used on the sign-in page, and the
// account page works without a script for whoever has none.
export default async ({ browser, url, demo, check }) => {
  // Browsers allow passkeys at a name, not at an address of numbers.
  const home = url.replace("127.0.0.1", "localhost");
  const who = demo.users.find((u) => u.role === "coordinator");
  const context = await browser.newContext();
  const page = await context.newPage();
  const cdp = await context.newCDPSession(page);
  await cdp.send("WebAuthn.enable");
  const { authenticatorId } = await cdp.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2", transport: "internal", hasResidentKey: true,
      hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true,
    },
  });

  await page.goto(`${home}/sign-in`);
  await page.getByLabel("E-mail address").fill(who.email);
  await page.getByLabel("Password", { exact: true }).fill(who.password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.goto(`${home}/account`);
  await page.getByLabel("Name of the device").fill("Journey key");
  await page.getByRole("button", { name: "Add a passkey" }).click();
  await page.getByText("Journey key").first().waitFor();
  check.ok((await page.getByRole("button", { name: "Remove Journey key" }).count()) === 1, "the passkey is listed under its name");

  await page.goto(`${home}/`);
  await page.getByRole("button", { name: "Sign out" }).first().click();
  await page.waitForURL(`${home}/sign-in`);
  await page.getByRole("button", { name: "Sign in with a passkey" }).click();
  await page.waitForURL(`${home}/`);
  await page.goto(`${home}/account`);
  check.ok((await page.getByText("by passkey").count()) > 0, "the session says that a passkey opened it");

  // From now on the password alone is not enough for this account.
  await context.clearCookies();
  await page.goto(`${home}/sign-in`);
  await page.getByLabel("E-mail address").fill(who.email);
  await page.getByLabel("Password", { exact: true }).fill(who.password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.waitForURL(`${home}/sign-in/code`);
  await page.getByRole("button", { name: "Use my passkey" }).click();
  await page.waitForURL(`${home}/`);

  // An authenticator that refuses says so in words, and the button works again.
  await cdp.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: false });
  await context.clearCookies();
  await page.goto(`${home}/sign-in`);
  await page.getByRole("button", { name: "Sign in with a passkey" }).click();
  await page.getByText("No passkey was used").waitFor();
  check.ok(await page.getByRole("button", { name: "Sign in with a passkey" }).isEnabled(), "the button can be pressed again");
  await cdp.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: true });

  // The demo's sign-ins are to work with the printed password: the passkey goes again. The page is
  // served without a script to show that removing needs none.
  await page.getByRole("button", { name: "Sign in with a passkey" }).click();
  await page.waitForURL(`${home}/`);
  const cookies = await context.cookies();
  const plain = await browser.newContext({ javaScriptEnabled: false });
  await plain.addCookies(cookies);
  const still = await plain.newPage();
  await still.goto(`${home}/account`);
  check.ok(!(await still.getByRole("button", { name: "Add a passkey" }).isVisible()), "without a script no passkey is offered");
  await still.getByRole("button", { name: "Remove Journey key" }).click();
  check.ok((await still.getByText("Journey key").count()) === 0, "the passkey is gone");
  await plain.close();
  await context.close();
};
