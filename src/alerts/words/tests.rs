use super::*;
use crate::domain::alert::AlertKind;
use proptest::prelude::*;
use std::sync::LazyLock;

const KINDS: [&str; 14] = [
    "jar_triggered",
    "jar_provisional",
    "jar_upgraded",
    "jar_stood_down",
    "jar_recalled",
    "death_notified",
    "not_jar",
    "reminder",
    "handed_on",
    "ring_them",
    "coverage_gap",
    "covered_tonight",
    "test",
    "verify",
];

fn words() -> Words {
    static BUILT_IN: LazyLock<Words> = LazyLock::new(|| Words::load(DEFAULTS, None).unwrap());
    BUILT_IN.clone()
}

fn media() -> impl Iterator<Item = Medium> {
    Medium::WORDS.iter().filter_map(|w| Medium::parse(w))
}

fn filled() -> Filled {
    Filled {
        reference: "CDR-2026-483920".into(),
        area: "Northshire".into(),
        agency: "Northshire Children\u{2019}s Social Care".into(),
        kind: "Joint Agency Response".into(),
        call_back: "01632 960100".into(),
        link: "https://cdr.example/a/token".into(),
        code: "4821".into(),
        at: "03:15 on 23 November".into(),
        until: "07:00 on 23 November".into(),
        step: "Second attempt.".into(),
    }
}

/// As GSM 03.38 counts plain letters; the real one also knows UCS-2.
fn segments(text: &str) -> usize {
    let (one, more) = if text.is_ascii() { (160, 153) } else { (70, 67) };
    let n = text.chars().count();
    if n <= one { 1 } else { n.div_ceil(more) }
}

fn with<'a>(said: &'a [Said<'a>]) -> CheckWith<'a> {
    CheckWith {
        said,
        public_url: "https://cdr.northshire-nhs.example",
        max_sms_segments: 2,
        segments,
    }
}

#[test]
fn there_is_a_text_of_its_own_for_every_kind_and_medium() {
    let words = words();
    for medium in media() {
        let has: Vec<&str> = words.kinds(medium).collect();
        assert!(has.contains(&DEFAULT), "{medium:?}");
        for kind in KINDS.iter().chain(AlertKind::WORDS) {
            assert!(has.contains(kind), "{medium:?} {kind}");
        }
    }
}

#[test]
fn the_built_in_texts_fit_long_names() {
    let said = [
        Said { area: "Northshire", agency: "Police", call_back: "01632 960100" },
        Said {
            area: "West Northshire and the Southern Vale",
            agency: "Northshire Children\u{2019}s Social Care, duty team",
            call_back: "01632 960100 ext 1234",
        },
    ];
    assert_eq!(words().check(&with(&said)), Vec::<String>::new());
}

#[test]
fn a_text_message_ends_with_how_to_answer() {
    let own = ["coverage_gap", "covered_tonight", "test", "verify", "ring_them"];
    for kind in KINDS.iter().filter(|k| !own.contains(k)) {
        let text = words().render(Medium::Sms, kind, &filled());
        assert!(text.ends_with("\nReply YES 4821\nhttps://cdr.example/a/token"), "{text}");
        let silent = Filled { code: String::new(), ..filled() };
        let text = words().render(Medium::Sms, kind, &silent);
        assert!(!text.contains("Reply") && text.ends_with("token"), "{text}");
    }
}

#[test]
fn messages_read_as_written() {
    let (words, f) = (words(), filled());
    assert_eq!(
        words.render(Medium::Voice, "jar_triggered", &f),
        "This is Child Death Review for Northshire, calling Northshire Children's Social Care. A Joint Agency Response is needed now. The case reference is CDR-2026-483920. Second attempt. For particulars, ring 01632 960100."
    );
    assert_eq!(
        words.render_drill(Medium::EmailSubject, "ring_them", &f),
        "DRILL, no real case: URGENT: please ring Northshire Children's Social Care about CDR-2026-483920 (Northshire)"
    );
    assert_eq!(
        words.render(Medium::Sms, "a_kind_of_next_year", &f),
        words.render(Medium::Sms, DEFAULT, &f)
    );
    let body = words.render(Medium::EmailBody, "jar_triggered", &f);
    assert!(body.ends_with("any.\r\n") && body.contains("\r\n\r\nSecond attempt.\r\nReference: "));
    assert_eq!(when("2026-07-09T22:05:00Z".parse().unwrap()), "23:05 on 9 July");
    assert_eq!([step(1), step(2), step(7)], ["", "Second attempt.", "Attempt 7."]);
}

#[test]
fn a_file_replaces_one_text_and_leaves_the_others() {
    let own = "[sms]\ntest = \"Hello {area} {{x}} {link}\"";
    let words = Words::load(DEFAULTS, Some(own)).unwrap();
    let f = filled();
    assert_eq!(
        words.render(Medium::Sms, "test", &f),
        "Hello Northshire {x} https://cdr.example/a/token"
    );
    assert_eq!(
        words.render(Medium::Voice, "test", &f),
        super::tests::words().render(Medium::Voice, "test", &f)
    );
}

#[test]
fn everything_wrong_is_said_at_once() {
    let own = r#"
[sms]
jar_triggered = "Please ring. {reference}"
jar_trigered = "{reference} {link}"
reminder = "{child_name} {reference} {link} {foo}"
test = " "
[voice]
default = "{reference} {link}"
[email_subject]
default = "{reference} naïve"
not_jar = "{reference}\nBcc: all@cdr.example"
[email_body]
default = "no reference {link}"
not_jar = "hello {reference}"
[fax]
default = "{reference}"
"#;
    let wrong = Words::load(DEFAULTS, Some(own)).unwrap_err();
    for part in [
        "sms.jar_triggered lacks {link} and {code}",
        "sms.jar_trigered: there is no such kind",
        "sms.reminder: {child_name} is refused: messages may hold nothing about the child or family",
        "sms.reminder: {foo} is not a placeholder",
        "sms.test is empty",
        "voice.default has {link}",
        "email_subject.default has characters outside plain ASCII",
        "email_subject.not_jar has more than one line",
        "email_body.default lacks {reference}",
        "email_body.not_jar lacks {link}",
        "[fax] is not one of sms, voice",
    ] {
        assert!(wrong.iter().any(|w| w.contains(part)), "{part}: {wrong:#?}");
    }
    assert_eq!(wrong.len(), 11, "{wrong:#?}");
    let not_toml = Words::load(DEFAULTS, Some("[sms]\ntest = 1")).unwrap_err();
    assert!(not_toml[0].contains("sms.test"), "{not_toml:?}");
}

#[test]
fn what_gets_too_long_here_is_named() {
    let own = format!(
        "[sms]\ntest = \"{{agency}} {{link}} {}\"\n[voice]\ntest = \"{}\"",
        "x".repeat(150),
        "word ".repeat(57)
    );
    let words = Words::load(DEFAULTS, Some(&own)).unwrap();
    let long = "n".repeat(60);
    let said = [
        Said { agency: "Police", ..Said::default() },
        Said { agency: &long, area: "Northshire", call_back: "" },
    ];
    let wrong = words.check(&with(&said));
    assert_eq!(wrong.len(), 2, "{wrong:#?}");
    assert!(
        wrong[0].contains("sms.test takes 3 segments for nnn") && wrong[0].contains("(Northshire)")
    );
    assert!(wrong[1].contains("voice.test has 61 words"), "{wrong:?}");
}

/// Values as nasty as configuration and callers can make them.
fn any_filled() -> impl Strategy<Value = Filled> {
    let value =
        || "[a-zA-Z0-9{}\r\n%\\\\é\u{2019}\u{202e}\u{200b} ]{0,24}|\\{code\\}|\\{\\{link\\}\\}";
    (prop::collection::vec(value(), 10), any::<u16>()).prop_map(|(v, empty)| {
        let mut v = v
            .into_iter()
            .enumerate()
            .map(|(n, s)| if empty >> n & 1 == 1 { String::new() } else { s });
        let mut next = || v.next().unwrap_or_default();
        Filled {
            reference: next(),
            area: next(),
            agency: next(),
            kind: next(),
            call_back: next(),
            link: next(),
            code: next(),
            at: next(),
            until: next(),
            step: next(),
        }
    })
}

/// Takes a rendered line apart by the line it was made from: fixed words and values, nothing else.
fn made_of(source: &str, f: &Filled, clean: fn(&str) -> String) -> String {
    let values = [
        ("{reference}", &f.reference),
        ("{area}", &f.area),
        ("{agency}", &f.agency),
        ("{kind}", &f.kind),
        ("{call_back}", &f.call_back),
        ("{link}", &f.link),
        ("{code}", &f.code),
        ("{at}", &f.at),
        ("{until}", &f.until),
        ("{step}", &f.step),
    ];
    let first = values.iter().filter_map(|(name, v)| Some((source.find(name)?, name, v))).min();
    match first {
        None => source.to_owned(),
        Some((at, name, v)) => {
            let rest = made_of(&source[at + name.len()..], f, clean);
            format!("{}{}{rest}", &source[..at], clean(v))
        }
    }
}

proptest! {
    #[test]
    fn nothing_is_said_but_the_text_and_what_was_filled_in(f in any_filled()) {
        let (words, sources) = (words(), read(DEFAULTS).unwrap());
        for medium in media() {
            let clean: fn(&str) -> String = if medium == Medium::EmailSubject { ascii } else { clean };
            let line_end = match medium { Medium::EmailBody => "\r\n", Medium::Sms => "\n", _ => " " };
            for (kind, source) in &sources[medium.word()] {
                let mut rest = words.render(medium, kind, &f);
                let may: Vec<String> = source.lines().map(|l| made_of(l, &f, clean)).collect();
                // Lines come in their order; some may be left out.
                for line in &may {
                    let ended = format!("{line}{line_end}");
                    if let Some(after) = rest.strip_prefix(&ended) {
                        rest = after.to_owned();
                    } else if rest == *line {
                        rest.clear();
                    }
                }
                prop_assert_eq!(&rest, "", "{:?} {}", medium, kind);
                let text = words.render(medium, kind, &f);
                let lines = text.lines().count();
                prop_assert!(lines <= source.lines().count(), "a value added a line");
                if medium == Medium::EmailSubject {
                    prop_assert!(text.is_ascii() && !text.contains(['\r', '\n']));
                }
            }
        }
    }
}
