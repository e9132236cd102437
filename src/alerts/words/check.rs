//! What texts must and must not say, checked at start and not at three in the morning.

use super::template::{Filled, Template};
use super::{DEFAULT, Medium, Words, step, when};
use crate::domain::alert::AlertKind;
use chrono::{TimeZone, Utc};

/// Kinds that somebody has to answer.
const ANSWERED: [&str; 9] = [
    DEFAULT,
    "death_notified",
    "jar_triggered",
    "jar_provisional",
    "jar_upgraded",
    "reminder",
    "handed_on",
    "ring_them",
    "verify",
];

/// Kinds that are not about a case, so have no reference.
const WITHOUT_CASE: [&str; 9] = [
    "coverage_gap",
    "covered_tonight",
    "tonight",
    "test",
    "verify",
    "draft_code",
    "watcher",
    "invitation",
    "break_glass",
];

/// Longer calls are hung up on.
const VOICE_WORDS: usize = 60;

/// Characters of the token at the end of a link.
const TOKEN: usize = 43;

/// What this installation makes the texts as long as.
pub struct CheckWith<'a> {
    /// Every agency that may be written to; each is tried.
    pub said: &'a [Said<'a>],
    /// Links start with it.
    pub public_url: &'a str,
    pub max_sms_segments: usize,
    /// How many segments a text message takes.
    pub segments: fn(&str) -> usize,
}

/// What an agency's messages are filled with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Said<'a> {
    pub area: &'a str,
    pub agency: &'a str,
    pub call_back: &'a str,
}

/// What is wrong with a text whoever it goes to.
pub(super) fn fixed(medium: Medium, kind: &str, text: &str, t: &Template) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut refuse = |found: bool, why: &str| {
        if found {
            wrong.push(why.to_owned());
        }
    };
    refuse(text.trim().is_empty(), "is empty");
    refuse(
        !WITHOUT_CASE.contains(&kind) && !t.says("reference"),
        "lacks {reference}: nobody could say which case is meant",
    );
    match medium {
        Medium::Sms => refuse(
            ANSWERED.contains(&kind) && !t.says("link") && !t.says("code"),
            "lacks {link} and {code}: nobody could answer it",
        ),
        Medium::Voice => refuse(t.says("link"), "has {link}: nobody can write down a link"),
        Medium::EmailSubject => {
            refuse(!text.is_ascii(), "has characters outside plain ASCII");
            refuse(text.trim_end().contains(['\n', '\r']), "has more than one line");
        }
        Medium::EmailBody => {
            let leads = !WITHOUT_CASE.contains(&kind) || kind == "invitation";
            refuse(!t.says("link") && leads, "lacks {link}");
        }
    }
    wrong
}

/// What gets too long here.
pub(super) fn lengths(words: &Words, with: &CheckWith<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for kind in words.kinds(Medium::Sms) {
        let (n, said) = worst(words, Medium::Sms, kind, with, with.segments);
        if n > with.max_sms_segments {
            wrong.push(format!(
                "messages: sms.{kind} takes {n} segments for {} ({}), more than messages.max_sms_segments = {}: shorten the text or the names (one character no telephone knows halves what fits)",
                said.agency, said.area, with.max_sms_segments
            ));
        }
    }
    for kind in words.kinds(Medium::Voice) {
        let (n, said) = worst(words, Medium::Voice, kind, with, |t| t.split_whitespace().count());
        if n > VOICE_WORDS {
            wrong.push(format!(
                "messages: voice.{kind} has {n} words for {} ({}), more than {VOICE_WORDS}",
                said.agency, said.area
            ));
        }
    }
    wrong
}

/// The longest this text gets, and for whom. A drill's is longer than a real one.
fn worst<'a>(
    words: &Words,
    medium: Medium,
    kind: &str,
    with: &CheckWith<'a>,
    measure: fn(&str) -> usize,
) -> (usize, Said<'a>) {
    let nobody = [Said::default()];
    let all = if with.said.is_empty() { &nobody } else { with.said };
    let length = |said: &Said<'a>| {
        let filled = longest(said, with.public_url);
        (measure(&words.render_drill(medium, kind, &filled)), *said)
    };
    all.iter().map(length).max_by_key(|(n, _)| *n).unwrap_or_default()
}

/// The longest likely values.
fn longest(said: &Said<'_>, public_url: &str) -> Filled {
    let labels = AlertKind::WORDS.iter().filter_map(|w| AlertKind::parse(w)).map(AlertKind::label);
    let at = Utc.with_ymd_and_hms(2026, 9, 30, 22, 59, 0).single().unwrap_or_default();
    Filled {
        reference: "CDR-2026-000000".to_owned(),
        area: said.area.to_owned(),
        agency: said.agency.to_owned(),
        kind: labels.max_by_key(|l| l.len()).unwrap_or_default().to_owned(),
        call_back: said.call_back.to_owned(),
        link: format!("{}/a/{}", public_url.trim_end_matches('/'), "x".repeat(TOKEN)),
        code: "000000".to_owned(),
        at: when(at),
        until: when(at),
        step: step(10),
    }
}
