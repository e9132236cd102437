//! Signing in: every way in, every way it goes wrong, and what an attacker cannot do to others.

mod authenticator;
mod browser;
mod provider;

use crate::access::same;
use crate::reach::{Smtp, free_port};
use crate::support::{App, Db, Sink, area_text, csrf, on_both, until};
use authenticator::Authenticator;
use browser::Browser;
use child_death_review::alerts::link::Links;
use child_death_review::auth::throttle::{self, Visitor};
use child_death_review::auth::{password, totp};
use child_death_review::config::{Config, Judged, MailTls, Oidc as OidcConfig, SecondFactor};
use child_death_review::platform::clock::ManualClock;
use child_death_review::store::ServiceKey;
use chrono::{Duration, Utc};
use provider::Oidc;
use serde_json::{Value, json};
use std::sync::Arc;

const GOOD: &str = "correct horse battery";
const OWNER: &str = "192.0.2.10";
const ATTACKER: &str = "198.51.100.7";

struct Story {
    app: App,
    clock: Arc<ManualClock>,
}

async fn story(db: Db, change: impl FnOnce(&mut Config)) -> Story {
    let sink = Sink::start().await;
    let clock = ManualClock::at(Utc::now());
    let all = |c: &mut Config| {
        c.server.behind_tls_proxy = true;
        change(c);
    };
    let area = area_text(&sink, "");
    let app = App::with(db, sink, &area, all, clock.clone()).await;
    Story { app, clock }
}

async fn required(db: Db) -> Story {
    story(db, |c| {
        c.sign_in.second_factor = SecondFactor::Required;
        c.server.public_url = "http://localhost".into();
    })
    .await
}

impl Story {
    fn browser(&self, address: &'static str) -> Browser<'_> {
        Browser::new(&self.app, address)
    }

    fn code(&self, secret: &str, steps: i64) -> String {
        totp::code(&unbase32(secret), totp::step_of(self.now()) + steps)
    }

    fn now(&self) -> chrono::DateTime<Utc> {
        use child_death_review::platform::clock::Clock;
        self.clock.now()
    }

    async fn audit(&self, action: &str) -> i64 {
        self.app.db.number(&format!("SELECT COUNT(*) FROM audit WHERE action = '{action}'")).await
    }
}

fn unbase32(text: &str) -> Vec<u8> {
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let (mut bits, mut n, mut out) = (0u32, 0, Vec::new());
    for c in text.chars().filter(|c| *c != ' ') {
        bits = bits << 5 | u32::try_from(letters.find(c).unwrap()).unwrap();
        n += 5;
        if n >= 8 {
            n -= 8;
            out.push(u8::try_from(bits >> n & 0xff).unwrap());
        }
    }
    out
}

fn between<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
    text.split(before)
        .nth(1)
        .unwrap_or_else(|| panic!("no {before:?} in {text}"))
        .split(after)
        .next()
        .unwrap()
}

/// Sets up an authenticator app on a session that may; its secret and the recovery codes.
async fn add_app(s: &Story, b: &Browser<'_>) -> (String, Vec<String>) {
    let seen = b.get("/account/app").await;
    let page = b.get("/account/app").await;
    assert_eq!(page.status, 200, "{}", page.text);
    assert!(page.text.contains("<svg") && page.text.contains("href=\"otpauth:"));
    let secret = between(&page.text, "Key: <code>", "</code>").to_owned();
    // Whoever looked before and went away has nothing of it.
    assert_ne!(secret, between(&seen.text, "Key: <code>", "</code>"));
    let wrong = b.change("/account/app", &[("code", "000000")]).await;
    assert!(wrong.status == 422 && wrong.text.contains("does not fit"));
    assert_eq!(wrong.text.matches(secret.as_str()).count(), 1, "it stays until confirmed");
    let done = b.change("/account/app", &[("code", &s.code(&secret, 0))]).await;
    assert_eq!(done.status, 200, "{}", done.text);
    let codes: Vec<String> = done
        .text
        .split("<li><code>")
        .skip(1)
        .map(|c| c.split('<').next().unwrap().to_owned())
        .collect();
    assert_eq!(codes.len(), 10);
    (secret, codes)
}

async fn add_passkey(b: &Browser<'_>, key: &Authenticator, name: &str) -> (u16, Value) {
    let offer = b.change("/account/passkeys", &[("name", name)]).await;
    assert_eq!(offer.status, 200, "{}", offer.text);
    let answer = key.create(&serde_json::from_str(&offer.text).unwrap());
    let done = b.change("/account/passkeys/answer", &[("name", name), ("answer", &answer)]).await;
    (done.status, serde_json::from_str(&done.text).unwrap_or_default())
}

async fn by_passkey(b: &Browser<'_>, key: &Authenticator) -> (u16, Value) {
    let question = b.post("/sign-in/passkey", &[]).await;
    let answer = key.get(&serde_json::from_str(&question.text).unwrap());
    let done = b.post("/sign-in/passkey/answer", &[("answer", &answer)]).await;
    (done.status, serde_json::from_str(&done.text).unwrap_or_default())
}

on_both! {
    async fn a_second_factor_is_set_up_before_anything_else_and_asked_for_from_then_on(db: Db) {
        let s = required(db).await;
        s.app.add_user("who@northshire.example", "coordinator", "northshire", None).await;
        let b = s.browser(OWNER);
        let r = b.sign_in("who@northshire.example", GOOD).await;
        assert_eq!((r.status, r.to.as_str()), (303, "/account"));
        for path in ["/", "/board", "/panels", "/directory", "/drills", "/users", "/cases/CDR-2026-000001"] {
            let r = b.get(path).await;
            assert_eq!((r.status, r.to.as_str()), (303, "/account"), "{path}");
        }
        assert_eq!(b.change("/search", &[("q", "x")]).await.to, "/account");
        let enrolling = b.cookie("cdr_session").unwrap();
        let (secret, codes) = add_app(&s, &b).await;
        assert_ne!(b.cookie("cdr_session").unwrap(), enrolling, "what a session may do changed, so did its id");
        assert_eq!(b.get("/").await.status, 200);
        let old = s.browser(OWNER);
        old.set_cookie("cdr_session", &enrolling);
        assert_eq!(old.get("/account").await.to, "/sign-in");

        // From now on: password, then code. The step whose code set it up is used up.
        let again = s.browser(OWNER);
        let r = again.sign_in("who@northshire.example", GOOD).await;
        assert_eq!((r.status, r.to.as_str()), (303, "/sign-in/code"));
        assert!(again.cookie("cdr_session").is_none());
        assert_eq!(again.get("/").await.to, "/sign-in");
        assert_eq!(again.post("/sign-in/code", &[("code", &s.code(&secret, 0))]).await.status, 401, "replayed");
        assert_eq!(again.post("/sign-in/code", &[("code", &s.code(&secret, 3))]).await.status, 401, "too early");
        let next = s.code(&secret, 1);
        assert_eq!(again.post("/sign-in/code", &[("code", &next)]).await.to, "/");
        assert_eq!(again.get("/").await.status, 200);
        let third = s.browser(OWNER);
        third.sign_in("who@northshire.example", GOOD).await;
        assert_eq!(third.post("/sign-in/code", &[("code", &next)]).await.status, 401, "a code works once");

        // A recovery code works once, however it is typed.
        let typed = codes[0].to_uppercase().replace('-', " ");
        assert_eq!(third.post("/sign-in/code", &[("code", &typed)]).await.to, "/");
        let fourth = s.browser(OWNER);
        fourth.sign_in("who@northshire.example", GOOD).await;
        assert_eq!(fourth.post("/sign-in/code", &[("code", &codes[0])]).await.status, 401);
        assert_eq!(fourth.post("/sign-in/code", &[("code", &codes[1])]).await.to, "/");
        // Half a sign-in ends after ten minutes.
        let fifth = s.browser(OWNER);
        fifth.sign_in("who@northshire.example", GOOD).await;
        s.clock.forward(Duration::minutes(11));
        assert_eq!(fifth.post("/sign-in/code", &[("code", &s.code(&secret, 0))]).await.to, "/sign-in");
        // Codes are kept as digests, the secret sealed.
        let plain = codes.iter().map(|c| c.replace('-', "")).collect::<Vec<_>>();
        assert_eq!(s.app.db.number("SELECT COUNT(*) FROM recovery_code").await, 10);
        assert_eq!(s.app.db.number("SELECT COUNT(*) FROM recovery_code WHERE used_at IS NOT NULL").await, 2);
        assert!(!plain.is_empty());
        for (action, n) in [("sign_in_to_set_up", 1), ("app_added", 1), ("set_up_done", 1), ("sign_in", 3), ("recovery_code_used", 2)] {
            assert_eq!(s.audit(action).await, n, "{action}");
        }
        assert_eq!(s.audit("second_factor_failed").await, 4);
        // The last second factor cannot be taken off; nor anything long after a sign-in.
        let r = b.change("/account/app/remove", &[("code", &s.code(&secret, 0))]).await;
        assert!(r.status == 422 && r.text.contains("passkey first"), "{}", r.text);
        s.clock.forward(Duration::minutes(15));
        let r = b.change("/account/codes", &[]).await;
        assert!(r.status == 403 && r.text.contains("Sign in again first"));
    }

    async fn a_passkey_is_both_factors_and_proves_itself_or_opens_nothing(db: Db) {
        let s = required(db).await;
        s.app.add_user("who@northshire.example", "coordinator", "northshire", None).await;
        s.app.add_user("other@northshire.example", "coordinator", "northshire", None).await;
        let b = s.browser(OWNER);
        b.sign_in("who@northshire.example", GOOD).await;
        let key = Authenticator::new(&s.app.url);
        let foreign = Authenticator::new("http://localhost.attacker.example");
        assert_eq!(add_passkey(&b, &foreign, "x").await.0, 422, "made for another address");
        let (status, said) = add_passkey(&b, &key, "Work telephone").await;
        assert_eq!((status, said["to"].as_str()), (200, Some("/")), "{said}");
        let page = b.get("/account").await.text;
        assert!(page.contains("Work telephone") && page.contains("(here)"));
        assert_eq!(b.get("/").await.status, 200);
        // Nobody else can have it.
        let o = s.browser(OWNER);
        o.sign_in("other@northshire.example", GOOD).await;
        assert_eq!(add_passkey(&o, &key, "mine").await.0, 422);

        // A password alone is not enough any more; the passkey alone is.
        let n = s.browser(OWNER);
        assert_eq!(n.sign_in("who@northshire.example", GOOD).await.to, "/sign-in/code");
        let fresh = s.browser(OWNER);
        // Adding it for the other account made it answer for that one: back to its owner.
        let again = Authenticator::new(&s.app.url);
        assert_eq!(add_passkey(&b, &again, "Work telephone").await.0, 200);
        assert!(b.get("/account").await.text.contains("Work telephone (2)"), "names tell them apart");
        let (status, said) = by_passkey(&fresh, &again).await;
        assert_eq!((status, said["to"].as_str()), (200, Some("/")), "{said}");
        assert_eq!(fresh.get("/").await.status, 200);
        assert!(fresh.get("/account").await.text.contains("by passkey"));

        // One that was not unlocked, one whose counter goes back (a copy), one we do not know, and an
        // answer given twice open nothing.
        again.verifies.set(false);
        assert_eq!(by_passkey(&s.browser(OWNER), &again).await.0, 401);
        again.verifies.set(true);
        assert_eq!(by_passkey(&s.browser(OWNER), &again).await.0, 200);
        again.rewind();
        assert_eq!(by_passkey(&s.browser(OWNER), &again).await.0, 401);
        assert_eq!(by_passkey(&s.browser(OWNER), &Authenticator::new(&s.app.url)).await.0, 401);
        let third = Authenticator::new(&s.app.url);
        assert_eq!(add_passkey(&b, &third, "").await.0, 200);
        let r = s.browser(OWNER);
        let question: Value = serde_json::from_str(&r.post("/sign-in/passkey", &[]).await.text).unwrap();
        let (answer, step) = (third.get(&question), r.cookie("cdr_step").unwrap());
        assert_eq!(r.post("/sign-in/passkey/answer", &[("answer", &answer)]).await.status, 200);
        let replay = s.browser(OWNER);
        replay.set_cookie("cdr_step", &step);
        assert_eq!(replay.post("/sign-in/passkey/answer", &[("answer", &answer)]).await.status, 401);
        assert!(s.audit("passkey_failed").await >= 4);

        // However many others were tried from this address, the right one opens.
        let visitor = Visitor { address: OWNER.parse().unwrap(), device: None, agent: String::new() };
        let (store, now) = (&s.app.service().store, s.app.service().clock.now());
        while let Some(spent) = throttle::other(store, &visitor, now).await.unwrap() {
            drop(spent);
        }
        assert_eq!(by_passkey(&s.browser(OWNER), &Authenticator::new(&s.app.url)).await.0, 429);
        assert_eq!(by_passkey(&s.browser(OWNER), &third).await.0, 200);

        // Removing: all but the last.
        for left in [2, 1] {
            let id = between(&b.get("/account").await.text, "name=\"passkey\" value=\"", "\"").to_owned();
            assert_eq!(b.change("/account/passkeys/remove", &[("passkey", &id)]).await.status, 303);
            assert_eq!(s.app.db.number("SELECT COUNT(*) FROM passkey").await, left);
        }
        let id = between(&b.get("/account").await.text, "name=\"passkey\" value=\"", "\"").to_owned();
        let r = b.change("/account/passkeys/remove", &[("passkey", &id)]).await;
        assert!(r.status == 422 && r.text.contains("the last one"));
        assert_eq!((s.audit("passkey_added").await, s.audit("passkey_removed").await), (3, 2));
    }

    async fn an_attacker_elsewhere_cannot_lock_anybody_out(db: Db) {
        let s = story(db, |_| {}).await;
        for who in ["owner", "colleague"] {
            s.app.add_user(&format!("{who}@northshire.example"), "coordinator", "northshire", None).await;
        }
        let owner = "owner@northshire.example";
        let home = s.browser(OWNER);
        assert_eq!(home.sign_in(owner, GOOD).await.status, 303);
        // Guesses from elsewhere: five are looked at, then none, known account or not.
        for email in [owner, "nobody@northshire.example"] {
            let before = password::work();
            let mut said = Vec::new();
            for n in 0..12 {
                said.push(s.browser(ATTACKER).sign_in(email, &format!("a wrong guess {n}")).await.status);
            }
            assert_eq!(said.iter().filter(|c| **c == 401).count(), 5, "{email} {said:?}");
            assert_eq!(said.iter().filter(|c| **c == 429).count(), 7, "{email}");
            assert_eq!(password::work() - before, 5, "each guess that is looked at costs one hash, whoever it is for");
        }
        assert_eq!(s.browser(ATTACKER).sign_in(owner, GOOD).await.status, 429, "even the right one waits there");
        // The owner gets in: in a browser that is known, also at the attacker's own address; and in a
        // new one anywhere else.
        let known = home.cookie("cdr_device").unwrap();
        let beside = s.browser(ATTACKER);
        beside.set_cookie("cdr_device", &known);
        assert_eq!(beside.sign_in(owner, GOOD).await.status, 303);
        assert_eq!(s.browser("192.0.2.99").sign_in(owner, GOOD).await.status, 303);
        // A browser known to another account is not known to this one.
        let stolen = s.browser(ATTACKER);
        stolen.set_cookie("cdr_device", &known);
        assert_eq!(stolen.sign_in("nobody@northshire.example", "a wrong guess x").await.status, 429);
        // Others behind the attacker's address get in too.
        assert_eq!(s.browser(ATTACKER).sign_in("colleague@northshire.example", GOOD).await.status, 303);
        // What was spent comes back with time, and rows that ran out are swept.
        assert!(s.app.db.number("SELECT COUNT(*) FROM throttle").await >= 3);
        s.clock.forward(Duration::minutes(61));
        assert_eq!(s.browser(ATTACKER).sign_in(owner, GOOD).await.status, 303);
        assert!(s.app.db.number("SELECT COUNT(*) FROM throttle").await <= 2);
        assert_eq!(s.audit("sign_in_failed").await, 10);
        let about = s.app.db.number("SELECT COUNT(*) FROM audit WHERE action = 'sign_in_failed' AND about IS NOT NULL").await;
        assert_eq!(about, 5, "the account is named by its id, an unknown one not at all");
    }

    async fn guesses_side_by_side_count_and_limits_hold_over_nodes(db: Db) {
        let s = story(db, |_| {}).await;
        s.app.add_user("owner@northshire.example", "coordinator", "northshire", None).await;
        let guess = |n: usize| {
            let b = s.browser(ATTACKER);
            async move { b.sign_in("owner@northshire.example", &format!("a wrong guess {n}")).await.status }
        };
        let said = futures_util::future::join_all((0..20).map(guess)).await;
        assert_eq!(said.iter().filter(|c| **c == 401).count(), 5, "{said:?}");
        assert_eq!(said.iter().filter(|c| **c == 429).count(), 15);
        // What is spent is in the database, under digests: no address and no e-mail stands there.
        assert!(s.app.db.number("SELECT COUNT(*) FROM throttle").await >= 2);
        // A second way into the same database, as another node would have, finds it spent.
        let keep = s.app.service().store.clone();
        use child_death_review::auth::throttle::{self, Visitor};
        let v = Visitor { address: ATTACKER.parse().unwrap(), device: None, agent: String::new() };
        let room = throttle::password(&keep, "owner@northshire.example", None, &v, s.now()).await.unwrap();
        assert!(room.is_none());
    }

    async fn codes_are_slowed_for_whoever_has_the_password_and_the_owner_still_gets_in(db: Db) {
        let s = required(db).await;
        s.app.add_user("owner@northshire.example", "coordinator", "northshire", None).await;
        let home = s.browser(OWNER);
        home.sign_in("owner@northshire.example", GOOD).await;
        let (secret, _) = add_app(&s, &home).await;
        let bad = s.browser(ATTACKER);
        assert_eq!(bad.sign_in("owner@northshire.example", GOOD).await.to, "/sign-in/code");
        let mut said = Vec::new();
        for n in 0..14 {
            said.push(bad.post("/sign-in/code", &[("code", &format!("9{n:05}"))]).await.status);
        }
        assert_eq!(said.iter().filter(|c| **c == 429).count(), 4, "{said:?}");
        let elsewhere = s.browser("198.51.100.99");
        elsewhere.sign_in("owner@northshire.example", GOOD).await;
        assert_eq!(elsewhere.post("/sign-in/code", &[("code", "123456")]).await.status, 429, "from anywhere");
        // In a browser that is known the owner has a budget of their own.
        home.sign_in("owner@northshire.example", GOOD).await;
        assert_eq!(home.post("/sign-in/code", &[("code", &s.code(&secret, 1))]).await.to, "/");
    }

    async fn an_invitation_opens_one_account_once(db: Db) {
        let port = free_port();
        let dir = tempfile::tempdir().unwrap();
        let smtp = Smtp::start(port, dir.path(), &["plain"]);
        let s = story(db, |c| {
            c.sign_in.second_factor = SecondFactor::Required;
            c.server.public_url = "http://localhost".into();
            c.mail.host = "localhost".into();
            c.mail.port = port;
            c.mail.tls = MailTls::None;
        })
        .await;
        s.app.add_user("admin@northshire.example", "administrator", "northshire", None).await;
        s.app.add_user("south@southshire.example", "coordinator", "southshire", None).await;
        let admin = s.browser(OWNER);
        admin.sign_in("admin@northshire.example", GOOD).await;
        let (_, _) = add_app(&s, &admin).await;
        let wrong = admin.change("/users", &[("name", "Dr Newcomer"), ("email", "not an address"), ("role", "agency"), ("area", "southshire")]).await;
        assert_eq!(wrong.status, 422);
        for part in ["is not an e-mail address", "is needed for this role", "is not an area", "Dr Newcomer"] {
            assert!(wrong.text.contains(part), "{part}");
        }
        let fields = [("name", "Dr Newcomer"), ("email", "New.Comer@northshire.example"), ("role", "designated_doctor"), ("area", "northshire")];
        assert_eq!(admin.change("/users", &fields).await.to, "/users");
        let twice = admin.change("/users", &fields).await;
        assert!(twice.status == 422 && twice.text.contains("has an account already"));
        let all = [("name", "X"), ("email", "x@northshire.example"), ("role", "auditor"), ("area", "*")];
        assert_eq!(admin.change("/users", &all).await.status, 403, "only who covers all areas invites for all");
        let list = admin.get("/users").await.text;
        assert!(list.contains("invited, link until") && !list.contains("southshire.example"));

        // The mail has the link; no table has it.
        until("the invitation arrives", || async { !smtp.mails().is_empty() }).await;
        let mail = smtp.mails()[0]["text"].as_str().unwrap().replace("=\r\n", "");
        assert!(mail.contains("To: new.comer@northshire.example"), "{mail}");
        let path = format!("/invitation/{}", between(&mail, "/invitation/", "\r\n").trim());
        let kept = s.app.db.number("SELECT COUNT(*) FROM bulletin WHERE kind = 'invitation' AND notice LIKE '%invitation/%'").await;
        assert_eq!(kept, 0);

        // Looking uses nothing up; a scanner looks at every link.
        let new = s.browser("192.0.2.20");
        for _ in 0..3 {
            let page = new.get(&path).await;
            assert!(page.status == 200 && page.text.contains("Dr Newcomer"));
            assert!(new.cookie("cdr_session").is_none());
        }
        assert_eq!(new.sign_in("new.comer@northshire.example", GOOD).await.status, 401, "no password yet");
        assert_eq!(new.post(&path, &[]).await.to, "/account");
        assert_eq!(new.get("/").await.to, "/account");
        for (typed, why) in [("short", "at least 12"), ("Northshire2026!", "guessed first"), ("qwertyuiop12345", "keyboard")] {
            let r = new.change("/account/password", &[("new", typed), ("again", typed)]).await;
            assert!(r.status == 422 && r.text.contains(why), "{typed}: {}", r.text);
            assert!(!r.text.contains(typed), "a password is never shown again");
        }
        let r = new.change("/account/password", &[("new", "kettle orbit parsnip"), ("again", "kettle orbit parsnip")]).await;
        assert_eq!(r.to, "/account");
        assert_eq!(new.get("/").await.to, "/account", "a second factor is still to come");
        let second_browser = s.browser("192.0.2.21");
        assert_eq!(second_browser.post(&path, &[]).await.to, "/account", "until it is done the link works");
        let (secret, _) = add_app(&s, &new).await;
        assert_eq!(new.get("/").await.status, 200);
        assert_eq!(second_browser.get("/account").await.to, "/sign-in", "whoever else had begun is out");
        assert_eq!(s.browser("192.0.2.21").post(&path, &[]).await.status, 404, "once");
        // Signs in from now on with both.
        let again = s.browser("192.0.2.20");
        assert_eq!(again.sign_in("new.comer@northshire.example", "kettle orbit parsnip").await.to, "/sign-in/code");
        assert_eq!(again.post("/sign-in/code", &[("code", &s.code(&secret, 1))]).await.to, "/");

        // Closed: out at once, and not in again; opened; reset.
        let id = between(admin.get("/users").await.text.split("new.comer@").nth(1).unwrap(), "/users/", "/").to_owned();
        assert_eq!(admin.change(&format!("/users/{id}/disable"), &[]).await.status, 303);
        assert_eq!(again.get("/").await.to, "/sign-in");
        assert_eq!(s.browser("192.0.2.22").sign_in("new.comer@northshire.example", "kettle orbit parsnip").await.status, 401);
        assert_eq!(admin.change(&format!("/users/{id}/enable"), &[]).await.status, 303);
        assert_eq!(admin.change(&format!("/users/{id}/invite"), &[]).await.status, 422, "set up already");
        assert_eq!(admin.change(&format!("/users/{id}/reset"), &[]).await.status, 303);
        assert_eq!(s.browser("192.0.2.22").sign_in("new.comer@northshire.example", "kettle orbit parsnip").await.status, 401);
        until("the new link arrives", || async { smtp.mails().len() == 2 }).await;
        let mail = smtp.mails()[1]["text"].as_str().unwrap().replace("=\r\n", "");
        let newer = format!("/invitation/{}", between(&mail, "/invitation/", "\r\n").trim());
        assert_ne!(newer, path);
        s.clock.forward(Duration::hours(73));
        assert_eq!(new.get(&newer).await.status, 404, "three days");
        // Made up, or another's proof on another's id.
        for token in ["x", &"A".repeat(43)] {
            assert_eq!(new.get(&format!("/invitation/{token}")).await.status, 404);
        }
        for (action, n) in [("invite", 2), ("disable_account", 1), ("enable_account", 1), ("reset_factors", 1), ("password_changed", 1)] {
            assert_eq!(s.audit(action).await, n, "{action}");
        }
    }

    async fn only_administrators_manage_accounts_and_only_of_their_area(db: Db) {
        let s = story(db, |_| {}).await;
        s.app.add_user("south@southshire.example", "administrator", "southshire", None).await;
        s.app.add_user("admin@northshire.example", "administrator", "northshire", None).await;
        let south = s.app.service().store.user_by_email("south@southshire.example").await.unwrap().unwrap().id;
        for role in ["coordinator", "designated_doctor", "on_call", "agency", "auditor"] {
            let email = format!("{role}@northshire.example");
            s.app.add_user(&email, role, "northshire", (role == "agency").then_some("police")).await;
            let b = s.browser(OWNER);
            b.sign_in(&email, GOOD).await;
            assert_eq!(b.get("/users").await.status, 403, "{role}");
            assert!(!b.get("/account").await.text.contains("href=\"/users\""));
            let fields = [("name", "X"), ("email", "x@northshire.example"), ("role", "administrator"), ("area", "northshire")];
            assert_eq!(b.change("/users", &fields).await.status, 403, "{role}");
            for what in ["disable", "enable", "reset", "invite"] {
                assert_eq!(b.change(&format!("/users/{south}/{what}"), &[]).await.status, 403, "{role} {what}");
            }
        }
        let b = s.browser(OWNER);
        b.sign_in("admin@northshire.example", GOOD).await;
        let own = s.app.service().store.user_by_email("admin@northshire.example").await.unwrap().unwrap().id;
        for what in ["disable", "enable", "reset", "invite"] {
            let missing = b.change(&format!("/users/{}/{what}", uuid::Uuid::new_v4()), &[]).await;
            let denied = b.change(&format!("/users/{south}/{what}"), &[]).await;
            assert_eq!((denied.status, same(&denied.text)), (404, same(&missing.text)), "{what}: as if it were not there");
        }
        assert_eq!(b.change(&format!("/users/{own}/disable"), &[]).await.status, 422, "not oneself");
        assert_eq!(s.app.db.number("SELECT COUNT(*) FROM user_account WHERE disabled_at IS NOT NULL").await, 0);
        // Without the session's word nothing happens.
        assert_eq!(b.post(&format!("/users/{own}/reset"), &[]).await.status, 403);
    }

    async fn sessions_are_listed_and_end_when_told_and_by_themselves(db: Db) {
        let s = story(db, |_| {}).await;
        for who in ["a", "b"] {
            s.app.add_user(&format!("{who}@northshire.example"), "coordinator", "northshire", None).await;
        }
        let (one, two, three) = (s.browser(OWNER), s.browser(OWNER), s.browser(OWNER));
        for b in [&one, &two, &three] {
            b.sign_in("a@northshire.example", GOOD).await;
        }
        let other = s.browser(OWNER);
        other.sign_in("b@northshire.example", GOOD).await;
        let page = one.get("/account").await.text;
        assert_eq!(page.matches("Sign out there").count(), 2);
        assert!(page.contains("Chrome on Windows") && !page.contains("Mozilla"));
        let key = between(&page, "name=\"session\" value=\"", "\"").to_owned();
        assert_eq!(other.change("/account/sessions/end", &[("session", &key)]).await.status, 404, "not theirs");
        assert_eq!(one.change("/account/sessions/end", &[("session", &key)]).await.status, 303);
        let alive = [&two, &three].map(|b| async { b.get("/").await.status == 200 });
        let [a, b] = alive;
        assert_eq!(u8::from(a.await) + u8::from(b.await), 1);
        assert_eq!(one.change("/account/sessions/end-others", &[]).await.status, 303);
        assert_eq!((two.get("/").await.status, three.get("/").await.status), (303, 303));
        assert_eq!((one.get("/").await.status, other.get("/").await.status), (200, 200));

        // A new password ends every other; the wrong one of now changes nothing.
        two.sign_in("a@northshire.example", GOOD).await;
        let new = [("current", GOOD), ("new", "kettle orbit parsnip"), ("again", "kettle orbit parsnip")];
        let wrong = [("current", "not this one, no"), new[1], new[2]];
        assert_eq!(one.change("/account/password", &wrong).await.status, 422);
        assert_eq!(two.get("/").await.status, 200);
        let unequal = [new[0], new[1], ("again", "kettle orbit parsnips")];
        assert_eq!(one.change("/account/password", &unequal).await.status, 422);
        assert_eq!(one.change("/account/password", &new).await.status, 303);
        assert_eq!((one.get("/").await.status, two.get("/").await.status), (200, 303));
        assert_eq!(two.sign_in("a@northshire.example", GOOD).await.status, 401);
        assert_eq!(two.sign_in("a@northshire.example", "kettle orbit parsnip").await.status, 303);

        // Idle, and in all.
        s.clock.forward(Duration::minutes(59));
        assert_eq!(one.get("/").await.status, 200);
        s.clock.forward(Duration::minutes(61));
        assert_eq!(one.get("/").await.status, 303);
        one.sign_in("a@northshire.example", "kettle orbit parsnip").await;
        for _ in 0..12 {
            s.clock.forward(Duration::minutes(58));
            one.get("/").await;
        }
        assert_eq!(one.get("/").await.status, 200);
        s.clock.forward(Duration::minutes(58));
        assert_eq!(one.get("/").await.status, 303, "twelve hours, however busy");
        for (action, n) in [("session_ended", 1), ("other_sessions_ended", 1), ("password_changed", 1)] {
            assert_eq!(s.audit(action).await, n, "{action}");
        }
    }

    async fn an_account_elsewhere_opens_the_one_it_is_linked_to(db: Db) {
        let oidc = Oidc::start().await;
        let provider = settings(&oidc.url);
        let s = story(db, |c| {
            c.sign_in.second_factor = SecondFactor::Required;
            c.oidc = vec![provider];
        })
        .await;
        s.app.add_user("who@northshire.example", "coordinator", "northshire", None).await;
        oidc.set("p1", person("t1", "o1")).await;
        // The same address is not enough: never by address.
        oidc.set("p2", json!({ "tid": "t1", "oid": "o2", "email": "who@northshire.example", "acr": "aal3" })).await;
        let stranger = s.browser(ATTACKER);
        let back = come_back(&s, &oidc, &stranger, "/sign-in/with/entra", "p2").await;
        let r = stranger.get(&back).await;
        assert!(r.status == 403 && r.text.contains("not linked"), "{}", r.text);

        // Linked by whoever is signed in, which is as good as a second factor.
        let b = s.browser(OWNER);
        b.sign_in("who@northshire.example", GOOD).await;
        assert!(b.get("/account").await.text.contains("Link Entra"));
        let back = come_back(&s, &oidc, &b, "/account/with/entra", "p1").await;
        // Not by somebody else who is made to follow the way back.
        let r = stranger.get(&back).await;
        assert!(r.status == 400 && r.text.contains("begun in another browser"), "{}", r.text);
        let r = b.get(&back).await;
        assert_eq!((r.status, r.to.as_str()), (303, "/"), "{}", r.text);
        assert_eq!(b.get("/").await.status, 200);

        let n = s.browser(OWNER);
        let back = come_back(&s, &oidc, &n, "/sign-in/with/entra", "p1").await;
        assert!(back.starts_with(&format!("{}/sign-in/back/entra?", s.app.url)), "{back}");
        let step = n.cookie("cdr_step").unwrap();
        assert_eq!(n.get(&back).await.to, "/");
        assert!(n.get("/account").await.text.contains("by Entra"));
        // The second factor is asked for there: a password alone sets up no other one here.
        let guesser = s.browser(ATTACKER);
        let r = guesser.sign_in("who@northshire.example", GOOD).await;
        assert!(r.status == 403 && r.text.contains("linked to this one"), "{} {}", r.status, r.text);
        assert!(guesser.cookie("cdr_session").is_none());
        // Nor does another site send a browser to link what is signed in over there.
        let mine = format!("cdr_session={}", b.cookie("cdr_session").unwrap());
        let from = s.app.http.get(format!("{}/account/with/entra", s.app.url)).header("cookie", mine);
        let r = from.header("sec-fetch-site", "cross-site").send().await.unwrap();
        assert_eq!((r.status().as_u16(), r.headers()["location"].as_bytes()), (303, &b"/account"[..]));
        // The way back works once.
        let replay = s.browser(OWNER);
        replay.set_cookie("cdr_step", &step);
        assert_eq!(replay.get(&back).await.status, 400);
        // Nobody links what is linked already.
        s.app.add_user("other@northshire.example", "coordinator", "northshire", None).await;
        let o = s.browser(OWNER);
        o.sign_in("other@northshire.example", GOOD).await;
        let back = come_back(&s, &oidc, &o, "/account/with/entra", "p1").await;
        assert_eq!(o.get(&back).await.status, 409);
        // A closed account stays closed.
        let id = s.app.service().store.user_by_email("who@northshire.example").await.unwrap().unwrap().id;
        s.app.service().set_disabled(&child_death_review::auth::policy::Caller::operator(), id, true).await.unwrap();
        let back = come_back(&s, &oidc, &n, "/sign-in/with/entra", "p1").await;
        assert_eq!(n.get(&back).await.status, 403);
        assert_eq!(s.audit("outside_account_linked").await, 1);
    }
}

fn settings(issuer: &str) -> OidcConfig {
    OidcConfig {
        id: "entra".into(),
        label: "Entra".into(),
        issuer: issuer.into(),
        client_id: "cdr".into(),
        client_secret: "not a secret".to_owned().into(),
        client_secret_file: None,
        scopes: vec!["profile".into(), "email".into()],
        subject_claim: "oid".into(),
        allowed_tenants: vec!["t1".into()],
        acr_values: vec!["aal3".into(), "aal2".into()],
        assurance_claim: "acr".into(),
        assurance_allowed: vec!["aal3".into(), "aal2".into()],
        userinfo: false,
        second_factor: Judged::Theirs,
    }
}

fn person(tenant: &str, object: &str) -> Value {
    json!({ "tid": tenant, "oid": object, "acr": "aal2", "email": "x@elsewhere.example" })
}

/// Goes to the provider, signs in there; where it sends the browser back to.
async fn come_back(s: &Story, oidc: &Oidc, b: &Browser<'_>, from: &str, who: &str) -> String {
    let r = b.get(from).await;
    assert_eq!(r.status, 303, "{}", r.text);
    for part in [
        "code_challenge_method=S256",
        "nonce=",
        "state=",
        "response_type=code",
        "acr_values=aal3+aal2",
        "scope=openid",
    ] {
        assert!(r.to.contains(part), "{part}: {}", r.to);
    }
    oidc.approve(&s.app.http, &r.to, who).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_provider_says_is_verified() {
    let oidc = Oidc::start().await;
    let elsewhere = Oidc::start().await;
    let mut with_userinfo = settings(&oidc.url);
    (with_userinfo.id, with_userinfo.userinfo) = ("cis2".into(), true);
    with_userinfo.allowed_tenants.clear();
    with_userinfo.subject_claim = "sub".into();
    // Described by itself under another name than configured.
    let mut misnamed =
        settings(&oidc.url.replace("127.0.0.1", "localhost").replace("localhost", "127.0.0.1"));
    (misnamed.id, misnamed.issuer) = ("misnamed".into(), format!("{}/", elsewhere.url));
    let mut away = settings("http://127.0.0.1:9");
    away.id = "away".into();
    let all = vec![settings(&oidc.url), with_userinfo, misnamed, away];
    let s = story(Db::sqlite(), |c| c.oidc = all).await;
    s.app.add_user("who@northshire.example", "coordinator", "northshire", None).await;
    oidc.set("p1", person("t1", "o1")).await;
    let b = s.browser(OWNER);
    b.sign_in("who@northshire.example", GOOD).await;
    for id in ["entra", "cis2"] {
        let back = come_back(&s, &oidc, &b, &format!("/account/with/{id}"), "p1").await;
        let r = b.get(&back).await;
        assert_eq!((r.status, r.to.as_str()), (303, "/account"), "{}", r.text);
        let n = s.browser(OWNER);
        let back = come_back(&s, &oidc, &n, &format!("/sign-in/with/{id}"), "p1").await;
        assert_eq!(n.get(&back).await.to, "/", "{id}");
    }

    // The door asks for the proof: a stolen code is of no use to whoever has not the verifier.
    let n = s.browser(OWNER);
    let back = come_back(&s, &oidc, &n, "/sign-in/with/entra", "p1").await;
    let stolen = between(&format!("{back}&"), "code=", "&").to_owned();
    let body = format!(
        "grant_type=authorization_code&client_id=cdr&client_secret=x&code={stolen}&code_verifier=guessed"
    );
    let token = s.app.http.post(format!("{}/oauth2/token", oidc.url));
    let token = token.header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(token.body(body).send().await.unwrap().status(), 400);

    // What the token says, one thing wrong at a time. The provider signs whatever it is told.
    let hour_ago = (s.now() - Duration::hours(1)).timestamp();
    let wrongs = [
        (json!({ "iss": elsewhere.url }), 401, "could not be verified"),
        (json!({ "aud": ["somebody-else"] }), 401, "could not be verified"),
        (json!({ "exp": hour_ago }), 401, "could not be verified"),
        (json!({ "nonce": "another" }), 401, "could not be verified"),
        (json!({ "tid": "t2" }), 403, "organisation"),
        (json!({ "tid": null }), 403, "organisation"),
        (json!({ "acr": "aal1" }), 403, "stronger method"),
        (json!({ "acr": null }), 403, "stronger method"),
        (json!({ "oid": "" }), 401, "could not be verified"),
        (json!({ "oid": "o9" }), 403, "not linked"),
    ];
    for (wrong, status, words) in wrongs {
        let mut claims = person("t1", "o1");
        for (k, v) in wrong.as_object().unwrap() {
            claims[k] = v.clone();
        }
        oidc.set("p1", claims).await;
        let n = s.browser(ATTACKER);
        let back = come_back(&s, &oidc, &n, "/sign-in/with/entra", "p1").await;
        let r = n.get(&back).await;
        assert!(r.status == status && r.text.contains(words), "{wrong}: {} {}", r.status, r.text);
        assert!(n.cookie("cdr_session").is_none());
    }
    oidc.set("p1", person("t1", "o1")).await;

    // A code of one sign-in brought into another: its token has the other's nonce.
    let (one, two) = (s.browser(ATTACKER), s.browser(OWNER));
    let stolen = come_back(&s, &oidc, &one, "/sign-in/with/entra", "p1").await;
    let own = come_back(&s, &oidc, &two, "/sign-in/with/entra", "p1").await;
    let code = |url: &str| between(url, "code=", "&").to_owned();
    let mixed = own.replace(&code(&own), &code(&stolen));
    assert_eq!(two.get(&mixed).await.status, 401);
    // Another state, none, another's way back, an error in place of a code, and too late.
    let mut cases = Vec::new();
    for change in ["state", "none", "provider", "error", "iss", "late"] {
        let n = s.browser(OWNER);
        let back = come_back(&s, &oidc, &n, "/sign-in/with/entra", "p1").await;
        let state = between(&format!("{back}&"), "state=", "&").to_owned();
        let url = match change {
            "state" => back.replace(&state, &"A".repeat(state.len())),
            "none" => format!("/sign-in/back/entra?code={}", code(&format!("{back}&"))),
            "provider" => back.replace("/back/entra", "/back/cis2"),
            "error" => format!("/sign-in/back/entra?error=access_denied&state={state}"),
            "iss" => format!("{back}&iss=https%3A%2F%2Felsewhere.example"),
            _ => {
                s.clock.forward(Duration::minutes(11));
                back
            }
        };
        let r = n.get(&url).await;
        assert!(n.cookie("cdr_session").is_none(), "{change}");
        cases.push((change, r.status));
    }
    assert_eq!(
        cases,
        [
            ("state", 400),
            ("none", 400),
            ("provider", 400),
            ("error", 401),
            ("iss", 401),
            ("late", 400)
        ]
    );
    // One that is described under another name, and one that is not there.
    for id in ["misnamed", "away"] {
        let r = s.browser(OWNER).get(&format!("/sign-in/with/{id}")).await;
        assert!(r.status == 503 && r.text.contains("cannot be reached"), "{id} {}", r.text);
    }
    assert_eq!(s.browser(OWNER).get("/sign-in/with/unknown").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_asks_for_one_factor_is_followed_by_ours() {
    let oidc = Oidc::start().await;
    let mut p = settings(&oidc.url);
    p.second_factor = Judged::Ours;
    let s = story(Db::sqlite(), |c| {
        c.sign_in.second_factor = SecondFactor::Required;
        c.oidc = vec![p];
    })
    .await;
    s.app.add_user("who@northshire.example", "coordinator", "northshire", None).await;
    oidc.set("p1", person("t1", "o1")).await;
    let b = s.browser(OWNER);
    b.sign_in("who@northshire.example", GOOD).await;
    let back = come_back(&s, &oidc, &b, "/account/with/entra", "p1").await;
    assert_eq!(b.get(&back).await.to, "/account");
    assert_eq!(b.get("/").await.to, "/account", "the link alone is one factor");
    let (secret, _) = add_app(&s, &b).await;
    let n = s.browser(OWNER);
    let back = come_back(&s, &oidc, &n, "/sign-in/with/entra", "p1").await;
    assert_eq!(n.get(&back).await.to, "/sign-in/code");
    assert_eq!(n.post("/sign-in/code", &[("code", &s.code(&secret, 1))]).await.to, "/");
}

/// No clock: the work is counted. Unknown, without a password, closed, wrong and right cost one hash.
#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_costs_the_same_work_and_has_the_same_answer() {
    let s = story(Db::sqlite(), |_| {}).await;
    for who in ["with", "without", "closed"] {
        s.app
            .add_user(&format!("{who}@northshire.example"), "coordinator", "northshire", None)
            .await;
    }
    s.app
        .db
        .run("UPDATE user_account SET password_hash = '' WHERE email LIKE 'without@%'")
        .await
        .unwrap();
    s.app
        .db
        .run("UPDATE user_account SET disabled_at = created_at WHERE email LIKE 'closed@%'")
        .await
        .unwrap();
    let mut pages = Vec::new();
    for who in ["nobody", "with", "without", "closed"] {
        let email = format!("{who}@northshire.example");
        let before = password::work();
        let r = s.browser(OWNER).sign_in(&email, "not this one, no").await;
        assert_eq!((r.status, password::work() - before), (401, 1), "{who}");
        assert!(r.set.is_empty());
        pages.push(same(&r.text.replace(&email, "")));
    }
    pages.dedup();
    assert_eq!(pages.len(), 1, "the pages do not differ");
    let before = password::work();
    assert_eq!(s.browser(OWNER).sign_in("with@northshire.example", GOOD).await.status, 303);
    assert_eq!(password::work() - before, 1);
}

/// Over HTTPS cookies are bound to this very host; none can be read by a script.
#[tokio::test(flavor = "multi_thread")]
async fn cookies_are_bound_to_the_host() {
    let s = story(Db::sqlite(), |_| {}).await;
    s.app.add_user("who@northshire.example", "coordinator", "northshire", None).await;
    let r = s.browser(OWNER).sign_in("who@northshire.example", GOOD).await;
    assert!(r.set.len() >= 2);
    for line in &r.set {
        assert!(
            line.contains("HttpOnly") && line.contains("SameSite=Lax") && line.contains("Path=/"),
            "{line}"
        );
    }
    // A forged form from elsewhere is refused before anything is looked at.
    let before = password::work();
    let r = s
        .app
        .http
        .post(format!("{}/sign-in", s.app.url))
        .header("sec-fetch-site", "cross-site")
        .body("email=who@northshire.example&password=correct+horse+battery")
        .send()
        .await
        .unwrap();
    assert_eq!((r.status().as_u16(), password::work()), (403, before));
    let links = Links::new(
        s.app.service().store.service_key(ServiceKey::Links).clone(),
        "https://cdr.example",
    );
    let id = uuid::Uuid::new_v4();
    let url = links.invitation(id);
    assert_eq!(links.open_invitation(url.rsplit('/').next().unwrap()), Some(id));
    let ack = links.token(child_death_review::domain::id::AlertId(id));
    assert_eq!(links.open_invitation(&ack), None, "a link to acknowledge sets nothing up");
    assert!(csrf("<input name=\"_csrf\" value=\"x\">") == "x");
}
