//! Files for others to open: what another program makes of them.

use crate::reach::python;
use child_death_review::card::{Card, CardError, CardLine, Number, pdf};
use child_death_review::platform::age_file::{Recipient, encrypt};

#[test]
fn another_implementation_opens_our_age_files() {
    let keys = python(
        "import pyrage\nfor _ in range(3):\n  i=pyrage.x25519.Identity.generate(); print(i.to_public(), i)",
        &[],
    );
    let keys: Vec<(&str, &str)> = keys.lines().map(|l| l.split_once(' ').unwrap()).collect();
    let to: Vec<_> =
        keys[..2].iter().map(|(public, _)| Recipient::parse(public).unwrap()).collect();
    let dir = tempfile::tempdir().unwrap();
    let plain = |n: usize| (0..n).map(|i| (i % 251) as u8).collect::<Vec<u8>>();
    let script = "import sys,pyrage,hashlib\nids=[pyrage.x25519.Identity.from_str(k) for k in sys.argv[2:]]\ndata=open(sys.argv[1],'rb').read()\nfor i in ids:\n  try:\n    p=pyrage.decrypt(data,[i]); print(len(p), p==bytes(n%251 for n in range(len(p))))\n  except Exception as e: print(type(e).__name__)";
    let open = |bytes: &[u8]| {
        let path = dir.path().join("copy.age");
        std::fs::write(&path, bytes).unwrap();
        let secrets: Vec<&str> = keys.iter().map(|(_, secret)| *secret).collect();
        python(script, &[&[path.to_str().unwrap()], secrets.as_slice()].concat())
    };
    // The edges of the 64 KiB chunks are where a writer of the format goes wrong.
    for n in [0, 1, 65_535, 65_536, 65_537, 131_072, 300_001] {
        let file = encrypt(&to, &plain(n)).unwrap();
        assert_eq!(open(&file), format!("{n} True\n{n} True\nDecryptError\n"), "{n}");
    }
    let mut cut = encrypt(&to, &plain(131_072)).unwrap();
    cut.truncate(cut.len() - 65_552);
    assert_eq!(open(&cut), "DecryptError\nDecryptError\nDecryptError\n", "a whole chunk cut off");
}

fn number(who: &str, number: &str) -> Number {
    Number { who: who.into(), number: number.into() }
}

fn card(agencies: usize) -> Card {
    let names = [
        "Northshire Police, child death on-call",
        "Northshire Children\u{2019}s Social Care",
        "Designated doctor for child deaths",
        "Joint Agency Response nurse",
        "Coroner's officer",
        "Northshire Ambulance, safeguarding desk",
        "Child Death Overview Panel office",
    ];
    let line = |n: usize| CardLine {
        agency: names[n % names.len()].to_owned(),
        day: vec![number("Duty desk", &format!("01632 960{:03}", 100 + n))],
        night: vec![
            number("Emergency duty team", &format!("01632 960{:03}", 200 + n)),
            number("On-call manager", &format!("07700 900{:03}", 300 + n)),
        ],
    };
    Card {
        area: "Northshire".into(),
        call_back: "01632 960100".into(),
        printed: "2026-07-09T23:30:00Z".parse().unwrap(),
        version: "0.1.0".into(),
        lines: (0..agencies).map(line).collect(),
        notes: vec![
            "Tŷ Bach ward (West Vale) has no night desk: ring the switchboard and ask for the site manager.".into(),
            "Coroner: leave a message after 17:30, then ring the police control room.".into(),
        ],
    }
}

/// Pages, title, language and text as an independent reader finds them.
fn read_pdf(bytes: &[u8]) -> (String, String) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let script = "import sys,pypdf\nr=pypdf.PdfReader(sys.argv[1],strict=True)\nb=r.pages[0].mediabox\nprint(len(r.pages), r.metadata.title, r.trailer['/Root']['/Lang'], round(b.width), round(b.height))\nprint(r.pages[0].extract_text())";
    let said = python(script, &[file.path().to_str().unwrap()]);
    let (first, text) = said.split_once('\n').unwrap();
    (first.to_owned(), text.to_owned())
}

#[test]
fn the_emergency_card_is_one_page_with_every_number_to_copy_out() {
    let made = pdf(&card(7)).unwrap();
    assert_eq!(made, pdf(&card(7)).unwrap(), "the same card is the same file");
    // To look at it: CDR_TEST_CARD=card.pdf cargo nextest run emergency_card
    if let Ok(keep) = std::env::var("CDR_TEST_CARD") {
        std::fs::write(keep, &made).unwrap();
    }
    let (about, text) = read_pdf(&made);
    assert_eq!(about, "1 Emergency card: Northshire en-GB 595 842");
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for line in card(7).lines {
        let agency = line.agency.split(' ').next().unwrap();
        assert!(flat.contains(agency), "{agency}: {flat}");
        for n in line.day.iter().chain(&line.night) {
            assert!(text.contains(&n.number), "{} in {text}", n.number);
        }
    }
    for part in [
        "01632 960100",
        "Northshire Children\u{2019}s Social Care",
        "Write the time you rang and the name you spoke to",
        // Half past midnight in England's summer is still the day before in UTC.
        "Printed 10 July 2026, 00:30, version 0.1.0",
        "This card is out of date after 10 August 2026",
        "Ty Bach ward",
    ] {
        assert!(flat.contains(part), "{part}: {flat}");
    }
}

#[test]
fn a_crowded_card_is_one_page_or_says_what_to_shorten() {
    let mut fitted = 0;
    for agencies in [0, 1, 12, 20, 40] {
        match pdf(&card(agencies)) {
            Ok(made) => {
                fitted += 1;
                assert!(read_pdf(&made).0.starts_with("1 "), "{agencies}");
            }
            Err(CardError::TooMuch(why)) => assert!(why.contains("fewer agencies"), "{why}"),
        }
    }
    assert!(fitted >= 3, "{fitted}");

    let mut forty = card(40);
    for l in &mut forty.lines {
        l.agency =
            "Northshire and the Southern Vale Integrated Safeguarding Partnership, duty desk"
                .into();
        l.night.clear();
    }
    let said = pdf(&forty).unwrap_err().to_string();
    assert!(said.contains("shorten the names of the agencies") || said.contains("40"), "{said}");

    let mut talkative = card(5);
    talkative.notes = vec!["Please remember. ".repeat(40); 12];
    let said = pdf(&talkative).unwrap_err().to_string();
    assert!(said.contains("shorten the notes"), "{said}");

    let mut broken = card(2);
    broken.lines[1].day[0].number = "01632 960100 and then option 4, extension 1234".into();
    let said = pdf(&broken).unwrap_err().to_string();
    assert!(said.contains("shorten the numbers of Northshire Children"), "{said}");
}
