//! The rules: worked cases from `tests/data`, and laws that hold for any facts.

use crate::support::by_rules;
use child_death_review::domain::alert::{AlertKind, Recipient};
use child_death_review::domain::calendar::Calendar;
use child_death_review::domain::case::{self, Context, Refusal};
use child_death_review::domain::civil_time::{self, Reading};
use child_death_review::domain::event::{Event, Person, Recorded, Route};
use child_death_review::domain::facts::{Amendment, Facts};
use child_death_review::domain::id::{CaseId, Reference};
use child_death_review::domain::intake::{self, Need};
use child_death_review::domain::jar::{self, Decision, ExtraTrigger, Verdict};
use child_death_review::domain::milestone::{Milestone, Record, Standing};
use child_death_review::domain::nhs_number::{NhsNumber, NhsNumberError};
use child_death_review::domain::{age, ready, scope};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

fn now() -> DateTime<Utc> {
    "2026-11-23T08:00:00Z".parse().unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn facts(body: Value) -> Facts {
    intake::read(body, Need::Nothing, now()).unwrap().facts
}

#[test]
fn worked_cases_of_the_jar_decision() {
    let mut rows = csv::Reader::from_path("tests/data/jar.csv").unwrap();
    let mut n = 0;
    for row in rows.deserialize::<std::collections::HashMap<String, String>>() {
        let r = row.unwrap();
        let f = |k: &str| Value::from(r[k].clone());
        let body = json!({
            "event": f("event"),
            "child": { "live_born": f("live_born"), "termination": f("termination"), "date_of_birth": f("born"), "age_description": f("age") },
            "death": { "date": f("died"), "place": { "type": f("place") }, "detention": f("detention"), "healthcare_professional_at_birth": f("attended"), "expected": f("expected") },
            "jar_answers": { "external_cause": f("j1"), "sudden_no_apparent_cause": f("j2"), "custody_or_detention": f("j3"), "suspicion_not_natural": f("j4"), "unattended_stillbirth": f("j5") },
        });
        let a = jar::assess(&facts(body.clone()), &[]);
        let name = &r["name"];
        for (c, want) in a.criteria.iter().zip(["want1", "want2", "want3", "want4", "want5"]) {
            assert_eq!(c.result.word(), r[want], "{name}: {} {}", c.code, c.reason);
            assert!(!c.reason.is_empty() && !c.clause.is_empty());
        }
        assert_eq!(a.decision.word(), r["decision"], "{name}: {}", a.reason);
        assert_eq!(scope::judge(&facts(body)).in_scope, r["in_scope"] == "yes", "{name}");
        assert_eq!(a.conflicts.len().to_string(), r["conflicts"], "{name}: {:?}", a.conflicts);
        assert_eq!(a.settle_with.is_empty(), a.decision != Decision::Provisional, "{name}");
        n += 1;
    }
    assert!(n > 30);
}

#[test]
fn a_partnership_may_widen_the_test_and_unknown_is_not_no_there_either() {
    let mut body = json!({ "event": "death", "child": { "live_born": "yes" }, "jar_answers": { "external_cause": "no", "sudden_no_apparent_cause": "no", "custody_or_detention": "no", "suspicion_not_natural": "no", "unattended_stillbirth": "no" }, "death": { "expected": "no" } });
    let extra = [ExtraTrigger::NotAnticipated24h];
    assert_eq!(jar::assess(&facts(body.clone()), &[]).decision, Decision::NotTriggered);
    assert_eq!(jar::assess(&facts(body.clone()), &extra).decision, Decision::Triggered);
    body["death"]["expected"] = json!("unknown");
    assert_eq!(jar::assess(&facts(body.clone()), &extra).decision, Decision::Provisional);
    body["death"]["expected"] = json!("yes");
    assert_eq!(jar::assess(&facts(body), &extra).decision, Decision::NotTriggered);
}

#[test]
fn ages_to_the_day() {
    for (born, died, years, months, days, total) in [
        ("2026-11-20", "2026-11-20", 0, 0, 0, 0),
        ("2024-02-29", "2025-02-28", 0, 11, 30, 365),
        ("2024-02-29", "2025-03-01", 1, 0, 0, 366),
        ("2008-02-29", "2026-02-28", 17, 11, 30, 6574),
        ("2008-02-29", "2026-03-01", 18, 0, 0, 6575),
        ("2025-01-31", "2025-02-28", 0, 0, 28, 28),
        ("2025-01-31", "2025-03-01", 0, 1, 0, 29),
        ("2025-12-31", "2026-01-01", 0, 0, 1, 1),
    ] {
        let a = age::at(day(born), day(died)).unwrap();
        assert_eq!(
            (a.years, a.months, a.days, a.total_days),
            (years, months, days, total),
            "{born} {died}"
        );
    }
    assert!(age::at(day("2026-01-02"), day("2026-01-01")).is_none());
    assert!(!age::is_adult(day("2008-02-29"), day("2026-02-28")));
    assert!(age::is_adult(day("2008-02-29"), day("2026-03-01")));
    let band = |d| {
        age::band(age::at(day("2026-01-01") - chrono::Days::new(d), day("2026-01-01")).unwrap())
            .unwrap()
            .code
    };
    assert_eq!([band(27), band(28), band(364), band(366)], ["0_27D", "28_364D", "28_364D", "1_4Y"]);
}

#[test]
fn clock_change_nights() {
    let at = |d: &str, t: &str| civil_time::read(day(d), t.parse::<NaiveTime>().unwrap());
    assert_eq!(
        at("2026-07-01", "03:15:00"),
        Reading::Exact("2026-07-01T02:15:00Z".parse().unwrap())
    );
    assert_eq!(
        at("2026-10-25", "01:30:00"),
        Reading::Twice {
            earlier: "2026-10-25T00:30:00Z".parse().unwrap(),
            later: "2026-10-25T01:30:00Z".parse().unwrap()
        }
    );
    assert_eq!(
        at("2026-03-29", "01:30:00"),
        Reading::Never {
            last_before: "00:59:00".parse().unwrap(),
            first_after: "02:00:00".parse().unwrap()
        }
    );
    let body = |t: &str, d: &str| json!({ "child": { "given_names": "A" }, "death": { "date": d, "time": t }, "notifier": { "telephone": "1" } });
    let e = intake::read(body("01:30", "2026-03-29"), Need::CallBack, now()).unwrap_err();
    assert_eq!((e[0].field.as_str(), e[0].code), ("death.time", "no_such_local_time"));
    assert!(
        e[0].message.contains("00:59")
            && e[0].message.contains("02:00")
            && e[0].message.contains("29 March 2026")
    );
    let ok = intake::read(body("01:30", "2026-10-25"), Need::CallBack, now()).unwrap();
    assert_eq!(ok.warnings[0].code, "ambiguous_local_time");
    assert_eq!(
        ok.facts.died_at().unwrap(),
        "2026-10-25T00:30:00Z".parse::<DateTime<Utc>>().unwrap()
    );
}

#[test]
fn working_days_in_england() {
    let c = Calendar::new(&[day("2027-06-04")], &[]);
    for holiday in [
        "2024-03-29",
        "2024-04-01",
        "2025-04-18",
        "2025-04-21",
        "2026-04-03",
        "2026-04-06",
        "2027-03-26",
        "2027-03-29",
        "2026-05-04",
        "2026-05-25",
        "2026-08-31",
        "2026-12-25",
        "2026-12-28",
        "2027-01-01",
        "2027-12-27",
        "2027-12-28",
        "2022-01-03",
        "2022-06-02",
        "2022-06-03",
        "2022-09-19",
        "2023-05-08",
        "2020-05-08",
        "2027-06-04",
    ] {
        assert!(c.is_bank_holiday(day(holiday)), "{holiday}");
    }
    for not in ["2020-05-04", "2022-05-30", "2026-12-24", "2026-12-29", "2026-04-07"] {
        assert!(!c.is_bank_holiday(day(not)), "{not}");
    }
    assert_eq!(c.add_working_days(day("2026-12-23"), 5), day("2027-01-04"));
    assert_eq!(c.add_working_days(day("2026-11-20"), 1), day("2026-11-23"));
    let moved = Calendar::new(&[], &[day("2026-08-31")]);
    assert!(moved.is_working_day(day("2026-08-31")));
}

#[test]
fn nhs_numbers() {
    assert_eq!(NhsNumber::parse("999 000-0018").unwrap().digits(), "9990000018");
    assert_eq!(NhsNumber::parse("9990000019"), Err(NhsNumberError::CheckDigit));
    for wrong in ["", "999000001", "99900000180", "999000001x", "９９９０００００１８"] {
        assert_eq!(NhsNumber::parse(wrong), Err(NhsNumberError::NotTenDigits), "{wrong}");
    }
    assert_eq!(format!("{:?}", NhsNumber::parse("9990000018").unwrap()), "NhsNumber(…)");
}

#[test]
fn only_what_makes_a_notification_unusable_is_refused_and_every_field_is_named_at_once() {
    let refused = |b: Value| -> Vec<String> {
        intake::read(b, Need::CallBack, now())
            .unwrap_err()
            .into_iter()
            .map(|p| format!("{} {}", p.field, p.code))
            .collect()
    };
    assert_eq!(refused(json!({})), ["child nothing_to_go_by", "notifier.telephone no_call_back"]);
    assert_eq!(refused(json!([])), ["body wrong_type"]);
    let many = refused(json!({
        "event": "birthday", "child": { "date_of_birth": "2026-13-01", "sex": 7, "gestation_weeks": "long", "ethnicity": "Q" },
        "death": { "date": "2026-02-30", "time": "25:00", "place": [] }, "household": {}, "notifier": { "telephone": 7 },
    }));
    assert_eq!(
        many,
        [
            "event not_in_list",
            "child.date_of_birth not_a_date",
            "child.sex wrong_type",
            "child.ethnicity not_in_list",
            "child.gestation_weeks wrong_type",
            "death.date not_a_date",
            "death.time not_a_time",
            "death.place wrong_type",
            "notifier.telephone wrong_type",
            "household wrong_type",
            "child nothing_to_go_by",
            "notifier.telephone no_call_back",
        ]
    );
    let base = |d: Value| json!({ "child": { "given_names": "A", "date_of_birth": "2024-01-01" }, "death": { "date": d }, "notifier": { "email": "a@b.example" } });
    assert_eq!(refused(base(json!("2026-11-24"))), ["death.date in_the_future"]);
    assert_eq!(refused(base(json!("2023-12-31"))), ["death.date before_birth"]);
    for fine in [json!(null), json!("unknown"), json!(""), json!("2026-11-23")] {
        assert!(intake::read(base(fine), Need::CallBack, now()).is_ok());
    }
    let warned = intake::read(json!({ "child": { "nhs_number": "9990000019", "surname": "X" }, "notifier": { "telephone": "1" }, "new": {} }), Need::CallBack, now()).unwrap();
    let codes: Vec<&str> = warned.warnings.iter().map(|w| w.code.as_str()).collect();
    assert_eq!(codes, ["unknown_field", "unknown_field", "nhs_number_check"]);
    assert_eq!(warned.facts.child.nhs_number.as_deref(), Some("9990000019"), "kept as given");
    assert_eq!(warned.facts.unrecognised["child.surname"], "X", "nothing is lost");
}

fn recipients(kind: AlertKind) -> Vec<Recipient> {
    let told = |agency: &str| Recipient {
        agency: agency.into(),
        agency_name: agency.into(),
        acknowledge: true,
        contacts: Vec::new(),
        ladder: None,
    };
    match kind {
        AlertKind::DeathNotified => vec![told("cdop_office")],
        AlertKind::JarStoodDown | AlertKind::NotJar => Vec::new(),
        _ => vec![told("police"), told("social_care")],
    }
}

fn with<T>(f: impl FnOnce(&mut Context<'_>) -> T) -> T {
    by_rules(&recipients, &|_| true, f)
}

fn body(answers: [&str; 5]) -> Value {
    json!({ "event": "death", "child": { "given_names": "A", "live_born": "yes", "date_of_birth": "2020-01-01" }, "death": { "date": "2026-01-01" }, "notifier": { "telephone": "1" },
        "jar_answers": { "external_cause": answers[0], "sudden_no_apparent_cause": answers[1], "custody_or_detention": answers[2], "suspicion_not_natural": answers[3], "unattended_stillbirth": answers[4] } })
}

fn fold(state: Option<case::CaseState>, events: Vec<Event>) -> case::CaseState {
    let id = CaseId(Uuid::nil());
    let mut s = state;
    for event in events {
        s = case::apply(id, s, Recorded { at: now(), event });
    }
    s.unwrap()
}

fn notified(answers: [&str; 5]) -> case::CaseState {
    let accepted = intake::read(body(answers), Need::CallBack, now()).unwrap();
    fold(None, with(|c| case::notify(Reference::new(2026, 1), "a".into(), Route::Api, accepted, c)))
}

fn amended(s: case::CaseState, patch: Value) -> (case::CaseState, Vec<AlertKind>) {
    let patch = facts(patch);
    let before = s.alerts.len();
    let events =
        with(|c| case::amend(&s, patch, Amendment::Correction, String::new(), now(), c)).unwrap();
    let kinds = events
        .iter()
        .flat_map(|e| match e {
            Event::AlertsPlanned { alerts } => alerts.iter().map(|a| a.kind).collect(),
            _ => Vec::new(),
        })
        .collect();
    let after = fold(Some(s), events);
    assert!(after.alerts.len() >= before);
    (after, kinds)
}

fn stood_down(s: case::CaseState) -> case::CaseState {
    let who = Person { name: "Dr B".into(), ..Person::default() };
    let events =
        with(|c| case::stand_down(&s, "natural cause".into(), vec![who.clone()], who.clone(), c))
            .unwrap();
    fold(Some(s), events)
}

#[test]
fn an_upgrade_alerts_and_a_downgrade_never_withdraws() {
    use AlertKind::{JarProvisional, JarTriggered, JarUpgraded};
    let s = notified(["no"; 5]);
    assert_eq!((s.standing, s.alerts.len()), (Decision::NotTriggered, 1));
    let (s, kinds) = amended(s, json!({ "jar_answers": { "external_cause": "unknown" } }));
    assert_eq!(
        (s.standing, kinds),
        (Decision::Provisional, vec![JarProvisional; 2]),
        "a no taken back is not known"
    );
    let (s, kinds) = amended(s, json!({ "jar_answers": { "external_cause": "yes" } }));
    assert_eq!((s.standing, kinds), (Decision::Triggered, vec![JarUpgraded; 2]));
    let (s, kinds) = amended(s, json!({ "jar_answers": { "external_cause": "no" } }));
    assert_eq!(
        (s.standing, s.assessment.decision, kinds.len()),
        (Decision::Triggered, Decision::NotTriggered, 0)
    );
    let s = stood_down(s);
    assert_eq!(s.standing, Decision::NotTriggered);
    assert_eq!(
        s.alerts.values().filter(|a| a.kind == AlertKind::JarStoodDown).count(),
        2,
        "exactly those alerted"
    );
    assert_eq!(s.alerts.values().filter(|a| a.recalled).count(), 4);
    let (s, kinds) = amended(s, json!({ "death": { "circumstances": "more words" } }));
    assert_eq!(
        (s.standing, kinds.len()),
        (Decision::NotTriggered, 0),
        "the same facts do not call it again"
    );
    let (s, kinds) = amended(s, json!({ "jar_answers": { "external_cause": "yes" } }));
    assert_eq!(
        (s.standing, kinds),
        (Decision::Triggered, vec![JarTriggered; 2]),
        "a criterion taken back and met again does"
    );
    let who = Person { name: "Dr B".into(), ..Person::default() };
    assert_eq!(
        with(|c| case::call_jar(&s, "r".into(), vec![], who, c)),
        Err(Refusal::AlreadyCalled)
    );
}

#[test]
fn facts_put_together_must_be_possible() {
    let s = notified(["no"; 5]);
    let patch = facts(json!({ "death": { "date": "2019-12-31" } }));
    let e = with(|c| case::amend(&s, patch, Amendment::Correction, String::new(), now(), c))
        .unwrap_err();
    assert!(matches!(e, Refusal::Facts(p) if p[0].field == "death.date"));
}

#[test]
fn two_accounts_are_both_kept_and_the_safer_is_taken() {
    let s = notified(["yes", "no", "no", "no", "no"]);
    let patch = facts(
        json!({ "jar_answers": { "external_cause": "no" }, "child": { "given_names": "B" } }),
    );
    let events =
        with(|c| case::amend(&s, patch, Amendment::FurtherAccount, String::new(), now(), c))
            .unwrap();
    let s = fold(Some(s), events);
    assert_eq!(s.facts.child.given_names.as_deref(), Some("A"));
    assert_eq!(s.facts.other_accounts["child.given_names"], [json!("B")]);
    assert_eq!(s.assessment.decision, Decision::Triggered);
    assert_eq!(s.assessment.conflicts.len(), 1);
}

#[test]
fn a_case_is_ready_or_names_what_it_waits_for() {
    let mut b = body(["no"; 5]);
    b["child"]["family_name"] = json!("X");
    b["child"]["nhs_number"] = json!("9990000018");
    b["child"]["sex"] = json!("male");
    b["child"]["ethnicity"] = json!("A");
    b["child"]["address"] = json!({ "postcode": "ZZ1 1ZZ" });
    let accepted = intake::read(b, Need::CallBack, now()).unwrap();
    let mut s = fold(
        None,
        with(|c| case::notify(Reference::new(2026, 1), "a".into(), Route::Api, accepted, c)),
    );
    let gates = ready::blockers(&s);
    assert_eq!(gates.len(), 7, "{gates:?}");
    assert_eq!(ready::stage(&s), ready::Stage::Notified);
    for m in Milestone::GATES {
        let standing = if m == Milestone::Inquest { Standing::NotNeeded } else { Standing::Done };
        let e = case::record_milestone(
            &s,
            Record { milestone: m, standing, on: None, category: None },
            String::new(),
        );
        s = fold(Some(s), e);
    }
    assert_eq!(ready::stage(&s), ready::Stage::Ready);
    let hold = Record {
        milestone: Milestone::CriminalOrReviewHold,
        standing: Standing::Awaited,
        on: None,
        category: None,
    };
    let e = case::record_milestone(&s, hold, String::new());
    let s = fold(Some(s), e);
    assert_eq!(ready::blockers(&s)[0].code, "criminal_or_review_hold");
}

/// Any answers and facts that bear on the decision, each possibly missing.
fn some_facts() -> impl Strategy<Value = Value> {
    let maybe = |words: &'static [&'static str]| {
        prop_oneof![
            Just(Value::Null),
            Just(json!("unknown")),
            prop::sample::select(words).prop_map(Value::from)
        ]
    };
    let answers = (
        maybe(&["yes", "possible", "no"]),
        maybe(&["yes", "no"]),
        maybe(&["yes", "no"]),
        maybe(&["yes", "possible", "no"]),
        maybe(&["yes", "no"]),
    );
    let child = (
        maybe(&["yes", "no"]),
        maybe(&["no", "lawful"]),
        maybe(&["2026-01-01", "2025-06-01", "2012-01-01", "2008-01-01"]),
        maybe(&["4 months", "newborn"]),
    );
    let death = (
        maybe(&["death", "collapse", "stillbirth"]),
        maybe(&["home", "custody", "mental_health_inpatient_unit", "labour_ward"]),
        maybe(&["none", "prison", "mental_health_act"]),
        maybe(&["yes", "no"]),
        maybe(&["yes", "no"]),
    );
    (answers, child, death).prop_map(|(a, c, d)| json!({
        "event": d.0,
        "child": { "live_born": c.0, "termination": c.1, "date_of_birth": c.2, "age_description": c.3 },
        "death": { "date": "2026-01-01", "place": { "type": d.1 }, "detention": d.2, "healthcare_professional_at_birth": d.3, "expected": d.4 },
        "jar_answers": { "external_cause": a.0, "sudden_no_apparent_cause": a.1, "custody_or_detention": a.2, "suspicion_not_natural": a.3, "unattended_stillbirth": a.4 },
    }))
}

/// The second body's values where the first has none.
fn more_facts(first: &Value, second: &Value) -> Value {
    match (first, second) {
        (Value::Object(a), Value::Object(b)) => a
            .iter()
            .map(|(k, v)| (k.clone(), more_facts(v, b.get(k).unwrap_or(&Value::Null))))
            .collect(),
        (Value::Null, b) => b.clone(),
        (Value::String(s), b) if s == "unknown" => b.clone(),
        (a, _) => a.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn a_fact_more_never_turns_met_into_not_met(a in some_facts(), b in some_facts()) {
        let before = jar::assess(&facts(a.clone()), &[]);
        let after = jar::assess(&facts(more_facts(&a, &b)), &[]);
        for (x, y) in before.criteria.iter().zip(&after.criteria) {
            prop_assert!(!(x.result == Verdict::Met && y.result != Verdict::Met), "{} {} -> {}", x.code, x.reason, y.reason);
        }
    }

    #[test]
    fn unknown_never_reads_as_no(a in some_facts()) {
        let assessment = jar::assess(&facts(a.clone()), &[]);
        let open = ["external_cause", "sudden_no_apparent_cause", "suspicion_not_natural"].iter().any(|k| a["jar_answers"][k].as_str().is_none_or(|s| s == "unknown"));
        if open && scope::judge(&facts(a)).in_scope {
            prop_assert_ne!(assessment.decision, Decision::NotTriggered);
        }
        let any = |v| assessment.criteria.iter().any(|c| c.result == v);
        if assessment.decision == Decision::NotTriggered && !any(Verdict::Met) && any(Verdict::CannotTell) {
            prop_assert!(assessment.reason.starts_with("Outside child death review"));
        }
    }

    #[test]
    fn amend_and_reapply_agree(a in some_facts(), b in some_facts(), account in any::<bool>()) {
        let mut first = a;
        first["child"]["given_names"] = json!("A");
        first["notifier"] = json!({ "telephone": "1" });
        let how = if account { Amendment::FurtherAccount } else { Amendment::Correction };
        let Ok(accepted) = intake::read(first, Need::CallBack, now()) else { return Ok(()) };
        let mut all = with(|c| case::notify(Reference::new(2026, 1), "a".into(), Route::Api, accepted, c));
        let s = fold(None, all.clone());
        let Ok(more) = with(|c| case::amend(&s, facts(b), how, "why".into(), now(), c)) else { return Ok(()) };
        let live = fold(Some(s.clone()), more.clone());
        all.extend(more);
        // Through JSON, as the journal keeps them.
        let text = serde_json::to_string(&all).unwrap();
        let again: Vec<Event> = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&fold(None, again), &live);
        prop_assert!(live.standing >= s.standing, "never silently withdrawn");
        prop_assert!(live.facts.amended(&live.facts, how).1.is_empty(), "what is held is not new");
    }
}

mod ladders {
    use child_death_review::config::area::{self, Directory};
    use child_death_review::domain::alert::{AlertKind, Channel, ContactPoint, Recipient};
    use chrono::{DateTime, TimeZone, Utc};

    const AREA: &str = r#"
id = "northshire"
name = "Northshire"
call_back = "01632 960100"
[[agency]]
id = "cdop_office"
name = "The office"
ring = "01632 960106"
told_of = ["death_notified"]
[[agency.contact]]
id = "mail"
channel = "email"
address = "cdop@northshire.example"
[[agency.contact]]
id = "phone"
channel = "mobile"
address = "07700 900106"
[[policy]]
agencies = ["cdop_office"]
events = ["death_notified"]
urgency = "office"
"#;

    fn office(at: DateTime<Utc>) -> Recipient {
        let area = area::parse("test", AREA).unwrap();
        let d = Directory::from_areas(vec![("test".into(), area)]).unwrap();
        d.recipients("northshire", AlertKind::DeathNotified, at).remove(0)
    }

    #[test]
    fn what_can_wait_for_the_office_wakes_nobody_at_night() {
        let night = Utc.with_ymd_and_hms(2026, 11, 25, 3, 0, 0).unwrap();
        let r = office(night);
        assert_eq!(r.contacts.iter().map(|c| c.channel).collect::<Vec<_>>(), [Channel::Email]);
        let l = r.ladder.unwrap();
        // Nine o'clock is six hours off: the text goes then, the call three minutes after.
        assert_eq!(l.rungs[0].after_seconds, 6 * 3600);
        assert_eq!(l.rungs[0].points[0].channel, Channel::Sms);
        assert_eq!(l.rungs[1].after_seconds, 6 * 3600 + 180);
        assert!(l.human.after_seconds > 6 * 3600);
        let day = office(Utc.with_ymd_and_hms(2026, 11, 25, 11, 0, 0).unwrap());
        assert_eq!(day.contacts.len(), 2, "by day all at once");
        assert_eq!(day.ladder.unwrap().rungs[0].after_seconds, 180);
    }

    /// Ada is on from Friday, nine o'clock, Bo from Monday; each has a mobile and an address, the
    /// desk a telephone for the day and one for the night, and so has whoever is named to ring.
    const TURNS: &str = r#"
id = "northshire"
name = "Northshire"
call_back = "01632 960100"
[last_step]
name = "Manager"
number = "01632 960190"
after_seconds = 900
[[last_step.contact]]
id = "by-day"
channel = "landline"
address = "01632 960191"
when = "office_hours"
[[last_step.contact]]
id = "by-night"
channel = "landline"
address = "01632 960192"
when = "out_of_hours"
[[agency]]
id = "cdop_office"
name = "The office"
ring = "01632 960106"
told_of = ["death_notified"]
[[agency.contact]]
id = "day-desk"
channel = "landline"
address = "01632 960111"
when = "office_hours"
[[agency.contact]]
id = "night-desk"
channel = "landline"
address = "01632 960112"
when = "out_of_hours"
[[agency.person]]
id = "ada"
name = "Ada"
[[agency.person.contact]]
id = "ada-mobile"
channel = "mobile"
address = "07700 900101"
[[agency.person.contact]]
id = "ada-mail"
channel = "email"
address = "ada@northshire.example"
[[agency.person]]
id = "bo"
name = "Bo"
[[agency.person.contact]]
id = "bo-mobile"
channel = "mobile"
address = "07700 900102"
[[agency.person.contact]]
id = "bo-mail"
channel = "email"
address = "bo@northshire.example"
[agency.rota]
id = "turns"
name = "Turns"
[[agency.rota.rotations]]
id = "days"
starts = "2026-11-27"
handover = "09:00:00"
every_days = 3
people = ["ada", "bo"]
[[policy]]
agencies = ["cdop_office"]
events = ["death_notified"]
"#;

    fn turns(policy: &str, at: DateTime<Utc>) -> Recipient {
        let text = format!("{TURNS}{policy}\n");
        let area = area::parse("test", &text).unwrap();
        let d = Directory::from_areas(vec![("test".into(), area)]).unwrap();
        d.recipients("northshire", AlertKind::DeathNotified, at).remove(0)
    }

    fn places(points: &[ContactPoint]) -> Vec<&str> {
        points.iter().map(|p| p.address.as_str()).collect()
    }

    #[test]
    fn what_waits_for_the_office_goes_to_whoever_is_on_when_it_opens() {
        let friday = Utc.with_ymd_and_hms(2026, 11, 27, 22, 0, 0).unwrap();
        let r = turns("urgency = \"office\"", friday);
        assert_eq!(places(&r.contacts), ["ada@northshire.example"], "quietly to whoever is on");
        let l = r.ladder.unwrap();
        let monday = 59 * 3600;
        assert_eq!(l.waits_seconds, monday);
        // On Monday at nine it is Bo's, with everything: nothing has gone to Bo.
        assert_eq!(l.rungs[0].after_seconds, monday);
        assert_eq!(places(&l.rungs[0].points), ["07700 900102", "bo@northshire.example"]);
        assert_eq!(l.rungs[1].after_seconds, monday + 180);
        assert_eq!(places(&l.rungs[1].points), ["07700 900102", "01632 960111"]);
        assert_eq!(
            places(&l.rungs[2].points),
            ["07700 900101"; 2],
            "Ada is the next in turn by then"
        );
        assert_eq!(l.human.after_seconds, monday + 900);
        assert_eq!(places(&l.human.points), ["01632 960191"], "by day");
        // What cannot wait is the night's at once.
        let now = turns("", friday);
        assert_eq!(places(&now.contacts), ["07700 900101", "ada@northshire.example"]);
        let l = now.ladder.unwrap();
        assert_eq!((l.waits_seconds, l.rungs[0].after_seconds), (0, 180));
        assert_eq!(places(&l.rungs[0].points), ["07700 900101", "01632 960112"]);
        assert_eq!(places(&l.human.points), ["01632 960192"]);
    }

    #[test]
    fn a_rung_that_moves_up_is_that_of_the_hour_to_which_it_moves() {
        // The first rung reaches nobody; the second, planned for after nine, goes at ten to.
        let steps = "[[policy.step]]\nafter_seconds = 0\nwhom = \"team\"\nteam = \"none\"\nchannels = [\"sms\"]\n[[policy.step]]\nafter_seconds = 900\nwhom = \"duty\"\nchannels = [\"sms\"]\n[[policy.step]]\nafter_seconds = 1800\nwhom = \"duty\"\nchannels = [\"sms\"]";
        let early = Utc.with_ymd_and_hms(2026, 11, 30, 8, 50, 0).unwrap();
        let r = turns(steps, early);
        assert_eq!(places(&r.contacts), ["07700 900101"]);
        let l = r.ladder.unwrap();
        assert_eq!(l.rungs[0].after_seconds, 900);
        assert_eq!(places(&l.rungs[0].points), ["07700 900102"]);
    }
}

/// A response that was called for "until ruled out" and is now certain: who is told by what policy.
mod certain {
    use super::{body, facts, fold, now};
    use crate::support::by_rules;
    use child_death_review::config::area::{self, Directory};
    use child_death_review::domain::alert::{AlertKind, PlannedAlert};
    use child_death_review::domain::case::{self, Context};
    use child_death_review::domain::event::{Event, Route};
    use child_death_review::domain::facts::Amendment;
    use child_death_review::domain::id::Reference;
    use child_death_review::domain::intake::{self, Need};
    use child_death_review::domain::jar::Decision;
    use serde_json::json;
    use uuid::Uuid;

    const ALL: &str = "[\"jar_triggered\", \"jar_provisional\", \"jar_upgraded\"]";
    const NIGHT: &str = "when = \"always\"\n[[policy.step]]\nafter_seconds = 0\nwhom = \"duty\"\nchannels = [\"sms\"]\n";

    fn rule(event: &str, more: &str) -> String {
        format!("[[policy]]\nagencies = [\"police\"]\nevents = [\"{event}\"]\n{more}")
    }

    /// The police, told of these, and an ambulance service that is told of everything.
    fn directory(told_of: &str, rules: &str) -> Directory {
        let agency = |id: &str, told: &str, n: u8| {
            format!(
                "[[agency]]\nid = \"{id}\"\nname = \"The {id}\"\nring = \"01632 96010{n}\"\ntold_of = {told}\n[[agency.contact]]\nid = \"phone\"\nchannel = \"mobile\"\naddress = \"07700 90010{n}\"\n[[agency.contact]]\nid = \"mail\"\nchannel = \"email\"\naddress = \"duty@{id}.example\"\n"
            )
        };
        let text = format!(
            "id = \"a\"\nname = \"A\"\ncall_back = \"01632 960100\"\n{}{}{rules}",
            agency("police", told_of, 1),
            agency("ambulance", ALL, 2)
        );
        let area = area::parse("test", &text).unwrap();
        Directory::from_areas(vec![("test".into(), area)]).unwrap()
    }

    fn with<T>(d: &Directory, f: impl FnOnce(&mut Context<'_>) -> T) -> T {
        by_rules(&|kind| d.recipients("a", kind, now()), &|_| true, f)
    }

    /// The case after a provisional call and after it became certain, and what was planned then.
    fn upgraded(d: &Directory) -> (case::CaseState, case::CaseState, Vec<PlannedAlert>) {
        let accepted =
            intake::read(body(["unknown", "no", "no", "no", "no"]), Need::CallBack, now()).unwrap();
        let notified =
            with(d, |c| case::notify(Reference::new(2026, 1), "a".into(), Route::Api, accepted, c));
        let before = fold(None, notified);
        assert_eq!(before.standing, Decision::Provisional);
        let patch = facts(json!({ "jar_answers": { "external_cause": "yes" } }));
        let how = Amendment::Correction;
        let events =
            with(d, |c| case::amend(&before, patch, how, String::new(), now(), c)).unwrap();
        let planned = events.iter().flat_map(|e| match e {
            Event::AlertsPlanned { alerts } => alerts.clone(),
            _ => Vec::new(),
        });
        let planned = planned.collect();
        (before.clone(), fold(Some(before), events), planned)
    }

    /// What the police are then told: its kind, whether it is to be acknowledged, and the steps that
    /// follow the first messages, which tell ladders apart.
    fn police(told_of: &str, rules: &str) -> Option<(AlertKind, bool, usize)> {
        let (_, after, planned) = upgraded(&directory(told_of, rules));
        assert_eq!(after.standing, Decision::Triggered);
        let others: Vec<_> = planned.iter().filter(|a| a.agency == "ambulance").collect();
        assert!(others.len() == 1 && others[0].kind == AlertKind::JarUpgraded);
        let mut mine = planned.iter().filter(|a| a.agency == "police");
        let first = mine
            .next()
            .map(|a| (a.kind, a.acknowledge, a.ladder.as_ref().map_or(9, |l| l.rungs.len())));
        assert!(mine.next().is_none(), "told once");
        first
    }

    const USUAL: usize = 3;
    const OWN: usize = 0;

    #[test]
    fn the_rule_for_a_response_that_became_certain_counts() {
        use AlertKind::{JarTriggered, JarUpgraded};
        let own = rule("jar_upgraded", NIGHT);
        assert_eq!(police(ALL, ""), Some((JarUpgraded, true, USUAL)));
        assert_eq!(police(ALL, &own), Some((JarUpgraded, true, OWN)));
        let both = format!("{}{own}", rule("jar_triggered", ""));
        assert_eq!(police(ALL, &both), Some((JarUpgraded, true, OWN)), "not the one for triggered");
        let warned = "[\"jar_provisional\", \"jar_upgraded\"]";
        assert_eq!(police(warned, ""), Some((JarUpgraded, true, USUAL)), "by its own word alone");
        // Whoever heard nothing before is told as of any response.
        let only = "[\"jar_triggered\", \"jar_upgraded\"]";
        assert_eq!(police(only, &own), Some((JarTriggered, true, USUAL)));
        assert_eq!(police("[\"jar_upgraded\"]", &own), None, "that they are not told of");
    }

    #[test]
    fn silence_about_the_upgrade_leaves_nobody_out() {
        use AlertKind::JarUpgraded;
        let provisional = "[\"jar_provisional\"]";
        let triggered = rule("jar_triggered", NIGHT);
        assert_eq!(police(provisional, &triggered), Some((JarUpgraded, true, OWN)));
        assert_eq!(police(ALL, &triggered), Some((JarUpgraded, true, OWN)), "with its ladder");
        let both = "[\"jar_provisional\", \"jar_triggered\"]";
        assert_eq!(police(both, ""), Some((JarUpgraded, true, USUAL)));
        // A "no" to the one is none to the other.
        let no = rule("jar_triggered", "told = false\n");
        assert_eq!(police(ALL, &no), Some((JarUpgraded, true, USUAL)));
        assert_eq!(police(provisional, &no), None);
        // A plain "no" to the second call is one, for whoever has to answer the first.
        let spared = rule("jar_upgraded", "told = false\n");
        assert_eq!(police(ALL, &spared), None);
        let word = rule("jar_provisional", "acknowledge = false\n");
        let only_word = format!("{spared}{word}");
        assert_eq!(police(ALL, &only_word), Some((JarUpgraded, true, USUAL)));
    }

    #[test]
    fn word_that_it_is_certain_takes_no_open_ladders_place() {
        let word = rule("jar_upgraded", "acknowledge = false\n");
        let (before, after, _) = upgraded(&directory(ALL, &word));
        let of = |agency: &str| {
            let mut all = before.alerts.iter().filter(|(_, a)| a.agency == agency);
            let (id, _) = all.next().unwrap();
            after.alerts[id].progress
        };
        assert!(of("police").is_unanswered(), "still to be answered");
        assert!(!of("ambulance").is_open(), "asked once, by the ladder that is certain");
    }

    #[test]
    fn a_second_account_that_makes_it_certain_is_told_by_the_same_policy() {
        let warned = "[\"jar_provisional\", \"jar_upgraded\"]";
        let d = directory(warned, &rule("jar_upgraded", NIGHT));
        let (first, _, _) = upgraded(&d);
        let accepted =
            intake::read(body(["yes", "no", "no", "no", "no"]), Need::CallBack, now()).unwrap();
        let second = with(&d, |c| {
            case::notify(Reference::new(2026, 2), "a".into(), Route::Api, accepted, c)
        });
        let second = fold(None, second);
        let report = case::Report {
            case: child_death_review::domain::id::CaseId(Uuid::new_v4()),
            reference: &second.reference,
            facts: &second.facts,
            standing: second.standing,
            agencies: Vec::new(),
        };
        let how = case::Joining {
            by: None,
            reason: "alike".into(),
            now: now(),
            lost: first.alerts.keys().copied().collect(),
        };
        let events = with(&d, |c| case::attach(&first, report, &how, c)).unwrap();
        let planned = events.iter().flat_map(|e| match e {
            Event::AlertsPlanned { alerts } => alerts.clone(),
            _ => Vec::new(),
        });
        let of_police: Vec<_> = planned.filter(|a| a.agency == "police").collect();
        let [one] = of_police.as_slice() else { panic!("{of_police:?}") };
        assert_eq!(one.kind, AlertKind::JarUpgraded);
        assert_eq!(one.ladder.as_ref().unwrap().rungs.len(), OWN, "by its own rule");
    }
}

mod covered {
    use child_death_review::config::area;
    use child_death_review::domain::alert::AlertKind;
    use child_death_review::domain::calendar::Calendar;
    use child_death_review::domain::directory::{
        self, Area, Gap, Known, Standing, When, is_ever_told, tonight,
    };
    use chrono::{DateTime, TimeZone, Utc};
    use std::collections::BTreeMap;

    const AREA: &str = r#"
id = "northshire"
name = "Northshire"
call_back = "01632 960100"
[[agency]]
id = "police"
name = "The police"
ring = "01632 960101"
told_of = ["jar_triggered"]
"#;
    const DESK: &str =
        "[[agency.contact]]\nid = \"desk\"\nchannel = \"landline\"\naddress = \"01632 960111\"\n";
    const AMY: &str = "[[agency.person]]\nid = \"amy\"\nname = \"Amy Exampleton\"\n[[agency.person.contact]]\nid = \"amy\"\nchannel = \"mobile\"\naddress = \"07700 900101\"\n";
    const ROTA: &str = "[agency.rota]\nid = \"di\"\nname = \"Inspectors\"\n[[agency.rota.rotations]]\nid = \"r\"\nstarts = \"2026-01-01\"\nhandover = \"09:00:00\"\nevery_days = 7\npeople = [\"amy\"]\n";

    /// Wednesday noon, in winter time.
    fn noon() -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 11, 25, 12, 0, 0).unwrap()
    }

    fn read(more: &str) -> Area {
        area::parse("test", &format!("{AREA}{more}")).unwrap()
    }

    fn gaps(a: &Area, standing: &BTreeMap<String, Standing>, days: u32) -> Vec<Gap> {
        directory::gaps(a, &Calendar::new(&[], &[]), &Known::default(), standing, noon(), days)
    }

    fn urgent(a: &Area, standing: &BTreeMap<String, Standing>) -> Vec<(String, Option<i64>)> {
        let all = gaps(a, standing, 2).into_iter().filter(|g| g.urgent && !g.point);
        all.map(|g| (g.why, g.to.map(|t| (t - g.from).num_minutes()))).collect()
    }

    fn dead(lanes: &[&str]) -> BTreeMap<String, Standing> {
        let unusable = Some("replied STOP".to_owned());
        let s = Standing { unusable, ..Standing::default() };
        lanes.iter().map(|l| ((*l).to_owned(), s.clone())).collect()
    }

    #[test]
    fn no_contact_point_at_all_is_a_gap_without_an_end() {
        let found = urgent(&read(""), &BTreeMap::new());
        assert_eq!(found.len(), 1);
        assert!(found[0].0.starts_with("no contact point and no rota") && found[0].1.is_none());
    }

    #[test]
    fn a_desk_that_closes_is_a_gap_while_it_is_closed() {
        let none = BTreeMap::new();
        assert!(urgent(&read(DESK), &none).is_empty(), "always open");
        let closes = read(&format!("{DESK}when = \"office_hours\"\n"));
        // Two nights, each from five to nine; noon to noon.
        let found = urgent(&closes, &none);
        assert_eq!(
            found,
            [
                ("no desk is open".to_owned(), Some(16 * 60)),
                ("no desk is open".to_owned(), Some(16 * 60))
            ]
        );
        let line = &tonight(&closes, &Calendar::new(&[], &[]), &Known::default(), &none, noon())[0];
        assert!(!line.covered && line.words == "no desk is open");
    }

    #[test]
    fn somebody_on_duty_whom_nothing_reaches_is_a_gap() {
        let on = read(&format!("{AMY}{ROTA}"));
        assert!(urgent(&on, &BTreeMap::new()).is_empty());
        let lanes = ["northshire/police/amy/sms", "northshire/police/amy/voice"];
        let found = urgent(&on, &dead(&lanes));
        assert!(found[0].0.starts_with("no contact point works"), "{found:?}");
        // One of the two channels still works.
        assert!(urgent(&on, &dead(&lanes[..1])).is_empty());
        // With a desk beside it that is open by day only, the nights are hers.
        let and_desk = read(&format!("{DESK}when = \"office_hours\"\n{AMY}{ROTA}"));
        let found = urgent(&and_desk, &dead(&lanes));
        assert!(
            found.iter().all(|(why, m)| why
                .contains("Amy Exampleton is on, with no contact point that works")
                && *m == Some(16 * 60)),
            "{found:?}"
        );
    }

    #[test]
    fn a_person_whose_numbers_are_for_other_hours_is_a_gap_in_these() {
        let by_day = read(&format!("{AMY}when = \"office_hours\"\n{ROTA}"));
        let found = urgent(&by_day, &BTreeMap::new());
        assert!(
            !found.is_empty()
                && found.iter().all(|(why, m)| why.contains("no contact point for these hours")
                    && *m == Some(16 * 60)),
            "{found:?}"
        );
    }

    #[test]
    fn a_rule_for_the_night_hides_no_gap_of_the_day() {
        let rule = "[[policy]]\nagencies = [\"police\"]\nevents = [\"jar_triggered\"]\nwhen = \"night\"\ntold = false\n";
        let spared = read(&format!("{DESK}when = \"out_of_hours\"\n{rule}"));
        let found = urgent(&spared, &BTreeMap::new());
        assert!(!found.is_empty(), "by day nobody is there, and they are asked");
        // And hours in which nobody asks them are none.
        let asked_by_day = read(&format!("{DESK}when = \"office_hours\"\n{rule}"));
        assert!(urgent(&asked_by_day, &BTreeMap::new()).is_empty());
        let never = rule.replace("when = \"night\"\n", "");
        assert!(urgent(&read(&never), &BTreeMap::new()).is_empty());
    }

    #[test]
    fn whoever_is_named_to_ring_is_looked_at_like_everybody() {
        let last = "[last_step]\nname = \"Manager on call\"\nnumber = \"07700 900190\"\nafter_seconds = 900\n";
        let contact = "[[last_step.contact]]\nid = \"manager\"\nchannel = \"mobile\"\naddress = \"07700 900190\"\n";
        let of = |a: &Area, s: &BTreeMap<String, Standing>| {
            let all = gaps(a, s, 2).into_iter().filter(|g| g.agency == "last_step");
            all.map(|g| (g.agency_name, g.urgent)).collect::<Vec<_>>()
        };
        let who = "Manager on call".to_owned();
        let bare = read(&format!("{DESK}{last}"));
        assert_eq!(of(&bare, &BTreeMap::new()), [(who.clone(), false)], "nobody tells them");
        let with = read(&format!("{DESK}{last}{contact}"));
        assert_eq!(of(&with, &BTreeMap::new()), [(who.clone(), false)], "never seen to work");
        let lanes = ["northshire/last_step/manager/sms", "northshire/last_step/manager/voice"];
        assert_eq!(of(&with, &dead(&lanes[..1])), [(who.clone(), true)], "one channel of two");
        assert_eq!(of(&with, &dead(&lanes)), [(who, true)], "none works");
    }

    #[test]
    fn two_people_named_to_ring_are_not_taken_for_one() {
        let last = |n: u8, at: &str| {
            format!(
                "[{at}]\nname = \"Manager {n}\"\nnumber = \"07700 90019{n}\"\nafter_seconds = 900\n[[{at}.contact]]\nid = \"phone\"\nchannel = \"mobile\"\naddress = \"07700 90019{n}\"\n"
            )
        };
        let rule = |n: u8| {
            format!(
                "[[policy]]\nagencies = [\"police\"]\nevents = [\"jar_triggered\"]\n{}",
                last(n, "policy.last")
            )
        };
        let mut a = read(&format!("{DESK}{}{}{}", last(1, "last_step"), rule(2), rule(1)));
        a.name_last_points_apart();
        let ids: Vec<&str> =
            a.last_steps().flat_map(|l| &l.contacts).map(|c| c.id.as_str()).collect();
        assert_eq!(ids, ["phone", "phone-2", "phone"], "the same one keeps one name");
    }

    #[test]
    fn an_agency_that_only_a_rule_tells_is_told() {
        let rule = "[[policy]]\nagencies = [\"police\"]\nevents = [\"death_notified\"]\n";
        let a = read(rule);
        assert!(is_ever_told(&a, &a.agencies[0], AlertKind::DeathNotified));
        let a = read(&rule.replace("[[policy]]\n", "[[policy]]\ntold = false\n"));
        assert!(!is_ever_told(&a, &a.agencies[0], AlertKind::DeathNotified));
    }

    #[test]
    fn hours_of_a_contact_point_follow_the_clocks_and_holidays_of_england() {
        let office = directory::OfficeHours::default();
        let holds = |w: When, at: (i32, u32, u32, u32, u32)| {
            let at = Utc.with_ymd_and_hms(at.0, at.1, at.2, at.3, at.4, 0).unwrap();
            w.holds(at, &office, &Calendar::new(&[], &[]))
        };
        // In July nine o'clock in England is eight by universal time.
        assert!(
            !holds(When::OfficeHours, (2026, 7, 1, 7, 59))
                && holds(When::OfficeHours, (2026, 7, 1, 8, 0))
        );
        assert!(
            !holds(When::OfficeHours, (2026, 12, 1, 8, 59))
                && holds(When::OfficeHours, (2026, 12, 1, 9, 0))
        );
        // Christmas Day 2026 is a Friday; Boxing Day falls on a Saturday and is kept on Monday.
        for (day, holiday, weekend) in [
            (24, false, false),
            (25, true, false),
            (26, false, true),
            (27, false, true),
            (28, true, false),
            (29, false, false),
        ] {
            let noon = (2026, 12, day, 12, 0);
            assert_eq!(holds(When::BankHoliday, noon), holiday, "{day}");
            assert_eq!(holds(When::Weekend, noon), weekend, "{day}");
            assert_eq!(holds(When::OfficeHours, noon), !holiday && !weekend, "{day}");
            assert_eq!(holds(When::OutOfHours, noon), holiday || weekend, "{day}");
            assert!(
                !holds(When::Night, noon)
                    && holds(When::Night, (2026, 12, day, 3, 0))
                    && holds(When::Always, noon)
            );
        }
    }
}
