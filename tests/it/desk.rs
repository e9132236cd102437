//! The coordinator's desk: every filter and order against what the cases themselves say, many cases
//! at once, views, hand-overs, and that restricted cases show through none of it.

use crate::support::{App, Db, Sink, area_text, csrf, on_both, triggering};
use child_death_review::auth::policy::{Caller, Role, Who};
use child_death_review::cmd::synth;
use child_death_review::domain::case::{self, CaseState};
use child_death_review::domain::event::{Event, Person, Recorded, Route};
use child_death_review::domain::id::{PanelId, Reference};
use child_death_review::domain::likeness::Verdict;
use child_death_review::domain::milestone::Milestone;
use child_death_review::domain::ready::{Stage, blockers, stage};
use child_death_review::domain::{age, civil_time};
use child_death_review::platform::clock::SystemClock;
use child_death_review::service::{
    Act, AssignWish, AssignedTo, CaseQuery, ClockWish, Handed, NewView, ServiceError,
};
use child_death_review::store::{Listed, Mark, Sort};
use chrono::{DateTime, Duration, Months, NaiveDate, Utc};
use serde_json::json;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const SORTS: [Sort; 5] = [Sort::Received, Sort::Died, Sort::Age, Sort::Stage, Sort::Due];

struct Desk {
    app: App,
    /// Of Northshire; the second one is on the lists of restricted cases.
    ann: Caller,
    ben: Caller,
    /// Of Southshire.
    sue: Caller,
}

async fn person(app: &App, email: &str, area: &str) -> Caller {
    app.add_user(email, "coordinator", area, None).await;
    let user = app.service().store.user_by_email(email).await.unwrap().unwrap();
    let who = Who::Person { id: user.id, name: user.name, role: Role::Coordinator };
    Caller { who, area: area.to_owned(), agency: None }
}

impl Desk {
    async fn start(db: Db) -> Self {
        let sink = Sink::start().await;
        let north = area_text(&sink, "");
        let south = north.replace("northshire", "southshire").replace("Northshire", "Southshire");
        let clock = Arc::new(SystemClock);
        let app = App::with_areas(db, sink, &[&north, &south], |_| {}, clock).await;
        let ann = person(&app, "ann@x.example", "northshire").await;
        let ben = person(&app, "ben@x.example", "northshire").await;
        let sue = person(&app, "sue@x.example", "southshire").await;
        Self { app, ann, ben, sue }
    }

    async fn notify(&self, area: &str, body: serde_json::Value) -> Reference {
        let s = self.app.service();
        let caller = Caller::operator();
        let a = s.notify(&caller, Some(area), body, Route::Api, None).await.unwrap();
        let a: serde_json::Value = serde_json::from_str(&a.body).unwrap();
        Reference::parse(a["reference"].as_str().unwrap()).unwrap()
    }

    async fn state(&self, r: &Reference) -> CaseState {
        let store = &self.app.service().store;
        let (id, _) = store.find(r).await.unwrap().unwrap();
        store.load(id).await.unwrap().unwrap().state
    }

    async fn step(&self, r: &Reference, milestone: &str, standing: &str, on: Option<NaiveDate>) {
        let path = format!("/api/v1/cases/{r}/milestones");
        let category = (milestone == "draft_analysis").then_some(7);
        let body =
            json!({ "milestone": milestone, "standing": standing, "on": on, "category": category });
        let (s, a) = self.app.post(&path, body).await;
        assert_eq!(s, 200, "{a}");
    }

    async fn restrict(&self, r: &Reference, to: &Caller) {
        let body = json!({ "reason": "a colleague's child", "people": [to.person().unwrap()] });
        let (s, a) = self.app.post(&format!("/api/v1/cases/{r}/restrictions"), body).await;
        assert_eq!(s, 200, "{a}");
    }

    /// Everything that a query finds, page by page; each row once and in order.
    async fn all(&self, caller: &Caller, q: &CaseQuery) -> Vec<Listed> {
        let mut out: Vec<Listed> = Vec::new();
        let mut q = CaseQuery { size: 7, after: None, back: false, ..q.clone() };
        loop {
            let page = self.app.service().list_cases(caller, q.clone()).await.unwrap();
            assert_eq!(page.previous.is_some(), q.after.is_some());
            out.extend(page.rows);
            match page.next {
                Some(m) => q.after = Some(m),
                None => break,
            }
        }
        let ids: BTreeSet<_> = out.iter().map(|r| r.id).collect();
        assert_eq!(ids.len(), out.len(), "a case is listed twice");
        for w in out.windows(2) {
            assert!(
                in_order(w[0].mark(q.sort), w[1].mark(q.sort), q.up),
                "{:?}",
                (q.sort, q.up, w)
            );
        }
        out
    }
}

/// Known before not known; among the known by value and then by id.
fn in_order(a: Mark, b: Mark, up: bool) -> bool {
    let way = |o: Ordering| if up { o } else { o.reverse() };
    match (a.key, b.key) {
        (Some(x), Some(y)) => way(x.cmp(&y).then(a.id.cmp(&b.id))) == Ordering::Less,
        (Some(_), None) => true,
        (None, Some(_)) => false,
        (None, None) => way(a.id.cmp(&b.id)) == Ordering::Less,
    }
}

/// The next clock, worked out anew: three months to the meeting, six to the review.
fn due(s: &CaseState) -> Option<DateTime<Utc>> {
    let over = [Stage::Reviewed, Stage::Closed, Stage::OutOfScope, Stage::Withdrawn, Stage::Drill];
    if over.contains(&stage(s)) {
        return None;
    }
    let died = s.facts.died_at()?;
    let open = |m| s.milestones.get(&m).is_none_or(|r| r.standing.blocks());
    let mut all = Vec::new();
    if open(Milestone::CdrMeeting) {
        all.push(died.checked_add_months(Months::new(3)).unwrap());
    }
    if open(Milestone::PanelReview) {
        all.push(died.checked_add_months(Months::new(6)).unwrap());
    }
    all.into_iter().min()
}

fn waits_in(s: &CaseState) -> bool {
    matches!(stage(s), Stage::Notified | Stage::Gathering | Stage::MeetingHeld)
}

/// Cases of every kind: known and unknown dates, steps done, awaited and dated, assigned to this one
/// and that one, restricted, of another area.
async fn many(desk: &Desk, n: u64) -> Vec<Reference> {
    let today = civil_time::date_of(Utc::now());
    let mut rng = fastrand::Rng::with_seed(n);
    let mut out = Vec::new();
    for i in 0..n {
        let mut body = synth::notification(7, i, today, 300).body;
        if i % 6 == 5 {
            body["death"].as_object_mut().unwrap().remove("date");
            body["death"].as_object_mut().unwrap().remove("time");
        }
        let r = desk.notify("northshire", body).await;
        let steps = [
            "reporting_forms",
            "supplementary_forms",
            "post_mortem",
            "inquest",
            "cdr_meeting",
            "draft_analysis",
            "family_contribution",
        ];
        let far = rng.usize(0..=steps.len() + 2);
        for m in steps.iter().take(far) {
            let standing = ["done", "done", "not_needed", "awaited"][rng.usize(0..4)];
            let on = match standing {
                "done" => Some(today - Duration::days(1)),
                "awaited" if rng.bool() => Some(today + Duration::days(rng.i64(-5..20))),
                _ => None,
            };
            desk.step(&r, m, standing, on).await;
        }
        if far > steps.len() && i % 3 == 0 {
            desk.step(&r, "panel_review", "done", Some(today)).await;
        }
        let to = [None, desk.ann.person(), desk.ben.person()][rng.usize(0..3)];
        let wish = AssignWish { to, note: "on leave".to_owned(), until: None };
        let by = if rng.bool() { &desk.ann } else { &desk.ben };
        desk.app.service().assign(by, &r, &wish, None).await.unwrap();
        out.push(r);
    }
    out
}

on_both! {
    async fn every_filter_and_order_finds_what_the_cases_say(db: Db) {
        let desk = Desk::start(db).await;
        let s = desk.app.service();
        let refs = many(&desk, 42).await;
        for _ in 0..3 {
            desk.notify("southshire", triggering()).await;
        }
        // Somebody answers for some of them.
        for r in refs.iter().step_by(2) {
            let (_, alerts) = desk.app.get(&format!("/api/v1/cases/{r}/alerts")).await;
            for a in alerts["items"].as_array().into_iter().flatten() {
                if a["acknowledge"] == true {
                    let path = format!("/api/v1/alerts/{}/acknowledgements", a["id"].as_str().unwrap());
                    desk.app.post(&path, json!({ "name": "Sgt Walker" })).await;
                }
            }
        }
        for r in &refs[..4] {
            desk.restrict(r, &desk.ben).await;
        }
        let mut states = BTreeMap::new();
        for r in &refs {
            states.insert(r.to_string(), desk.state(r).await);
        }
        let now = Utc::now();
        let today = civil_time::date_of(now);
        let (ann, ben) = (desk.ann.person().unwrap(), desk.ben.person().unwrap());
        type Says = Box<dyn Fn(&CaseState) -> bool>;
        let q = CaseQuery::default;
        let some = |t: &str| Some(t.to_owned());
        let day = move |n: i64| today - Duration::days(n);
        let mut asked: Vec<(String, CaseQuery, Says)> = Vec::new();
        let mut ask = |name: &str, q: CaseQuery, f: Says| asked.push((name.to_owned(), q, f));
        for w in Stage::WORDS.iter().filter(|w| **w != "drill") {
            ask(w, CaseQuery { stage: some(w), ..q() }, Box::new(move |c| stage(c).word() == *w));
        }
        for w in ["triggered", "provisional", "not_triggered"] {
            ask(w, CaseQuery { jar: some(w), ..q() }, Box::new(move |c| c.standing.word() == w));
        }
        for yes in [true, false] {
            ask("ready", CaseQuery { ready: Some(yes), ..q() }, Box::new(move |c| (stage(c) == Stage::Ready) == yes));
        }
        for b in age::BANDS {
            let is = move |c: &CaseState| c.facts.age().and_then(age::band).is_some_and(|x| x.code == b);
            ask(b, CaseQuery { age: some(b), ..q() }, Box::new(is));
        }
        ask("age unknown", CaseQuery { age: some("unknown"), ..q() }, Box::new(|c| c.facts.age().and_then(age::band).is_none()));
        ask("category", CaseQuery { category: Some(7), ..q() }, Box::new(|c| c.category() == Some(7)));
        ask("category 3", CaseQuery { category: Some(3), ..q() }, Box::new(|c| c.category() == Some(3)));
        ask("received from", CaseQuery { received_from: Some(today), ..q() }, Box::new(move |c| civil_time::date_of(c.received_at) >= today));
        ask("received to", CaseQuery { received_to: Some(day(1)), ..q() }, Box::new(move |c| civil_time::date_of(c.received_at) < today));
        ask("died from", CaseQuery { died_from: Some(day(120)), ..q() }, Box::new(move |c| c.facts.death.date.is_some_and(|d| d >= day(120))));
        ask("died to", CaseQuery { died_to: Some(day(120)), ..q() }, Box::new(move |c| c.facts.death.date.is_some_and(|d| d <= day(120))));
        ask("overdue", CaseQuery { clock: Some(ClockWish::Overdue), ..q() }, Box::new(move |c| due(c).is_some_and(|d| d < now)));
        ask("soon", CaseQuery { clock: Some(ClockWish::Soon), ..q() }, Box::new(move |c| due(c).is_some_and(|d| d >= now && d < now + Duration::days(7))));
        for (code, _) in child_death_review::domain::ready::waits() {
            let is = move |c: &CaseState| (waits_in(c) || stage(c) == Stage::Listed) && blockers(c).iter().any(|b| b.code == code);
            ask(code, CaseQuery { waits: some(code), ..q() }, Box::new(is));
        }
        let dated = move |c: &CaseState| blockers(c).iter().any(|b| b.expected.is_some_and(|d| d >= today));
        ask("undated", CaseQuery { undated: true, ..q() }, Box::new(move |c| waits_in(c) && !dated(c)));
        ask("unacknowledged", CaseQuery { unacknowledged: true, ..q() }, Box::new(|c| c.alerts.values().any(|a| a.progress.is_unanswered())));
        let is_with = |c: &CaseState, who| c.assigned.to.as_ref().map(|p| p.id) == who;
        ask("mine", CaseQuery { assigned: Some(AssignedTo::Me), ..q() }, Box::new(move |c| is_with(c, Some(ann))));
        ask("nobody's", CaseQuery { assigned: Some(AssignedTo::Nobody), ..q() }, Box::new(move |c| is_with(c, None)));
        ask("ben's", CaseQuery { assigned: Some(AssignedTo::Person(ben)), ..q() }, Box::new(move |c| is_with(c, Some(ben))));
        ask("handed to me", CaseQuery { handed: Some(Handed::ToMe), ..q() }, Box::new(move |c| is_with(c, Some(ann)) && c.assigned.waiting));
        ask("handed by me", CaseQuery { handed: Some(Handed::ByMe), ..q() }, Box::new(move |c| c.assigned.waiting && c.assigned.by_id == Some(ann)));
        ask("area", CaseQuery { area: some("northshire"), ..q() }, Box::new(|_| true));
        ask("another area", CaseQuery { area: some("southshire"), ..q() }, Box::new(|_| false));
        let two = CaseQuery { undated: true, assigned: Some(AssignedTo::Me), ..q() };
        ask("two at once", two, Box::new(move |c| waits_in(c) && !dated(c) && is_with(c, Some(ann))));
        let shut = |c: &CaseState, who: uuid::Uuid| c.keeping.restricted.as_ref().is_some_and(|r| !r.people.iter().any(|p| p.id == who));
        let mut told = 0;
        for (n, (name, query, says)) in asked.iter().enumerate() {
            let query = CaseQuery { sort: SORTS[n % 5], up: n % 2 == 0, ..query.clone() };
            let expected: BTreeSet<&String> = states.iter().filter(|(_, c)| says(c) && !shut(c, ann)).map(|(r, _)| r).collect();
            let rows = desk.all(&desk.ann, &query).await;
            let found: BTreeSet<&String> = rows.iter().map(|r| &r.reference).collect();
            assert_eq!(found, expected, "{name}");
            assert!(rows.iter().all(|r| !r.hidden), "{name}: a restricted case shows through");
            assert_eq!(s.count_cases(&desk.ann, &query, 1001).await.unwrap(), expected.len() as i64, "{name}: the count");
            told += usize::from(!expected.is_empty() && expected.len() < states.len() - 4);
        }
        assert!(told > 20, "only {told} filters leave some over and some not: the oracle proves little");
        // Ben is on the list of the restricted ones: the same questions give him those too.
        let to_ben = desk.all(&desk.ben, &CaseQuery { ready: Some(false), ..q() }).await;
        let all_unready = states.values().filter(|c| stage(c) != Stage::Ready).count();
        assert_eq!(to_ben.len(), all_unready);
        // Where nothing is asked a restricted case is listed by its reference and nothing else.
        let rows = desk.all(&desk.ann, &q()).await;
        assert_eq!(rows.len(), states.len());
        for r in rows.iter().filter(|r| r.hidden) {
            assert!(r.next_due.is_none() && r.assigned_to.is_none() && r.died_on.is_none() && r.stage.is_empty());
        }
        assert_eq!(rows.iter().filter(|r| r.hidden).count(), 4);
        // And in every other order, which would tell about them, not at all.
        for sort in SORTS.into_iter().skip(1) {
            for up in [true, false] {
                let n = desk.all(&desk.ann, &CaseQuery { sort, up, ..q() }).await.len();
                assert_eq!(n, states.len() - 4, "{sort:?}");
            }
        }
        // Today counts none of them either, and its parts are what the same filters say.
        let t = s.today(&desk.ann).await.unwrap();
        let open = |f: &dyn Fn(&CaseState) -> bool| states.values().filter(|c| !shut(c, ann) && f(c)).count() as i64;
        assert_eq!(t.overdue.count, open(&|c| due(c).is_some_and(|d| d < now)));
        assert_eq!(t.undated.count, open(&|c| waits_in(c) && !dated(c)));
        assert_eq!(t.new.count, open(&|_| true));
        assert_eq!(t.handed_to_me.count, open(&|c| is_with(c, Some(ann)) && c.assigned.waiting));
        let unanswered = |c: &CaseState| c.alerts.values().filter(|a| a.progress.is_unanswered()).count() as i64;
        assert_eq!(t.waiting_count, states.values().filter(|c| !shut(c, ann)).map(unanswered).sum::<i64>());
        assert!(t.waiting.windows(2).all(|w| w[0].planned_at <= w[1].planned_at));
        // Another area sees its own and no more.
        assert_eq!(s.today(&desk.sue).await.unwrap().new.count, 3);
        assert_eq!(desk.all(&desk.sue, &q()).await.len(), 3);
        // The API asks the same.
        let (status, list) = desk.app.get("/api/v1/cases?area=northshire&clock=overdue&sort=due&order=desc&limit=200").await;
        assert_eq!(status, 200);
        assert!(list["items"].as_array().unwrap().iter().all(|i| i["next_clock"]["due"].as_str().unwrap() < now.to_rfc3339().as_str()));
        for wrong in ["sort=name", "order=up", "clock=late", "waits=rain", "age=old", "category=11", "died_from=yesterday", "assigned=me", "handed=to_me", "undated=maybe"] {
            let (status, p) = desk.app.get(&format!("/api/v1/cases?{wrong}")).await;
            assert_eq!((status, p["errors"][0]["field"].as_str()), (422, wrong.split('=').next()), "{p}");
        }
    }

    async fn pages_hold_each_case_once_while_others_come(db: Db) {
        let desk = Desk::start(db).await;
        let refs = many(&desk, 21).await;
        let s = desk.app.service();
        let mut n = 100;
        for sort in SORTS {
            for up in [true, false] {
                let mut seen: BTreeMap<String, u32> = BTreeMap::new();
                let mut marks: Vec<(Option<Mark>, Vec<String>)> = Vec::new();
                let mut q = CaseQuery { sort, up, size: 5, ..CaseQuery::default() };
                loop {
                    let page = s.list_cases(&desk.ann, q.clone()).await.unwrap();
                    let these: Vec<String> = page.rows.iter().map(|r| r.reference.clone()).collect();
                    these.iter().for_each(|r| *seen.entry(r.clone()).or_default() += 1);
                    marks.push((page.previous, these));
                    if marks.len().is_multiple_of(2) {
                        n += 1;
                        let body = synth::notification(8, n, civil_time::date_of(Utc::now()), 300).body;
                        desk.notify("northshire", body).await;
                    }
                    match page.next {
                        Some(m) => q.after = Some(m),
                        None => break,
                    }
                }
                for r in &refs {
                    assert_eq!(seen.get(r.as_str()), Some(&1), "{sort:?} {up}: {r}");
                }
                assert!(seen.values().all(|n| *n == 1), "{sort:?} {up}");
                // Backwards from the last page: nobody came meanwhile, so it is the same, unless a
                // case came before the mark.
                let old: BTreeSet<String> = refs.iter().map(ToString::to_string).collect();
                let forward: Vec<String> = marks.iter().flat_map(|(_, r)| r.clone()).filter(|r| old.contains(r)).collect();
                let last: Vec<String> = marks.last().unwrap().1.clone();
                let mut q = CaseQuery { after: marks.last().unwrap().0, back: true, sort, up, size: 5, ..CaseQuery::default() };
                let mut backward: Vec<String> = last;
                while q.after.is_some() {
                    let page = s.list_cases(&desk.ann, q.clone()).await.unwrap();
                    let mut these: Vec<String> = page.rows.iter().map(|r| r.reference.clone()).collect();
                    these.extend(backward);
                    backward = these;
                    q.after = page.previous;
                }
                backward.retain(|r| old.contains(r));
                assert_eq!(backward, forward, "{sort:?} {up}");
            }
        }
    }

    async fn many_at_once_one_failing_stops_no_other(db: Db) {
        let desk = Desk::start(db).await;
        let s = desk.app.service();
        let mut refs = Vec::new();
        for _ in 0..5 {
            refs.push(desk.notify("northshire", crate::support::all_no()).await);
        }
        let south = desk.notify("southshire", crate::support::all_no()).await;
        desk.restrict(&refs[1], &desk.ben).await;
        let gone = json!({ "reason": "made in error" });
        assert_eq!(desk.app.post(&format!("/api/v1/cases/{}/withdrawals", refs[2]), gone).await.0, 200);
        let nowhere = Reference::parse("CDR-2026-999999").unwrap();
        let all: Vec<Reference> = refs.iter().cloned().chain([south.clone(), nowhere.clone()]).collect();
        let note = "Key worker on leave, markerhandover.";
        let wish = AssignWish { to: desk.ben.person(), note: note.to_owned(), until: None };
        let act = Act::Assign(wish.clone());
        let plan = s.bulk_plan(&desk.ann, &all, &act).await.unwrap();
        let will: Vec<bool> = plan.iter().map(|l| l.done).collect();
        assert_eq!(will, [true, false, false, true, true, false, false], "{plan:?}");
        assert_eq!((&plan[1].words, &plan[5].words), (&plan[6].words, &plan[6].words), "denied is like missing");
        assert!(plan[2].words.contains("withdrawn"));
        // Nothing has happened yet.
        assert!(desk.state(&refs[0]).await.assigned.to.is_none());
        // Somebody changes one of them meanwhile.
        desk.step(&refs[3], "inquest", "not_needed", None).await;
        let picks: Vec<(Reference, i64)> = plan.iter().map(|l| (Reference::parse(&l.reference).unwrap(), l.version)).collect();
        let lines = s.bulk_do(&desk.ann, &picks, &act).await;
        let done: Vec<bool> = lines.iter().map(|l| l.done).collect();
        assert_eq!(done, [true, false, false, false, true, false, false], "{lines:?}");
        assert!(lines[3].words.contains("changed since"));
        assert_eq!(desk.state(&south).await.assigned.to, None);
        // Ben finds them under his hand-overs, with the note, and takes one.
        let handed = s.handed_over(&desk.ben).await.unwrap();
        assert_eq!(handed.len(), 2);
        assert!(handed.iter().all(|h| h.note == note && h.by == "Name of coordinator"));
        assert_eq!(s.today(&desk.ann).await.unwrap().handed_by_me.count, 2);
        assert!(s.take_over(&desk.ben, &refs[0]).await.unwrap());
        assert!(matches!(s.take_over(&desk.ann, &refs[4]).await, Err(ServiceError::Refused(_))), "not hers to take");
        assert_eq!(s.today(&desk.ben).await.unwrap().handed_to_me.count, 1);
        // Undo gives back what nobody has assigned since.
        let other = AssignWish { to: desk.ann.person(), ..AssignWish::default() };
        s.assign(&desk.ben, &refs[4], &other, None).await.unwrap();
        let undone = s.bulk_undo(&desk.ann, &[refs[0].clone(), refs[4].clone()], &act).await;
        assert_eq!(undone.iter().map(|l| l.done).collect::<Vec<_>>(), [true, false], "{undone:?}");
        assert!(desk.state(&refs[0]).await.assigned.to.is_none());
        assert_eq!(desk.state(&refs[4]).await.assigned.to.unwrap().id, desk.ann.person().unwrap());
        // Nobody of another area, and nobody whom a restriction keeps out.
        let to_sue = AssignWish { to: desk.sue.person(), ..AssignWish::default() };
        assert!(matches!(s.assign(&desk.ann, &refs[0], &to_sue, None).await, Err(ServiceError::Invalid(_))));
        assert!(matches!(s.assign(&desk.ben, &refs[1], &other, None).await, Err(ServiceError::Refused(_))));
        // What the service does by itself in between is nobody's change.
        let before = desk.state(&refs[0]).await;
        let seen = before.version;
        let after = |s: CaseState, event| case::apply(s.id, Some(s.clone()), Recorded { at: s.changed_at, event }).unwrap();
        let found = Event::LikenessFound { other: before.id, verdict: Verdict::Perhaps, agrees: vec![], differs: vec![], seen: String::new() };
        let by_itself = after(before, found);
        assert!(by_itself.version > seen && !by_itself.changed_since(seen));
        let undo = Event::CaseUnrestricted { reason: String::new(), by: Person::default() };
        assert!(after(by_itself, undo).changed_since(seen));
        // A panel takes those that are ready and says of the others what they wait for.
        let panel = s.create_panel(&desk.ann, None, "May", NaiveDate::from_ymd_opt(2027, 5, 1)).await.unwrap();
        for m in ["reporting_forms", "supplementary_forms", "post_mortem", "inquest", "cdr_meeting", "draft_analysis", "family_contribution"] {
            desk.step(&refs[0], m, "not_needed", None).await;
        }
        assert_eq!(stage(&desk.state(&refs[0]).await), Stage::Ready);
        let act = Act::Panel(PanelId(panel.id));
        let plan = s.bulk_plan(&desk.ann, &[refs[0].clone(), refs[3].clone()], &act).await.unwrap();
        assert!(plan[0].done && !plan[1].done && plan[1].words.contains("Not ready for panel: Reporting forms"), "{plan:?}");
        let picks = [(refs[0].clone(), plan[0].version), (refs[3].clone(), plan[1].version)];
        let lines = s.bulk_do(&desk.ann, &picks, &act).await;
        assert!(lines[0].done && !lines[1].done, "{lines:?}");
        assert!(s.bulk_undo(&desk.ann, &[refs[0].clone()], &act).await[0].done);
        assert!(desk.state(&refs[0]).await.listing.is_none());
        // The note is sealed like everything of a case.
        for table in ["journal WHERE CAST(payload AS TEXT)", "audit WHERE action"] {
            if desk.app.db.is_sqlite() {
                let sql = format!("SELECT COUNT(*) FROM {table} LIKE '%markerhandover%'");
                assert_eq!(desk.app.db.number(&sql).await, 0);
            }
        }
    }

    async fn the_pages_work_without_a_script(db: Db) {
        let desk = Desk::start(db).await;
        let app = &desk.app;
        let ann = app.sign_in("ann@x.example").await;
        let (s, today) = app.page("/", &ann).await;
        assert_eq!(s, 200);
        for said in ["Nobody is waiting to be reached", "Nobody has handed a case to you", "No case has come since", "No clock has run out", "Nothing is due within seven days", "Every case that waits has a next date", "No notification was begun and left"] {
            assert!(today.contains(said), "{said} is not in {today}");
        }
        let word = csrf(&today);
        let mut refs = Vec::new();
        for _ in 0..3 {
            refs.push(desk.notify("northshire", triggering()).await);
        }
        let (_, today) = app.page("/", &ann).await;
        assert!(today.contains("12</span>") && today.contains("without an answer") && today.contains("/board"), "{today}");
        assert!(crate::support::MARKS.iter().all(|m| !today.contains(m)));
        let seen_at = today.split("name=\"seen_at\" value=\"").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!(app.form("/today/seen", &ann, &[("_csrf", &word), ("seen_at", seen_at)]).await.0, 303);
        assert!(app.page("/", &ann).await.1.contains("No case has come since"));
        // Old addresses go on working.
        let r = app.http.get(format!("{}/?stage=notified&ready=true", app.url)).header("cookie", &ann).send().await.unwrap();
        assert_eq!(r.headers()["location"], "/cases?stage=notified&ready=true");
        let (s, list) = app.page("/cases?stage=notified&sort=due&order=desc", &ann).await;
        assert!(s == 200 && list.contains("aria-sort=\"descending\"") && list.contains("3 cases match"), "{list}");
        let (s, odd) = app.page("/cases?stage=lost&received_from=soon", &ann).await;
        assert!(s == 422 && odd.contains("There is a problem") && odd.contains("value=\"soon\""));
        // Columns are kept.
        let columns = [("_csrf", word.as_str()), ("column.category", "on"), ("column.died", "on"), ("query", "stage=notified")];
        let (s, to, _) = app.form("/cases/columns", &ann, &columns).await;
        assert_eq!((s, to.as_str()), (303, "/cases?stage=notified"));
        let (_, list) = app.page("/cases", &ann).await;
        assert!(list.contains("data-name=\"Category\"") && !list.contains("data-name=\"Stage\"") && list.contains("data-keys=\"off\""));
        // Nothing ticked; then step by step.
        let (s, _, page) = app.form("/cases/bulk", &ann, &[("_csrf", &word), ("do", "assign")]).await;
        assert!(s == 422 && page.contains("Nothing is ticked"));
        let tick: Vec<String> = refs.iter().map(|r| format!("case.{r}")).collect();
        let mut form = vec![("_csrf", word.as_str()), ("do", "assign"), (tick[0].as_str(), "1"), (tick[1].as_str(), "1")];
        let (s, _, page) = app.form("/cases/bulk", &ann, &form).await;
        assert!(s == 200 && page.contains("To whom") && page.contains("Assign or hand over 2 cases"));
        form.push(("to", "me"));
        let (_, _, page) = app.form("/cases/bulk", &ann, &form).await;
        assert!(page.contains("2 cases will be assigned to you"), "{page}");
        assert!(desk.state(&refs[0]).await.assigned.to.is_none());
        let version = desk.state(&refs[0]).await.version.to_string();
        let other = (desk.state(&refs[1]).await.version + 9).to_string();
        let go = [("_csrf", word.as_str()), ("do", "assign"), ("to", "me"), (tick[0].as_str(), version.as_str()), (tick[1].as_str(), other.as_str())];
        let (s, _, page) = app.form("/cases/bulk/do", &ann, &go).await;
        assert!(s == 200 && page.contains("1 case was assigned to you") && page.contains("Not done") && page.contains("changed since"), "{page}");
        assert!(page.contains(">\nUndo") || page.contains("Undo"));
        let (_, _, page) = app.form("/cases/bulk/undo", &ann, &[("_csrf", word.as_str()), ("do", "assign"), ("to", "me"), (tick[0].as_str(), "0")]).await;
        assert!(page.contains("1 case taken back"), "{page}");
        // All that match, and a file without anything personal.
        let (_, _, page) = app.form("/cases/bulk", &ann, &[("_csrf", word.as_str()), ("do", "export"), ("match", "all"), ("query", "stage=notified")]).await;
        assert!(page.contains("3 cases will be"), "{page}");
        let (s, _, csv) = app.form("/cases/bulk/do", &ann, &[("_csrf", word.as_str()), ("do", "export"), (tick[0].as_str(), "0"), (tick[2].as_str(), "0")]).await;
        assert!(s == 200 && csv.starts_with("reference,area,stage") && csv.lines().count() == 3, "{csv}");
        assert!(crate::support::MARKS.iter().all(|m| !csv.contains(m)));
        assert_eq!(app.db.number("SELECT COUNT(*) FROM audit WHERE action = 'export_list'").await, 2);
        // One case by its own route.
        let ben = desk.ben.person().unwrap().to_string();
        let one = format!("/cases/{}/assign", refs[2]);
        let (s, _, page) = app.form(&one, &ann, &[("_csrf", &word), ("give_to", "zed"), ("give_note", "please"), ("give_until", "soon")]).await;
        assert!(s == 422 && page.contains("please") && page.contains("#give_to") && page.contains("#give_until"), "what was typed is still there: {page}");
        assert_eq!(app.form(&one, &ann, &[("_csrf", &word), ("give_to", &ben), ("give_note", "please")]).await.0, 303);
        let case = format!("/cases/{}", refs[2]);
        let page = app.page(&case, &ann).await.1;
        assert!(page.contains("not taken yet") && page.contains("please") && !page.contains("I have it"), "{page}");
        let ben = app.sign_in("ben@x.example").await;
        let page = app.page(&case, &ben).await.1;
        assert!(page.contains("(you)") && page.contains("I have it"), "{page}");
        let (_, page) = app.page("/handed", &ben).await;
        assert!(page.contains("please") && page.contains("I have it"));
        assert_eq!(app.db.number("SELECT COUNT(*) FROM audit WHERE action = 'read_handover'").await, 1);
        let ben_word = csrf(&page);
        let reference = refs[2].to_string();
        assert_eq!(app.form("/handed", &ben, &[("_csrf", &ben_word), ("reference", &reference), ("back", &reference)]).await.0, 303);
        let page = app.page(&case, &ben).await.1;
        assert!(page.contains("(you)") && !page.contains("not taken yet"), "{page}");
        assert!(app.page("/handed", &ben).await.1.contains("Nobody has handed a case to you"));
        let sue = app.sign_in("sue@x.example").await;
        let sue_word = csrf(&app.page("/", &sue).await.1);
        assert_eq!(app.form(&one, &sue, &[("_csrf", &sue_word), ("give_to", "me")]).await.0, 404);
    }

    async fn a_child_is_found_by_any_of_its_names_and_by_all_of_those_typed(db: Db) {
        let desk = Desk::start(db).await;
        let mut b = triggering();
        b["child"]["given_names"] = json!("Zoë Marigold");
        b["child"]["family_name"] = json!("O'Quillon-Brack");
        let r = desk.app.notify(b).await["reference"].as_str().unwrap().to_owned();
        desk.app.notify(triggering()).await;
        let s = desk.app.service();
        let found = async |text: &str| {
            let q = CaseQuery { person: Some(text.to_owned()), size: 50, ..CaseQuery::default() };
            let rows = s.list_cases(&desk.ann, q).await.unwrap().rows;
            rows.iter().map(|l| l.reference.clone()).collect::<Vec<_>>()
        };
        for text in ["O'Quillon-Brack", "oquillon brack", "Brack", "zoe", "Marigold Brack", "brack, zoe", "Baby Brack"] {
            assert_eq!(found(text).await, std::slice::from_ref(&r), "{text}");
        }
        for text in ["Zoe Zephyrsson", "Brac", "Baby", "—"] {
            assert!(found(text).await.is_empty(), "{text}");
        }
    }

    async fn views_are_ones_own_until_shared_and_stay_in_their_area(db: Db) {
        let desk = Desk::start(db).await;
        let s = desk.app.service();
        let view = |name: &str, shared| NewView { name: name.to_owned(), query: "stage=notified&columns=died".to_owned(), shared };
        let own = s.save_view(&desk.ann, &view("Markerview of mine", false)).await.unwrap();
        let shared = s.save_view(&desk.ann, &view("Ours", true)).await.unwrap();
        let there = s.save_view(&desk.sue, &view("South", true)).await.unwrap();
        let names = |v: Vec<child_death_review::service::View>| v.into_iter().map(|v| v.name).collect::<Vec<_>>();
        assert_eq!(names(s.views(&desk.ann).await.unwrap()), ["Markerview of mine", "Ours"]);
        assert_eq!(names(s.views(&desk.ben).await.unwrap()), ["Ours"]);
        assert_eq!(names(s.views(&desk.sue).await.unwrap()), ["South"]);
        for (who, id) in [(&desk.ben, own), (&desk.ben, there), (&desk.sue, own), (&desk.sue, shared)] {
            assert!(matches!(s.view(who, id).await, Err(ServiceError::NotFound)));
            assert!(matches!(s.choose_view(who, Some(id)).await, Err(ServiceError::NotFound)));
        }
        // Shared is not given away.
        assert!(matches!(s.rename_view(&desk.ben, shared, "Mine", false).await, Err(ServiceError::NotFound)));
        assert!(matches!(s.delete_view(&desk.ben, shared).await, Err(ServiceError::NotFound)));
        // By page: another's own is not found; the default opens; a deleted one opens nothing.
        let app = &desk.app;
        let ben = app.sign_in("ben@x.example").await;
        assert_eq!(app.page(&format!("/cases?view={own}"), &ben).await.0, 404);
        let (st, page) = app.page(&format!("/cases?view={shared}"), &ben).await;
        assert!(st == 200 && page.contains("Ours") && !page.contains("Markerview"));
        let word = csrf(&page);
        let id = shared.to_string();
        let form = |more: &[(&'static str, &str)]| { let mut f = vec![("_csrf".to_owned(), word.clone())]; f.extend(more.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))); f };
        let post = |fields: Vec<(String, String)>| { let ben = ben.clone(); async move {
            let f: Vec<(&str, &str)> = fields.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
            app.form("/cases/views", &ben, &f).await
        } };
        assert_eq!(post(form(&[("do", "default"), ("view", &id)])).await.0, 303);
        let r = app.http.get(format!("{}/cases", app.url)).header("cookie", &ben).send().await.unwrap();
        assert_eq!(r.headers()["location"].to_str().unwrap(), format!("/cases?view={shared}"));
        assert_eq!(post(form(&[("do", "delete"), ("view", &id)])).await.0, 404, "not his to delete");
        let (st, to, _) = post(form(&[("do", "save"), ("name", "Late ones"), ("query", "clock=overdue&sort=due&q=Quorlswick&after=1")])).await;
        assert!(st == 303 && to.starts_with("/cases?view="));
        let (_, page) = app.page(&to, &ben).await;
        assert!(page.contains("<h1>Late ones</h1>"));
        let (st, _, page) = post(form(&[("do", "save"), ("name", " "), ("query", "clock=overdue")])).await;
        assert!(st == 422 && page.contains("Give the view a name"), "{page}");
        s.delete_view(&desk.ann, shared).await.unwrap();
        assert_eq!(app.page("/cases", &ben).await.0, 200, "a default that is gone");
        assert!(matches!(s.view(&desk.ben, shared).await, Err(ServiceError::NotFound)));
        // What somebody called it is not readable in the database.
        assert_eq!(app.db.number("SELECT COUNT(*) FROM saved_view WHERE name LIKE '%arkerview%' OR query LIKE '%uorlswick%'").await, 0);
    }

    async fn lines_are_made_anew_by_a_rebuild_and_by_new_lengths(db: Db) {
        let mut desk = Desk::start(db).await;
        let refs = many(&desk, 16).await;
        desk.restrict(&refs[0], &desk.ben).await;
        let store = desk.app.service().store.clone();
        // Or its own look at the directory would set the lengths back.
        desk.app.stop().await;
        let before = store.lines().await.unwrap();
        assert_eq!(before.len(), 16);
        assert!(before.iter().any(|l| l.handed_at.is_some()) && before.iter().any(|l| l.next_date.is_some()));
        store.rebuild().await.unwrap();
        assert_eq!(store.lines().await.unwrap(), before);
        assert_eq!(store.renew_lines().await.unwrap(), 0, "nothing is out of date");
        // Other lengths: every line of the area follows, and a rebuild says the same.
        let other = child_death_review::domain::deadline::Lengths { cdr_meeting_months: 2, ..Default::default() };
        store.set_lengths([("northshire".to_owned(), other)].into());
        while store.renew_lines().await.unwrap() > 0 {}
        let after = store.lines().await.unwrap();
        assert!(before.iter().zip(&after).any(|(b, a)| b.next_due != a.next_due));
        assert!(after.iter().all(|l| l.rule != before[0].rule));
        store.rebuild().await.unwrap();
        assert_eq!(store.lines().await.unwrap(), after);
        // As a database of before comes through the migration: filled from what is sealed.
        desk.app.db.run("UPDATE case_line SET rule = '', age_rank = NULL, next_due = NULL, waits = 0, assigned_to = NULL, stage_rank = 0").await.unwrap();
        while store.renew_lines().await.unwrap() > 0 {}
        assert_eq!(store.lines().await.unwrap(), after);
    }
}
