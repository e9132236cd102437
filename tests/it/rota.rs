//! Who is on duty: worked nights, and laws that hold for any rota through both clock changes.

use child_death_review::domain::calendar::Calendar;
use child_death_review::domain::civil_time;
use child_death_review::domain::rota::{
    BankHolidays, By, Cover, CoverKind, Rota, RotaProblem, Rotation, Shift, SwapError, Window,
    on_duty, problems, shifts, swap,
};
use chrono::{DateTime, Days, Duration, NaiveDate, NaiveDateTime, NaiveTime, Timelike, Utc};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn local(text: &str) -> NaiveDateTime {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap()
}

fn clock(text: &str) -> NaiveTime {
    text.parse().unwrap()
}

fn england() -> Calendar {
    Calendar::new(&[], &[])
}

fn rotation(id: &str, starts: &str, handover: &str, every_days: u32, people: &[&str]) -> Rotation {
    Rotation {
        id: id.to_owned(),
        rank: 0,
        starts: starts.parse().unwrap(),
        until: None,
        handover: clock(handover),
        every_days,
        people: people.iter().map(|p| (*p).to_owned()).collect(),
        only: Window::default(),
    }
}

fn rota(rotations: Vec<Rotation>) -> Rota {
    Rota { id: "r".to_owned(), name: "Doctors".to_owned(), rotations, covers: Vec::new() }
}

fn cover(from: &str, to: &str, person: &str) -> Cover {
    Cover {
        from: local(from),
        to: local(to),
        person: person.to_owned(),
        kind: CoverKind::Override,
        note: String::new(),
    }
}

fn names(rota: &Rota, at: &str) -> Vec<String> {
    on_duty(rota, &england(), utc(at)).into_iter().map(|d| d.person).collect()
}

#[test]
fn turns_backups_and_lower_rotations() {
    let mut r = rota(vec![
        Rotation { rank: 1, ..rotation("second", "2026-11-02", "09:00", 7, &["dora", "ada"]) },
        rotation("first", "2026-11-02", "09:00", 7, &["ada", "bert", "cleo"]),
    ]);
    assert!(names(&r, "2026-11-02T08:59:59Z").is_empty(), "before the first turn nobody is on");
    // Ada is the second rotation's next in turn too, and is not named twice.
    assert_eq!(names(&r, "2026-11-02T09:00:00Z"), ["ada", "bert", "dora"]);
    assert_eq!(names(&r, "2026-11-09T08:59:59Z"), ["ada", "bert", "dora"]);
    assert_eq!(names(&r, "2026-11-09T09:00:00Z"), ["bert", "cleo", "ada", "dora"]);
    assert_eq!(names(&r, "2026-11-16T09:00:00Z"), ["cleo", "ada", "dora"]);
    let list = on_duty(&r, &england(), utc("2026-11-10T03:00:00Z"));
    assert_eq!(list[0].until, Some(utc("2026-11-16T09:00:00Z")));
    assert_eq!(list[0].by, By::Rotation("first".to_owned()));
    assert_eq!(list[2].by, By::Rotation("second".to_owned()));

    // Bert is away: he is not rung, also not as a backup.
    r.covers.push(cover("2026-11-10 00:00", "2026-11-12 00:00", "eve"));
    assert_eq!(names(&r, "2026-11-10T03:00:00Z"), ["eve", "cleo", "ada", "dora"]);
    let list = on_duty(&r, &england(), utc("2026-11-10T03:00:00Z"));
    assert_eq!((&list[0].by, list[0].until), (&By::Cover, Some(utc("2026-11-12T00:00:00Z"))));
    // A later entry wins over an earlier one.
    r.covers.push(cover("2026-11-10 02:00", "2026-11-10 04:00", "finn"));
    assert_eq!(names(&r, "2026-11-10T03:00:00Z")[0], "finn");
    assert_eq!(names(&r, "2026-11-10T04:00:00Z")[0], "eve");

    r.rotations[1].until = Some("2026-11-16".parse().unwrap());
    assert_eq!(names(&r, "2026-11-16T08:59:59Z")[0], "bert");
    assert_eq!(names(&r, "2026-11-16T09:00:00Z"), ["dora", "ada"], "the lower rotation is left");
}

#[test]
fn handovers_on_nights_when_the_clocks_change() {
    let r = rota(vec![rotation("n", "2026-03-01", "01:30", 1, &["ada", "bert"])]);
    let s = shifts(&r, &england(), utc("2026-03-28T12:00:00Z"), utc("2026-03-30T12:00:00Z"));
    let from: Vec<_> = s.iter().skip(1).map(|s| s.from).collect();
    // 01:30 does not exist on the 29th; 02:00 summer time is the first that does.
    assert_eq!(from, [utc("2026-03-29T01:00:00Z"), utc("2026-03-30T00:30:00Z")]);
    let s = shifts(&r, &england(), utc("2026-10-24T12:00:00Z"), utc("2026-10-26T12:00:00Z"));
    let from: Vec<_> = s.iter().skip(1).map(|s| s.from).collect();
    // 01:30 happens twice on the 25th; the earlier hands over, the later changes nothing.
    assert_eq!(from, [utc("2026-10-25T00:30:00Z"), utc("2026-10-26T01:30:00Z")]);
    assert_eq!(names(&r, "2026-10-25T01:15:00Z")[0], names(&r, "2026-10-25T00:45:00Z")[0]);
}

#[test]
fn windows() {
    let c = england();
    let office = Window::office_hours(clock("09:00"), clock("17:00"));
    let out = Window::out_of_hours(clock("09:00"), clock("17:00"));
    let night =
        Window { from: Some(clock("22:00")), to: Some(clock("07:00")), ..Window::default() };
    let weekend = Window {
        weekdays: vec![chrono::Weekday::Sat, chrono::Weekday::Sun],
        from: Some(clock("09:00")),
        to: Some(clock("09:00")),
        ..Window::default()
    };
    let holiday = Window { bank_holidays: BankHolidays::Only, ..Window::default() };
    for (at, is_office, is_night, is_weekend, is_holiday) in [
        ("2026-11-27T09:00:00Z", true, false, false, false), // a Friday
        ("2026-11-27T16:59:59Z", true, false, false, false),
        ("2026-11-27T17:00:00Z", false, false, false, false),
        ("2026-11-27T22:00:00Z", false, true, false, false),
        ("2026-11-28T06:59:59Z", false, true, false, false),
        ("2026-11-28T09:00:00Z", false, false, true, false),
        ("2026-11-30T08:59:59Z", false, false, true, false), // Monday: Sunday's window ends
        ("2026-11-30T09:00:00Z", true, false, false, false),
        ("2026-12-25T10:00:00Z", false, false, false, true), // a Friday
        ("2026-12-25T23:59:59Z", false, true, false, true),
        ("2026-12-26T00:00:00Z", false, true, false, false),
        ("2026-07-01T08:00:00Z", true, false, false, false), // 09:00 in summer
    ] {
        let at = utc(at);
        assert_eq!(office.holds(&c, at), is_office, "office {at}");
        assert_eq!(out.holds(&c, at), !is_office, "out of hours {at}");
        assert_eq!(night.holds(&c, at), is_night, "night {at}");
        assert_eq!(weekend.holds(&c, at), is_weekend, "weekend {at}");
        assert_eq!(holiday.holds(&c, at), is_holiday, "bank holiday {at}");
        assert!(Window::default().holds(&c, at));
    }
    // Office hours and the rest make one cover without a gap, and say so by the hour.
    let day = Rotation { only: office, ..rotation("day", "2026-11-02", "09:00", 7, &["ada"]) };
    let rest = Rotation { only: out, ..rotation("rest", "2026-11-02", "09:00", 7, &["bert"]) };
    let mut r = rota(vec![day, rest]);
    let s = shifts(&r, &c, utc("2026-12-24T12:00:00Z"), utc("2026-12-30T00:00:00Z"));
    let s: Vec<_> = s.iter().map(|s| (s.person.as_deref().unwrap(), s.from)).collect();
    // Christmas on a Friday, Boxing Day moved to Monday: the next office hours are on Tuesday.
    assert_eq!(
        s,
        [
            ("ada", utc("2026-12-24T12:00:00Z")),
            ("bert", utc("2026-12-24T17:00:00Z")),
            ("ada", utc("2026-12-29T09:00:00Z")),
            ("bert", utc("2026-12-29T17:00:00Z")),
        ]
    );
    r.rotations.pop();
    let s = shifts(&r, &c, utc("2026-11-27T16:00:00Z"), utc("2026-11-27T18:00:00Z"));
    assert_eq!(s[1].person, None, "a gap is a shift of nobody");
    assert!(on_duty(&r, &c, utc("2026-11-27T17:30:00Z")).is_empty());
}

#[test]
fn problems_are_said_one_by_one() {
    let known: BTreeSet<String> = ["ada", "bert"].map(str::to_owned).into();
    let found = |r: &Rota| -> Vec<(String, &'static str)> {
        let p: Vec<RotaProblem> = problems(r, &england(), &known);
        assert!(p.iter().all(|p| p.message.ends_with('.') && p.message.len() > 15));
        p.into_iter().map(|p| (p.place, p.code)).collect()
    };
    let at = |place: &str, code| (place.to_owned(), code);
    let good = rotation("a", "2026-11-02", "09:00", 7, &["ada", "bert"]);
    assert!(found(&rota(vec![good.clone()])).is_empty());
    assert_eq!(found(&Rota::default()), [at("rota", "no_id"), at("rota", "empty")]);

    // Same rank, both always: overlap. Another rank, other hours or other dates: none.
    let b = Rotation { id: "b".to_owned(), ..good.clone() };
    assert_eq!(found(&rota(vec![good.clone(), b.clone()])), [at("rotations[1]", "overlap")]);
    assert!(found(&rota(vec![good.clone(), Rotation { rank: 1, ..b.clone() }])).is_empty());
    let later = Rotation { starts: "2026-12-07".parse().unwrap(), ..b.clone() };
    let ending = Rotation { until: Some("2026-12-07".parse().unwrap()), ..good.clone() };
    assert!(found(&rota(vec![ending.clone(), later.clone()])).is_empty());
    let early = Rotation { handover: clock("08:00"), ..later };
    assert_eq!(found(&rota(vec![ending, early])), [at("rotations[1]", "overlap")]);
    let hours = |r: &Rotation, from: &str, to: &str| Rotation {
        only: Window { from: Some(clock(from)), to: Some(clock(to)), ..Window::default() },
        ..r.clone()
    };
    let day = hours(&good, "08:00", "20:00");
    assert!(found(&rota(vec![day.clone(), hours(&b, "20:00", "08:00")])).is_empty());
    assert_eq!(
        found(&rota(vec![day, hours(&b, "20:00", "08:01")])),
        [at("rotations[1]", "overlap")]
    );

    let bad = |change: fn(&mut Rotation)| {
        let mut r = good.clone();
        change(&mut r);
        found(&rota(vec![r]))
    };
    assert_eq!(bad(|r| r.people.clear()), [at("rotations[0]", "empty")]);
    assert_eq!(bad(|r| r.every_days = 0), [at("rotations[0]", "every_days")]);
    assert_eq!(bad(|r| r.every_days = 57), [at("rotations[0]", "every_days")]);
    assert!(bad(|r| r.every_days = 56).is_empty());
    assert_eq!(bad(|r| r.until = Some(r.starts)), [at("rotations[0]", "ends_before_start")]);
    assert_eq!(bad(|r| r.people.push("zed".into())), [at("rotations[0]", "unknown_person")]);
    assert_eq!(bad(|r| r.only.outside = true), [at("rotations[0]", "never")]);
    assert_eq!(bad(|r| r.id.clear()), [at("rotations[0]", "no_id")]);
    let twin = Rotation { rank: 1, ..good.clone() };
    assert_eq!(found(&rota(vec![good.clone(), twin])), [at("rotations[1]", "duplicate_id")]);

    let covered = |from, to, person| {
        found(&Rota { covers: vec![cover(from, to, person)], ..rota(vec![good.clone()]) })
    };
    assert!(covered("2026-11-10 00:00", "2026-11-11 00:00", "ada").is_empty());
    assert_eq!(
        covered("2026-11-11 00:00", "2026-11-10 00:00", "ada"),
        [at("covers[0]", "ends_before_start")]
    );
    assert_eq!(
        covered("2026-11-10 00:00", "2026-11-10 00:00", "zed"),
        [at("covers[0]", "no_length"), at("covers[0]", "unknown_person")]
    );
    // Both times fall into the hour that does not happen.
    assert_eq!(
        covered("2026-03-29 01:10", "2026-03-29 01:50", "ada"),
        [at("covers[0]", "no_length")]
    );
    assert_eq!(
        covered("2026-11-10 00:00", "2028-11-10 00:00", "ada"),
        [at("covers[0]", "endless")]
    );
}

#[test]
fn a_rota_without_sense_still_answers() {
    let mut r = rota(vec![rotation("a", "2026-11-02", "09:00", 0, &["ada", "bert"])]);
    r.rotations.push(Rotation {
        rank: 2,
        starts: NaiveDate::MIN,
        until: Some(NaiveDate::MAX),
        ..rotation("b", "2026-11-02", "23:59:59", u32::MAX, &["cleo", "dora"])
    });
    r.rotations.push(Rotation { rank: 1, ..rotation("c", "2026-11-02", "09:00", 7, &[]) });
    r.covers.push(Cover {
        from: NaiveDateTime::MAX,
        to: NaiveDateTime::MIN,
        ..cover("2026-11-02 00:00", "2026-11-02 00:00", "eve")
    });
    assert_eq!(names(&r, "2026-11-10T03:00:00Z"), ["bert", "ada", "cleo", "dora"]);
    assert!(problems(&r, &england(), &BTreeSet::new()).len() >= 6);
    let long = shifts(&r, &england(), utc("2026-11-02T09:00:00Z"), utc("9000-01-01T00:00:00Z"));
    assert!(long.len() < 1200, "an endless range is cut");
}

#[test]
fn swaps_refuse_what_is_not_two_shifts() {
    let r = rota(vec![rotation("a", "2026-11-02", "09:00", 1, &["ada", "bert", "cleo"])]);
    let span = |from, to| (local(from), local(to));
    let a = span("2026-11-10 09:00", "2026-11-11 09:00");
    let b = span("2026-11-11 09:00", "2026-11-12 09:00");
    let ok = swap(&r, &england(), a, b).unwrap();
    assert!(ok.len() == 2 && ok.iter().all(|c| c.kind == CoverKind::Swap));
    let err = |a, b| swap(&r, &england(), a, b).unwrap_err();
    assert_eq!(err((a.1, a.0), b), SwapError::EndsBeforeStart((a.1, a.0)));
    assert_eq!(err(a, (a.0, b.1)), SwapError::NotOneShift((a.0, b.1)));
    let inside = span("2026-11-10 12:00", "2026-11-10 13:00");
    assert_eq!(err(a, inside), SwapError::Overlap);
    let next = span("2026-11-13 09:00", "2026-11-14 09:00");
    assert!(matches!(err(a, next), SwapError::SamePerson(_)));
    let before = span("2026-11-01 09:00", "2026-11-02 10:00");
    assert_eq!(err(before, b), SwapError::Nobody(before));
    let years = span("2026-11-10 09:00", "2036-11-11 09:00");
    assert_eq!(err(years, b), SwapError::TooLong(years));
}

#[test]
fn rotas_are_read_with_what_may_be_left_out_and_nothing_unknown() {
    let text = serde_json::json!({
        "id": "r", "name": "Doctors",
        "rotations": [{ "id": "a", "starts": "2026-11-02", "handover": "09:00:00", "every_days": 7,
            "people": ["ada"], "only": { "weekdays": ["Mon"], "bank_holidays": "excluded" } }],
        "covers": [{ "from": "2026-11-10T00:00:00", "to": "2026-11-11T00:00:00", "person": "ada", "kind": "swap" }],
    });
    let r: Rota = serde_json::from_value(text.clone()).unwrap();
    assert_eq!(r.covers[0].kind, CoverKind::Swap);
    assert_eq!(r.rotations[0].only.bank_holidays, BankHolidays::Excluded);
    let again: Rota = serde_json::from_value(serde_json::to_value(&r).unwrap()).unwrap();
    assert_eq!(again, r);
    let mut wrong = text;
    wrong["rotations"][0]["peple"] = serde_json::json!([]);
    assert!(serde_json::from_value::<Rota>(wrong).is_err());
}

// Laws. Ranges run from January 2026 to December 2027, so all four clock changes are inside.

const FIRST: &str = "2026-01-05";

fn instants() -> impl Strategy<Value = DateTime<Utc>> {
    // A third of them around the clock changes, where minutes matter.
    let change = prop::sample::select(vec![
        "2026-03-29T01:00:00Z",
        "2026-10-25T01:00:00Z",
        "2027-03-28T01:00:00Z",
        "2027-10-31T01:00:00Z",
    ]);
    prop_oneof![
        2 => (0i64..720 * 1440).prop_map(|m| utc("2026-01-06T00:00:00Z") + Duration::minutes(m)),
        1 => (change, -300i64..300).prop_map(|(t, m)| utc(t) + Duration::minutes(m)),
    ]
}

fn clocks() -> impl Strategy<Value = NaiveTime> {
    // Often within the hour that is missing or double.
    prop_oneof![0u32..1440, 55u32..125]
        .prop_map(|m| NaiveTime::from_hms_opt(m / 60, m % 60, 0).unwrap())
}

fn people() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[a-f]", 1..6)
}

fn windows_of_any_kind() -> impl Strategy<Value = Window> {
    let holidays = prop::sample::select(vec![
        BankHolidays::Included,
        BankHolidays::Excluded,
        BankHolidays::Only,
    ]);
    let days = prop::sample::subsequence(
        (0..7u8).map(|d| chrono::Weekday::try_from(d).unwrap()).collect::<Vec<_>>(),
        0..7,
    );
    let time = || prop::option::of(clocks());
    (days, time(), time(), holidays, any::<bool>()).prop_map(
        |(weekdays, from, to, bank_holidays, outside)| Window {
            weekdays,
            from,
            to,
            bank_holidays,
            outside,
        },
    )
}

fn always() -> impl Strategy<Value = Rotation> {
    (clocks(), 1u32..=56, people()).prop_map(|(handover, every_days, people)| Rotation {
        id: "always".to_owned(),
        rank: 1,
        starts: FIRST.parse().unwrap(),
        until: None,
        handover,
        every_days,
        people,
        only: Window::default(),
    })
}

/// Three to six different people, turns of a few days: neighbours are never the same person.
fn turns_of_several() -> impl Strategy<Value = Rotation> {
    let people = prop::sample::subsequence(vec!["a", "b", "c", "d", "e", "f"], 3..=6);
    (always(), 1u32..=9, people.prop_shuffle()).prop_map(|(r, every_days, people)| Rotation {
        every_days,
        people: people.into_iter().map(str::to_owned).collect(),
        ..r
    })
}

fn any_rotation() -> impl Strategy<Value = Rotation> {
    (always(), windows_of_any_kind(), 0u8..3, 0u64..600, prop::option::of(1u64..400)).prop_map(
        |(r, only, rank, starts, lasts)| {
            let starts = r.starts + Days::new(starts);
            let until = lasts.map(|n| starts + Days::new(n));
            Rotation { id: format!("w{rank}"), rank, only, starts, until, ..r }
        },
    )
}

fn any_cover() -> impl Strategy<Value = Cover> {
    (instants(), 1i64..20_000, "[a-h]").prop_map(|(at, minutes, person)| {
        let from = civil_time::local(at);
        let to = from + Duration::minutes(minutes);
        Cover { from, to, person, kind: CoverKind::Cover, note: String::new() }
    })
}

fn any_rota() -> impl Strategy<Value = Rota> {
    let some = prop::collection::vec(any_rotation(), 0..4);
    (some, prop::option::of(always()), prop::collection::vec(any_cover(), 0..5)).prop_map(
        |(mut rotations, always, covers)| {
            rotations.extend(always);
            Rota { covers, ..rota(rotations) }
        },
    )
}

fn primary(rota: &Rota, at: DateTime<Utc>) -> Option<String> {
    on_duty(rota, &england(), at).into_iter().next().map(|d| d.person)
}

fn at_in(shifts: &[Shift], at: DateTime<Utc>) -> &Shift {
    let mut holding = shifts.iter().filter(|s| s.from <= at && at < s.to);
    let one = holding.next().expect("no shift at an instant of the range");
    assert!(holding.next().is_none(), "two shifts at once");
    one
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn with_a_rotation_that_always_holds_somebody_is_on(
        mut r in any_rota(), last in always(), at in instants(),
    ) {
        r.rotations.push(last);
        let list = on_duty(&r, &england(), at);
        prop_assert!(!list.is_empty());
        let once: BTreeSet<_> = list.iter().map(|d| &d.person).collect();
        prop_assert_eq!(once.len(), list.len(), "no person twice");
        prop_assert!(list.iter().all(|d| d.until.is_none_or(|u| u > at)));
    }

    #[test]
    fn shifts_tile_the_range_and_agree_with_who_is_on(
        r in any_rota(), from in instants(), days in 1i64..250, inside in prop::collection::vec(0.0f64..1.0, 6),
    ) {
        let to = from + Duration::days(days);
        let all = shifts(&r, &england(), from, to);
        prop_assert_eq!(all[0].from, from);
        prop_assert_eq!(all[all.len() - 1].to, to);
        for pair in all.windows(2) {
            prop_assert_eq!(pair[0].to, pair[1].from);
            prop_assert_ne!(&pair[0].person, &pair[1].person, "shifts are the longest");
        }
        prop_assert!(all.iter().all(|s| s.from < s.to));
        let minutes = Duration::minutes(1);
        let edges = all.iter().flat_map(|s| [s.from, s.to - minutes]).take(40);
        let picks = inside.iter().map(|f| from + Duration::seconds((f * (days * 86_400) as f64) as i64));
        for at in edges.chain(picks).filter(|at| *at >= from && *at < to) {
            let shift = at_in(&all, at);
            prop_assert_eq!(&primary(&r, at), &shift.person);
            if let Some(duty) = on_duty(&r, &england(), at).first() {
                match duty.until {
                    Some(until) if until <= to => prop_assert_eq!(until, shift.to),
                    Some(_) => prop_assert_eq!(shift.to, to),
                    None => prop_assert!(shift.to == to || shift.to >= at + Duration::days(63)),
                }
            }
        }
    }

    #[test]
    fn shifts_are_the_same_from_wherever_they_are_made(
        r in any_rota(), from in instants(), skip in 1i64..60, days in 61i64..200,
    ) {
        let (later, to) = (from + Duration::days(skip), from + Duration::days(days));
        let all = shifts(&r, &england(), from, to);
        let tail = shifts(&r, &england(), later, to);
        let cut: Vec<_> = all
            .into_iter()
            .filter(|s| s.to > later)
            .map(|s| Shift { from: s.from.max(later), ..s })
            .collect();
        prop_assert_eq!(tail, cut);
    }

    #[test]
    fn handovers_are_at_the_same_local_time_on_both_sides_of_a_change(
        r in always(), from in instants(), days in 60i64..300,
    ) {
        let handover = r.handover;
        let r = rota(vec![r]);
        let all = shifts(&r, &england(), from, from + Duration::days(days));
        for s in all.iter().skip(1) {
            let at = civil_time::local(s.from);
            let missing = civil_time::earliest(at.date().and_time(handover)) == s.from
                && at.time() == clock("02:00") && handover.hour() == 1;
            prop_assert!(at.time() == handover || missing, "{at} instead of {handover}");
        }
    }

    #[test]
    fn a_cover_wins_inside_and_only_inside(mut r in any_rota(), c in any_cover(), at in instants(), off in -20_000i64..40_000) {
        let before = r.clone();
        let (from, to) = (civil_time::earliest(c.from), civil_time::earliest(c.to));
        r.covers.push(Cover { person: "zoe".to_owned(), ..c });
        let minute = Duration::minutes(1);
        for at in [at, from + Duration::minutes(off), from - minute, from, to - minute, to] {
            let inside = from <= at && at < to;
            if inside {
                prop_assert_eq!(primary(&r, at), Some("zoe".to_owned()));
            } else {
                prop_assert_eq!(primary(&r, at), primary(&before, at));
            }
        }
    }

    #[test]
    fn a_swap_exchanges_two_people_and_done_twice_nothing(
        r in turns_of_several(), from in instants(), first in 1usize..6, apart in 1usize..=2, at in prop::collection::vec(0i64..90 * 1440, 12),
    ) {
        let mut r = rota(vec![r]);
        let all = shifts(&r, &england(), from, from + Duration::days(90));
        let (a, b) = (first, first + apart);
        let (a, b) = (all[a].clone(), all[b].clone());
        let span = |s: &Shift| (civil_time::local(s.from), civil_time::local(s.to));
        let original = r.clone();
        r.covers.extend(swap(&r, &england(), span(&a), span(&b)).unwrap());
        prop_assert_eq!(primary(&r, a.from), b.person.clone());
        prop_assert_eq!(primary(&r, b.from), a.person.clone());
        r.covers.extend(swap(&r, &england(), span(&a), span(&b)).unwrap());
        let who = |r: &Rota, at| -> Vec<String> {
            on_duty(r, &england(), at).into_iter().map(|d| d.person).collect()
        };
        for at in at.into_iter().map(|m| from + Duration::minutes(m)).chain([a.from, b.from]) {
            prop_assert_eq!(who(&r, at), who(&original, at));
        }
    }
}
