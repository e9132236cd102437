//! Synthetic notifications with the published shares of England's child deaths (ages, sex, place,
//! ethnicity, share with a Joint Agency Response). The same seed gives the same bodies. Nobody in
//! them exists: invented names, NHS numbers of the 999 range, drama telephone numbers.

use crate::domain::nhs_number::check_digit;
use chrono::{Days, Duration, NaiveDate, NaiveTime};
use fastrand::Rng;
use serde_json::{Value, json};

/// A synthetic death with what the seeder needs beside the body.
#[derive(Clone, Debug)]
pub struct Synthetic {
    pub body: Value,
    pub died_on: NaiveDate,
    pub died_at: NaiveTime,
    /// Category of death (1 to 10) that a review would find.
    pub category: u8,
    /// Days from death to panel review.
    pub review_days: i64,
}

/// Category, age band, weight in per mille. Working values: bands follow the published shares
/// (42 % under 28 days, 19 % 28 to 364 days), categories the usual order of size.
const CELLS: &[(u8, Band, u32)] = &[
    (8, Band::Neonatal, 300),
    (8, Band::Infant, 20),
    (7, Band::Neonatal, 110),
    (7, Band::Infant, 80),
    (7, Band::To4, 30),
    (7, Band::To9, 10),
    (7, Band::To14, 5),
    (7, Band::To17, 5),
    (10, Band::Neonatal, 7),
    (10, Band::Infant, 50),
    (10, Band::To4, 10),
    (10, Band::To17, 3),
    (9, Band::Neonatal, 3),
    (9, Band::Infant, 20),
    (9, Band::To4, 20),
    (9, Band::To9, 8),
    (9, Band::To14, 5),
    (9, Band::To17, 4),
    (6, Band::Infant, 7),
    (6, Band::To4, 10),
    (6, Band::To9, 10),
    (6, Band::To14, 11),
    (6, Band::To17, 12),
    (5, Band::Infant, 10),
    (5, Band::To4, 15),
    (5, Band::To9, 12),
    (5, Band::To14, 12),
    (5, Band::To17, 11),
    (4, Band::Infant, 3),
    (4, Band::To4, 20),
    (4, Band::To9, 25),
    (4, Band::To14, 20),
    (4, Band::To17, 12),
    (3, Band::To4, 10),
    (3, Band::To9, 10),
    (3, Band::To14, 15),
    (3, Band::To17, 25),
    (2, Band::To14, 15),
    (2, Band::To17, 25),
    (1, Band::Infant, 4),
    (1, Band::To4, 6),
    (1, Band::To9, 4),
    (1, Band::To14, 2),
    (1, Band::To17, 4),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Band {
    Neonatal,
    Infant,
    To4,
    To9,
    To14,
    To17,
}

const GIVEN: &[&str] = &[
    "Arvelle",
    "Brindo",
    "Caswin",
    "Delorie",
    "Emrith",
    "Farlow",
    "Gwenza",
    "Hollis-Ray",
    "Ivarra",
    "Jorrick",
    "Kestra",
    "Lumeo",
    "Mirrin",
    "Nolwen",
    "Orsibel",
    "Prylla",
    "Quenby",
    "Rostan",
    "Sennara",
    "Tavric",
    "Umbra",
    "Velmira",
    "Wystan-Lee",
    "Xandrel",
    "Yorrick",
    "Zephina",
];
const FAMILY: &[&str] = &[
    "Testerby",
    "Fictworth",
    "Samplewick",
    "Mockridge",
    "Nonesuch",
    "Imaginsby",
    "Placehold",
    "Dummerton",
    "Specimenhall",
    "O'Notreal",
    "Invented-Smythe",
    "Exampleby",
    "Quillfeather",
    "Standinford",
    "Trialmoor",
];

/// The `n`-th synthetic death of a seed, on one of the `span` days before `today`.
#[must_use]
pub fn notification(seed: u64, n: u64, today: NaiveDate, span: u64) -> Synthetic {
    let mut r = Rng::with_seed(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ n.wrapping_add(1));
    let (category, band) = cell(&mut r);
    let died_on = today.checked_sub_days(Days::new(r.u64(0..span.max(1)) + 1)).unwrap_or(today);
    let died_at = NaiveTime::from_hms_opt(r.u32(3..24), r.u32(0..60), 0).unwrap_or(NaiveTime::MIN);
    let age_days = age(&mut r, band);
    let born = died_on.checked_sub_days(Days::new(age_days)).unwrap_or(died_on);
    let male = r.f64() < 0.567;
    let jar = r.f64() < jar_share(category);
    let place = place(&mut r, category, band);
    let mut child = json!({
        "given_names": GIVEN[r.usize(0..GIVEN.len())],
        "family_name": FAMILY[r.usize(0..FAMILY.len())],
        "date_of_birth": born,
        "sex": if male { "male" } else { "female" },
        "ethnicity": ethnicity(&mut r),
        "live_born": "yes",
        "termination": "no",
        "address": { "lines": [format!("{} Example Street", r.u32(1..200)), "Northbury"], "postcode": format!("ZZ{} {}ZZ", r.u32(1..100), r.u32(0..10)) },
    });
    if r.f64() < 0.02 {
        child["no_nhs_number_reason"] = json!("not_available");
    } else {
        child["nhs_number"] = json!(nhs_number(n));
    }
    if age_days < 365 {
        let weeks = if category == 8 { r.i64(22..37) } else { r.i64(33..42) };
        child["gestation_weeks"] = json!(weeks);
    }
    let answers = answers(&mut r, category, jar);
    let body = json!({
        "event": "death",
        "child": child,
        "death": {
            "date": died_on,
            "time": died_at.format("%H:%M").to_string(),
            "place": { "type": place, "name": "Northshire General", "postcode": "ZZ1 1ZZ" },
            "circumstances": circumstances(category),
            "expected": if matches!(category, 4 | 7) || (category == 8 && !jar) { "yes" } else { "no" },
            "detention": "none",
            "healthcare_professional_at_birth": "yes",
        },
        "jar_answers": answers,
        "notifier": {
            "name": format!("Dr {}", FAMILY[r.usize(0..FAMILY.len())]),
            "role": "Paediatric registrar",
            "organisation": "Northshire General",
            "telephone": format!("07700 900{:03}", r.u32(0..1000)),
            "email": "registrar@northshire-nhs.example",
        },
        "household": [
            { "relationship": "mother", "name": format!("{} {}", GIVEN[r.usize(0..GIVEN.len())], FAMILY[r.usize(0..FAMILY.len())]), "age_or_date_of_birth": r.u32(18..45).to_string() },
        ],
        "professionals": [
            { "agency": "GP", "name": "Dr Placehold", "role": "General practitioner", "telephone": format!("01632 960{:03}", r.u32(0..1000)), "email": "surgery@gp.example" },
            { "agency": "Health visiting", "name": "A Specimenhall", "role": "Health visitor", "telephone": "01632 960010" },
        ],
        "informed_already": [],
    });
    // Days to review: lognormal, median 350, a tenth beyond 800.
    #[allow(clippy::cast_possible_truncation)] // at most a few thousand days
    let review_days = (350.0 * (0.645 * normal(&mut r)).exp()).clamp(60.0, 2500.0) as i64;
    Synthetic { body, died_on, died_at, category, review_days }
}

/// An NHS number of the 999 range with a right check digit, the same for the same `n`.
#[must_use]
pub fn nhs_number(n: u64) -> String {
    // Every eleventh nine-digit stem has no check digit; step over it.
    let mut stem = n % 900_000;
    loop {
        let text = format!("999{stem:06}");
        let digits: Vec<u8> = text.bytes().map(|b| b - b'0').collect();
        match check_digit(&digits) {
            Some(d) => return format!("{text}{d}"),
            None => stem = 900_000 + stem % 100_000,
        }
        if stem >= 1_000_000 {
            stem = 0;
        }
    }
}

fn cell(r: &mut Rng) -> (u8, Band) {
    let total: u32 = CELLS.iter().map(|(.., w)| w).sum();
    let mut at = r.u32(0..total);
    for (category, band, weight) in CELLS {
        if at < *weight {
            return (*category, *band);
        }
        at -= weight;
    }
    (8, Band::Neonatal)
}

fn age(r: &mut Rng, band: Band) -> u64 {
    let years =
        |r: &mut Rng, from: u64, to: u64| r.u64(from * 365 + from / 4 + 1..to * 365 + to / 4);
    match band {
        // Most deaths of newborns are in the first week.
        Band::Neonatal if r.f64() < 0.7 => r.u64(0..7),
        Band::Neonatal => r.u64(7..28),
        Band::Infant => r.u64(28..365),
        Band::To4 => years(r, 1, 5),
        Band::To9 => years(r, 5, 10),
        Band::To14 => years(r, 10, 15),
        Band::To17 => years(r, 15, 18),
    }
}

fn jar_share(category: u8) -> f64 {
    match category {
        1 | 2 | 3 | 10 => 0.95,
        5 | 9 => 0.5,
        6 => 0.3,
        _ => 0.04,
    }
}

fn answers(r: &mut Rng, category: u8, jar: bool) -> Value {
    let no = || ("no", "no", "no");
    let (external, sudden, suspicion) = match (jar, category) {
        (false, _) => no(),
        (true, 1) => ("yes", "no", "yes"),
        (true, 2 | 3) => ("yes", "no", "no"),
        (true, _) if r.f64() < 0.1 => ("possible", "yes", "possible"),
        (true, _) => ("no", "yes", "no"),
    };
    // At first many notifiers leave one of the five open.
    let open = jar && r.f64() < 0.08;
    json!({
        "external_cause": if open { "unknown" } else { external },
        "sudden_no_apparent_cause": if open { "unknown" } else { sudden },
        "custody_or_detention": "no",
        "suspicion_not_natural": if open { "unknown" } else { suspicion },
        "unattended_stillbirth": "no",
    })
}

fn place(r: &mut Rng, category: u8, band: Band) -> &'static str {
    let at = r.f64();
    if band == Band::Neonatal && category != 10 {
        return if at < 0.75 { "neonatal_unit" } else { "labour_ward" };
    }
    match category {
        4 | 7 if at < 0.12 => "hospice",
        4 | 7 if at < 0.35 => "home",
        10 if at < 0.45 => "home",
        3 if at < 0.25 => "public_place",
        2 if at < 0.4 => "home",
        _ => match r.u8(0..4) {
            0 => "emergency_department",
            1 => "hospital_ward",
            _ => "intensive_care",
        },
    }
}

fn ethnicity(r: &mut Rng) -> &'static str {
    const CODES: &[(&str, u32)] = &[
        ("A", 540),
        ("B", 5),
        ("C", 75),
        ("D", 12),
        ("E", 8),
        ("F", 15),
        ("G", 20),
        ("H", 35),
        ("J", 90),
        ("K", 25),
        ("L", 30),
        ("M", 15),
        ("N", 50),
        ("P", 15),
        ("R", 5),
        ("S", 10),
        ("99", 50),
    ];
    let mut at = r.u32(0..CODES.iter().map(|(_, w)| w).sum());
    for (code, weight) in CODES {
        if at < *weight {
            return code;
        }
        at -= weight;
    }
    "99"
}

fn circumstances(category: u8) -> &'static str {
    match category {
        1 => {
            "Brought in by ambulance with injuries that the account given does not explain. Resuscitation was stopped in the department. Police were already on scene."
        }
        2 => {
            "Found unresponsive at home by a relative in the evening. Ambulance crew started resuscitation; life was pronounced extinct in the department."
        }
        3 => {
            "Collision on a county road in the afternoon; taken to theatre and died there despite full trauma resuscitation."
        }
        4 => {
            "Known malignancy under palliative care. Died peacefully with the family present, as planned with the community team."
        }
        5 => {
            "Presented with a short illness and deteriorated within hours; cardiac arrest on the ward, no return of circulation."
        }
        6 => {
            "Long-standing condition with several admissions this year. Deteriorated over two days; care was redirected after discussion with the family."
        }
        7 => {
            "Known life-limiting genetic condition, advance care plan in place. Died with respiratory failure."
        }
        8 => {
            "Extremely preterm birth with severe respiratory disease. Intensive care was withdrawn after discussion with the parents."
        }
        9 => {
            "Fever and rash for one day, rapidly progressive shock, died in intensive care. Cultures are pending."
        }
        _ => {
            "Put to sleep in the evening and found unresponsive in the morning. No sign of illness the day before. Resuscitation was not successful."
        }
    }
}

/// A standard normal number (Box and Muller).
fn normal(r: &mut Rng) -> f64 {
    let u = r.f64().max(1e-12);
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * r.f64()).cos()
}

/// When the notification came: an hour to two days after the death.
#[must_use]
pub fn notified_after(seed: u64, n: u64) -> Duration {
    let mut r = Rng::with_seed(seed ^ n.wrapping_mul(31));
    Duration::minutes(if r.f64() < 0.8 { r.i64(30..600) } else { r.i64(600..4000) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::nhs_number::NhsNumber;

    #[test]
    fn the_same_seed_gives_the_same_year_and_the_shares_are_near_the_published_ones() {
        let today = NaiveDate::from_ymd_opt(2026, 3, 31).unwrap();
        let year: Vec<Synthetic> = (0..3500).map(|n| notification(1, n, today, 365)).collect();
        assert_eq!(year[7].body, notification(1, 7, today, 365).body);
        assert_ne!(year[7].body, notification(2, 7, today, 365).body);
        #[allow(clippy::cast_precision_loss)]
        let share = |f: &dyn Fn(&Value) -> bool| {
            year.iter().filter(|s| f(&s.body)).count() as f64 / year.len() as f64
        };
        let age = |b: &Value| {
            let day =
                |p: &str| b.pointer(p).unwrap().as_str().unwrap().parse::<NaiveDate>().unwrap();
            (day("/death/date") - day("/child/date_of_birth")).num_days()
        };
        let near =
            |is: f64, want: f64| assert!((is - want).abs() < 0.04, "{is} is not near {want}");
        near(share(&|b| age(b) < 28), 0.42);
        near(share(&|b| age(b) < 365), 0.61);
        near(share(&|b| b["child"]["sex"] == "male"), 0.567);
        near(share(&|b| b["child"]["ethnicity"] == "99"), 0.05);
        let all_no = |b: &Value| b["jar_answers"].as_object().unwrap().values().all(|v| v == "no");
        near(share(&|b| !all_no(b)), 0.28);
        for s in &year {
            if let Some(n) = s.body["child"]["nhs_number"].as_str() {
                assert!(n.starts_with("999") && NhsNumber::parse(n).is_ok());
            }
        }
    }
}
