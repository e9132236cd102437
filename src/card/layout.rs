//! Where everything stands on the page, at one size of text.

use super::font::{Face, encode, width, wrap};
use super::{Card, CardLine, Number};
use crate::domain::civil_time;
use chrono::Days;

/// A4 in points.
pub const PAGE: (f32, f32) = (595.28, 841.89);
const MARGIN: f32 = 34.0;
const RIGHT: f32 = PAGE.0 - MARGIN;

/// Nothing smaller can be read by the light of a car.
pub const SMALLEST: f32 = 7.0;

/// Days after which a card must be printed anew.
const GOOD_FOR: Days = Days::new(31);

/// The left edges of the table's columns; the last two are for writing into.
const ORDER: f32 = MARGIN;
const AGENCY: f32 = MARGIN + 24.0;
const DAY: f32 = MARGIN + 150.0;
const NIGHT: f32 = MARGIN + 269.0;
const TIME: f32 = MARGIN + 388.0;
const NAME: f32 = MARGIN + 442.0;
const GAP: f32 = 5.0;

/// Room for a telephone number, and how much bigger than other text it is.
const NUMBER: f32 = NIGHT - DAY - 2.0 * GAP;
const TALL: f32 = 1.3;

/// What to do, whoever holds the card.
const STEPS: [&str; 4] = [
    "Ring the agencies in this order. If nobody answers, go on to the next and come back.",
    "Say that a Joint Agency Response is needed, who you are and how to ring you back.",
    "Write the time you rang and the name you spoke to.",
    "When the service is back, notify the death there and enter these times.",
];

/// One thing to draw; `y` counts from the top of the page.
pub enum Mark {
    Text {
        x: f32,
        y: f32,
        face: Face,
        size: f32,
        white: bool,
        text: Vec<u8>,
    },
    /// A filled rectangle: 0 is black.
    Fill {
        x: f32,
        y: f32,
        w: f32,
        h: f32,
        gray: f32,
    },
    Line {
        from: (f32, f32),
        to: (f32, f32),
        thick: f32,
    },
}

/// A page at one size.
pub struct Laid {
    pub marks: Vec<Mark>,
    /// Whether it all stands on one page, with no number broken over two lines.
    pub fits: bool,
}

/// Lays the card out with text of `size`.
#[must_use]
pub fn lay(card: &Card, size: f32) -> Laid {
    let mut p = Pen { marks: Vec::new(), y: MARGIN, size, broken: false };
    p.head(card);
    p.steps();
    p.table(card);
    p.notes(&card.notes);
    let bottom = PAGE.1 - MARGIN - p.foot(card);
    Laid { fits: p.y <= bottom && !p.broken, marks: p.marks }
}

/// Whether a telephone number has room in its column without being broken, in the smallest print.
#[must_use]
pub fn has_room(number: &str) -> bool {
    width(Face::Bold, SMALLEST * TALL, &encode(number)) <= NUMBER
}

struct Pen {
    marks: Vec<Mark>,
    y: f32,
    size: f32,
    /// A number did not fit its column.
    broken: bool,
}

impl Pen {
    fn small(&self) -> f32 {
        (self.size * 0.85).max(SMALLEST)
    }

    fn text(&mut self, x: f32, y: f32, face: Face, size: f32, text: Vec<u8>) {
        self.marks.push(Mark::Text { x, y, face, size, white: false, text });
    }

    /// Writes below `y` within `most` points and returns where it ends.
    fn block(&mut self, x: f32, y: f32, most: f32, face: Face, size: f32, text: &str) -> f32 {
        let mut y = y;
        for line in wrap(face, size, &encode(text), most) {
            // The base line: capitals are about 0.72 of the size high.
            self.text(x, y + size * 0.9, face, size, line);
            y += size * 1.2;
        }
        y
    }

    fn rule(&mut self, y: f32, thick: f32) {
        self.marks.push(Mark::Line { from: (MARGIN, y), to: (RIGHT, y), thick });
    }

    fn head(&mut self, card: &Card) {
        let top = self.y;
        let big = (self.size * 1.7).clamp(14.0, 22.0);
        let title = format!("EMERGENCY CARD: {}", card.area);
        let lines = wrap(Face::Bold, big, &encode(&title), RIGHT - MARGIN - 20.0);
        let high = big * 1.15 * (lines.len() as f32) + self.size * 1.3 + 16.0;
        self.marks.push(Mark::Fill { x: MARGIN, y: top, w: RIGHT - MARGIN, h: high, gray: 0.0 });
        let mut y = top + 6.0;
        let mut white = |face, size, y, text| {
            self.marks.push(Mark::Text { x: MARGIN + 10.0, y, face, size, white: true, text });
        };
        for line in lines {
            white(Face::Bold, big, y + big * 0.9, line);
            y += big * 1.15;
        }
        let when = "For when the Child Death Review service is down: whom to ring, in which order";
        white(Face::Regular, self.size, y + 3.0 + self.size * 0.9, encode(when));
        self.y = top + high + self.size * 0.6;

        let label = "For particulars, partners ring:";
        let (x, number) = (MARGIN + 10.0, encode(&card.call_back));
        let tall = self.size * 1.5;
        let after = x + width(Face::Regular, self.size, label.as_bytes()) + 8.0;
        self.broken |= after + width(Face::Bold, tall, &number) > RIGHT;
        let base = self.y + tall * 0.9;
        self.text(x, base, Face::Regular, self.size, label.into());
        self.text(after, base, Face::Bold, tall, number);
        self.y += tall * 1.35;
    }

    fn steps(&mut self) {
        for (n, step) in STEPS.iter().enumerate() {
            let (size, y) = (self.size, self.y);
            let number = format!("{}.", n + 1);
            self.block(MARGIN + 10.0, y, 20.0, Face::Bold, size, &number);
            self.y = self.block(MARGIN + 28.0, y, RIGHT - MARGIN - 38.0, Face::Regular, size, step);
        }
        self.y += self.size * 0.6;
    }

    fn table(&mut self, card: &Card) {
        let (top, small) = (self.y, self.small());
        let heads = [
            (AGENCY, DAY - AGENCY, "Agency"),
            (DAY, NIGHT - DAY, "By day"),
            (NIGHT, TIME - NIGHT, "By night, weekend, holiday"),
            (TIME, NAME - TIME, "Time you rang"),
            (NAME, RIGHT - NAME, "Name you spoke to"),
        ];
        let first = self.marks.len();
        let ends = heads
            .map(|(x, w, t)| self.block(x + GAP, top + 3.0, w - 2.0 * GAP, Face::Bold, small, t));
        self.y = ends.into_iter().fold(top, f32::max) + 2.0;
        // Behind the words, so drawn before them.
        let (w, h) = (RIGHT - MARGIN, self.y - top);
        self.marks.insert(first, Mark::Fill { x: MARGIN, y: top, w, h, gray: 0.87 });
        self.rule(self.y, 1.0);
        for (n, line) in card.lines.iter().enumerate() {
            self.row(n + 1, line);
        }
        for x in [MARGIN, DAY, NIGHT, TIME, NAME, RIGHT] {
            self.marks.push(Mark::Line { from: (x, top), to: (x, self.y), thick: 0.6 });
        }
        self.rule(top, 0.6);
        self.y += self.size * 0.7;
    }

    fn row(&mut self, order: usize, line: &CardLine) {
        let (top, size) = (self.y + 2.5, self.size);
        let order = order.to_string();
        self.block(ORDER + GAP, top, AGENCY - ORDER - GAP, Face::Bold, size, &order);
        let agency =
            self.block(AGENCY + GAP, top, DAY - AGENCY - 2.0 * GAP, Face::Bold, size, &line.agency);
        let day = self.numbers(DAY, top, &line.day);
        let night = self.numbers(NIGHT, top, &line.night);
        // Room to write by hand.
        self.y = agency.max(day).max(night).max(top + size * 1.9) + 2.5;
        self.rule(self.y, 0.6);
    }

    fn numbers(&mut self, x: f32, top: f32, numbers: &[Number]) -> f32 {
        let (most, small, tall) = (NUMBER, self.small(), self.size * TALL);
        let mut y = top;
        for n in numbers {
            let number = encode(&n.number);
            self.broken |= width(Face::Bold, tall, &number) > most;
            self.text(x + GAP, y + tall * 0.9, Face::Bold, tall, number);
            y = self.block(x + GAP, y + tall * 1.1, most, Face::Regular, small, &n.who);
            y += small * 0.3;
        }
        if numbers.is_empty() {
            y = self.block(x + GAP, y, most, Face::Regular, small, "no number is known");
        }
        y
    }

    fn notes(&mut self, notes: &[String]) {
        for note in notes {
            let (size, y) = (self.size, self.y);
            self.block(MARGIN + 10.0, y, 20.0, Face::Bold, size, "•");
            self.y = self.block(MARGIN + 24.0, y, RIGHT - MARGIN - 34.0, Face::Regular, size, note);
            self.y += size * 0.2;
        }
    }

    /// At the bottom of the page; returns its height.
    fn foot(&mut self, card: &Card) -> f32 {
        let (size, small) = (self.size, self.small());
        let printed = civil_time::date_of(card.printed);
        let last = printed.checked_add_days(GOOD_FOR).unwrap_or(printed);
        let lines = [
            (
                Face::Bold,
                size,
                format!("This card is out of date after {}.", last.format("%-d %B %Y")),
            ),
            (
                Face::Regular,
                small,
                format!(
                    "Printed {}, version {}. Write nothing about the child or the family on this card.",
                    civil_time::local(card.printed).format("%-d %B %Y, %H:%M"),
                    card.version
                ),
            ),
        ];
        let most = RIGHT - MARGIN;
        let count = |(face, size, text): &(Face, f32, String)| {
            size * 1.2 * (wrap(*face, *size, &encode(text), most).len() as f32)
        };
        let high = lines.iter().map(count).sum::<f32>() + 6.0;
        let top = PAGE.1 - MARGIN - high;
        self.rule(top, 1.0);
        let mut y = top + 6.0;
        for (face, size, text) in lines {
            y = self.block(MARGIN, y, most, face, size, &text);
        }
        high + 4.0
    }
}
