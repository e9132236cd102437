//! The emergency card: one printed page that says whom to ring, in which order, when the service is
//! down. It holds telephone numbers of duty desks and nothing about any child.

mod draw;
mod font;
mod layout;

use chrono::{DateTime, Utc};

/// What stands on the card.
#[derive(Clone, Debug)]
pub struct Card {
    pub area: String,
    /// Where a partner rings for particulars.
    pub call_back: String,
    /// Shown in England's local time; the card is good for 31 days from then.
    pub printed: DateTime<Utc>,
    pub version: String,
    /// In the order to ring.
    pub lines: Vec<CardLine>,
    pub notes: Vec<String>,
}

/// An agency to ring.
#[derive(Clone, Debug)]
pub struct CardLine {
    pub agency: String,
    pub day: Vec<Number>,
    pub night: Vec<Number>,
}

/// A telephone number and whose it is.
#[derive(Clone, Debug)]
pub struct Number {
    pub who: String,
    pub number: String,
}

/// Why no card was made.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    #[error("the emergency card does not fit on one page: {0}")]
    TooMuch(String),
}

/// Makes the card as a PDF of exactly one page: the text gets smaller until it fits.
///
/// # Errors
/// It does not fit even in the smallest readable print; says what to shorten.
pub fn pdf(card: &Card) -> Result<Vec<u8>, CardError> {
    // Quarters of a point, from what is comfortable (12.5) down to what is just readable.
    let sizes = (0..=22_u8).rev().map(|n| layout::SMALLEST + f32::from(n) * 0.25);
    for size in sizes {
        let page = layout::lay(card, size);
        if page.fits {
            return Ok(draw::pdf(card, &page.marks));
        }
    }
    Err(CardError::TooMuch(what_to_shorten(card)))
}

/// Whatever makes the card fit when it is gone, the least important first.
fn what_to_shorten(card: &Card) -> String {
    let fits = |change: &dyn Fn(&mut Card)| {
        let mut less = card.clone();
        change(&mut less);
        layout::lay(&less, layout::SMALLEST).fits
    };
    let short = |text: &mut String| *text = text.chars().take(20).collect();
    if fits(&|c| c.notes.clear()) {
        return "shorten the notes or name fewer".to_owned();
    }
    let broken = |l: &&CardLine| l.day.iter().chain(&l.night).any(|n| !layout::has_room(&n.number));
    if let Some(line) = card.lines.iter().find(broken) {
        return format!("shorten the numbers of {}", line.agency);
    }
    if fits(&|c| short(&mut c.area)) {
        return "shorten the name of the area".to_owned();
    }
    if fits(&|c| short(&mut c.call_back)) {
        return "shorten the call-back number".to_owned();
    }
    if fits(&|c| c.lines.iter_mut().for_each(|l| short(&mut l.agency))) {
        return "shorten the names of the agencies".to_owned();
    }
    let who = |c: &mut Card| {
        let numbers = c.lines.iter_mut().flat_map(|l| l.day.iter_mut().chain(&mut l.night));
        numbers.for_each(|n| short(&mut n.who));
    };
    if fits(&who) {
        return "shorten whose the numbers are".to_owned();
    }
    let numbers: usize = card.lines.iter().map(|l| l.day.len() + l.night.len()).sum();
    format!(
        "name fewer agencies (there are {}) or fewer numbers (there are {numbers}), and shorten their names",
        card.lines.len()
    )
}
