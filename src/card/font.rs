//! Helvetica as every PDF reader has it: nothing is embedded, so its widths are written down here
//! (thousandths of the size, from the public metrics of the standard fonts).

/// The two faces of the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    Regular,
    Bold,
}

/// Space to tilde.
const REGULAR: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556,
    556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667,
    611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667,
    667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500,
    222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
];
const BOLD: [u16; 95] = [
    278, 333, 474, 556, 556, 889, 722, 238, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556,
    556, 556, 556, 556, 556, 556, 556, 333, 333, 584, 584, 584, 611, 975, 722, 722, 722, 722, 667,
    611, 778, 722, 278, 556, 722, 611, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667,
    667, 611, 333, 278, 333, 584, 556, 333, 556, 611, 556, 611, 556, 333, 611, 611, 278, 278, 556,
    278, 889, 611, 611, 611, 611, 389, 556, 333, 611, 556, 778, 556, 556, 500, 389, 280, 389, 584,
];

/// How wide a text is at a size.
#[must_use]
pub fn width(face: Face, size: f32, text: &[u8]) -> f32 {
    let table = if face == Face::Bold { &BOLD } else { &REGULAR };
    let units: u32 = text
        .iter()
        .map(|c| match c {
            b' '..=b'~' => u32::from(table[usize::from(c - b' ')]),
            // Dots, dashes, ligatures, signs: as wide as the widest.
            0x85 | 0x89 | 0x8c | 0x97 | 0x99 | 0x9c | 0xbc..=0xbe | 0xc6 | 0xe6 => 1000,
            // Accented letters: rather too wide than over the edge.
            0x8a | 0x9f | 0xa9 | 0xae | 0xc0..=0xdf => 778,
            _ => 611,
        })
        .sum();
    // A line of text is far shorter than what an f32 counts exactly.
    size * (units as f32) / 1000.0
}

/// Text in the encoding of the standard fonts (`WinAnsi`). What it lacks becomes the nearest
/// letter, or a question mark: a name with a mark missing can still be asked for.
#[must_use]
pub fn encode(text: &str) -> Vec<u8> {
    text.trim().chars().filter_map(code).collect()
}

fn code(c: char) -> Option<u8> {
    Some(match c {
        ' '..='~' => u8::try_from(c).unwrap_or(b'?'),
        // Soft hyphens, joiners, marks that combine with the letter before.
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{300}'..='\u{36f}' | '\u{feff}' => return None,
        '\u{a0}' => b' ',
        '\u{a1}'..='\u{ff}' => u8::try_from(u32::from(c)).unwrap_or(b'?'),
        '€' => 0x80,
        '‚' => 0x82,
        'ƒ' => 0x83,
        '„' => 0x84,
        '…' => 0x85,
        '†' => 0x86,
        '‡' => 0x87,
        'ˆ' => 0x88,
        '‰' => 0x89,
        'Š' => 0x8a,
        '‹' => 0x8b,
        'Œ' => 0x8c,
        'Ž' => 0x8e,
        '‘' => 0x91,
        '’' => 0x92,
        '“' => 0x93,
        '”' => 0x94,
        '•' => 0x95,
        '–' => 0x96,
        '—' => 0x97,
        '˜' => 0x98,
        '™' => 0x99,
        'š' => 0x9a,
        '›' => 0x9b,
        'œ' => 0x9c,
        'ž' => 0x9e,
        'Ÿ' => 0x9f,
        '\u{2010}'..='\u{2015}' | '\u{2212}' => b'-',
        'Ā' | 'Ă' | 'Ą' => b'A',
        'ā' | 'ă' | 'ą' => b'a',
        'Ć' | 'Ĉ' | 'Ċ' | 'Č' => b'C',
        'ć' | 'ĉ' | 'ċ' | 'č' => b'c',
        'Ď' | 'Đ' => b'D',
        'ď' | 'đ' => b'd',
        'Ē' | 'Ĕ' | 'Ė' | 'Ę' | 'Ě' => b'E',
        'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => b'e',
        'Ĝ' | 'Ğ' | 'Ġ' | 'Ģ' => b'G',
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => b'g',
        'Ĩ' | 'Ī' | 'Į' | 'İ' => b'I',
        'ĩ' | 'ī' | 'į' | 'ı' => b'i',
        'Ł' | 'Ļ' | 'Ľ' => b'L',
        'ł' | 'ļ' | 'ľ' => b'l',
        'Ń' | 'Ņ' | 'Ň' => b'N',
        'ń' | 'ņ' | 'ň' => b'n',
        'Ō' | 'Ő' => b'O',
        'ō' | 'ő' => b'o',
        'Ŕ' | 'Ř' => b'R',
        'ŕ' | 'ř' => b'r',
        'Ś' | 'Ş' | 'Ș' => b'S',
        'ś' | 'ş' | 'ș' => b's',
        'Ţ' | 'Ť' | 'Ț' => b'T',
        'ţ' | 'ť' | 'ț' => b't',
        'Ũ' | 'Ū' | 'Ů' | 'Ű' | 'Ų' => b'U',
        'ũ' | 'ū' | 'ů' | 'ű' | 'ų' => b'u',
        'Ŵ' => b'W',
        'ŵ' => b'w',
        'Ŷ' => b'Y',
        'ŷ' => b'y',
        'Ź' | 'Ż' => b'Z',
        'ź' | 'ż' => b'z',
        c if c.is_whitespace() || c.is_control() => b' ',
        _ => b'?',
    })
}

/// Lines of at most `most` points: broken at spaces, and within a word only if it alone is wider.
#[must_use]
pub fn wrap(face: Face, size: f32, text: &[u8], most: f32) -> Vec<Vec<u8>> {
    let (mut lines, mut line) = (Vec::new(), Vec::new());
    for word in text.split(|c| *c == b' ').filter(|w| !w.is_empty()) {
        let gap: &[u8] = if line.is_empty() { b"" } else { b" " };
        let longer = [line.as_slice(), gap, word].concat();
        if width(face, size, &longer) <= most {
            line = longer;
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        for c in word {
            line.push(*c);
            if line.len() > 1 && width(face, size, &line) > most {
                line.pop();
                lines.push(std::mem::replace(&mut line, vec![*c]));
            }
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_beyond_the_fonts_becomes_the_nearest_letter() {
        assert_eq!(
            encode(" Cyngor Tŷ’r Ŵyn – Łódź\n01632\u{2011}960101 "),
            b"Cyngor Ty\x92r Wyn \x96 L\xf3dz 01632-960101"
        );
        assert_eq!(encode("é\u{301}中\u{200b}"), b"\xe9?");
    }

    #[test]
    fn no_line_is_wider_than_asked_and_no_letter_is_lost() {
        let text =
            encode("Northshire Children's Social Care Donaudampfschifffahrtsgesellschaft ok");
        for most in [5.0, 40.0, 90.0, 500.0] {
            let lines = wrap(Face::Bold, 10.0, &text, most);
            assert!(lines.iter().all(|l| l.len() == 1 || width(Face::Bold, 10.0, l) <= most));
            let letters = |t: &[u8]| t.iter().filter(|c| **c != b' ').copied().collect::<Vec<_>>();
            assert_eq!(letters(&lines.concat()), letters(&text));
        }
    }

    #[test]
    fn widths_are_those_of_the_metrics() {
        assert!(
            (width(Face::Regular, 1000.0, b"AWi 0") - (667.0 + 944.0 + 222.0 + 278.0 + 556.0))
                .abs()
                < 0.1
        );
        assert!((width(Face::Bold, 1000.0, b"m~") - (889.0 + 584.0)).abs() < 0.1);
    }
}
