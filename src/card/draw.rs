//! Writes laid-out marks as a PDF of one page.

use super::Card;
use super::font::Face;
use super::layout::{Mark, PAGE};
use chrono::{Datelike, Timelike};
use pdf_writer::types::PageLayout;
use pdf_writer::{Content, Date, Finish, Name, Pdf, Rect, Ref, Str, TextStr};

const REGULAR: Name<'static> = Name(b"R");
const BOLD: Name<'static> = Name(b"B");

/// The file.
#[must_use]
pub fn pdf(card: &Card, marks: &[Mark]) -> Vec<u8> {
    let [catalog, tree, page, content, regular, bold, info] = [1, 2, 3, 4, 5, 6, 7].map(Ref::new);
    let mut pdf = Pdf::new();

    let mut root = pdf.catalog(catalog);
    root.pages(tree).lang(TextStr("en-GB")).page_layout(PageLayout::SinglePage);
    root.viewer_preferences().display_doc_title(true);
    root.finish();

    let title = format!("Emergency card: {}", card.area);
    let mut about = pdf.document_info(info);
    about.title(TextStr(&title)).creator(TextStr("Child Death Review"));
    about.creation_date(date(card));
    about.finish();

    pdf.pages(tree).kids([page]).count(1);
    let mut sheet = pdf.page(page);
    sheet.media_box(Rect::new(0.0, 0.0, PAGE.0, PAGE.1)).parent(tree).contents(content);
    sheet.resources().fonts().pair(REGULAR, regular).pair(BOLD, bold);
    sheet.finish();

    for (id, font) in [(regular, &b"Helvetica"[..]), (bold, b"Helvetica-Bold")] {
        pdf.type1_font(id).base_font(Name(font)).encoding_predefined(Name(b"WinAnsiEncoding"));
    }
    pdf.stream(content, &drawn(marks));
    pdf.finish()
}

fn drawn(marks: &[Mark]) -> Vec<u8> {
    let mut c = Content::new();
    for mark in marks {
        match mark {
            Mark::Fill { x, y, w, h, gray } => {
                c.set_fill_gray(*gray).rect(*x, PAGE.1 - y - h, *w, *h).fill_nonzero();
            }
            Mark::Line { from, to, thick } => {
                c.set_line_width(*thick).move_to(from.0, PAGE.1 - from.1);
                c.line_to(to.0, PAGE.1 - to.1).stroke();
            }
            Mark::Text { x, y, face, size, white, text } => {
                let font = if *face == Face::Bold { BOLD } else { REGULAR };
                c.set_fill_gray(if *white { 1.0 } else { 0.0 });
                c.begin_text().set_font(font, *size).next_line(*x, PAGE.1 - y);
                c.show(Str(text)).end_text();
            }
        }
    }
    c.finish().to_vec()
}

/// When it was printed: the same card is the same file.
fn date(card: &Card) -> Date {
    let at = card.printed;
    let part = |n: u32| u8::try_from(n).unwrap_or(0);
    Date::new(u16::try_from(at.year()).unwrap_or(0))
        .month(part(at.month()))
        .day(part(at.day()))
        .hour(part(at.hour()))
        .minute(part(at.minute()))
        .second(part(at.second()))
        .utc_offset_hour(0)
        .utc_offset_minute(0)
}
