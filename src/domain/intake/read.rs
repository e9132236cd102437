//! The notification body, field by field, and the rules across fields.

use super::Accepted;
use super::reader::{Notes, Object, Problem, clean};
use crate::domain::facts::{
    Address, Answer, Child, Contact, Death, Detention, EventKind, Facts, HouseholdMember,
    JarAnswers, NoNhsNumber, Place, PlaceType, Professional, Sex, Termination, YesNo,
};
use crate::domain::{age, civil_time, nhs_number::NhsNumber, postcode};
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;

/// NHS ethnic category codes (list `ethnicity`, data dictionary 16+1 with not known).
pub const ETHNICITIES: &[&str] =
    &["A", "B", "C", "D", "E", "F", "G", "H", "J", "K", "L", "M", "N", "P", "R", "S", "Z", "99"];

/// What a body must hold to be usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A notification: something to go by, and a way to call back.
    CallBack,
    /// A notification taken page by page: a way to call back. Whoever rings back asks the rest.
    OnlyCallBack,
    /// A question or an amendment: nothing at all.
    Nothing,
}

/// Reads a body at the instant `now`.
///
/// # Errors
/// Every field that makes the body unusable: a wrong type, a word outside its list, a date that
/// does not exist or lies ahead, death before birth, a local time that the clocks skipped, or
/// (for [`Need::CallBack`]) nothing to go by and no way to call back.
pub fn read(body: Value, need: Need, now: DateTime<Utc>) -> Result<Accepted, Vec<Problem>> {
    let mut notes = Notes::default();
    if !body.is_object() && !body.is_null() {
        notes.problem("body", "wrong_type", "must be an object");
        return Err(notes.problems);
    }
    let mut facts = read_fields(body, &mut notes);
    facts.normalise();
    check_dates(&facts, civil_time::date_of(now), now, &mut notes);
    check_identity(&facts, &mut notes);
    if need == Need::CallBack {
        check_identified(&facts, &mut notes);
    }
    if need != Need::Nothing {
        check_call_back(&facts, &mut notes);
    }
    if !notes.problems.is_empty() {
        return Err(notes.problems);
    }
    facts.not_known = notes.not_known;
    facts.unrecognised = notes.unrecognised;
    Ok(Accepted { facts, warnings: notes.warnings })
}

/// The rules across fields, for facts put together from several bodies: what makes them
/// impossible, and what should be looked at.
///
/// # Errors
/// A death before birth, a date ahead, a local time that the clocks skipped.
pub fn review(facts: &Facts, now: DateTime<Utc>) -> Result<Vec<super::Warning>, Vec<Problem>> {
    let mut notes = Notes::default();
    check_dates(facts, civil_time::date_of(now), now, &mut notes);
    check_identity(facts, &mut notes);
    if notes.problems.is_empty() { Ok(notes.warnings) } else { Err(notes.problems) }
}

fn read_fields(body: Value, notes: &mut Notes) -> Facts {
    let mut root = Object::new("", Some(body), notes);
    let facts = Facts {
        event: root.choice("event", EventKind::WORDS, EventKind::parse),
        child: child(root.object("child")),
        death: death(root.object("death")),
        jar_answers: jar_answers(root.object("jar_answers")),
        notifier: contact(root.object("notifier")),
        household: root.list("household", |path, v, notes| {
            let mut o = Object::new(path, Some(v), notes);
            let member = HouseholdMember {
                relationship: o.text("relationship"),
                name: o.text("name"),
                age_or_date_of_birth: o.text("age_or_date_of_birth"),
            };
            o.finish();
            (member != HouseholdMember::default()).then_some(member)
        }),
        professionals: root.list("professionals", |path, v, notes| {
            let mut o = Object::new(path, Some(v), notes);
            let professional = Professional {
                agency: o.text("agency"),
                name: o.text("name"),
                role: o.text("role"),
                telephone: o.text("telephone"),
                email: o.text("email"),
            };
            o.finish();
            (professional != Professional::default()).then_some(professional)
        }),
        informed_already: root.list("informed_already", clean),
        ..Facts::default()
    };
    root.finish();
    facts
}

fn child(mut o: Object<'_>) -> Child {
    let child = Child {
        given_names: o.text("given_names"),
        family_name: o.text("family_name"),
        also_known_as: o.texts("also_known_as"),
        nhs_number: o.text("nhs_number"),
        no_nhs_number_reason: o.choice(
            "no_nhs_number_reason",
            NoNhsNumber::WORDS,
            NoNhsNumber::parse,
        ),
        date_of_birth: o.date("date_of_birth"),
        age_description: o.text("age_description"),
        sex: o.choice("sex", Sex::WORDS, Sex::parse),
        ethnicity: o.choice("ethnicity", ETHNICITIES, |w| {
            let w = w.to_ascii_uppercase();
            ETHNICITIES.contains(&w.as_str()).then_some(w)
        }),
        gestation_weeks: o.integer("gestation_weeks"),
        live_born: o.choice("live_born", YesNo::WORDS, YesNo::parse),
        termination: o.choice("termination", Termination::WORDS, Termination::parse),
        address: {
            let mut a = o.object("address");
            let address = Address { lines: a.texts("lines"), postcode: a.text("postcode") };
            a.finish();
            address
        },
    };
    o.finish();
    child
}

fn place(mut o: Object<'_>) -> Place {
    let place = Place {
        kind: o.choice("type", PlaceType::WORDS, PlaceType::parse),
        name: o.text("name"),
        postcode: o.text("postcode"),
    };
    o.finish();
    place
}

fn death(mut o: Object<'_>) -> Death {
    let death = Death {
        date: o.date("date"),
        time: o.time("time"),
        pronounced_at: o.text("pronounced_at"),
        place: place(o.object("place")),
        event_place: place(o.object("event_place")),
        circumstances: o.text("circumstances"),
        expected: o.choice("expected", YesNo::WORDS, YesNo::parse),
        detention: o.choice("detention", Detention::WORDS, Detention::parse),
        healthcare_professional_at_birth: o.choice(
            "healthcare_professional_at_birth",
            YesNo::WORDS,
            YesNo::parse,
        ),
    };
    o.finish();
    death
}

fn jar_answers(mut o: Object<'_>) -> JarAnswers {
    const YES_NO: &[&str] = &["yes", "no"];
    let definite = |w: &str| Answer::parse(w).filter(|a| *a != Answer::Possible);
    let answers = JarAnswers {
        external_cause: o.choice("external_cause", Answer::WORDS, Answer::parse),
        sudden_no_apparent_cause: o.choice("sudden_no_apparent_cause", YES_NO, definite),
        custody_or_detention: o.choice("custody_or_detention", YES_NO, definite),
        suspicion_not_natural: o.choice("suspicion_not_natural", Answer::WORDS, Answer::parse),
        unattended_stillbirth: o.choice("unattended_stillbirth", YES_NO, definite),
    };
    o.finish();
    answers
}

fn contact(mut o: Object<'_>) -> Contact {
    let contact = Contact {
        name: o.text("name"),
        role: o.text("role"),
        organisation: o.text("organisation"),
        telephone: o.text("telephone"),
        email: o.text("email"),
    };
    o.finish();
    contact
}

fn check_identified(facts: &Facts, notes: &mut Notes) {
    if !facts.identifies_something() {
        notes.problem(
            "child",
            "nothing_to_go_by",
            "give anything that identifies the child (a name, a birth date, an NHS number) or an address or place",
        );
    }
}

fn check_call_back(facts: &Facts, notes: &mut Notes) {
    if !facts.can_call_back() {
        notes.problem(
            "notifier.telephone",
            "no_call_back",
            "give a telephone number or an e-mail address (notifier.email) so that you can be called back",
        );
    }
}

fn check_dates(facts: &Facts, today: NaiveDate, now: DateTime<Utc>, notes: &mut Notes) {
    let (born, died) = (facts.child.date_of_birth, facts.death.date);
    if born.is_some_and(|d| d > today) {
        notes.problem("child.date_of_birth", "in_the_future", "is in the future");
    }
    if died.is_some_and(|d| d > today) {
        notes.problem("death.date", "in_the_future", "is in the future");
    }
    if let (Some(b), Some(d)) = (born, died)
        && d < b
    {
        notes.problem("death.date", "before_birth", "is before the date of birth");
    }
    check_time(facts, now, notes);
    if let Some(a) = facts.age()
        && (18..=125).contains(&a.years)
    {
        notes.warn(
            "child.date_of_birth",
            "aged_18_or_over",
            "makes the person 18 or over at death, which is outside child death review; check the year",
        );
    }
    if let Some(b) = born
        && age::at(b, today).is_some_and(|a| a.years > 125)
    {
        notes.warn("child.date_of_birth", "unlikely_age", "is more than 125 years ago; check it");
    }
    if let Some(w) = facts.child.gestation_weeks
        && !(16..=45).contains(&w)
    {
        notes.warn("child.gestation_weeks", "unlikely_gestation", "is unlikely; check it");
    }
}

fn check_time(facts: &Facts, now: DateTime<Utc>, notes: &mut Notes) {
    let (Some(date), Some(time)) = (facts.death.date, facts.death.time) else { return };
    match civil_time::read(date, time) {
        civil_time::Reading::Exact(at) if at > now + chrono::Duration::minutes(10) => notes.warn(
            "death.time",
            "in_the_future",
            "is later than now; check the date and time",
        ),
        civil_time::Reading::Exact(_) => {}
        civil_time::Reading::Twice { .. } => notes.warn(
            "death.time",
            "ambiguous_local_time",
            format!(
                "happened twice in the night of {} because the clocks went back; the earlier one was taken",
                date.format("%-d %B %Y")
            ),
        ),
        civil_time::Reading::Never { last_before, first_after } => notes.problem(
            "death.time",
            "no_such_local_time",
            format!(
                "did not exist in the night of {}: the clocks went forward. Did you mean {} or {}?",
                date.format("%-d %B %Y"),
                last_before.format("%H:%M"),
                first_after.format("%H:%M")
            ),
        ),
    }
}

fn check_identity(facts: &Facts, notes: &mut Notes) {
    let c = &facts.child;
    if let Some(Err(e)) = c.nhs_number.as_deref().map(NhsNumber::parse) {
        notes.warn("child.nhs_number", "nhs_number_check", format!("{e}; it was kept as given"));
    }
    if c.nhs_number.is_some() && c.no_nhs_number_reason.is_some() {
        notes.warn(
            "child.no_nhs_number_reason",
            "contradiction",
            "a reason for having no NHS number was given beside a number",
        );
    }
    let postcodes = [
        ("child.address.postcode", &c.address.postcode),
        ("death.place.postcode", &facts.death.place.postcode),
        ("death.event_place.postcode", &facts.death.event_place.postcode),
    ];
    for (path, given) in postcodes {
        if given.as_deref().is_some_and(|p| postcode::normalise(p).is_none()) {
            notes.warn(path, "unusual_postcode", "is not shaped like a UK postcode; it was kept");
        }
    }
    if facts.event == Some(EventKind::Stillbirth) && c.live_born == Some(YesNo::Yes) {
        notes.warn(
            "child.live_born",
            "contradiction",
            "says born alive, the event says stillbirth; the case is handled as a live birth until that is settled",
        );
    }
    if facts.event != Some(EventKind::Stillbirth) && c.live_born == Some(YesNo::No) {
        notes.warn(
            "child.live_born",
            "contradiction",
            "says not born alive, but the event is not a stillbirth",
        );
    }
}
