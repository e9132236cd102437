//! Rotas and directories in other people's formats: what is read, what is refused, and that
//! nothing in a file can hurt.

use child_death_review::domain::calendar::Calendar;
use child_death_review::domain::rota::{Cover, Rota, Rotation, Window, shifts};
use child_death_review::exchange::directory_csv::{self, COLUMNS, DirectoryLine, Kind, When};
use child_death_review::exchange::{
    LineProblem, MAX_LISTED, Person, Read, Refused, ical, paste, table,
};
use chrono::{DateTime, NaiveDateTime, NaiveTime, Utc};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

fn people() -> Vec<Person> {
    [
        ("ada", "Ada Exampleby", "ada@northshire.example"),
        ("bert", "Bert Mockridge", "bert@northshire.example"),
        ("cleo", "Cleo O'Sample", ""),
        ("sam1", "Sam Twice", "sam1@northshire.example"),
        ("sam2", "Sam Twice", "sam2@northshire.example"),
    ]
    .map(|(id, name, email)| Person { id: id.into(), name: name.into(), email: email.into() })
    .into()
}

fn nine() -> NaiveTime {
    "09:00:00".parse().unwrap()
}

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn pasted(text: &str) -> Read<Cover> {
    paste::read(text.as_bytes(), &people(), nine()).unwrap()
}

fn said(covers: &[Cover]) -> Vec<String> {
    let minute = |t: NaiveDateTime| t.format("%m-%d %H:%M").to_string();
    covers.iter().map(|c| format!("{}>{} {}", minute(c.from), minute(c.to), c.person)).collect()
}

fn places(problems: &[LineProblem]) -> Vec<(u32, &str)> {
    assert!(problems.iter().all(|p| p.message.ends_with('.')), "{problems:?}");
    problems.iter().map(|p| (p.line, p.column.as_str())).collect()
}

#[test]
fn pasted_tables_in_every_shape_say_the_same() {
    let want = ["11-30 09:00>12-01 09:00 ada", "12-01 09:00>12-02 09:00 bert"];
    for text in [
        "2026-11-30\tAda Exampleby\n2026-12-01\tBert Mockridge\n",
        "date,person\r\n30/11/2026,ada exampleby\r\n\r\n1/12/2026,\"Mockridge, Bert\"\r\n",
        "Mon 30 Nov 2026;ADA@northshire.example\rTue 1 December 2026;bert\r",
        "who;date\nAda  Exampleby;Monday, 30-Nov-2026\nBert Mockridge;Tues 1 Dec 2026",
        "2026-11-30, 2026-12-01, ada\n2026-12-01 09:00, 2026-12-02T09:00, bert,\n",
        "Until\tFrom\tName\n01/12/2026 9:00\t30/11/2026 09:00:00\tada\n2/12/2026\t1/12/2026\tbert",
    ] {
        let read = pasted(text);
        assert!(read.problems.is_empty() && read.notes.is_empty(), "{text}: {read:?}");
        assert_eq!(said(&read.items), want, "{text}");
    }
    // As Excel saves them: UTF-16 for "Unicode text", Windows-1252 for CSV.
    let wide: Vec<u8> =
        "\u{feff}2026-11-30\tZoë Sample\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let narrow = b"2026-11-30,Zo\xeb Sample\n";
    let zoe = [Person { id: "z".into(), name: "Zoë Sample".into(), email: String::new() }];
    for bytes in [wide.as_slice(), narrow] {
        assert_eq!(paste::read(bytes, &zoe, nine()).unwrap().items[0].person, "z");
    }
}

#[test]
fn pasted_lines_that_are_wrong_are_named_and_the_others_read() {
    let read = pasted(
        "from,to,person\n\
         30/11/2026,1/12/2026,ada\n\
         11/30/2026,1/12/2026,ada\n\
         Tue 30 Nov 2026,1/12/2026,ada\n\
         2/12/2026,1/12/2026,ada\n\
         =NOW(),1/12/2026,ada\n\
         3/12/2026,4/12/2026,Dora Nobody\n\
         3/12/2026,4/12/2026,Sam Twice\n\
         3/12/2026,4/12/2026,\n\
         3/12/2026,4/12/2026,ada,x,y\n\
         3/12/2026,4/12/2026,\"ada\n\
         1/12/2026 08:59,2/12/2026,bert\n\
         1/12/2026 25:00,2/12/2026,bert\n\
         1/12/2026,2/12/2026,@bert\n\
         1/12/2026,2/12/2026,bert\n",
    );
    assert_eq!(said(&read.items), ["11-30 09:00>12-01 09:00 ada", "12-01 09:00>12-02 09:00 bert"]);
    assert_eq!(
        places(&read.problems),
        [
            (3, "from"),
            (4, "from"),
            (5, "to"),
            (6, "from"),
            (7, "person"),
            (8, "person"),
            (9, "person"),
            (10, ""),
            (11, ""),
            (12, "from"),
            (13, "from"),
            (14, "person"),
        ]
    );
    let of = |line| read.problems.iter().find(|p| p.line == line).unwrap().message.as_str();
    assert!(of(4).contains("not a Tue but a Mon"), "{}", of(4));
    assert!(of(6).contains("formula") && of(14).contains("formula"));
    assert!(of(7).contains("Dora Nobody") && of(8).contains("Several"));
    assert!(of(12).contains("line 2"), "{}", of(12));
    let wrong = pasted("from,person\n30/11/2026,ada\n");
    assert!(wrong.items.is_empty() && wrong.problems.len() == 1);
    // Times on clock-change nights are read, and said.
    let odd = pasted("2026-03-29 01:30,2026-10-25 01:30,ada");
    assert_eq!(places(&odd.notes), [(1, "from"), (1, "to")]);
    assert_eq!(odd.items.len(), 1);
}

#[test]
fn tables_have_limits() {
    let line = "2026-11-30 09:00,2026-11-30 09:00,Dora Nobody\n";
    let began = Instant::now();
    let read = pasted(&line.repeat(50_000));
    assert_eq!(read.problems.len(), MAX_LISTED);
    // Two problems a line: no such person, and no length.
    assert_eq!(read.problems_left_out as usize, 100_000 - MAX_LISTED);
    // Every line opens a quotation mark: each is looked at for one cell's length only.
    let read = pasted(&format!("2026-11-30,ada\n{}", "a,\"b\n".repeat(50_000)));
    assert_eq!((read.items.len(), read.problems_left_out as usize), (1, 50_000 - MAX_LISTED));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let refused = |text: String| paste::read(text.as_bytes(), &people(), nine()).unwrap_err();
    assert!(matches!(refused("a\n".repeat(60_001)), Refused::TooManyLines { .. }));
    assert!(matches!(refused("a".repeat((8 << 20) + 1)), Refused::TooLarge { .. }));
    let long = pasted(&format!("2026-11-30,{}\n2026-12-01,ada\n", "x".repeat(501)));
    assert_eq!((places(&long.problems), long.items.len()), (vec![(1, "")], 1));
    assert_eq!(table::guess("title\na;b,c\n", 20), ';');
    assert_eq!(table::guess("\"a;b;c\",d\n", 1), ',');
    assert_eq!(table::guess("Mon, 30 Nov, 2026\tada\n", 1), '\t');
}

// Calendars.

fn calendar(events: &str) -> Read<Cover> {
    let text = format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{events}END:VCALENDAR\r\n");
    ical::read(text.as_bytes(), &people(), utc("2026-11-20T00:00:00Z")).unwrap()
}

fn event(lines: &[&str]) -> String {
    format!("BEGIN:VEVENT\r\n{}\r\nEND:VEVENT\r\n", lines.join("\r\n"))
}

const HOURS: [&str; 2] = ["DTSTART:20261130T090000Z", "DTEND:20261201T090000Z"];

#[test]
fn events_become_covers() {
    let want = "11-30 09:00>12-01 09:00 ada";
    let on = "SUMMARY:Ada Exampleby";
    for lines in [
        vec![HOURS[0], HOURS[1], on],
        vec!["DTSTART;TZID=Europe/London:20261130T090000", "DURATION:P1D", on],
        vec!["DTSTART;TZID=\"GMT Standard Time\":20261130T090000", "DURATION:PT24H", on],
        vec!["DTSTART;TZID=/x.example/Europe/London:20261130T090000", "DURATION:P1D", on],
        vec!["DTSTART;TZID=Romance Standard Time:20261130T100000", HOURS[1], on],
        vec!["DTSTART:20261130T090000", "DTEND:20261201T090000", on],
        vec![HOURS[0], HOURS[1], "SUMMARY:On call (Dr Ada", " Exampleby)"],
        vec![HOURS[0], HOURS[1], "SUMMARY:On call", "ATTENDEE;CN=x:MAILTO:ada@northshire.example"],
        vec![HOURS[0], HOURS[1], "SUMMARY:On call", "ATTENDEE;CN=Ada Exampleby:mailto:x@y.example"],
        vec![
            HOURS[0],
            HOURS[1],
            "ATTENDEE;PARTSTAT=DECLINED:mailto:bert@northshire.example",
            "ATTENDEE:mailto:ada@northshire.example",
        ],
        vec![HOURS[0], HOURS[1], on, "BEGIN:VALARM", "DTSTART:rubbish", "SUMMARY:x", "END:VALARM"],
    ] {
        let read = calendar(&event(&lines));
        // An unfolded line keeps the words apart only if the fold has its own space.
        let lines = lines.join("|").replace("Ada| ", "Ada ");
        if lines.contains("(Dr Ada Exampleby") {
            assert_eq!(places(&read.problems), [(6, "SUMMARY")], "AdaExampleby is nobody");
            continue;
        }
        assert_eq!(said(&read.items), [want], "{lines}: {:?}", read.problems);
    }
    let folded = calendar(&event(&[HOURS[0], HOURS[1], "SUMMARY:On call (Dr Ada ", " Exampleby)"]));
    assert_eq!(said(&folded.items), [want]);
    let day = calendar(&event(&["DTSTART;VALUE=DATE:20261130", on]));
    assert_eq!(said(&day.items), ["11-30 00:00>12-01 00:00 ada"]);
    let summer = calendar(&event(&["DTSTART:20270701T080000Z", "DURATION:P1W", on]));
    assert_eq!(said(&summer.items), ["07-01 09:00>07-08 09:00 ada"]);
}

#[test]
fn events_that_are_wrong_are_named_by_line() {
    let on = "SUMMARY:ada";
    for (lines, place, word) in [
        (vec![HOURS[0], HOURS[1], "SUMMARY:Dora Nobody"], (6, "SUMMARY"), "Dora Nobody"),
        (vec![HOURS[0], HOURS[1]], (3, "SUMMARY"), "Nobody"),
        (vec![HOURS[0], HOURS[1], "SUMMARY:Sam Twice"], (6, "SUMMARY"), "more than one"),
        (
            vec![HOURS[0], HOURS[1], "SUMMARY:Ada Exampleby / Bert Mockridge"],
            (6, "SUMMARY"),
            "more than one",
        ),
        (vec![HOURS[0], on], (3, "DTEND"), "no end"),
        (vec![HOURS[1], on], (3, "DTSTART"), ""),
        (vec!["DTSTART:20261202T090000Z", HOURS[1], on], (5, "DTEND"), "not end after"),
        (vec![HOURS[0], "DTEND:20261130T090000Z", on], (5, "DTEND"), "not end after"),
        (
            vec!["DTSTART;TZID=Mars/Olympus:20261130T090000", HOURS[1], on],
            (4, "DTSTART"),
            "Mars/Olympus",
        ),
        (vec!["DTSTART:2026-11-30", HOURS[1], on], (4, "DTSTART"), "not a date"),
        (vec!["DTSTART:20261131T090000Z", HOURS[1], on], (4, "DTSTART"), "not a date"),
        (vec![HOURS[0], "DURATION:soon", on], (5, "DURATION"), "not a duration"),
        (vec![HOURS[0], "DTEND:20290101T000000Z", on], (5, "DTEND"), "year"),
        (vec![HOURS[0], HOURS[1], on, "RRULE:FREQ=HOURLY"], (7, "RRULE"), "daily"),
        (vec![HOURS[0], HOURS[1], on, "RRULE:FREQ=DAILY;BYHOUR=1"], (7, "RRULE"), "not understood"),
        (
            vec![HOURS[0], HOURS[1], on, "RRULE:FREQ=WEEKLY;BYDAY=XX"],
            (7, "RRULE"),
            "not understood",
        ),
        (
            vec![HOURS[0], HOURS[1], on, "RRULE:FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30"],
            (7, "RRULE"),
            "no date",
        ),
    ] {
        // Without a start there is nothing to read.
        let lines = if word.is_empty() { lines[1..].to_vec() } else { lines };
        let read = calendar(&event(&lines));
        assert!(read.items.is_empty(), "{lines:?}");
        assert_eq!(places(&read.problems), [place], "{lines:?}");
        assert!(read.problems[0].message.contains(word), "{:?}", read.problems);
    }
    let good = event(&[HOURS[0], HOURS[1], on]);
    let both = calendar(&format!("{}{good}", event(&[HOURS[0], on])));
    assert_eq!((both.items.len(), both.problems.len()), (1, 1), "one wrong event spoils no other");
    let open = calendar(&format!("BEGIN:VEVENT\r\n{}\r\n{good}", HOURS[0]));
    assert_eq!((open.items.len(), places(&open.problems)), (1, vec![(3, "")]));
    let over = calendar(&event(&["DTSTART:20261101T090000Z", "DURATION:P1D", on]));
    assert!(over.items.is_empty() && over.problems.is_empty() && over.notes.len() == 1);
    let far = calendar(&event(&["DTSTART:20290101T090000Z", "DURATION:P1D", on]));
    assert!(far.items.is_empty() && far.problems.is_empty() && far.notes.len() == 1);
    let off = calendar(&event(&[HOURS[0], HOURS[1], on, "STATUS:CANCELLED"]));
    assert!(off.items.is_empty() && off.notes.len() == 1);
}

#[test]
fn repeating_events_are_unrolled_on_the_wall_clock_and_within_bounds() {
    let start = "DTSTART;TZID=GMT Standard Time:20260316T090000";
    let week = |rest: &[&str]| {
        let mut lines = vec![start, "DURATION:P1D", "UID:1", "SUMMARY:ada"];
        lines.extend(rest);
        let text = format!("BEGIN:VCALENDAR\r\n{}END:VCALENDAR", event(&lines));
        ical::read(text.as_bytes(), &people(), utc("2026-03-20T00:00:00Z")).unwrap()
    };
    // Through the night when the clocks go forward; the first is over, one is left out.
    let read = week(&["RRULE:FREQ=WEEKLY;COUNT=5", "EXDATE;TZID=Europe/London:20260406T090000"]);
    let want = [
        "03-23 09:00>03-24 09:00 ada",
        "03-30 09:00>03-31 09:00 ada",
        "04-13 09:00>04-14 09:00 ada",
    ];
    assert_eq!(said(&read.items), want);
    assert!(read.notes.is_empty());
    // 08:00 UTC is 09:00 summer time: an exception and an end may be written in UTC.
    let read = week(&["RRULE:FREQ=WEEKLY;UNTIL=20260413T080000Z", "EXDATE:20260406T080000Z"]);
    assert_eq!(said(&read.items), want);
    let read = week(&["RRULE:FREQ=WEEKLY;UNTIL=20260413T075959Z", "EXDATE;VALUE=DATE:20260406"]);
    assert_eq!(said(&read.items), want[..2]);
    let read = week(&["RRULE:FREQ=MONTHLY;BYDAY=-1FR;COUNT=2", "RDATE:20260401T080000Z"]);
    assert_eq!(
        said(&read.items),
        [
            "03-27 09:00>03-28 09:00 ada",
            "04-01 09:00>04-02 09:00 ada",
            "04-24 09:00>04-25 09:00 ada"
        ]
    );
    let read = week(&["RRULE:FREQ=DAILY;INTERVAL=4;UNTIL=99991231T000000Z"]);
    assert_eq!(read.items.len(), 100, "400 days by fours");
    // An occurrence moved by its own event, and one cancelled.
    let moved = format!(
        "BEGIN:VCALENDAR\r\n{}{}{}END:VCALENDAR",
        event(&[start, "DURATION:P1D", "UID:1", "SUMMARY:ada", "RRULE:FREQ=WEEKLY;COUNT=4"]),
        event(&[
            "DTSTART:20260324T090000Z",
            "DURATION:P1D",
            "UID:1",
            "SUMMARY:bert",
            "RECURRENCE-ID;TZID=Europe/London:20260323T090000"
        ]),
        event(&[
            "DTSTART:20260330T080000Z",
            "DURATION:P1D",
            "UID:1",
            "SUMMARY:ada",
            "STATUS:CANCELLED",
            "RECURRENCE-ID:20260330T080000Z"
        ]),
    );
    let read = ical::read(moved.as_bytes(), &people(), utc("2026-03-20T00:00:00Z")).unwrap();
    assert_eq!(said(&read.items), ["04-06 09:00>04-07 09:00 ada", "03-24 09:00>03-25 09:00 bert"]);

    let endless = week(&["RRULE:FREQ=DAILY"]);
    assert_eq!(endless.items.len(), 401);
    assert!(endless.notes[0].message.contains("without end") && endless.problems.is_empty());
    // Six endless ones: 2,000 in all, and it is said for each what became of it.
    let many = event(&[HOURS[0], "DURATION:PT1H", "SUMMARY:ada", "RRULE:FREQ=DAILY"]).repeat(6);
    let read = calendar(&many);
    assert_eq!(read.items.len(), 2000);
    assert_eq!((read.problems.len(), read.notes.len()), (0, 6));
    assert!(read.notes[5].message.contains("too much"));
    let read = calendar(&many.repeat(2));
    assert_eq!((read.items.len(), read.problems.len()), (2000, 6));
}

#[test]
fn calendars_have_limits() {
    let read = |text: &str| ical::read(text.as_bytes(), &people(), utc("2026-11-20T00:00:00Z"));
    assert_eq!(read("a,b,c").unwrap_err(), Refused::NotACalendar);
    assert!(matches!(
        read(&" ".repeat((2 << 20) + 1)).unwrap_err(),
        Refused::TooLarge { limit_kib: 2048 }
    ));
    let some =
        |n| format!("BEGIN:VCALENDAR\n{}", event(&[HOURS[0], HOURS[1], "SUMMARY:ada"]).repeat(n));
    assert_eq!(read(&some(5000)).unwrap().items.len(), 5000);
    assert_eq!(read(&some(5001)).unwrap_err(), Refused::TooManyEvents { limit: 5000 });
    // Rules that search for centuries stop being tried.
    let began = Instant::now();
    let search =
        event(&[HOURS[0], HOURS[1], "SUMMARY:ada", "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"]);
    let found = read(&format!("BEGIN:VCALENDAR\n{}", search.repeat(4000))).unwrap();
    assert!(found.items.is_empty() && found.problems.len() == MAX_LISTED);
    let ancient =
        event(&["DTSTART:19700101T090000Z", "DURATION:PT1H", "SUMMARY:ada", "RRULE:FREQ=DAILY"]);
    let found = read(&format!("BEGIN:VCALENDAR\n{}", ancient.repeat(4000))).unwrap();
    assert!(found.items.len() <= 2000 && found.problems_left_out > 3000);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

fn doctors() -> Rota {
    let rotation = Rotation {
        id: "a".into(),
        rank: 0,
        starts: "2026-01-05".parse().unwrap(),
        until: None,
        handover: nine(),
        every_days: 7,
        people: ["ada", "bert", "cleo"].map(str::to_owned).into(),
        only: Window::default(),
    };
    Rota {
        id: "doctors".into(),
        name: "Doctors\r\nX-EVIL:1".into(),
        rotations: vec![rotation],
        covers: vec![],
    }
}

#[test]
fn shifts_are_written_with_names_only_and_under_lasting_uids() {
    let england = Calendar::new(&[], &[]);
    let mut names: BTreeMap<_, _> = people().into_iter().map(|p| (p.id, p.name)).collect();
    let write = |names: &BTreeMap<String, String>, from: &str, to: &str| {
        ical::write(&doctors(), &england, (utc(from), utc(to)), names, utc("2026-03-01T00:00:00Z"))
    };
    let text = write(&names, "2026-03-18T00:00:00Z", "2026-04-15T00:00:00Z");
    assert_eq!(text, write(&names, "2026-03-18T00:00:00Z", "2026-04-15T00:00:00Z"));
    assert!(!text.contains("@northshire.example") && !text.contains("\nX-EVIL"));
    let uids = |text: &str| -> Vec<String> {
        text.lines().filter(|l| l.starts_with("UID:")).map(str::to_owned).collect()
    };
    assert_eq!(uids(&text).len(), 5);
    assert_eq!(uids(&text)[0], "UID:20260316T090000Z-doctors@rota.cdr");
    // Written later, from the middle of a shift: the same UIDs.
    let later = uids(&write(&names, "2026-04-01T12:00:00Z", "2026-04-15T00:00:00Z"));
    assert_eq!(later, uids(&text)[2..]);
    // Read back, everybody is on as before.
    let read = ical::read(text.as_bytes(), &people(), utc("2026-03-18T00:00:00Z")).unwrap();
    assert!(read.problems.is_empty(), "{:?}", read.problems);
    let on =
        |r: &Rota| shifts(r, &england, utc("2026-03-18T00:00:00Z"), utc("2026-04-15T00:00:00Z"));
    let only_covers = Rota { rotations: vec![], covers: read.items, ..doctors() };
    assert_eq!(on(&only_covers), on(&doctors()));
    assert!(said(&only_covers.covers).contains(&"03-23 09:00>03-30 09:00 cleo".to_owned()));
    // A name is text, whatever is in it.
    names.insert("cleo".into(), "Mock; ridge, \\Bert\r\nATTENDEE:x".into());
    let text = write(&names, "2026-03-24T00:00:00Z", "2026-03-25T00:00:00Z");
    assert!(!text.contains("\nATTENDEE"), "{text}");
    let bert = [Person {
        id: "b".into(),
        name: "Mock; ridge, \\Bert  ATTENDEE:x".into(),
        email: String::new(),
    }];
    let read = ical::read(text.as_bytes(), &bert, utc("2026-03-18T00:00:00Z")).unwrap();
    assert_eq!(read.items[0].person, "b", "{text}");
    names.remove("cleo");
    assert!(!write(&names, "2026-03-24T00:00:00Z", "2026-03-25T00:00:00Z").contains("cleo"));
}

// Directories.

/// Takes numbers of ten or eleven digits and writes them without spaces.
fn phone(text: &str) -> Result<String, String> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.strip_prefix("44").map_or(digits.clone(), |d| format!("0{d}"));
    if digits.len() == 11 { Ok(digits) } else { Err("This is not a telephone number.".into()) }
}

fn directory(text: &str) -> Read<DirectoryLine> {
    directory_csv::read(text.as_bytes(), phone).unwrap()
}

const HEAD: &str = "agency,agency_name,ring,team,person,role,kind,address,when,order\n";

#[test]
fn directories_are_read_with_columns_in_any_order() {
    let read = directory(
        "Kind;address;order;when;role;person;team;ring;agency_name;agency;;\n\
         mobile;+44 7700 900123;2;night;Duty inspector;Ada Exampleby;Control;01632 960001;Police;police\n\
         email;duty@police.example;;;;;;;;police\n",
    );
    assert!(read.problems.is_empty(), "{:?}", read.problems);
    let first = &read.items[0];
    assert_eq!(
        (first.line, first.agency.as_str(), first.agency_name.as_str()),
        (2, "police", "Police")
    );
    assert_eq!((first.address.as_str(), first.ring.as_str()), ("07700900123", "01632960001"));
    assert_eq!((first.kind, first.when, first.order), (Kind::Mobile, When::Night, 2));
    let second = &read.items[1];
    assert_eq!((second.agency_name.as_str(), second.ring.as_str()), ("Police", "01632960001"));
    assert_eq!((second.when, second.order), (When::Always, 1));
}

#[test]
fn directories_that_are_wrong_are_named_by_line_and_column() {
    let read = directory("agency,agency_name,ring,team,person,kind,address,when,colour,team\n");
    assert_eq!(places(&read.problems), [(1, "colour"), (1, "team"), (1, "role"), (1, "order")]);
    assert_eq!(places(&directory("").problems), [(1, "")]);
    let read = directory(&format!(
        "{HEAD}\
         police,Police,01632 960001,,,,email,duty@police.example,always,1\n\
         police,Police,01632 960001,,,,email,DUTY@police.example,always,2\n\
         police,Police,01632 960001,,,,email,duty@police.example,night,2\n\
         police,Constabulary,01632 960001,,,,email,b@police.example,,\n\
         police,,01632 960002,,,,email,c@police.example,,\n\
         police,,,,=cmd(),,email,d@police.example,,\n\
         police,,,,,,email,-d@police.example,,\n\
         police,,,,,,email,nowhere,,\n\
         police,,,,,,webhook,http://x.example/,,\n\
         police,,,,,,landline,12,,\n\
         police,,,,,,pigeon,01632 960001,,\n\
         police,,,,,,mobile,07700 900001,sometimes,\n\
         police,,,,,,mobile,07700 900001,,0\n\
         po lice,P,01632 960001,,,,mobile,07700 900001,,\n\
         care,,01632 960001,,,,mobile,07700 900001,,\n\
         care,Care,+1+2,,,,mobile,07700 900001,,\n\
         ,Care,01632 960001,,,,mobile,07700 900001,,\n\
         police,,,,,,mobile,,,\n\
         police,,,,,,mobile,+44 7700 900001,,\n"
    ));
    let ok: Vec<_> = read.items.iter().map(|l| l.line).collect();
    assert_eq!(ok, [2, 4, 20]);
    assert_eq!(
        places(&read.problems),
        [
            (3, "address"),
            (5, "agency_name"),
            (6, "ring"),
            (7, "person"),
            (8, "address"),
            (9, "address"),
            (10, "address"),
            (11, "address"),
            (12, "kind"),
            (13, "when"),
            (14, "order"),
            (15, "agency"),
            (16, "agency_name"),
            (17, "ring"),
            (18, "agency"),
            (19, "address"),
        ]
    );
    assert!(read.problems[0].message.contains("line 2"));
}

fn words() -> impl Strategy<Value = String> {
    // What a spreadsheet or a reader could trip over, with no white space at the ends.
    prop_oneof![
        "[A-Za-z0-9'=+@;,\"%|-]{0,12}",
        "[=+@'-]{1,3}[A-Za-z(),\" ]{0,8}",
        "[\\PC\t]{0,12}",
    ]
    .prop_map(|t| t.replace(|c: char| c.is_control(), "").trim().to_owned())
}

fn lines() -> impl Strategy<Value = Vec<DirectoryLine>> {
    let kind = prop::sample::select(Kind::ALL.to_vec());
    let when = prop::sample::select(When::ALL.to_vec());
    let one = (0usize..3, words(), words(), words(), kind, when, 1u32..=9999);
    let agencies = prop::array::uniform3(words().prop_filter("a name", |w| !w.is_empty()));
    (agencies, prop::collection::vec(one, 0..12)).prop_map(|(names, all)| {
        let line = |(n, (a, team, person, role, kind, when, order))| {
            let (n, a): (usize, usize) = (n, a);
            let address = match kind {
                Kind::Email => format!("+d{n}@x.example"),
                Kind::Webhook => format!("https://x.example/?a={n},\"b"),
                _ => format!("0770090{n:04}"),
            };
            DirectoryLine {
                line: u32::try_from(n).unwrap() + 2,
                agency: format!("-a{a}"),
                agency_name: names[a].clone(),
                ring: format!("0163296{a:04}"),
                team,
                person,
                role,
                kind,
                address,
                when,
                order,
            }
        };
        all.into_iter().enumerate().map(line).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_directory_written_is_read_back_as_it_was(lines in lines()) {
        let text = directory_csv::write(&lines);
        let read = directory(&text);
        prop_assert!(read.problems.is_empty(), "{:?}\n{}", read.problems, text);
        prop_assert_eq!(read.items, lines);
        // Another reader sees the same cells, and none that is a formula.
        let mut other = csv::Reader::from_reader(text.as_bytes());
        for cell in other.records().flat_map(|r| r.unwrap().iter().map(str::to_owned).collect::<Vec<_>>()) {
            prop_assert!(!table::is_formula(&cell), "{cell}");
        }
    }

    #[test]
    fn a_guard_comes_off_again(text in "['=+@ x-]{0,5}") {
        let guarded = table::guard(&text).into_owned();
        prop_assert!(!table::is_formula(&guarded));
        prop_assert_eq!(table::unguard(&guarded).0, text);
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..400),
            "(BEGIN:VEVENT|END:VEVENT|BEGIN:VCALENDAR|DTSTART[:;]|DTEND:|RRULE:FREQ=|EXDATE:|TZID=|SUMMARY:ada|[0-9]{8}T[0-9]{6}Z?|(DAILY|WEEKLY|MONTHLY|YEARLY);|(BYDAY|COUNT|INTERVAL|UNTIL|BYSETPOS)=[-0-9A-Z,]{0,6};?|DURATION:P[0-9]{0,8}[DWTH]|[\\r\\n \\t]|\n|\\PC){0,40}".prop_map(String::into_bytes),
            "([\"',;\t\n\r=+@-]|[0-9]{1,4}|Mon|Nov|T|:|/|ada|\\PC){0,60}".prop_map(String::into_bytes),
        ],
    ) {
        let head = |h: &str| [h.as_bytes(), &bytes].concat();
        for bytes in [bytes.clone(), head("from,to,person\n"), head("2026-11-30,ada\n")] {
            let _ = paste::read(&bytes, &people(), nine());
        }
        for bytes in [bytes.clone(), head(HEAD)] {
            let read = directory_csv::read(&bytes, phone).unwrap();
            prop_assert!(read.items.iter().all(|l| l.line > 1 && !l.agency.is_empty()));
        }
        let open = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20261130T090000Z\nDURATION:P1D\nSUMMARY:ada\n";
        let closed = [open.as_bytes(), &bytes, b"\nEND:VEVENT"].concat();
        for bytes in [bytes.clone(), closed] {
            if let Ok(read) = ical::read(&bytes, &people(), utc("2026-11-20T00:00:00Z")) {
                prop_assert!(read.items.iter().all(|c| c.from < c.to), "{:?}", read.items);
            }
        }
    }
}

#[test]
fn the_columns_written_are_the_columns_read() {
    assert_eq!(HEAD.trim(), COLUMNS.join(","));
    assert_eq!(directory_csv::write(&[]), format!("{}\r\n", COLUMNS.join(",")));
}
