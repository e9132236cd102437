//! From a case to the answers of the form. "Not known", "not applicable" and "not answered" are
//! three different things here and in every file.

use super::register::{Question, Required, label, register};
use crate::domain::facts::{
    EventKind, Facts, HouseholdMember, NoNhsNumber, Place, PlaceType, Professional, Sex, YesNo,
};
use crate::domain::jar::{Assessment, Decision, Verdict};
use crate::domain::nhs_number::NhsNumber;
use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;

/// What a record is made from.
pub struct Source<'a> {
    pub reference: &'a str,
    /// Number of events of the case: a later record of the same case has a higher one.
    pub sequence: i64,
    pub received_at: DateTime<Utc>,
    pub facts: &'a Facts,
    pub assessment: &'a Assessment,
    /// What stands, which a person may have decided.
    pub standing: Decision,
    pub today: NaiveDate,
}

/// One answer with its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    Answered { value: String, label: Option<&'static str> },
    NotKnown,
    NotApplicable,
    Blank,
}

impl Given {
    #[must_use]
    pub fn state(&self) -> &'static str {
        match self {
            Self::Answered { .. } => "answered",
            Self::NotKnown => "not_known",
            Self::NotApplicable => "not_applicable",
            Self::Blank => "blank",
        }
    }
}

/// Something in a record that the receiver may refuse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Flaw {
    /// Rule of the validation list (V1 ...).
    pub rule: &'static str,
    pub question: String,
    pub message: &'static str,
}

/// The form of one case.
pub struct Record<'a> {
    pub reference: &'a str,
    pub sequence: i64,
    pub answers: Vec<(&'static Question, Given)>,
    pub professionals: &'a [Professional],
    pub family: &'a [HouseholdMember],
    pub flaws: Vec<Flaw>,
}

/// Answers every question of the form.
#[must_use]
pub fn record<'a>(s: &Source<'a>) -> Record<'a> {
    let answers: Vec<_> = register().questions.iter().map(|q| (q, answer(q, s))).collect();
    let flaws = flaws(s, &answers);
    Record {
        reference: s.reference,
        sequence: s.sequence,
        answers,
        professionals: &s.facts.professionals,
        family: &s.facts.household,
        flaws,
    }
}

fn answer(q: &Question, s: &Source<'_>) -> Given {
    let f = s.facts;
    let c = &f.child;
    let infant = f.age().is_none_or(|a| a.years < 1);
    let text = |path: &str, v: Option<&String>| known(f, path, v.cloned());
    match q.id.as_str() {
        "N1.01" => plain(s.reference),
        "N1.02" => plain(&s.received_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)),
        "N1.03" => plain(&crate::domain::civil_time::date_of(s.received_at).to_string()),
        "N2.01" => text("child.family_name", c.family_name.as_ref()),
        "N2.02" => text("child.given_names", c.given_names.as_ref()),
        "N2.03" => list(&c.also_known_as),
        "N2.04" => match &c.nhs_number {
            Some(n) => plain(&NhsNumber::parse(n).map_or_else(|_| n.clone(), |n| n.digits())),
            None if c.no_nhs_number_reason.is_some() => Given::NotApplicable,
            None => known(f, "child.nhs_number", None),
        },
        "N2.05" => match (c.no_nhs_number_reason, &c.nhs_number) {
            (Some(NoNhsNumber::NotResident), _) => coded(q, "NONRES"),
            (Some(NoNhsNumber::NotAvailable), _) => coded(q, "UNAVAIL"),
            (None, Some(_)) => Given::NotApplicable,
            (None, None) => Given::Blank,
        },
        "N2.06" => known(f, "child.date_of_birth", c.date_of_birth.map(|d| d.to_string())),
        "N2.08" => known(f, "death.date", f.death.date.map(|d| d.to_string())),
        "N2.09" => known(f, "death.time", f.death.time.map(|t| t.format("%H:%M").to_string())),
        "N2.10" => match c.sex {
            Some(Sex::Male) => coded(q, "1"),
            Some(Sex::Female) => coded(q, "2"),
            Some(Sex::Indeterminate) => coded(q, "9"),
            Some(Sex::NotKnown) => coded(q, "X"),
            None => known(f, "child.sex", None),
        },
        "N2.12" => match c.ethnicity.as_deref() {
            Some(code) => coded(q, code),
            None => known(f, "child.ethnicity", None),
        },
        "N2.13" => list(&c.address.lines),
        "N2.13p" => text("child.address.postcode", c.address.postcode.as_ref()),
        "N2.16" if !infant => Given::NotApplicable,
        "N2.16" => known(f, "child.gestation_weeks", c.gestation_weeks.map(|w| w.to_string())),
        "N3.01" => place(q, f, "death.place.type", &f.death.place),
        "N3.01n" => text("death.place.name", f.death.place.name.as_ref()),
        "N3.02" => place(q, f, "death.event_place.type", &f.death.event_place),
        "N3.03" => text("death.circumstances", f.death.circumstances.as_ref()),
        "N3.04" => match f.death.expected {
            Some(YesNo::Yes) => coded(q, "EXP"),
            Some(YesNo::No) => coded(q, "UNEXP"),
            None if f.not_known.contains("death.expected") => coded(q, "NK"),
            None => Given::Blank,
        },
        "N3.06" => coded(
            q,
            match s.standing {
                Decision::Triggered => "TRIG",
                Decision::Provisional => "CONS",
                Decision::NotTriggered => "NOT",
            },
        ),
        "N3.07" => criteria(s),
        "N3.08" if s.standing == Decision::NotTriggered => plain(&s.assessment.reason),
        "N3.08" => Given::NotApplicable,
        "N3.11" => stillbirth_at_home(q, f),
        "N7.01n" => text("notifier.name", f.notifier.name.as_ref()),
        "N7.01r" => text("notifier.role", f.notifier.role.as_ref()),
        "N7.01o" => text("notifier.organisation", f.notifier.organisation.as_ref()),
        "N7.01t" => text("notifier.telephone", f.notifier.telephone.as_ref()),
        "N7.01e" => text("notifier.email", f.notifier.email.as_ref()),
        "N7.02" => plain("web form or API"),
        _ => Given::Blank,
    }
}

fn plain(value: &str) -> Given {
    if value.is_empty() {
        return Given::Blank;
    }
    Given::Answered { value: value.to_owned(), label: None }
}

fn coded(q: &Question, code: &str) -> Given {
    let label = q.list.as_deref().and_then(|l| label(l, code));
    Given::Answered { value: code.to_owned(), label }
}

/// A value, or whether "unknown" was said, or nothing.
fn known(f: &Facts, path: &str, value: Option<String>) -> Given {
    match value {
        Some(v) => plain(&v),
        None if f.not_known.contains(path) => Given::NotKnown,
        None => Given::Blank,
    }
}

fn list(values: &[String]) -> Given {
    plain(&values.join("; "))
}

fn criteria(s: &Source<'_>) -> Given {
    if s.standing == Decision::NotTriggered {
        return Given::NotApplicable;
    }
    let met = s.assessment.criteria.iter().filter(|c| c.result == Verdict::Met);
    let codes: Vec<&str> = met.map(|c| c.code.as_str()).filter(|c| c.starts_with('J')).collect();
    if codes.is_empty() { Given::NotKnown } else { plain(&codes.join(";")) }
}

fn stillbirth_at_home(q: &Question, f: &Facts) -> Given {
    if f.age().is_some_and(|a| a.total_days > 0) {
        return Given::NotApplicable;
    }
    match f.event {
        Some(EventKind::Stillbirth) => coded(q, "yes"),
        Some(EventKind::Death) => coded(q, "no"),
        _ => Given::Blank,
    }
}

fn place(q: &Question, f: &Facts, path: &str, p: &Place) -> Given {
    let Some(kind) = p.kind else { return known(f, path, None) };
    coded(q, place_code(kind))
}

/// Contract words to the codes of `place_of_death`, one to one.
#[must_use]
pub fn place_code(kind: PlaceType) -> &'static str {
    match kind {
        PlaceType::EmergencyDepartment => "HOSP_ED",
        PlaceType::HospitalWard => "HOSP_PAED",
        PlaceType::NeonatalUnit => "HOSP_NNU",
        PlaceType::IntensiveCare => "HOSP_ICU",
        PlaceType::LabourWard => "HOSP_LW",
        PlaceType::Theatre => "HOSP_THEATRE",
        PlaceType::OtherHospital => "HOSP_OTH",
        PlaceType::Home => "HOME",
        PlaceType::OtherPrivateResidence => "PRIV",
        PlaceType::FosterHome => "FOSTER",
        PlaceType::ResidentialCare => "RESID",
        PlaceType::PublicPlace => "PUBLIC",
        PlaceType::School => "SCHOOL",
        PlaceType::Hospice => "HOSPICE",
        PlaceType::MentalHealthInpatientUnit => "MH",
        PlaceType::Custody => "CUSTODY",
        PlaceType::InTransit => "TRANSIT",
        PlaceType::Abroad => "ABROAD",
        PlaceType::Other => "OTHER",
        PlaceType::NotKnown => "NK",
    }
}

/// The validation rules that a notification alone can break.
fn flaws(s: &Source<'_>, answers: &[(&'static Question, Given)]) -> Vec<Flaw> {
    let mut out = Vec::new();
    let mut flaw = |rule, question: &str, message| {
        out.push(Flaw { rule, question: question.to_owned(), message });
    };
    let c = &s.facts.child;
    match (&c.nhs_number, c.no_nhs_number_reason) {
        (Some(n), _) if NhsNumber::parse(n).is_err() => {
            flaw("V1", "N2.04", "NHS number fails its check digit");
        }
        (None, None) => flaw("V1", "N2.05", "neither an NHS number nor a reason for having none"),
        _ => {}
    }
    if let (Some(b), Some(d)) = (c.date_of_birth, s.facts.death.date)
        && (d < b || d > s.today)
    {
        flaw("V2", "N2.08", "date of death is before birth or in the future");
    }
    for (q, given) in answers {
        let missing = matches!(given, Given::Blank);
        match q.required {
            Required::M if missing => flaw("V4", &q.id, "needed before the notification is sent"),
            Required::S if missing => flaw("V10", &q.id, "needed before the case is finalised"),
            Required::X if missing && q.id == "N2.16" => {
                flaw("V10", &q.id, "needed for a child under one year");
            }
            _ => {}
        }
    }
    if s.facts.professionals.is_empty() {
        flaw("V4", "N6.01", "at least one professional known to the child");
    }
    let met = s.assessment.criteria.iter().any(|c| c.result == Verdict::Met);
    if s.standing == Decision::NotTriggered && met {
        flaw("V13", "N3.06", "a criterion is met but no response stands");
    }
    out
}
