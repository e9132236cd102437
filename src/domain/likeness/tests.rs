use super::*;
use crate::domain::facts::{EventKind, Facts, HouseholdMember, Sex};
use proptest::prelude::*;

/// `given|family|nhs|born|died|sex|home|mother|place`, each empty where not known.
fn report(line: &str) -> Facts {
    let mut p = line.split('|').map(|t| Some(t.trim()).filter(|t| !t.is_empty()));
    let mut next = || p.next().flatten().map(str::to_owned);
    let mut f = Facts { event: Some(EventKind::Death), ..Facts::default() };
    f.child.given_names = next();
    f.child.family_name = next();
    f.child.nhs_number = next();
    f.child.date_of_birth = next().map(|d| d.parse().unwrap());
    f.death.date = next().map(|d| d.parse().unwrap());
    f.child.sex = next().and_then(|s| Sex::parse(&s));
    f.child.address.postcode = next();
    if let Some(name) = next() {
        let relationship = Some("mother".to_owned());
        f.household.push(HouseholdMember { relationship, name: Some(name), ..Default::default() });
    }
    f.death.place.name = next();
    f
}

fn judged(a: &Facts, b: &Facts) -> Verdict {
    let (x, y) = (Traits::of(a), Traits::of(b));
    let there = compare(&x, &y);
    assert_eq!(there, compare(&y, &x), "the same from either side");
    there.verdict
}

#[test]
fn realistic_pairs() {
    use Verdict::{Different, Perhaps, Related, Same};
    let whole = "Ottoline|Vexley|999 000 0018|2024-03-01|2026-02-20|female|ZZ97 3QX|Orla Vexley|Marker Infirmary";
    for (a, b, want) in [
        // The ward and the emergency department both ring.
        (whole, whole, Same),
        (whole, "||9990000018|2024-03-01|||||", Same),
        (whole, "Ottoline||9990000018||||||", Same),
        (whole, "Baby|Vexley|9990000018||2026-02-21|||Orla Vexley|", Same),
        (whole, "OTTOLINE BETH|vexley-thrupp|999-000-0018|||female|||", Same),
        ("Ottolíne|Vexley|9990000018|||||||", "Ottoline|Véxley|9990000018|||||||", Same),
        ("Catherine|Vexley|9990000018|||||||", "Katherine|Vexley|9990000018|||||||", Same),
        ("Vexley|Ottoline|9990000018|||||||", "Ottoline|Vexley|9990000018|||||||", Same),
        // Under the mother's surname.
        (whole, "Ottoline|Thrupp|9990000018|2024-03-01|||||", Perhaps),
        (
            "Ottoline|Vexley|9990000018|2024-03-01||||Orla Thrupp|",
            "Ottoline|Thrupp|9990000018|2024-03-01|||||",
            Same,
        ),
        // A number, and nothing that bears it out; a number that something contradicts.
        ("||9990000018||||||", "||9990000018||||||", Perhaps),
        (whole, "||9990000018||||||", Perhaps),
        (whole, "Ottoline|Vexley|9990000018|2024-01-03|2026-02-20||||", Perhaps),
        (whole, "Ottoline|Vexley|9990000018|2024-03-01|2026-03-20||||", Perhaps),
        (whole, "Ottoline|Vexley|9990000018|2024-03-01|2026-02-20|male|||", Perhaps),
        (whole, "Barnaby|Vexley|9990000018|2024-03-01|2026-02-20||||", Perhaps),
        (whole, "Mila|Vexley|9990000018|2024-03-01|||||", Perhaps),
        (
            "Mia|Vexley|9990000018|2024-03-01|||||",
            "Mila|Vexley|9990000018|2024-03-01|||||",
            Perhaps,
        ),
        (
            "Twin 1|Vexley|9990000018|2026-02-20|2026-02-20||||",
            "Twin 2|Vexley|9990000018|2026-02-20|2026-02-20||||",
            Perhaps,
        ),
        (
            "Twin 1|Vexley|9990000018|2026-02-20|2026-02-20||||",
            "Baby|Vexley|9990000018|2026-02-20|2026-02-20||||",
            Perhaps,
        ),
        (
            "Twin 1|Vexley|9990000018|2026-02-20|2026-02-20||||",
            "T1|Vexley|9990000018|2026-02-20|2026-02-20||||",
            Same,
        ),
        (
            "Anne|Vexley|9990000018|2024-03-01|||||",
            "Mary Anne|Vexley|9990000018|2024-03-01|||||",
            Perhaps,
        ),
        // A number that fails its check is no number.
        (
            "Ottoline|Vexley|9990000019|2024-03-01|||||",
            "Ottoline|Vexley|9990000019|2024-03-01|||||",
            Perhaps,
        ),
        // No number on one side.
        (whole, "Ottoline|Vexley||2024-03-01|2026-02-20||||", Perhaps),
        (whole, "Ottoline|Vexley|||||||", Perhaps),
        (whole, "Baby|Vexley||2024-03-01|2026-02-21||||", Perhaps),
        (whole, "Ottolyne|Vexly||2024-03-01|||||", Perhaps),
        (
            "Baby of Orla Vexley|||2026-02-20|2026-02-20||||",
            "Ottoline|Vexley||2026-02-20|2026-02-20||||",
            Perhaps,
        ),
        // Somebody wrote one digit of everything else right.
        (whole, "Ottoline|Vexley|9990000026|2024-03-01|2026-02-20|female|||", Perhaps),
        // Twins, siblings, one incident.
        (
            "Twin 1|Vexley||2026-02-20|2026-02-20|||Orla Vexley|",
            "Twin 2|Vexley||2026-02-20|2026-02-20|||Orla Vexley|",
            Related,
        ),
        (whole, "Barnaby|Vexley||2024-03-01|2026-02-20|male|ZZ97 3QX|Orla Vexley|", Related),
        (whole, "Barnaby|Vexley|9990000026|2024-03-01|2026-02-20|male|ZZ97 3QX||", Related),
        (whole, "Barnaby|Thrupp||2019-07-09|2026-02-20|male|ZZ97 3QX||", Related),
        (
            "Baby|Vexley||2026-02-20|2026-02-20|female||Orla Vexley|",
            "Baby|Vexley||2026-02-20|2026-02-20|male||Orla Vexley|",
            Related,
        ),
        // Two children.
        (
            whole,
            "Barnaby|Thrupp|9990000026|2019-07-09|2026-02-20|male|ZZ1 1ZZ||Marker Infirmary",
            Different,
        ),
        (whole, "Ottoline|Vexley||2011-08-08|2025-01-01||||", Different),
        (whole, "||||2026-02-20||||", Different),
        (whole, "||||||||", Different),
        ("||||||||", "||||||||", Different),
    ] {
        assert_eq!(judged(&report(a), &report(b)), want, "{a} / {b}");
    }
}

#[test]
fn one_name_by_ear_is_a_persons_matter() {
    use Verdict::{Perhaps, Related};
    for (a, b, want) in [
        // One name by ear, and everything else the same: a person looks.
        (
            "Aiden|Vexley||2024-03-01|2026-02-20||ZZ97 3QX||",
            "Aidan|Vexley||2024-03-01|2026-02-20||ZZ97 3QX||",
            Perhaps,
        ),
        (
            "Mohammed|Vexley||2024-03-01|2026-02-20||||",
            "Muhammad|Vexley||2024-03-01|2026-02-20||||",
            Perhaps,
        ),
        (
            "Sophie|Vexley||2024-03-01|2026-02-20||||",
            "Sofie|Vexley||2024-03-01|2026-02-21||||",
            Perhaps,
        ),
        // Twins with names alike, told apart by what else is known.
        (
            "Aiden|Vexley||2024-03-01|2026-02-20|male|ZZ97 3QX||",
            "Aidan|Vexley||2024-03-01|2026-02-20|female|ZZ97 3QX||",
            Related,
        ),
        (
            "Isobel|Vexley||2024-03-01|2026-02-20||ZZ97 3QX||",
            "Isabel|Vexley||2022-07-09|2026-02-20||ZZ97 3QX||",
            Related,
        ),
        (
            "Barnaby|Vexley||2024-03-01|2026-02-20||ZZ97 3QX||",
            "Ottoline|Vexley||2024-03-01|2026-02-20||ZZ97 3QX||",
            Related,
        ),
    ] {
        assert_eq!(judged(&report(a), &report(b)), want, "{a} / {b}");
    }
}

#[test]
fn a_collapse_and_a_death_are_a_persons_matter() {
    let line = "Ottoline|Vexley|9990000018|2024-03-01|2026-02-20||||";
    let (mut a, b) = (report(line), report(line));
    a.event = Some(EventKind::Collapse);
    assert_eq!(judged(&a, &b), Verdict::Perhaps);
}

#[test]
fn one_incident_links_children_of_two_families() {
    let (mut a, mut b) =
        (report("Ottoline|Vexley|||2026-02-20||||"), report("Barnaby|Thrupp|||2026-02-20||||"));
    for f in [&mut a, &mut b] {
        f.death.event_place.postcode = Some("ZZ2 2ZZ".to_owned());
    }
    assert_eq!(judged(&a, &b), Verdict::Related);
}

#[test]
fn reasons_name_no_value() {
    let a = report("Ottoline|Vexley|9990000018|2024-03-01|2026-02-20|female|ZZ97 3QX|Orla Vexley|");
    let l = compare(&Traits::of(&a), &Traits::of(&a));
    let said = l.agrees.concat().to_lowercase();
    for value in ["ottoline", "vexley", "999", "2024", "2026", "zz97", "orla"] {
        assert!(!said.contains(value));
    }
    assert!(l.agrees.contains(&"the NHS number is the same"));
    assert!(l.differs.is_empty());
}

fn piece(values: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(values)
}

prop_compose! {
    fn any_report()(
        given in piece(&["", "Ottoline", "Ottolin", "Barnaby", "Baby", "Twin 1", "Twin 2", "Baby of Orla Vexley", "Vexley"]),
        family in piece(&["", "Vexley", "Vexley-Thrupp", "Thrupp", "Ottoline"]),
        nhs in piece(&["", "9990000018", "9990000026", "9990000019"]),
        born in piece(&["", "2024-03-01", "2024-01-03", "2026-02-20", "2019-07-09"]),
        died in piece(&["", "2026-02-20", "2026-02-21", "2026-02-23", "2025-01-01"]),
        sex in piece(&["", "male", "female", "not_known"]),
        home in piece(&["", "ZZ97 3QX", "ZZ1 1ZZ"]),
        mother in piece(&["", "Orla Vexley", "Orla Thrupp"]),
        place in piece(&["", "Marker Infirmary"]),
    ) -> Vec<&'static str> {
        vec![given, family, nhs, born, died, sex, home, mother, place]
    }
}

fn facts(parts: &[&str]) -> Facts {
    report(&parts.join("|"))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn symmetric_and_never_same_without_an_equal_number(a in any_report(), b in any_report()) {
        let verdict = judged(&facts(&a), &facts(&b));
        let valid = ["9990000018", "9990000026"];
        if verdict == Verdict::Same {
            prop_assert!(a[2] == b[2] && valid.contains(&a[2]));
        }
    }

    #[test]
    fn twins_are_never_the_same(a in any_report(), b in any_report()) {
        let (mut a, mut b) = (a, b);
        (a[0], b[0]) = ("Twin 1", "Twin 2");
        prop_assert_ne!(judged(&facts(&a), &facts(&b)), Verdict::Same);
        (a[0], b[0]) = ("Ottoline", "Barnaby");
        if a[1] != "Barnaby" && b[1] != "Ottoline" {
            prop_assert_ne!(judged(&facts(&a), &facts(&b)), Verdict::Same);
        }
    }

    #[test]
    fn what_is_forgotten_makes_no_two_children_one(
        a in any_report(), b in any_report(), gone in prop::collection::vec(any::<bool>(), 9),
    ) {
        let before = judged(&facts(&a), &facts(&b));
        let mut less = a.clone();
        for (i, _) in gone.iter().enumerate().filter(|(_, g)| **g) {
            less[i] = "";
        }
        let after = judged(&facts(&less), &facts(&b));
        prop_assert!(!(before == Verdict::Different && after == Verdict::Same));
        prop_assert!(!(before == Verdict::Related && after == Verdict::Same));
    }

    #[test]
    fn nothing_known_is_never_the_same(b in any_report()) {
        let nothing = facts(&[""; 9]);
        prop_assert_eq!(judged(&nothing, &facts(&b)), Verdict::Different);
    }

    #[test]
    fn unknown_is_not_read_at_all(a in any_report(), b in any_report()) {
        let (x, mut y) = (facts(&a), facts(&b));
        let before = judged(&x, &y);
        for path in ["child.sex", "child.date_of_birth", "child.nhs_number", "death.date"] {
            y.not_known.insert(path.to_owned());
        }
        prop_assert_eq!(judged(&x, &y), before);
    }

    #[test]
    fn whoever_may_be_the_same_is_found_by_a_key(a in any_report(), b in any_report()) {
        let (x, y) = (facts(&a), facts(&b));
        if judged(&x, &y) >= Verdict::Perhaps {
            let held = |f: &Facts| {
                let t = Traits::of(f);
                let mut keys = t.keys();
                keys.extend(t.nhs.iter().map(|n| ("nhs_number", n.clone())));
                keys
            };
            let wanted = Traits::of(&x).wanted();
            prop_assert!(held(&y).iter().any(|k| wanted.contains(k)));
        }
    }
}
