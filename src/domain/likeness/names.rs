//! Names as they are compared: without case, accents, hyphens and order, and without the words that
//! stand where a name is not known yet ("Baby", "Twin 1", "Baby of Sarah Jones").

use crate::domain::facts::Facts;
use std::collections::BTreeSet;

/// Words in the place of a name. What follows "of" is the mother.
const STAND_INS: [&str; 17] = [
    "baby",
    "babe",
    "bb",
    "infant",
    "child",
    "newborn",
    "neonate",
    "boy",
    "girl",
    "male",
    "female",
    "unknown",
    "unnamed",
    "not",
    "named",
    "stillborn",
    "yet",
];
const MULTIPLES: [&str; 4] = ["twin", "triplet", "quad", "quadruplet"];
/// Two spellings of one name, not two names.
const ALIKE: f64 = 0.92;
/// Two spellings by ear.
const SOUNDS_ALIKE: f64 = 0.84;
/// Shorter names are too much like each other: Mia and Mila may be sisters.
const LONG_ENOUGH: usize = 5;

/// A child's names, taken apart.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Names {
    pub given: Vec<String>,
    pub family: BTreeSet<String>,
    /// Other names the child is known by.
    pub also: BTreeSet<String>,
    pub mother: BTreeSet<String>,
    /// Twin 1 or twin 2.
    pub order: Option<u8>,
    /// One of several, whichever.
    pub multiple: bool,
}

impl Names {
    pub(super) fn of(facts: &Facts) -> Self {
        let mut n = Self::default();
        for text in facts.readings("child.family_name", facts.child.family_name.clone()) {
            let words = n.marks(&words(&text));
            n.family.extend(words.into_iter().filter(|w| !is_stand_in(w)));
        }
        for text in facts.readings("child.given_names", facts.child.given_names.clone()) {
            n.given(&words(&text));
        }
        for text in &facts.child.also_known_as {
            let words = n.marks(&words(text));
            n.also.extend(words.into_iter().filter(|w| !is_stand_in(w)));
        }
        for m in &facts.household {
            let relation = m.relationship.as_deref().unwrap_or_default().to_lowercase();
            // The names after the first: a surname, however many parts it has.
            if relation.contains("mother") && !relation.contains("gran") {
                n.mother.extend(words(m.name.as_deref().unwrap_or_default()).into_iter().skip(1));
            }
        }
        n
    }

    fn given(&mut self, text: &[String]) {
        let (before, of) = match text.iter().position(|w| w == "of") {
            Some(i) => (&text[..i], &text[i + 1..]),
            None => (text, &[][..]),
        };
        self.mother.extend(of.iter().filter(|w| !is_stand_in(w)).cloned());
        let had_marks = self.multiple;
        let rest = self.marks(before);
        let stand_in = !of.is_empty()
            || self.multiple != had_marks
            || rest.len() != before.len()
            || rest.iter().any(|w| is_stand_in(w));
        let rest = rest.into_iter().filter(|w| !is_stand_in(w));
        if stand_in {
            // "Baby Jones": the name is the family's.
            self.family.extend(rest);
        } else {
            for w in rest {
                if !self.given.contains(&w) {
                    self.given.push(w);
                }
            }
        }
    }

    /// Takes "twin 1" and its like out of the words.
    fn marks(&mut self, text: &[String]) -> Vec<String> {
        let mut out = Vec::new();
        let mut i = 0;
        while i < text.len() {
            let word = text[i].as_str();
            let glued = MULTIPLES.iter().chain(&["t", "baby"]).find_map(|m| {
                let order =
                    word.strip_prefix(m).filter(|r| r.starts_with(|c: char| c.is_ascii_digit()));
                order.and_then(order_of)
            });
            let is_multiple = MULTIPLES.contains(&word);
            let next = text.get(i + 1).and_then(|w| order_of(w));
            if let Some(order) = glued {
                (self.multiple, self.order) = (true, Some(order));
            } else if is_multiple || (word == "baby" && next.is_some()) {
                self.multiple = true;
                // "Twin 1", or "first twin".
                let before = i.checked_sub(1).and_then(|b| order_of(&text[b]));
                if let Some(order) = next {
                    self.order = Some(order);
                    i += 1;
                } else if let Some(order) = before {
                    self.order = Some(order);
                    out.pop();
                }
            } else {
                out.push(word.to_owned());
            }
            i += 1;
        }
        out
    }

    /// Every word by which the child may be found again.
    pub(super) fn tokens(&self) -> BTreeSet<String> {
        self.given
            .iter()
            .chain(&self.family)
            .chain(&self.also)
            .chain(&self.mother)
            .cloned()
            .collect()
    }
}

/// The words of a name that somebody looks for, as they are kept: without accents, hyphens and case.
#[must_use]
pub fn searched(text: &str) -> Vec<String> {
    words(text).into_iter().filter(|w| !is_stand_in(w)).collect()
}

fn is_stand_in(word: &str) -> bool {
    STAND_INS.contains(&word)
}

fn order_of(word: &str) -> Option<u8> {
    Some(match word {
        "1" | "i" | "a" | "one" | "first" | "1st" => 1,
        "2" | "ii" | "b" | "two" | "second" | "2nd" => 2,
        "3" | "iii" | "c" | "three" | "third" | "3rd" => 3,
        "4" | "iv" | "d" | "four" | "fourth" | "4th" => 4,
        _ => return None,
    })
}

/// A name's words without case, accents and apostrophes; hyphens part them.
fn words(text: &str) -> Vec<String> {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !matches!(c, '\'' | '’' | '‘' | '`' | 'ʼ')) {
        for c in c.to_lowercase() {
            unaccented(c, &mut plain);
        }
    }
    plain
        .split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A lower-case letter as people type it who do not have it on their keyboard.
fn unaccented(c: char, out: &mut String) {
    let plain = match c {
        'à'..='å' | 'ā' | 'ă' | 'ą' => "a",
        'æ' => "ae",
        'ç' | 'ć' | 'č' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'è'..='ë' | 'ē' | 'ė' | 'ę' | 'ě' => "e",
        'ğ' | 'ģ' => "g",
        'ì'..='ï' | 'ī' | 'į' | 'ı' => "i",
        'ķ' => "k",
        'ĺ' | 'ļ' | 'ľ' | 'ł' => "l",
        'ñ' | 'ń' | 'ņ' | 'ň' => "n",
        'ò'..='ö' | 'ø' | 'ō' | 'ő' => "o",
        'œ' => "oe",
        'ŕ' | 'ř' => "r",
        'ś' | 'ş' | 'š' | 'ș' => "s",
        'ß' => "ss",
        'ţ' | 'ť' | 'ț' => "t",
        'þ' => "th",
        'ù'..='ü' | 'ū' | 'ů' | 'ű' | 'ų' => "u",
        'ý' | 'ÿ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        // Marks that stand apart from their letter.
        '\u{300}'..='\u{36f}' => "",
        other => {
            out.push(other);
            return;
        }
    };
    out.push_str(plain);
}

/// Whether two words are two spellings of one name.
pub(super) fn alike(a: &str, b: &str) -> bool {
    let long = |w: &str| w.chars().count() >= LONG_ENOUGH;
    // Both ways round: the measure is not exactly the same from either side.
    long(a) && long(b) && strsim::jaro_winkler(a, b).max(strsim::jaro_winkler(b, a)) >= ALIKE
}

/// Whether two words may be two spellings of one name that sound alike: Aiden and Aidan, Mohammed and
/// Muhammad. So wide that it counts only where everything else agrees.
pub(super) fn may_sound_alike(a: &str, b: &str) -> bool {
    let long = |w: &str| w.chars().count() >= LONG_ENOUGH;
    long(a) && long(b) && strsim::jaro_winkler(a, b).max(strsim::jaro_winkler(b, a)) >= SOUNDS_ALIKE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(given: &str, family: &str) -> Names {
        let mut f = Facts::default();
        f.child.given_names = Some(given.to_owned());
        f.child.family_name = Some(family.to_owned());
        Names::of(&f)
    }

    #[test]
    fn stand_ins_are_no_names() {
        for (given, order, multiple) in [
            ("Baby", None, false),
            ("baby boy", None, false),
            ("Infant", None, false),
            ("Baby Vexley", None, false),
            ("Twin 1", Some(1), true),
            ("Twin II", Some(2), true),
            ("twin2", Some(2), true),
            ("Baby B", Some(2), true),
            ("T1", Some(1), true),
            ("First twin", Some(1), true),
            ("Twin", None, true),
            ("Baby of Orla Vexley", None, false),
        ] {
            let n = names(given, "Vexley");
            assert!(n.given.is_empty(), "{given}");
            assert_eq!((n.order, n.multiple), (order, multiple), "{given}");
            assert!(n.family.contains("vexley"), "{given}");
        }
        assert!(names("Baby of Orla Vexley", "").mother.contains("vexley"));
        assert_eq!(names("Ottoline Beth", "Vexley").given, ["ottoline", "beth"]);
        let n = names("Twin 2 Ottoline", "Vexley");
        assert_eq!((n.order, n.given.len()), (Some(2), 0), "whose name it is, is not sure");
    }

    #[test]
    fn words_are_plain() {
        assert_eq!(words("O’Quill-Bräx"), ["oquill", "brax"]);
        assert_eq!(words("  ŁUKASZ  Đorđe "), ["lukasz", "dorde"]);
        assert_eq!(words("Zoe\u{308}"), ["zoe"]);
    }
}
