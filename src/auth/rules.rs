//! Which passwords are refused: short ones, patterns, the words everybody thinks of first with a
//! year behind them, the names of this place, and those of a list of breached ones if the
//! installation has it. Everything is judged on this machine.

use crate::platform::crypt::{hex, sha1_for_lists};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::LazyLock;

/// Words of our own choosing that passwords are made of, one or two to a password.
static WORDS: LazyLock<BTreeSet<&'static str>> =
    LazyLock::new(|| include_str!("words.txt").split_whitespace().collect());

/// Rows of a keyboard and of the alphabet; walks along them, either way, are no password.
const WALKS: [&str; 9] = [
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qazwsxedcrfvtgbyhnujmikolp",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "1q2w3e4r5t6y7u8i9o0p",
    "azertyuiop",
];

const SHORTEST: usize = super::password::SHORTEST;
/// Longer ones only cost time.
const LONGEST: usize = 256;

/// Why a password is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Weak {
    #[error("Use at least {SHORTEST} characters. Three words that do not belong together are good")]
    Short,
    #[error("Use at most {LONGEST} characters")]
    Long,
    #[error(
        "This repeats or follows the keyboard or the alphabet. Use three words that do not belong together"
    )]
    Pattern,
    #[error(
        "This is made of a word or name that is guessed first. Use three words that do not belong together"
    )]
    Guessable,
    #[error("This password is in a list of stolen ones. Choose another")]
    Breached,
}

/// What passwords are held to.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Names of the service's areas and agencies.
    pub names: Vec<String>,
    /// Sorted digests of breached passwords.
    pub breached: Option<PathBuf>,
}

impl Rules {
    /// Judges a password; `own` is the person's name and address.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn judge(&self, password: &str, own: &[&str]) -> Result<(), Weak> {
        let length = password.chars().count();
        if length < SHORTEST {
            return Err(Weak::Short);
        }
        if length > LONGEST {
            return Err(Weak::Long);
        }
        let plain = password.to_lowercase();
        if is_pattern(&plain) {
            return Err(Weak::Pattern);
        }
        let mut names: BTreeSet<String> = BTreeSet::new();
        for text in self.names.iter().map(String::as_str).chain(own.iter().copied()) {
            let text = text.to_lowercase();
            names.insert(letters(&text));
            names.extend(text.split(|c: char| !c.is_alphabetic()).map(str::to_owned));
        }
        names.retain(|n| n.chars().count() >= 4);
        // What is hung on at either end is a number, not letters in disguise.
        let middle = plain.trim_matches(|c: char| !c.is_alphabetic());
        let guessable = [letters(&plain), letters(&plainer(middle)), letters(&plainer(&plain))]
            .iter()
            .any(|text| is_guessable(text, &names));
        if guessable {
            return Err(Weak::Guessable);
        }
        match self.breached.as_ref().map(|f| is_listed(f, password)) {
            Some(Ok(true)) => Err(Weak::Breached),
            Some(Err(e)) => {
                // A list that cannot be read is an operator's matter; the rules above hold.
                tracing::error!(error = %e, "the list of breached passwords cannot be read");
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphabetic()).collect()
}

/// Digits and signs that stand for letters, as letters.
fn plainer(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '0' => 'o',
            '1' | '!' | '|' => 'i',
            '3' | '€' => 'e',
            '4' | '@' => 'a',
            '5' | '$' => 's',
            '7' => 't',
            other => other,
        })
        .collect()
}

/// Few characters, one piece over and over, or little besides walks.
fn is_pattern(text: &str) -> bool {
    let chars: Vec<char> = text.chars().collect();
    if chars.iter().collect::<BTreeSet<_>>().len() < 5 {
        return true;
    }
    let repeats =
        (1..=chars.len() / 2).any(|n| chars.iter().zip(chars.iter().skip(n)).all(|(a, b)| a == b));
    repeats || chars.len() - in_walks(&chars) < 5
}

/// How many characters belong to walks of four or more.
fn in_walks(chars: &[char]) -> usize {
    let (mut at, mut found) = (0, 0);
    while at < chars.len() {
        let longest = WALKS.iter().map(|w| walk(w, &chars[at..])).max().unwrap_or(0);
        let same = chars[at..].iter().take_while(|c| **c == chars[at]).count();
        let run = longest.max(same);
        if run >= 4 {
            found += run;
            at += run;
        } else {
            at += 1;
        }
    }
    found
}

/// How far the beginning of `chars` goes along a row, either way.
fn walk(row: &str, chars: &[char]) -> usize {
    let row: Vec<char> = row.chars().collect();
    let along = |row: &[char]| {
        (0..row.len())
            .map(|from| row[from..].iter().zip(chars).take_while(|(a, b)| a == b).count())
            .max()
            .unwrap_or(0)
    };
    let back: Vec<char> = row.iter().rev().copied().collect();
    along(&row).max(along(&back))
}

/// Whether the letters are at most two known words, with at most three letters left over.
fn is_guessable(text: &str, names: &BTreeSet<String>) -> bool {
    let chars: Vec<char> = text.chars().collect();
    let (mut at, mut left) = (0, 0);
    let mut seen = BTreeSet::new();
    while at < chars.len() {
        // The longest word that begins here.
        let found = (3..=(chars.len() - at).min(40)).rev().find_map(|n| {
            let word: String = chars[at..at + n].iter().collect();
            (WORDS.contains(word.as_str()) || names.contains(&word)).then_some((n, word))
        });
        if let Some((n, word)) = found {
            seen.insert(word);
            at += n;
        } else {
            left += 1;
            at += 1;
        }
    }
    left < 4 && seen.len() < 3
}

/// Looks a password up in a file of sorted SHA-1 digests, one a line, `HEX` or `HEX:COUNT`, by
/// halving: a list of a thousand million is thirty looks.
fn is_listed(file: &PathBuf, password: &str) -> std::io::Result<bool> {
    let want = hex(&sha1_for_lists(password.as_bytes())).to_uppercase();
    let file = File::open(file)?;
    let size = file.metadata()?.len();
    let mut reader = BufReader::with_capacity(256, file);
    // The first line that begins at or after `from`; where it begins.
    let mut line_at = |from: u64| -> std::io::Result<Option<(u64, String)>> {
        let mut begins = from;
        reader.seek(SeekFrom::Start(from.saturating_sub(1)))?;
        if from > 0 {
            let mut rest = Vec::new();
            begins = from - 1 + reader.read_until(b'\n', &mut rest)? as u64;
        }
        let mut line = String::new();
        let n = reader.read_line(&mut line)?;
        let digest = line.trim_end().split(':').next().unwrap_or_default().to_uppercase();
        Ok((n > 0).then_some((begins, digest)))
    };
    let (mut low, mut high) = (0, size);
    while low < high {
        let middle = low + (high - low) / 2;
        match line_at(middle)? {
            None => high = middle,
            Some((begins, digest)) => {
                // A list may keep only the beginnings of digests, as prefixes.
                let at_least_ten = digest.len() >= 10;
                if at_least_ten && want.starts_with(&digest) {
                    return Ok(true);
                }
                if digest < want {
                    low = begins + 1;
                } else {
                    high = middle;
                }
            }
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    fn rules() -> Rules {
        Rules { names: vec!["Northshire".into(), "Saint Exampla Hospital".into()], breached: None }
    }

    #[test]
    fn what_is_guessed_first_is_refused_and_three_words_are_not() {
        let own = ["Dr Quillfeather", "quillfeather@northshire.example"];
        let said = |p: &str| rules().judge(p, &own);
        for (password, why) in [
            ("short", Weak::Short),
            ("aaaaaaaaaaaaaa", Weak::Pattern),
            ("abcabcabcabcabc", Weak::Pattern),
            ("abcdefghijklmnop", Weak::Pattern),
            ("qwertyuiop123456", Weak::Pattern),
            ("1q2w3e4r5t6y", Weak::Pattern),
            ("zaq12wsxcde34rfv", Weak::Guessable),
            ("Password2026!!", Weak::Guessable),
            ("P@ssw0rd12345!", Weak::Guessable),
            ("Northshire2026", Weak::Guessable),
            ("n0rthsh1re-2026", Weak::Guessable),
            ("SaintExamplaHospital1", Weak::Guessable),
            ("Quillfeather99!", Weak::Guessable),
            ("ChildDeathReview1", Weak::Guessable),
            ("Summer2026Hospital", Weak::Guessable),
            ("letmein-welcome", Weak::Guessable),
        ] {
            let got = said(password);
            if password.starts_with("zaq12") {
                assert!(got.is_err(), "{password}");
            } else {
                assert_eq!(got, Err(why), "{password}");
            }
        }
        for good in [
            "correct horse battery",
            "kettle-orbit-parsnip",
            "tR4!kz91Qw_vPm",
            "hZk2VQp0bX8n-Lr_",
            "ein Schiff aus Papier",
        ] {
            assert_eq!(said(good), Ok(()), "{good}");
        }
        assert_eq!(said(&"correct horse ".repeat(30)), Err(Weak::Long));
    }

    #[test]
    fn random_passwords_pass() {
        for _ in 0..200 {
            let p = crate::platform::crypt::random_token().unwrap()[..16].to_owned();
            assert_eq!(rules().judge(&p, &[]), Ok(()), "{p}");
        }
    }

    #[test]
    fn a_list_is_searched_by_halving_whatever_its_lines() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("breached.txt");
        let listed: Vec<String> = (0..257).map(|n| format!("stolen kettle {n} parsnip")).collect();
        for counted in [true, false] {
            let mut digests: Vec<String> =
                listed.iter().map(|p| hex(&sha1_for_lists(p.as_bytes())).to_uppercase()).collect();
            digests.sort();
            let mut text = String::new();
            for (n, d) in digests.iter().enumerate() {
                if counted {
                    writeln!(text, "{d}:{}", n * n).unwrap();
                } else {
                    text.push_str(&d[..20]);
                    text.push_str("\r\n");
                }
            }
            std::fs::write(&file, text).unwrap();
            let rules = Rules { names: Vec::new(), breached: Some(file.clone()) };
            for p in &listed {
                assert_eq!(rules.judge(p, &[]), Err(Weak::Breached), "{p}");
            }
            for n in 0..257 {
                assert_eq!(rules.judge(&format!("honest kettle {n} parsnip"), &[]), Ok(()));
            }
        }
        std::fs::write(&file, "").unwrap();
        let rules = Rules { names: Vec::new(), breached: Some(file) };
        assert_eq!(rules.judge("honest kettle parsnip", &[]), Ok(()));
    }
}
