//! Documents of a case: which kinds are taken, whether a content is what its name says, and the name
//! that is shown. Type by ending and by content: both must agree.

use super::event::Person;
use super::facts::words;
use chrono::{DateTime, Utc};
use uuid::Uuid;

words!(
    /// What is taken: what a report or a picture comes as, and nothing that runs.
    DocumentKind {
        Pdf = "pdf",
        Png = "png",
        Jpeg = "jpeg",
        Word = "docx",
        OldWord = "doc",
        OpenText = "odt",
        Text = "txt",
    }
);

/// How much of the beginning tells what a content is.
pub const HEAD: usize = 4096;
/// Letters of a shown name at most.
const NAME: usize = 120;

impl DocumentKind {
    /// By a name's ending.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let (stem, ending) = name.rsplit_once('.')?;
        if stem.trim().is_empty() {
            return None;
        }
        match ending.to_ascii_lowercase().as_str() {
            "jpg" => Some(Self::Jpeg),
            other => Self::parse(other),
        }
    }

    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Word => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            Self::OldWord => "application/msword",
            Self::OpenText => "application/vnd.oasis.opendocument.text",
            Self::Text => "text/plain; charset=utf-8",
        }
    }

    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Pdf => "PDF",
            Self::Png | Self::Jpeg => "Picture",
            Self::Word | Self::OldWord => "Word",
            Self::OpenText => "OpenDocument text",
            Self::Text => "Text",
        }
    }

    /// Whether a content that begins so can be of this kind.
    #[must_use]
    pub fn begins(self, head: &[u8]) -> bool {
        let has = |what: &[u8]| head.windows(what.len()).any(|w| w == what);
        let zip = head.starts_with(b"PK\x03\x04");
        match self {
            Self::Pdf => head.starts_with(b"%PDF-"),
            Self::Png => head.starts_with(b"\x89PNG\r\n\x1a\n"),
            Self::Jpeg => head.starts_with(b"\xff\xd8\xff"),
            Self::OldWord => head.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
            Self::Word => zip && (has(b"[Content_Types].xml") || has(b"word/")),
            Self::OpenText => {
                zip && head.get(30..).is_some_and(|h| {
                    h.starts_with(b"mimetypeapplication/vnd.oasis.opendocument.text")
                })
            }
            Self::Text => self.goes_on(head),
        }
    }

    /// Whether more of a content can be of this kind: a text has no controls in it.
    #[must_use]
    pub fn goes_on(self, part: &[u8]) -> bool {
        self != Self::Text
            || part.iter().all(|b| *b >= 0x20 || matches!(*b, b'\n' | b'\r' | b'\t' | 0x0c))
    }
}

/// The name as it is kept and shown: no folders, no controls, nothing that changes the direction of
/// writing or that a table program would run.
#[must_use]
pub fn shown_name(given: &str) -> String {
    let last = given.rsplit(['/', '\\']).next().unwrap_or(given);
    let unwanted = |c: char| {
        c.is_control()
            || matches!(c, '<' | '>' | ':' | '"' | '|' | '?' | '*')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let plain: String = last.chars().filter(|c| !unwanted(*c)).collect();
    let plain = plain.trim().trim_start_matches(['.', '=', '+', '-', '@', ' ']).trim();
    let (stem, ending) = plain.rsplit_once('.').unwrap_or((plain, ""));
    let stem: String = stem.chars().take(NAME).collect();
    let ending: String = ending.chars().take(8).collect();
    if ending.is_empty() { stem } else { format!("{stem}.{ending}") }
}

/// One document of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    pub id: Uuid,
    pub name: String,
    pub kind: DocumentKind,
    pub size: u64,
    pub digest: String,
    pub at: DateTime<Utc>,
    pub by: Person,
    /// Its content is gone; that it was there stays.
    pub withdrawn: Option<(DateTime<Utc>, String, Person)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_what_could_mislead_and_keep_their_ending() {
        for (given, want) in [
            ("../../etc/report.pdf", "report.pdf"),
            ("C:\\Users\\me\\report.pdf", "report.pdf"),
            ("=cmd|' /C calc'!A0.txt", "cmd' "),
            ("<img src=x>.png", "img src=x.png"),
            (".hidden.pdf", "hidden.pdf"),
            ("gpj.\u{202e}fdp.exe", "gpj.fdp.exe"),
            ("...", ""),
        ] {
            let shown = shown_name(given);
            if given.starts_with('=') {
                // What follows a slash is all there is.
                assert_eq!(shown, "C calc'!A0.txt");
            } else {
                assert_eq!(shown, want, "{given}");
            }
        }
        let long = shown_name(&format!("{}.pdf", "ä".repeat(500)));
        assert!(long.ends_with("ä.pdf") && long.chars().count() == NAME + 4);
    }

    #[test]
    fn ending_and_content_must_agree() {
        let pdf = b"%PDF-1.7 ...";
        assert!(DocumentKind::of_name("a.PDF").unwrap().begins(pdf));
        assert!(!DocumentKind::of_name("a.png").unwrap().begins(pdf));
        assert!(!DocumentKind::of_name("a.pdf").unwrap().begins(b"<html><script>"));
        assert!(!DocumentKind::Word.begins(b"PK\x03\x04 any archive"));
        assert!(DocumentKind::Word.begins(b"PK\x03\x04......[Content_Types].xml"));
        assert!(!DocumentKind::Text.begins(b"MZ\x00\x01"));
        assert!(DocumentKind::Text.begins("Grüße\n".as_bytes()));
        for none in ["a.exe", "a.html", "a.svg", "a.docm", "a", ".pdf", "a.pdf.js"] {
            assert!(DocumentKind::of_name(none).is_none(), "{none}");
        }
    }
}
