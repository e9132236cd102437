//! The pages of the core path and of what may follow it, and which fields each asks for.

use crate::domain::facts::{EventKind, Facts, words};

words!(
    /// One page of the core path, in the usual order.
    Page {
        What = "what",
        Who = "who",
        When = "when",
        Where = "where",
        Sudden = "sudden",
        Cause = "cause",
        Care = "care",
        Caller = "caller",
        Check = "check",
    }
);
words!(
    /// One part of the rest of the statutory form.
    Section {
        Child = "child",
        Home = "home",
        Family = "family",
        Death = "death",
        Professionals = "professionals",
        Other = "other",
    }
);

/// Rows of a list that a page has room for.
const ROWS: usize = 4;

impl Page {
    /// Shown to people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::What => "What happened?",
            Self::Who => "Who is it?",
            Self::When => "When did it happen?",
            Self::Where => "Where did it happen?",
            Self::Sudden => "Was it sudden?",
            Self::Cause => "What could have caused it?",
            Self::Care => "Custody and birth",
            Self::Caller => "How do we reach you?",
            Self::Check => "Check your answers",
        }
    }

    /// The fields it asks for; dates as three boxes.
    #[must_use]
    pub fn fields(self) -> &'static [&'static str] {
        match self {
            Self::What => &["event"],
            Self::Who => &[
                "child.given_names",
                "child.family_name",
                "child.nhs_number",
                "child.date_of_birth-day",
                "child.date_of_birth-month",
                "child.date_of_birth-year",
                "child.age_description",
                "child.sex",
            ],
            Self::When => &[
                "death.date-is",
                "death.date-day",
                "death.date-month",
                "death.date-year",
                "death.time",
            ],
            Self::Where => &[
                "death.place.type",
                "death.place.name",
                "death.event_place.type",
                "death.event_place.name",
            ],
            Self::Sudden => &["jar_answers.sudden_no_apparent_cause", "death.expected"],
            Self::Cause => &["jar_answers.external_cause", "jar_answers.suspicion_not_natural"],
            Self::Care => {
                &["jar_answers.custody_or_detention", "jar_answers.unattended_stillbirth"]
            }
            Self::Caller => &[
                "notifier.name",
                "notifier.role",
                "notifier.organisation",
                "notifier.telephone",
                "notifier.email",
            ],
            Self::Check => &[],
        }
    }

    /// The page that asks for a field of the notification body.
    #[must_use]
    pub fn asking(path: &str) -> Option<Self> {
        const ALL: [Page; 8] = [
            Page::What,
            Page::Who,
            Page::When,
            Page::Where,
            Page::Sudden,
            Page::Cause,
            Page::Care,
            Page::Caller,
        ];
        let asks = |p: &Page| {
            p.fields().iter().any(|f| f.split('-').next().is_some_and(|name| name == path))
        };
        ALL.into_iter().find(asks)
    }
}

/// The core path for these facts. For a stillbirth the question about the birth comes first: it
/// decides most.
#[must_use]
pub fn order(facts: &Facts) -> [Page; 9] {
    let jar = if facts.event == Some(EventKind::Stillbirth) {
        [Page::Care, Page::Sudden, Page::Cause]
    } else {
        [Page::Sudden, Page::Cause, Page::Care]
    };
    [
        Page::What,
        Page::Who,
        Page::When,
        Page::Where,
        jar[0],
        jar[1],
        jar[2],
        Page::Caller,
        Page::Check,
    ]
}

impl Section {
    /// Every part, in the order of the list.
    pub const ALL: [Self; 6] =
        [Self::Child, Self::Home, Self::Family, Self::Death, Self::Professionals, Self::Other];

    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Child => "The child",
            Self::Home => "Home and school",
            Self::Family => "Family and household",
            Self::Death => "The death",
            Self::Professionals => "Professionals who knew the child",
            Self::Other => "Steps already taken",
        }
    }

    /// The fields it asks for. Those under `further` have no place of their own in the case yet;
    /// they are kept with it as they come.
    #[must_use]
    pub fn fields(self) -> Vec<String> {
        let plain = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let rows = |list: &str, parts: &[&str]| -> Vec<String> {
            (0..ROWS).flat_map(|n| parts.iter().map(move |p| format!("{list}.{n}.{p}"))).collect()
        };
        match self {
            Self::Child => plain(&[
                "child.also_known_as.0",
                "child.no_nhs_number_reason",
                "child.ethnicity",
                "child.live_born",
                "child.gestation_weeks",
                "further.birth_weight_grams",
                "further.disability_or_long_illness",
                "further.known_to_social_care",
            ]),
            Self::Home => plain(&[
                "child.address.lines.0",
                "child.address.lines.1",
                "child.address.lines.2",
                "child.address.postcode",
                "further.other_address",
                "further.school_or_nursery",
            ]),
            Self::Family => {
                let mut all = rows("household", &["relationship", "name", "age_or_date_of_birth"]);
                all.push("further.other_children_at_risk".to_owned());
                all.push("further.key_worker".to_owned());
                all
            }
            Self::Death => plain(&[
                "death.circumstances",
                "death.pronounced_at",
                "death.expected",
                "death.detention",
                "further.suspected_cause",
            ]),
            Self::Professionals => rows("professionals", &["agency", "name", "role", "telephone"]),
            Self::Other => plain(&[
                "informed_already.0",
                "informed_already.1",
                "informed_already.2",
                "further.referred_to_coroner",
                "further.medical_examiner",
                "further.post_mortem",
                "further.certificate_issued",
                "further.other_reviews",
                "further.anything_urgent",
                "further.action_already_taken",
            ]),
        }
    }
}
