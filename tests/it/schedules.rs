//! Random nights: notifications, answers, moods of providers, receipts, power cuts, frozen nodes and
//! clocks that jump, in any order. Whatever happens, nothing is closed that nobody answered, every
//! open alert has a next step, a human is told in the end, and nobody is stormed.
//!
//! A schedule is its seed: a failing one is named, and `CDR_SEED=n` plays it again.

use crate::doubles::gateway::Fault;
use crate::story::*;
use crate::support::{Db, Mood, triggering};
use child_death_review::alerts::phone;
use child_death_review::domain::alert::AlertState;
use child_death_review::domain::case::CaseState;
use child_death_review::domain::escalation::Phase;
use child_death_review::domain::id::{AlertId, Reference};
use child_death_review::service::Reply;
use chrono::Duration;
use fastrand::Rng;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Instant;

/// Names the seed of a schedule that fails. Others on the same thread end with it and are silent.
struct Named(u64, &'static str, Vec<String>);

impl Drop for Named {
    fn drop(&mut self) {
        static FIRST: std::sync::Once = std::sync::Once::new();
        let mut first = false;
        if std::thread::panicking() {
            FIRST.call_once(|| first = true);
        }
        if first {
            eprintln!("schedule {} on {} failed; play it again with CDR_SEED={0}", self.0, self.1);
            eprintln!("it was: {}", self.2.join("; "));
        }
    }
}

/// One schedule on a service that has been through others before.
struct Night<'s> {
    story: &'s mut Story,
    random: Rng,
    cases: Vec<Reference>,
    /// Messages of earlier schedules at the doubles.
    since: usize,
    backs: usize,
    said: Named,
}

impl Night<'_> {
    fn say(&mut self, what: String) {
        self.said.2.push(what);
    }

    async fn run(&mut self, steps: usize) {
        self.notify().await;
        for _ in 0..steps {
            match self.random.u32(0..100) {
                0..8 => self.notify().await,
                8..40 => self.time_passes().await,
                40..58 => self.somebody_answers().await,
                58..72 => self.moods(),
                72..82 => self.a_receipt().await,
                82..86 => self.power_cut().await,
                86..89 => self.freeze_or_thaw(),
                89..92 => self.clock_jumps().await,
                92..94 => self.tamper().await,
                94..96 => {
                    self.say("watcher".into());
                    self.story.watch().await;
                }
                _ => self.somebody_decides().await,
            }
        }
        self.all_well().await;
        self.left_alone().await;
        self.check().await;
        self.end().await;
    }

    async fn notify(&mut self) {
        if self.cases.len() == 2 {
            return;
        }
        let mut body = triggering();
        let provisional = self.random.u8(0..4) == 0;
        if provisional {
            body["jar_answers"]["sudden_no_apparent_cause"] = json!("unknown");
        }
        self.say(format!("notify{}", if provisional { " (provisional)" } else { "" }));
        let r = self.story.notify(body).await;
        self.cases.push(r);
    }

    async fn time_passes(&mut self) {
        let s = if self.random.bool() { 180 } else { self.random.i64(1..700) };
        self.say(format!("{s} s"));
        self.story.clock.forward(seconds(s));
        if self.random.u8(0..3) > 0 {
            self.calm().await;
        }
    }

    /// Lets it work until it has nothing to do, or for a moment where it cannot settle (a dead or
    /// frozen node holds messages until its lease is over).
    async fn calm(&mut self) {
        let started = Instant::now();
        while self.story.look.unsettled(self.story.now()).await > 0
            && started.elapsed() < std::time::Duration::from_millis(250)
        {
            self.story.step().await;
        }
        self.story.absorb();
    }

    fn pick_case(&mut self) -> Reference {
        let i = self.random.usize(0..self.cases.len());
        self.cases[i].clone()
    }

    async fn pick_alert(&mut self) -> Option<(Reference, AlertId, String)> {
        let r = self.pick_case();
        let s = self.story.state(&r).await;
        let open: Vec<_> = s.alerts.iter().filter(|(_, a)| a.progress.is_open()).collect();
        let (id, a) = open.get(self.random.usize(0..open.len().max(1)))?;
        Some((r, **id, a.agency.clone()))
    }

    async fn somebody_answers(&mut self) {
        self.story.absorb();
        let mine = &self.story.all[self.since..];
        let texts: Vec<Got> = mine.iter().filter(|g| g.by == "text").cloned().collect();
        let calls: Vec<Got> = mine.iter().filter(|g| g.by == "call").cloned().collect();
        let how = self.random.u8(0..8);
        self.say(format!("answer {how}"));
        match how {
            0 if !calls.is_empty() => {
                let call = calls[self.random.usize(0..calls.len())].clone();
                let key = ["1", "2", "5"][self.random.usize(0..3)];
                assert_eq!(self.story.press(&call, key).await, 200);
            }
            1..4 if !texts.is_empty() => {
                let text = texts[self.random.usize(0..texts.len())].clone();
                let code = code_in(&text.words);
                let said = match self.random.u8(0..6) {
                    0 | 1 => format!("YES {code}"),
                    2 => "yes".to_owned(),
                    3 => format!("No {code}"),
                    4 => "what is this".to_owned(),
                    _ => "STOP".to_owned(),
                };
                self.say(format!("{said} from {}", text.to));
                let reply = json!({ "event": "reply", "from": text.to, "text": said });
                assert_eq!(self.story.hook(&reply).await, 200);
            }
            4 => {
                if let Some((_, alert, agency)) = self.pick_alert().await {
                    let reach = if self.random.bool() { "07700 900777" } else { "" };
                    self.say(format!("{agency} cannot ({reach})"));
                    let to = format!("Successor {}", self.random.u8(..));
                    self.story.cannot(alert, &to, reach).await;
                }
            }
            5 => {
                if let Some((r, _, agency)) = self.pick_alert().await {
                    self.say(format!("{agency} enters its plan"));
                    self.story.plan(&r, &agency).await;
                }
            }
            _ => {
                if let Some((_, alert, agency)) = self.pick_alert().await {
                    self.say(format!("{agency} has it"));
                    self.story.acknowledge(alert, Reply::CanAttend).await;
                }
            }
        }
        if self.random.bool() {
            self.calm().await;
        }
    }

    fn moods(&mut self) {
        let fault = match self.random.u8(0..8) {
            0 => Some(Fault::Status(503)),
            1 => Some(Fault::Status(422)),
            2 => Some(Fault::SlowDown(60)),
            3 => Some(Fault::AcceptThenHang),
            4 => Some(Fault::Silent),
            _ => None,
        };
        let what = ["sms", "voice", "+447700900101", "+447700900201"][self.random.usize(0..4)];
        self.say(format!("{what}: {fault:?}"));
        self.story.gateway.set(what, fault);
        if self.random.u8(0..3) == 0 {
            let mood = [Mood::Well, Mood::Status(500), Mood::Status(404)][self.random.usize(0..3)];
            let mail = ["", "451 later", "554 refused"][self.random.usize(0..3)];
            self.say(format!("system: {mood:?}, mail: {mail:?}"));
            self.story.sink.set("police", mood);
            self.story.mail.set("edt@socialcare.example", mail);
        }
    }

    async fn a_receipt(&mut self) {
        self.story.absorb();
        let sent: Vec<Got> = self.story.all[self.since..]
            .iter()
            .filter(|g| g.order["to"].is_string())
            .cloned()
            .collect();
        if sent.is_empty() {
            return;
        }
        let got = sent[self.random.usize(0..sent.len())].clone();
        let words = [
            "delivered",
            "sending",
            "temporary_failure",
            "technical_failure",
            "permanent_failure",
            "odd",
        ];
        let word = words[self.random.usize(0..words.len())];
        self.say(format!("{word} for {}", got.to));
        for _ in 0..self.random.u8(1..3) {
            assert_eq!(self.story.receipt(&got, word).await, 200);
        }
    }

    async fn power_cut(&mut self) {
        let live: Vec<usize> = (0..self.story.nodes.len()).collect();
        let n = live[self.random.usize(0..live.len())];
        self.say(format!("power cut of node {n}"));
        // Sometimes with messages on their way.
        if self.random.bool() {
            self.story.gateway.set("sms", Some(Fault::AcceptThenHang));
            self.story.clock.forward(seconds(180));
            self.story.step().await;
            self.story.gateway.set("sms", None);
        }
        self.story.kill_and_restart(n).await;
    }

    fn freeze_or_thaw(&mut self) {
        if self.story.nodes.len() == 2 {
            self.say("freeze or thaw".into());
            if self.story.nodes[1].is_frozen() {
                self.story.nodes[1].thaw();
            } else {
                self.story.nodes[1].freeze();
            }
        }
    }

    async fn clock_jumps(&mut self) {
        let by = [-60, -61, -20, 60, 120][self.random.usize(0..5)];
        self.say(format!("clock {by} min"));
        self.story.clock.forward(minutes(by));
        self.backs += usize::from(by < 0);
        self.story.watch().await;
    }

    async fn tamper(&mut self) {
        let wrong = ["NULL", "'2036-02-21T12:00:00+00:00'"][self.random.usize(0..2)];
        self.say(format!("step_at = {wrong}"));
        let sql = format!(
            "UPDATE alert SET step_at = {wrong} WHERE phase IN ('climbing', 'ringing', 'acting')"
        );
        self.story.db.run(&sql).await.unwrap();
        self.story.watch().await;
    }

    async fn somebody_decides(&mut self) {
        let r = self.pick_case();
        let s = self.story.state(&r).await;
        if s.withdrawn.is_some() || s.stood_down.is_some() {
            return;
        }
        if self.random.bool() {
            self.say("stand down".into());
            self.story.stand_down(&r).await;
        } else {
            self.say("withdraw".into());
            self.story.withdraw(&r).await;
        }
    }

    /// Everything works again; what dead and frozen nodes held is free once their leases are over.
    async fn all_well(&mut self) {
        for what in ["sms", "voice", "+447700900101", "+447700900201"] {
            self.story.gateway.set(what, None);
        }
        self.story.sink.set("police", Mood::Well);
        self.story.mail.set("edt@socialcare.example", "");
        for n in &mut self.story.nodes {
            n.thaw();
        }
        self.story.clock.forward(seconds(61));
        self.story.watch().await;
        self.story.settle().await;
    }

    /// Nobody does anything any more.
    async fn left_alone(&mut self) {
        for _ in 0..5 {
            self.story.forward(minutes(6)).await;
            self.story.watch().await;
            self.story.settle().await;
        }
    }

    async fn check(&mut self) {
        let now = self.story.now();
        let rows = self.story.look.alert_rows().await;
        for r in &self.cases {
            let s = self.story.state(r).await;
            let events = self.story.look.events(s.id).await;
            let has = |name: &str| events.iter().any(|e| e == name);
            for (id, a) in &s.alerts {
                let p = a.progress;
                let row = rows.iter().find(|x| x.0 == id.0).expect("a row for every alert");
                let word = (p.phase.word(), p.next_at, i64::from(a.steps));
                assert_eq!(
                    (row.1.as_str(), row.2, row.3),
                    word,
                    "the table is what the journal says"
                );
                if !a.acknowledge {
                    continue;
                }
                let recalled = (has("jar_stood_down") || has("notification_withdrawn"))
                    && (a.recalled || a.acknowledged.is_some());
                let acted = a.acknowledged.is_some() && has("jar_plan_entered");
                match p.phase {
                    Phase::Settled => {
                        assert!(recalled || acted, "closed without an answer: {a:?} {events:?}")
                    }
                    Phase::Acting => {
                        assert!(a.acknowledged.is_some() && has("alert_acknowledged"), "{a:?}")
                    }
                    Phase::Climbing | Phase::Ringing => {
                        assert!(a.human_told.is_some(), "left alone, a human is told: {a:?}");
                        self.the_human_got_it(&s, &a.agency_name);
                        assert_ne!(row.4, AlertState::Acknowledged.word(), "{a:?}");
                    }
                    Phase::Untracked => panic!("an acknowledgement is asked for: {a:?}"),
                }
                if p.is_open() {
                    let next = p.next_at.expect("an open alert has a next step");
                    let most = a.ladder.as_ref().unwrap().longest_wait() + seconds(60);
                    assert!(next <= now + most, "{next} is too far ahead");
                }
                let cannots = events.iter().filter(|e| *e == "alert_handed_on").count();
                self.nobody_is_stormed(id, cannots).await;
            }
        }
    }

    fn the_human_got_it(&self, s: &CaseState, agency: &str) {
        // By itself, or with the others who did not answer.
        let (alone, among) =
            (format!("Please ring {agency} now"), "Please ring these partners now");
        let reference = s.reference.to_string();
        // Their number takes no more texts: then the call is what tells them.
        let number = international(MANAGER);
        let is_stopped = self.said.2.iter().any(|what| {
            what.ends_with(&number)
                && ["permanent_failure", "STOP"].iter().any(|w| what.starts_with(w))
        });
        let spoken = phone::for_speech(&reference);
        let spoken = spoken.trim_end_matches('.');
        let told = self.story.all.iter().any(|g| {
            let names_the_case = match g.by {
                "text" => g.words.contains(&reference),
                // Said letter by letter.
                _ => is_stopped && g.by == "call" && g.words.contains(spoken),
            };
            names_the_case
                && g.to == international(MANAGER)
                && (g.words.contains(&alone)
                    || (g.words.contains(among) && g.words.contains(agency)))
        });
        assert!(told, "the named human never got {alone:?} about {reference}");
    }

    /// A ladder has four rungs and then tells at most every quarter of an hour; a "cannot" may send
    /// the next rung sooner, and none more once the human rings; while a clock that was set back catches up an hour counts twice.
    async fn nobody_is_stormed(&self, alert: &AlertId, cannots: usize) {
        let most = (4 + 4 + cannots) * (1 + self.backs);
        let mut by_lane: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for (lane, at) in self.story.look.made(alert.0).await {
            by_lane.entry(lane).or_default().push(at);
        }
        for (lane, times) in by_lane {
            for (i, from) in times.iter().enumerate() {
                let within = times[i..].iter().filter(|t| **t < *from + Duration::hours(1)).count();
                assert!(within <= most, "{within} messages to {lane} within an hour");
            }
        }
    }

    /// The cases are taken back, and after that nothing stirs.
    async fn end(&mut self) {
        for r in self.cases.clone() {
            if self.story.state(&r).await.withdrawn.is_none() {
                self.story.withdraw(&r).await;
            }
        }
        self.story.settle().await;
        for r in &self.cases {
            let s = self.story.state(r).await;
            assert!(s.alerts.values().all(|a| !a.progress.is_open()), "withdrawn is over");
        }
        // Numbers that were stopped work again for the next schedule.
        self.story.db.run("DELETE FROM point").await.unwrap();
        for n in &self.story.nodes {
            n.with(|s| async move { s.refresh_directory().await.unwrap() }).await;
        }
        // And what counts within the hour is forgotten.
        self.story.clock.forward(minutes(61));
        self.story.settle().await;
    }
}

/// The journal is whole, and the read tables are what it gives.
async fn whole(story: &mut Story) {
    story.settle().await;
    let report = story.node().with(|s| async move { s.store.verify(&[]).await }).await.unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    let before = story.look.alert_rows().await;
    story.node().with(|s| async move { s.store.rebuild().await }).await.unwrap();
    let after = story.look.alert_rows().await;
    for (b, a) in before.iter().zip(&after) {
        assert_eq!(b, a, "a rebuild gives the same");
    }
    assert_eq!(before.len(), after.len());
}

/// Plays seeds one after another on one service.
async fn worker(db: Db, nodes: usize, seeds: Vec<u64>) -> usize {
    let engine = if db.is_sqlite() { "SQLite" } else { "PostgreSQL" };
    let mut story = Story::begin(db).await;
    story.strict = false;
    for _ in 1..nodes {
        story.another_node().await;
    }
    let n = seeds.len();
    for (i, seed) in seeds.into_iter().enumerate() {
        story.absorb();
        let since = story.all.len();
        let mut random = Rng::with_seed(seed);
        let steps = random.usize(4..16);
        let said = Named(seed, engine, Vec::new());
        let mut night =
            Night { story: &mut story, random, cases: Vec::new(), since, backs: 0, said };
        night.run(steps).await;
        if i % 5 == 4 || i + 1 == n {
            whole(&mut story).await;
        }
        story.pending.clear();
    }
    n
}

/// `CDR_SCHEDULES` of them, without those before `CDR_FROM`; or the one named by `CDR_SEED`.
fn seeds(share: u64) -> Vec<u64> {
    let given = |n: &str| std::env::var(n).ok().and_then(|v| v.parse::<u64>().ok());
    if let Some(one) = given("CDR_SEED") {
        return vec![one];
    }
    let all = given("CDR_SCHEDULES").unwrap_or(200);
    let from = given("CDR_FROM").unwrap_or(0);
    (from..(all * share / 100).max(from + 1)).collect()
}

/// Schedules that one service goes through: its whole journal is checked again and again.
const ON_ONE_SERVICE: usize = 50;

async fn many(workers: usize, share: u64, db: impl AsyncFn() -> Db, nodes: usize) {
    let started = Instant::now();
    let mut shares: Vec<Vec<u64>> = vec![Vec::new(); workers];
    for (i, seed) in seeds(share).into_iter().enumerate() {
        shares[i % workers].push(seed);
    }
    let all = shares.iter().map(async |seeds| {
        let mut done = 0;
        for some in seeds.chunks(ON_ONE_SERVICE) {
            done += worker(db().await, nodes, some.to_vec()).await;
        }
        done
    });
    let done: usize = futures_util::future::join_all(all).await.into_iter().sum();
    println!("{done} schedules in {:.1} s", started.elapsed().as_secs_f64());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_any_order_of_faults_every_open_alert_climbs_to_a_human_on_sqlite() {
    many(12, 88, async || Db::sqlite(), 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_any_order_of_faults_every_open_alert_climbs_to_a_human_with_two_nodes_on_postgres() {
    many(4, 12, Db::postgres, 2).await;
}
