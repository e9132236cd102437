//! The words of every message, as templates that an installation may replace. What can be filled in
//! is a closed list ([`Filled`]), so no change of the texts can make a message tell more.

mod check;
mod template;

pub use check::{CheckWith, Said};
pub use template::Filled;

use crate::domain::civil_time;
use crate::domain::facts::words;
use chrono::{DateTime, Utc};
use figment::Figment;
use figment::providers::{Format, Toml};
use std::collections::BTreeMap;
use template::Template;

/// The built-in texts.
pub const DEFAULTS: &str = include_str!("../../../config/messages.toml");

/// What every message of an exercise begins with: nobody may take one for a real case, and no
/// configuration can take it away.
pub const DRILL: &str = "DRILL, no real case: ";

/// The text for kinds without one of their own.
const DEFAULT: &str = "default";

words!(
    /// Where a text is read or heard.
    Medium {
        Sms = "sms",
        Voice = "voice",
        EmailSubject = "email_subject",
        EmailBody = "email_body",
    }
);

type Texts = BTreeMap<String, BTreeMap<String, String>>;

/// Every text of this installation.
#[derive(Clone, Debug)]
pub struct Words {
    texts: BTreeMap<(Medium, String), Template>,
}

impl Words {
    /// Reads the built-in texts and those that replace some of them.
    ///
    /// # Errors
    /// Everything that is wrong with the texts by themselves, all at once.
    pub fn load(defaults: &str, override_toml: Option<&str>) -> Result<Self, Vec<String>> {
        let mut all = read(defaults)?;
        let mut wrong = Vec::new();
        for (section, texts) in override_toml.map(read).transpose()?.unwrap_or_default() {
            for (kind, text) in texts {
                // A misspelt name must not leave the old text in place unnoticed.
                if !all.values().any(|t| t.contains_key(&kind)) {
                    wrong.push(format!("messages: {section}.{kind}: there is no such kind"));
                }
                all.entry(section.clone()).or_default().insert(kind, text);
            }
        }
        let mut texts = BTreeMap::new();
        for (section, kinds) in all {
            let Some(medium) = Medium::parse(&section) else {
                let known = Medium::WORDS.join(", ");
                wrong.push(format!("messages: [{section}] is not one of {known}"));
                continue;
            };
            for (kind, text) in kinds {
                match Template::parse(&text) {
                    Ok(t) => {
                        let said = check::fixed(medium, &kind, &text, &t);
                        wrong.extend(
                            said.into_iter().map(|w| format!("messages: {section}.{kind} {w}")),
                        );
                        texts.insert((medium, kind), t);
                    }
                    Err(all) => wrong.extend(
                        all.into_iter().map(|w| format!("messages: {section}.{kind}: {w}")),
                    ),
                }
            }
        }
        if wrong.is_empty() { Ok(Self { texts }) } else { Err(wrong) }
    }

    /// Checks the lengths that depend on the installation; empty if all is well.
    #[must_use]
    pub fn check(&self, with: &CheckWith<'_>) -> Vec<String> {
        check::lengths(self, with)
    }

    /// The text of a message. A kind without a text of its own has the default.
    #[must_use]
    pub fn render(&self, medium: Medium, kind: &str, filled: &Filled) -> String {
        let of = |kind: &str| self.texts.get(&(medium, kind.to_owned()));
        let Some(template) = of(kind).or_else(|| of(DEFAULT)) else {
            // The built-in texts have a default everywhere (a test sees to it).
            return clean(&filled.reference);
        };
        let (line_end, clean): (_, fn(&str) -> String) = match medium {
            Medium::Sms => ("\n", clean),
            Medium::Voice => (" ", clean),
            Medium::EmailSubject => (" ", ascii),
            Medium::EmailBody => ("\r\n", clean),
        };
        let mut text = template.fill(filled, line_end, clean);
        if medium == Medium::EmailBody {
            text.push_str(line_end);
        }
        text
    }

    /// The text of a message of an exercise.
    #[must_use]
    pub fn render_drill(&self, medium: Medium, kind: &str, filled: &Filled) -> String {
        format!("{DRILL}{}", self.render(medium, kind, filled))
    }

    /// Kinds with a text of their own, and `default`.
    fn kinds(&self, medium: Medium) -> impl Iterator<Item = &str> {
        self.texts.keys().filter(move |(m, _)| *m == medium).map(|(_, kind)| kind.as_str())
    }
}

/// A time as messages say it, `23:05 on 9 November`: England's clock, readable aloud.
#[must_use]
pub fn when(at: DateTime<Utc>) -> String {
    civil_time::local(at).format("%H:%M on %-d %B").to_string()
}

/// What a second or later attempt says about itself; nothing for the first.
#[must_use]
pub fn step(attempt: u32) -> String {
    match attempt {
        0 | 1 => String::new(),
        2 => "Second attempt.".to_owned(),
        3 => "Third attempt.".to_owned(),
        n => format!("Attempt {n}."),
    }
}

fn read(toml: &str) -> Result<Texts, Vec<String>> {
    Figment::from(Toml::string(toml)).extract().map_err(|e| vec![format!("messages: {e}")])
}

/// One line; quotes and dashes as every telephone has them, because one curly apostrophe would make
/// a text message twice as long.
fn clean(value: &str) -> String {
    let plain = |c: char| match c {
        '\u{2018}' | '\u{2019}' => '\'',
        '\u{201c}' | '\u{201d}' => '"',
        '\u{2010}'..='\u{2015}' => '-',
        c if c.is_control() || c.is_whitespace() => ' ',
        // Not to be seen, but they can turn a line around or hide in it.
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' => ' ',
        c => c,
    };
    value.trim().chars().map(plain).collect()
}

/// Plain ASCII, so that no mail system re-codes a subject.
fn ascii(value: &str) -> String {
    clean(value).chars().map(|c| if c.is_ascii() { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests;
