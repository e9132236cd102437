//! Dates and times of a calendar, in the zones calendars name.

use super::lines::Property;
use crate::exchange::shown;
use chrono::{DateTime, Datelike, Duration, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use chrono_tz::Europe::London;
use chrono_tz::Tz;

/// A local time and where it is local.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub local: NaiveDateTime,
    pub zone: Tz,
    /// Given as a day without a time.
    pub whole_day: bool,
}

impl Moment {
    pub fn instant(self) -> DateTime<Utc> {
        instant(self.local, self.zone)
    }

    /// The local time of this instant in another zone.
    pub fn local_in(self, zone: Tz) -> NaiveDateTime {
        if zone == self.zone { self.local } else { local(self.instant(), zone) }
    }
}

pub(super) fn local(at: DateTime<Utc>, zone: Tz) -> NaiveDateTime {
    at.with_timezone(&zone).naive_local()
}

/// As a rota reads local times: the earlier of two, the first that exists of none.
pub(super) fn instant(local: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    let at = |minutes| zone.from_local_datetime(&(local + Duration::minutes(minutes))).earliest();
    // Gaps are an hour, seldom two; a whole day once, in the Pacific.
    let found = (0..=24 * 60).find_map(at);
    found.map_or_else(|| Utc.from_utc_datetime(&local), |t| t.with_timezone(&Utc))
}

/// The one moment of a property such as `DTSTART`. Without a zone it is a time in England.
///
/// # Errors
/// A sentence.
pub(super) fn one(p: &Property) -> Result<Moment, String> {
    read(p.value.trim(), p.parameter("TZID"))
}

/// The moments of a property such as `EXDATE`, which may list several.
///
/// # Errors
/// A sentence.
pub(super) fn several(p: &Property) -> Result<Vec<Moment>, String> {
    p.value.split(',').map(|t| read(t.trim(), p.parameter("TZID"))).collect()
}

pub(super) fn read(text: &str, zone_name: Option<&str>) -> Result<Moment, String> {
    let zone = match zone_name {
        Some(name) => zone(name).ok_or_else(|| {
            format!("The time zone “{}” is not known here; use Europe/London.", shown(name))
        })?,
        None => London,
    };
    let wrong = || format!("“{}” is not a date or time of a calendar.", shown(text));
    let (plain, utc) = text.strip_suffix('Z').map_or((text, false), |t| (t, true));
    let (day, time) = plain.split_once('T').map_or((plain, None), |(d, t)| (d, Some(t)));
    let date = digits(day, 8)
        .and_then(|_| NaiveDate::parse_from_str(day, "%Y%m%d").ok())
        // Some programs write the year 9999 for never.
        .filter(|d| (1970..=9999).contains(&d.year()))
        .ok_or_else(wrong)?;
    let clock = match time {
        None if utc => return Err(wrong()),
        None => NaiveTime::MIN,
        Some(t) => {
            let n = digits(t, 6).ok_or_else(wrong)?;
            // A leap second is read as the second before it.
            NaiveTime::from_hms_opt(n / 10_000, n / 100 % 100, (n % 100).min(59))
                .ok_or_else(wrong)?
        }
    };
    let zone = if utc { Tz::UTC } else { zone };
    Ok(Moment { local: date.and_time(clock), zone, whole_day: time.is_none() })
}

fn digits(text: &str, len: usize) -> Option<u32> {
    let plain = text.len() == len && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// A duration such as `P1D`, `PT12H30M` or `P1W`, as a length on the clock.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let rest = text.trim().trim_start_matches('+').strip_prefix('P')?;
    let (days, time) = rest.split_once('T').map_or((rest, ""), |(d, t)| (d, t));
    let mut total = Duration::zero();
    let mut add = |part: &str, units: &[(char, i64)]| -> Option<()> {
        let mut part = part;
        for (unit, seconds) in units {
            if let Some((n, rest)) = part.split_once(*unit) {
                let n = (1..=6).contains(&n.len()).then(|| digits(n, n.len())).flatten()?;
                total += Duration::seconds(i64::from(n) * seconds);
                part = rest;
            }
        }
        part.is_empty().then_some(())
    };
    add(days, &[('W', 604_800), ('D', 86_400)])?;
    add(time, &[('H', 3600), ('M', 60), ('S', 1)])?;
    Some(total)
}

/// The zone of a name: from the zone database, with a path before it as some programs write, or
/// as Windows and Outlook call it.
fn zone(name: &str) -> Option<Tz> {
    let name = name.trim().trim_matches('"');
    if let Ok(zone) = name.parse() {
        return Some(zone);
    }
    if let Some((_, zone)) = WINDOWS.iter().find(|(w, _)| w.eq_ignore_ascii_case(name)) {
        return Some(*zone);
    }
    // `/freeassociation.sourceforge.net/Europe/London`
    let mut parts = name.rsplitn(3, '/');
    let (city, region) = (parts.next()?, parts.next()?);
    format!("{region}/{city}").parse().ok()
}

const WINDOWS: [(&str, Tz); 26] = [
    ("GMT Standard Time", London),
    ("GMT Daylight Time", London),
    ("British Summer Time", London),
    ("GMT Summer Time", London),
    ("BST", London),
    ("(UTC+00:00) Dublin, Edinburgh, Lisbon, London", London),
    ("(UTC) Dublin, Edinburgh, Lisbon, London", London),
    ("(GMT) Greenwich Mean Time : Dublin, Edinburgh, Lisbon, London", London),
    ("(GMT) Greenwich Mean Time: Dublin, Edinburgh, Lisbon, London", London),
    ("Greenwich Standard Time", Tz::Atlantic__Reykjavik),
    ("Coordinated Universal Time", Tz::UTC),
    ("(UTC) Coordinated Universal Time", Tz::UTC),
    ("tzone://Microsoft/Utc", Tz::UTC),
    ("Z", Tz::UTC),
    ("W. Europe Standard Time", Tz::Europe__Berlin),
    ("Romance Standard Time", Tz::Europe__Paris),
    ("Central Europe Standard Time", Tz::Europe__Budapest),
    ("Central European Standard Time", Tz::Europe__Warsaw),
    ("E. Europe Standard Time", Tz::Europe__Chisinau),
    ("FLE Standard Time", Tz::Europe__Kyiv),
    ("GTB Standard Time", Tz::Europe__Bucharest),
    ("Eastern Standard Time", Tz::America__New_York),
    ("Central Standard Time", Tz::America__Chicago),
    ("Pacific Standard Time", Tz::America__Los_Angeles),
    ("India Standard Time", Tz::Asia__Kolkata),
    ("AUS Eastern Standard Time", Tz::Australia__Sydney),
];
