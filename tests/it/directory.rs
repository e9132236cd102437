//! The directory, rotas and policy as people at the panel office use them.

use crate::reach::{Smtp, app_with_mail, free_port};
use crate::support::{App, Db, SECRET, Sink, area_text, csrf, on_both, triggering, until};
use child_death_review::auth::policy::TokenScope;
use child_death_review::auth::token;
use child_death_review::config::MailTls;
use child_death_review::platform::clock::{Clock, ManualClock, SystemClock};
use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};
use std::sync::Arc;

const D: &str = "/directory/northshire";

fn hidden(page: &str, name: &str) -> String {
    let mark = format!("name=\"{name}\" value=\"");
    page.split(&mark).nth(1).unwrap().split('"').next().unwrap().to_owned()
}

async fn coordinator(app: &App) -> String {
    app.add_user("coord@x.example", "coordinator", "northshire", None).await;
    app.sign_in("coord@x.example").await
}

/// Sends a form as its page was loaded: with the session's word and the version.
async fn press(app: &App, who: &str, path: &str, fields: &[(&str, &str)]) -> (u16, String, String) {
    let (status, page) = app.page(path, who).await;
    assert_eq!(status, 200, "{path}: {page}");
    send(app, who, path, &page, fields).await
}

async fn send(
    app: &App,
    who: &str,
    path: &str,
    loaded: &str,
    fields: &[(&str, &str)],
) -> (u16, String, String) {
    let (word, version) = (csrf(loaded), hidden(loaded, "_version"));
    let mut all = vec![("_csrf", word.as_str()), ("_version", version.as_str())];
    all.extend_from_slice(fields);
    app.form(path, who, &all).await
}

/// A change that must go through.
async fn done(app: &App, who: &str, path: &str, fields: &[(&str, &str)]) -> String {
    let (status, to, page) = press(app, who, path, fields).await;
    assert_eq!(status, 303, "{path}: {page}");
    to
}

fn version(app: &App) -> i64 {
    app.service().directory().version("northshire")
}

async fn add_people(app: &App, who: &str) {
    for name in ["Ada Exampleby", "Bo Placehold"] {
        done(
            app,
            who,
            &format!("{D}/agency/police/person/new"),
            &[("name", name), ("role", "Inspector")],
        )
        .await;
    }
}

const PASTE: &str =
    "Date\tOn call\n30/11/2026\tAda Exampleby\n1/12/2026\tBo Placehold\n3/12/2026\tAda Exampleby";

on_both! {
    async fn an_agency_with_its_people_is_added_changed_removed_and_brought_back(db: Db) {
        let mut app = App::start(db).await;
        let who = coordinator(&app).await;
        let (s, to) = { let r = app.http.get(format!("{}/directory", app.url)).header("cookie", &who).send().await.unwrap(); (r.status().as_u16(), r.headers()["location"].to_str().unwrap().to_owned()) };
        assert_eq!((s, to.as_str()), (303, D));

        // What is wrong is named with a link to its field; what was typed stays; nothing is stored.
        let new = format!("{D}/agency/new");
        let wrong = [("name", "Children's <Hospital>"), ("ring", "999 1234"), ("told.jar_triggered", "on")];
        let (s, _, page) = press(&app, &who, &new, &wrong).await;
        assert_eq!(s, 422);
        for part in ["href=\"#ring\"", "Children&#x27;s &lt;Hospital&gt;", "value=\"999 1234\"", "name=\"told.jar_triggered\" type=\"checkbox\" value=\"on\" checked"] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert!(!page.contains("name=\"acknowledge\" type=\"checkbox\" value=\"on\" checked"), "an unticked box stays so");
        assert_eq!(version(&app), 0);

        let right = [("name", "Children's Hospital"), ("ring", "01632 960155"), ("told.jar_triggered", "on"), ("acknowledge", "on")];
        assert_eq!(done(&app, &who, &new, &right).await, format!("{D}?saved=1"));
        let a = app.service().directory().agency("northshire", "childrens_hospital").unwrap().clone();
        assert_eq!((a.ring.as_str(), a.told_of.len(), a.acknowledge), ("01632 960155", 1, true));
        let (_, page) = app.page(&format!("{D}?saved=1"), &who).await;
        for part in ["no contact point and no rota", "Nobody can be reached: mend this first", "Undo this change", "Children&#x27;s Hospital"] {
            assert!(page.contains(part), "{part}");
        }

        let here = format!("{D}/agency/childrens_hospital");
        let to = done(&app, &who, &format!("{here}/person/new"), &[("name", "Ada Exampleby"), ("role", "Matron")]).await;
        assert!(to.starts_with(&format!("{here}/person/ada-exampleby")), "{to}");
        done(&app, &who, &format!("{here}/person/new"), &[("name", "Ada Exampleby")]).await;
        assert!(app.service().directory().agency("northshire", "childrens_hospital").unwrap().person("ada-exampleby-2").is_some(), "two people of one name are two");
        let point = format!("{here}/contact/new?person=ada-exampleby");
        for (kind, address) in [("mobile", "07700"), ("email", "no-address"), ("webhook", "ftp://x.example/")] {
            let (s, _, page) = press(&app, &who, &point, &[("kind", kind), ("address", address)]).await;
            assert!(s == 422 && page.contains("href=\"#address\"") && page.contains(&format!("value=\"{}\"", address.replace('/', "&#x2f;"))), "{kind}: {page}");
        }
        done(&app, &who, &point, &[("kind", "mobile"), ("address", "(07700) 900-123"), ("when", "night")]).await;
        let (_, page) = app.page(D, &who).await;
        for part in ["(07700) 900-123", "mobile, at night", "never seen to work: send a code", "Matron"] {
            assert!(page.contains(part), "{part}");
        }

        // Removing asks first, and the way back is in the history.
        let before = version(&app);
        let (s, page) = app.page(&format!("{here}/remove"), &who).await;
        assert!(s == 200 && page.contains("its 2 people") && page.contains("govuk-button--warning"));
        assert_eq!(version(&app), before, "asking removes nothing");
        done(&app, &who, &format!("{here}/remove"), &[]).await;
        assert_eq!(app.page(&here, &who).await.0, 404);
        let (_, history) = app.page(&format!("{D}/history"), &who).await;
        assert!(history.contains("Removed Children&#x27;s Hospital") && history.contains("this stands now"));
        let (s, to, _) = send(&app, &who, &format!("{D}/history/{before}"), &history, &[]).await;
        assert_eq!((s, to), (303, format!("{D}?saved={}", before + 2)));
        let a = app.service().directory().agency("northshire", "childrens_hospital").unwrap().clone();
        assert_eq!(a.person("ada-exampleby").unwrap().contacts[0].address, "(07700) 900-123");
        // Also to what the area's file said, before the first change.
        let (_, history) = app.page(&format!("{D}/history"), &who).await;
        assert!(history.contains("As the area file says"));
        assert_eq!(send(&app, &who, &format!("{D}/history/0"), &history, &[]).await.0, 303);
        assert!(app.service().directory().agency("northshire", "childrens_hospital").is_none());
        assert_eq!(app.db.number("SELECT COUNT(*) FROM audit WHERE action = 'change_directory'").await, version(&app));
        app.stop().await;
    }

    async fn two_editors_do_not_overwrite_each_other(db: Db) {
        let app = App::start(db).await;
        let one = coordinator(&app).await;
        app.add_user("two@x.example", "administrator", "*", None).await;
        let two = app.sign_in("two@x.example").await;
        let (police, nurse) = (format!("{D}/agency/police"), format!("{D}/agency/jar_nurse"));
        let (_, loaded_by_one) = app.page(&police, &one).await;
        let base = [("told.jar_triggered", "on"), ("acknowledge", "on")];
        let with = |name, ring| [base.as_slice(), &[("name", name), ("ring", ring)]].concat();
        done(&app, &two, &nurse, &with("Nurses of Northshire", "01632 960144")).await;

        let mine = with("Northshire Constabulary", "01632 960199");
        let (s, _, page) = send(&app, &one, &police, &loaded_by_one, &mine).await;
        assert_eq!(s, 409);
        for part in ["Somebody else changed the directory meanwhile (changed Nurses of Northshire)", "value=\"Northshire Constabulary\"", "value=\"01632 960199\""] {
            assert!(page.contains(part), "{part}: {page}");
        }
        let ring = |agency| app.service().directory().agency("northshire", agency).unwrap().ring.clone();
        assert_eq!((ring("police").as_str(), ring("jar_nurse").as_str(), version(&app)), ("01632 960101", "01632 960144", 1));
        // Pressed again, knowing it: both changes stand.
        assert_eq!(send(&app, &one, &police, &page, &mine).await.0, 303);
        assert_eq!((ring("police").as_str(), ring("jar_nurse").as_str()), ("01632 960199", "01632 960144"));
        // Going back from a list that is out of date would undo what its reader never saw.
        let (_, history) = app.page(&format!("{D}/history"), &one).await;
        done(&app, &two, &nurse, &with("Nurses", "01632 960144")).await;
        let (s, _, page) = send(&app, &one, &format!("{D}/history/1"), &history, &[]).await;
        assert!(s == 409 && page.contains("Somebody else changed"));
        assert_eq!(version(&app), 3);
    }

    async fn a_file_with_faults_changes_nothing_and_a_good_one_only_what_was_shown(db: Db) {
        let app = App::start(db).await;
        let who = coordinator(&app).await;
        let import = format!("{D}/import");
        let head = "agency,agency_name,ring,team,person,role,kind,address,when,order";
        let good = "police,The police,01632 960101,,Ada Exampleby,Inspector,mobile,07700 900111,always,1";
        for (what, text, want) in [
            ("wrong columns", format!("agency,agency_name,ring,tiem,person,role,kind,address,when,order\n{good}"), vec!["Line 1, tiem", "There is no column “tiem”", "The column team is missing"]),
            ("a number", format!("{head}\n{good}\npolice,,,,Bo Placehold,,mobile,07700 9001,always,1"), vec!["Line 3, address", "too short"]),
            ("a formula", format!("{head}\n{good}\npolice,,,,=HYPERLINK(1),,mobile,07700 900112,always,1"), vec!["Line 3, person", "like a formula"]),
            ("a premium number", format!("{head}\nx,X,0909 8790000,,,,landline,01632 960111,,"), vec!["Line 2, ring", "premium"]),
            ("a new webhook", format!("{head}\n{good}\npolice,,,,,,webhook,https://new.example/hook,,"), vec!["Line 3, kind", "needs a secret"]),
            ("two roles", format!("{head}\n{good}\npolice,,,,Ada Exampleby,Constable,email,ada@police.example,,"), vec!["Line 3, role", "Line 2 says"]),
            ("nothing", String::from("  "), vec!["Paste something first"]),
            ("a heading", head.to_owned(), vec!["heading and no lines"]),
        ] {
            // As if it had been looked at: faults are found again when it is to count.
            let (s, _, page) = press(&app, &who, &import, &[("text", &text), ("_apply", "yes")]).await;
            assert_eq!(s, 422, "{what}: {page}");
            for part in want {
                assert!(page.contains(part), "{what}: {part} is not in {page}");
            }
            assert!(text.trim().is_empty() || page.contains(&text.lines().last().unwrap().replace('/', "&#x2f;")) , "{what}: the text stays");
            assert_eq!(version(&app), 0, "{what}");
        }
        let many: String = (0..50_000).map(|n| format!("a{n},A,01632 960101,,,,email,d{n}@a.example,,\n")).collect();
        let many = format!("{head}\n{many}");
        let (s, _, page) = press(&app, &who, &import, &[("text", &many), ("_apply", "yes")]).await;
        assert!(s == 413 && page.contains("Too long") && page.contains("Nothing was changed"), "{page}");
        let stands = app.service().directory().area("northshire").unwrap().clone();
        let t = child_death_review::service::import::plan(&stands, many.as_bytes()).unwrap_err();
        assert!(t.problems[0].message.contains("50000 lines"), "{t:?}");

        // Shown first, then applied as shown.
        let text = format!("{head}\n{good}\npolice,,,,,,webhook,http://127.0.0.1:{}/police,night,1\nschool,School nursing,01632 960177,,,,email,'@nurses.example,,", app.sink.port);
        let text = text.replace("'@nurses", "desk@nurses");
        let (s, _, page) = press(&app, &who, &import, &[("text", &text)]).await;
        assert_eq!(s, 200);
        for part in ["Nothing has changed yet", "School nursing (school), to ring: 01632 960177", "Ada Exampleby (Inspector)", "(was http:"] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert_eq!(version(&app), 0);
        let (s, to, _) = send(&app, &who, &import, &page, &[("text", &text), ("_apply", "yes")]).await;
        assert_eq!((s, to), (303, format!("{D}?saved=1")));
        let d = app.service().directory();
        let police = d.agency("northshire", "police").unwrap();
        assert_eq!(police.person("ada-exampleby").unwrap().contacts[0].address, "07700 900111");
        assert_eq!(police.contacts[0].secret.as_ref().unwrap().0, SECRET, "what the file cannot say stays");
        assert_eq!(police.contacts[0].id, "hook");
        assert!(d.agency("northshire", "jar_nurse").unwrap().contacts.len() == 1, "agencies not in the file stay");
        assert!(d.agency("northshire", "school").unwrap().acknowledge);

        // Out and in again is the same; a name like a formula comes out as text.
        done(&app, &who, &format!("{D}/agency/school/person/new"), &[("name", "=1+1")]).await;
        done(&app, &who, &format!("{D}/agency/school/contact/new?person=1-1"), &[("kind", "mobile"), ("address", "+44 7700 900114")]).await;
        let (_, csv) = app.page(&format!("{D}/export.csv"), &who).await;
        assert!(csv.contains(",'=1+1,") && csv.starts_with(head), "{csv}");
        let (s, _, page) = press(&app, &who, &import, &[("text", &csv)]).await;
        assert!(s == 200 && page.contains("everything stands so already"), "{page}");
        // A new number in the place of the old is a change, not another contact point.
        let (_, _, page) = press(&app, &who, &import, &[("text", &csv.replace("07700 900111", "07700 900119"))]).await;
        assert!(page.contains("changed</span> The police: Ada Exampleby, mobile 07700 900119, always (was 07700 900111, always)") && !page.contains("removed</span>") && !page.contains("added</span>"), "{page}");
        // Who is not in it any more goes, unless on the rota.
        let less: String = csv.lines().filter(|l| !l.contains("=1+1")).map(|l| format!("{l}\n")).collect();
        let (_, _, page) = press(&app, &who, &import, &[("text", &less)]).await;
        assert!(page.contains("removed</span> School nursing: =1+1"), "{page}");
        done(&app, &who, &format!("{D}/rota/school/rotation/new"), &[("turn.1", "1-1"), ("starts", "2026-11-01"), ("every_days", "7"), ("handover", "09:00"), ("rank", "0"), ("hours", "always")]).await;
        let (s, _, page) = press(&app, &who, &import, &[("text", &less)]).await;
        assert!(s == 422 && page.contains("take them off the rota first"), "{page}");
    }

    async fn a_dry_run_says_what_a_notification_then_does(db: Db) {
        let sink = Sink::start().await;
        let port = sink.port;
        let person = |id: &str| format!("[[agency.person]]\nid = \"{id}\"\nname = \"{id}\"\n[[agency.person.contact]]\nid = \"{id}-hook\"\nchannel = \"webhook\"\naddress = \"http://127.0.0.1:{port}/{id}\"\nsecret = \"{SECRET}\"\n");
        // The police first, with two people by turns of a week.
        let text = area_text(&sink, "");
        let (head, rest) = text.split_at(text.find("[[agency]]\nid = \"social_care\"").unwrap());
        let rota = "[agency.rota]\nid = \"police\"\nname = \"Police\"\n[[agency.rota.rotations]]\nid = \"weeks\"\nstarts = \"2026-01-05\"\nhandover = \"09:00:00\"\nevery_days = 7\npeople = [\"ada\", \"bo\"]\n";
        let area = format!("{head}{}{}{rota}{rest}", person("ada"), person("bo"));
        let start: DateTime<Utc> = "2026-02-20T04:00:00Z".parse().unwrap();
        let clock = ManualClock::at(start);
        let app = App::with(db, sink, &area, |_| {}, clock.clone()).await;
        let who = coordinator(&app).await;
        // A ladder of one's own, made on the page: whoever is on, then the next, then everybody.
        let rule = [
            ("agency.police", "on"), ("event.jar_triggered", "on"), ("when", "night"), ("told", "yes"), ("urgency", "now"), ("acknowledge", "yes"), ("place", "1"),
            ("step.1.whom", "duty"), ("step.1.after", "0"), ("step.1.webhook", "on"),
            ("step.2.whom", "backup"), ("step.2.after", "1.5"), ("step.2.webhook", "on"),
            ("step.3.whom", "everyone"), ("step.3.after", "4"), ("step.3.webhook", "on"),
        ];
        done(&app, &who, &format!("{D}/policy/new"), &rule).await;
        let ask = |at: DateTime<Utc>| format!("/api/v1/directory/northshire/dry-run?kind=jar_triggered&at={}", at.format("%Y-%m-%dT%H:%M:%SZ"));
        let (s, run) = app.get(&ask(start)).await;
        assert_eq!(s, 200, "{run}");
        let police = run["agencies"].as_array().unwrap().iter().find(|a| a["agency"] == "police").unwrap().clone();
        let steps = police["steps"].as_array().unwrap().clone();
        let times: Vec<i64> = steps.iter().map(|s| s["after_seconds"].as_i64().unwrap()).collect();
        assert_eq!(times, [0, 90, 240]);
        let (_, page) = app.page(&format!("{D}/policy?kind=jar_triggered&date=2026-02-20&time=04:00"), &who).await;
        for part in ["After 90 seconds:", "message to the system of bo", "The cdop_office (01632 960101) is told to ring", "20 February 2026, 04:00"] {
            assert!(page.contains(part), "{part}: {page}");
        }
        // By day the rule does not hold, and Monday at nine the other is first.
        let (_, by_day) = app.get(&ask("2026-02-20T12:00:00Z".parse().unwrap())).await;
        assert_ne!(by_day["agencies"][0]["steps"].as_array().unwrap().len(), 3);
        let (_, next_week) = app.get(&ask("2026-02-24T04:00:00Z".parse().unwrap())).await;
        let first = |r: &Value| r["agencies"][0]["steps"][0]["tries"][0]["who"].clone();
        assert_eq!((first(&run), first(&next_week)), (json!("ada"), json!("bo")));
        assert!(app.sink.all().is_empty(), "nothing was sent by asking");

        // Now in earnest: at each time exactly those are tried that were named.
        let places = |tries: &Value| -> Vec<String> {
            let mut all: Vec<String> = tries.as_array().unwrap().iter().map(|t| t["address"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()).collect();
            all.sort();
            all
        };
        app.notify(triggering()).await;
        let mut expected: Vec<String> = Vec::new();
        let mine = ["ada", "bo", "police"];
        for (n, step) in steps.iter().enumerate() {
            if n > 0 {
                clock.set(start + Duration::seconds(times[n]) - Duration::seconds(2));
                tokio::time::sleep(std::time::Duration::from_millis(800)).await;
                let got: usize = mine.iter().map(|a| app.sink.got(a).len()).sum();
                assert_eq!(got, expected.len(), "step {n} does not come early");
                // The clock of a step starts when the one before it ran, a moment after it was due.
                clock.forward(Duration::seconds(3));
            }
            expected.extend(places(&step["tries"]));
            expected.sort();
            until("the step went", || async {
                let mut got: Vec<String> = app.sink.all().iter().map(|g| g.agency.clone()).filter(|a| mine.contains(&a.as_str())).collect();
                got.sort();
                got == expected
            })
            .await;
        }
        let last = &police["last"];
        assert_eq!((last["name"].clone(), places(&last["tries"])), (json!("The cdop_office"), vec!["cdop_office".to_owned()]));
        clock.set(start + Duration::seconds(last["after_seconds"].as_i64().unwrap() + 10));
        until("the human was told", || async {
            app.sink.got("cdop_office").iter().any(|g| g.json().to_string().contains("ring_") || g.json()["type"].as_str().unwrap().contains("ring"))
        })
        .await;
        assert!(clock.now() > start);
    }

    async fn a_rota_is_pasted_after_a_look_and_says_who_is_on(db: Db) {
        let clock = ManualClock::at("2026-11-29T12:00:00Z".parse().unwrap());
        let sink = Sink::start().await;
        let text = area_text(&sink, "");
        let app = App::with(db, sink, &text, |_| {}, clock).await;
        let who = coordinator(&app).await;
        let rota = format!("{D}/rota/police");
        let (_, page) = app.page(&rota, &who).await;
        assert!(page.contains("Add the people who take turns first"));
        add_people(&app, &who).await;
        let paste = format!("{rota}/paste");
        let before = version(&app);
        let (s, _, page) = press(&app, &who, &paste, &[("text", "30/11/2026,Ada Exampleby\n31/11/2026,Bo Placehold\n2/12/2026,Nobody Known"), ("_apply", "yes")]).await;
        assert_eq!(s, 422);
        for part in ["Line 2, date", "Line 3, person", "Nobody called “Nobody Known”", "30&#x2f;11&#x2f;2026,Ada Exampleby"] {
            assert!(page.contains(part), "{part}: {page}");
        }
        let (s, _, page) = press(&app, &who, &paste, &[("text", PASTE)]).await;
        assert!(s == 200 && page.contains("Ada Exampleby: 30 November 2026, 09:00 to 1 December 2026, 09:00"), "{page}");
        assert_eq!(version(&app), before, "looking changes nothing");
        assert_eq!(send(&app, &who, &paste, &page, &[("text", PASTE), ("_apply", "yes")]).await.0, 303);
        let covers = || app.service().directory().agency("northshire", "police").unwrap().rota.clone().unwrap().covers.len();
        assert_eq!(covers(), 3);

        // By day, with the gap in words; and asked for one moment.
        let (_, page) = app.page(&rota, &who).await;
        for part in ["Monday 30 November", "Gap: nobody is on, until 09:00", "Gap: nobody is on, from 09:00"] {
            assert!(page.contains(part), "{part}: {page}");
        }
        for (query, want) in [("date=2026-12-01&time=08:59", "<strong>Ada Exampleby</strong>"), ("date=2026-12-01&time=09:00", "<strong>Bo Placehold</strong>"), ("date=2026-12-02&time=10:00", "nobody is on."), ("date=2027-03-28&time=01:30", "clocks go forward"), ("date=soon&time=10:00", "Enter a day")] {
            let (_, page) = app.page(&format!("{rota}?{query}"), &who).await;
            assert!(page.contains(want), "{query}: {page}");
        }
        let (_, page) = app.page(D, &who).await;
        assert!(page.contains("Nobody is on now") && page.contains("<span class=\"late\">nobody is on</span>"), "{page}");

        // The sheet with a correction pasted again does not pile up, and the new line wins.
        let corrected = PASTE.replace("1/12/2026\tBo", "1/12/2026\tAda").replace("Ada Placehold", "Ada Exampleby");
        let (_, _, page) = press(&app, &who, &paste, &[("text", &corrected)]).await;
        assert_eq!(send(&app, &who, &paste, &page, &[("text", &corrected), ("_apply", "yes")]).await.0, 303);
        assert_eq!(covers(), 3);

        // Turns, a cover on top, a swap, and somebody on the rota cannot vanish.
        let turns = [("turn.1", "ada-exampleby"), ("turn.2", "bo-placehold"), ("starts", "2026-12-07"), ("every_days", "7"), ("handover", "09:00"), ("rank", "0"), ("hours", "always")];
        let (s, _, page) = press(&app, &who, &format!("{rota}/rotation/new"), &[("turn.1", ""), ("starts", "7.12."), ("every_days", "0"), ("handover", "9"), ("rank", "0"), ("hours", "always")]).await;
        assert_eq!(s, 422);
        for part in ["href=\"#turn.1\"", "href=\"#starts\"", "href=\"#every_days\"", "href=\"#handover\"", "value=\"7.12.\""] {
            assert!(page.contains(part), "{part}: {page}");
        }
        done(&app, &who, &format!("{rota}/rotation/new"), &turns).await;
        let cover = [("person", "bo-placehold"), ("from_date", "2026-12-08"), ("from_time", "18:00"), ("to_date", "2026-12-08"), ("to_time", "22:00"), ("kind", "cover")];
        done(&app, &who, &format!("{rota}/cover/new"), &cover).await;
        let at = async |query: &str| app.page(&format!("{rota}?{query}"), &who).await.1;
        assert!(at("date=2026-12-08&time=19:00").await.contains("<li><strong>Bo Placehold</strong>"));
        assert!(at("date=2026-12-08&time=22:00").await.contains("<li><strong>Ada Exampleby</strong>"));
        let swap = [("one", "2026-12-14T09:00:00|2026-12-21T09:00:00"), ("other", "2026-12-21T09:00:00|2026-12-28T09:00:00")];
        let (s, _, page) = press(&app, &who, &format!("{rota}/swap"), &[("one", swap[0].1), ("other", swap[0].1)]).await;
        assert!(s == 422 && page.contains("href=\"#other\""), "{page}");
        assert!(page.contains(&format!("value=\"{}\" selected", swap[0].1)), "the choice stays and was on offer: {page}");
        done(&app, &who, &format!("{rota}/swap"), &swap).await;
        assert!(at("date=2026-12-15&time=12:00").await.contains("<li><strong>Ada Exampleby</strong>"));
        assert!(at("date=2026-12-22&time=12:00").await.contains("<li><strong>Bo Placehold</strong>"));
        let (s, _, page) = press(&app, &who, &format!("{D}/agency/police/person/ada-exampleby/remove"), &[]).await;
        assert!(s == 422 && page.contains("is on the rota of The police"), "{page}");

        // Out as a calendar, and a calendar in.
        let (s, ics) = app.page(&format!("{rota}.ics"), &who).await;
        assert!(s == 200 && ics.starts_with("BEGIN:VCALENDAR") && ics.contains("SUMMARY:Ada Exampleby"), "{ics}");
        assert!(!ics.contains("07700") && !ics.contains("Inspector"));
        let event = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20261101T000000Z\r\nDTSTART:20270104T090000Z\r\nDTEND:20270105T090000Z\r\nSUMMARY:On call: Bo Placehold\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
        let calendar = format!("{rota}/calendar");
        let (s, _, page) = press(&app, &who, &calendar, &[("text", "not a calendar")]).await;
        assert!(s == 422 && page.contains("This is not a calendar file"), "{page}");
        let (s, _, page) = press(&app, &who, &calendar, &[("text", event)]).await;
        assert!(s == 200 && page.contains("Bo Placehold: 4 January 2027, 09:00"), "{page}");
        assert_eq!(send(&app, &who, &calendar, &page, &[("text", event), ("_apply", "yes")]).await.0, 303);
        assert!(at("date=2027-01-04&time=12:00").await.contains("<li><strong>Bo Placehold</strong>"));
    }

    async fn a_code_proves_a_contact_point(db: Db) {
        let port = free_port();
        let smtp = Smtp::start(port, db.dir.path(), &["well"]);
        let app = app_with_mail(db, port, MailTls::Required).await;
        let who = coordinator(&app).await;
        let (_, page) = app.page(D, &who).await;
        let word = csrf(&page);
        let here = format!("{D}/agency/social_care/contact/mail");
        let (s, to, _) = app.form(&format!("{here}/send-code"), &who, &[("_csrf", &word)]).await;
        assert_eq!((s, to), (303, format!("{here}/code?sent=1")));
        until("the code came", || async { !smtp.mails().is_empty() }).await;
        let mail = smtp.mails().remove(0)["text"].as_str().unwrap().to_owned();
        let code = mail.split("The code is ").nth(1).unwrap()[..6].to_owned();
        let wrong = if code == "111111" { "222222" } else { "111111" };
        let (s, _, page) = press(&app, &who, &format!("{here}/code"), &[("code", wrong)]).await;
        assert!(s == 422 && page.contains("href=\"#code\"") && page.contains(&format!("value=\"{wrong}\"")), "{page}");
        let (_, page) = app.page(D, &who).await;
        assert!(!page.contains("verified "), "a wrong code proves nothing");
        let spaced = format!("{} {}", &code[..3], &code[3..]);
        assert_eq!(press(&app, &who, &format!("{here}/code"), &[("code", &spaced)]).await.0, 303);
        let (_, page) = app.page(D, &who).await;
        assert!(page.contains("<span class=\"tag good\">verified "), "{page}");
        // A system cannot read a code out: it gets a test, and its answer is what counts.
        let (s, to, _) = app.form(&format!("{D}/agency/police/contact/hook/send-code"), &who, &[("_csrf", &word)]).await;
        assert_eq!((s, to.as_str()), (303, D));
        until("the test came and counts", || async { app.page(D, &who).await.1.contains("last worked ") }).await;
        // Whoever is named to ring is checked in the same way, from the page of rules.
        let rules = format!("{D}/policy");
        let last = [("last.name", "Manager on call"), ("last.number", "01632 960190"), ("last.after", "15"), ("last.repeat", "15"), ("last.email", "manager@northshire.example")];
        assert_eq!(press(&app, &who, &format!("{rules}/last"), &last).await.0, 303);
        let (_, page) = app.page(&rules, &who).await;
        assert!(page.contains("Whoever is named to ring") && page.contains("never seen to work"), "{page}");
        let there = format!("{D}/agency/last_step/contact/mail");
        let before = smtp.mails().len();
        let (s, to, _) = app.form(&format!("{there}/send-code"), &who, &[("_csrf", &word)]).await;
        assert_eq!((s, to), (303, format!("{there}/code?sent=1")));
        until("the code came", || async { smtp.mails().len() > before }).await;
        let mail = smtp.mails().pop().unwrap()["text"].as_str().unwrap().to_owned();
        let code = mail.split("The code is ").nth(1).unwrap()[..6].to_owned();
        let (s, to, _) = press(&app, &who, &format!("{there}/code"), &[("code", &code)]).await;
        assert_eq!((s, to), (303, rules.clone()));
        assert!(app.page(&rules, &who).await.1.contains("last worked "));
        // A point that is no use any more is said first and urgently.
        app.db.run("UPDATE point SET unusable = 'replied STOP'").await.unwrap();
        app.service().refresh_directory().await.unwrap();
        let (_, page) = app.page(D, &who).await;
        assert!(page.contains("<span class=\"late\">No use any more: replied STOP</span>") && page.contains("mend this first"), "{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_secret_is_shown_once_and_changed_without_a_gap() {
    let app = App::start(Db::sqlite()).await;
    let who = coordinator(&app).await;
    let new = format!("{D}/agency/police/contact/new");
    let address = format!("http://127.0.0.1:{}/second", app.sink.port);
    let (s, _, page) = press(
        &app,
        &who,
        &new,
        &[("kind", "webhook"), ("address", &address), ("team", "Control room")],
    )
    .await;
    assert_eq!(s, 200, "{page}");
    let first =
        page.split("<pre>").nth(1).unwrap().split("</pre>").next().unwrap().replace("&#x2f;", "/");
    assert_eq!(bytes_of(&first), 32);
    let secrets = || -> Vec<String> {
        let d = app.service().directory();
        d.secrets("northshire/police/control-room-webhook").iter().map(|s| s.0.clone()).collect()
    };
    assert_eq!(secrets(), std::slice::from_ref(&first));
    let here = format!("{D}/agency/police/contact/control-room-webhook");
    let (s, _, page) = press(&app, &who, &format!("{here}/secret"), &[]).await;
    assert_eq!(s, 200);
    let second =
        page.split("<pre>").nth(1).unwrap().split("</pre>").next().unwrap().replace("&#x2f;", "/");
    assert_ne!(first, second);
    assert_eq!(secrets(), [second.clone(), first.clone()], "both sign, the newest first");
    // A change of the address keeps them.
    done(&app, &who, &here, &[("kind", "webhook"), ("address", &address), ("when", "night")]).await;
    assert_eq!(secrets().len(), 2);
    for path in [
        D.to_owned(),
        here.clone(),
        format!("{here}/secret"),
        format!("{D}/history"),
        format!("{D}/export.csv"),
    ] {
        let (_, page) = app.page(&path, &who).await;
        assert!(!page.contains("whsec_"), "{path} shows a secret");
    }
    let (_, page) = app.page(&format!("{here}/secret"), &who).await;
    assert_eq!(send(&app, &who, &format!("{here}/secret/finish"), &page, &[]).await.0, 303);
    assert_eq!(secrets(), [second]);
}

fn bytes_of(secret: &str) -> usize {
    use base64::Engine;
    let plain = secret.strip_prefix("whsec_").unwrap();
    base64::engine::general_purpose::STANDARD.decode(plain).unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_about_what_goes_by_itself_shows_no_ladder() {
    let sink = Sink::start().await;
    let rule = "[[policy]]\nagencies = [\"*\"]\nevents = [\"jar_stood_down\", \"jar_recalled\"]\n";
    let area = format!("{}{rule}", area_text(&sink, ""));
    let app = App::with(Db::sqlite(), sink, &area, |_| {}, Arc::new(SystemClock)).await;
    let who = coordinator(&app).await;
    let (_, run) = app.get("/api/v1/directory/northshire/dry-run?kind=jar_stood_down").await;
    assert!(run["agencies"].as_array().unwrap().is_empty(), "{run}");
    let (_, page) =
        app.page(&format!("{D}/policy?kind=jar_recalled&date=2026-11-28&time=03:00"), &who).await;
    assert!(page.contains("This rule changes nothing about “Joint Agency Response stood down”"));
    assert!(!page.contains("must acknowledge") && !page.contains("ladder is climbed"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_added_moved_changed_and_removed() {
    let app = App::start(Db::sqlite()).await;
    let who = coordinator(&app).await;
    let policy = format!("{D}/policy");
    let (_, page) = app.page(&policy, &who).await;
    for part in [
        "There is no rule",
        "After 3 minutes: call to whoever is on.",
        "The cdop_office (01632 960101) is told to ring them",
    ] {
        assert!(page.contains(part), "{part}");
    }
    let wrong = [
        ("when", "always"),
        ("told", "yes"),
        ("act_within", "soon"),
        ("place", "1"),
        ("step.1.whom", "duty"),
        ("step.1.after", "2"),
        ("step.2.whom", "team"),
        ("step.2.after", "2.2"),
        ("step.2.sms", "on"),
        ("last.name", "Duty manager"),
        ("last.number", "0123"),
        ("last.after", "1"),
        ("last.repeat", "0.2"),
    ];
    let (s, _, page) = press(&app, &who, &format!("{policy}/new"), &wrong).await;
    assert_eq!(s, 422);
    for field in [
        "agencies",
        "events",
        "act_within",
        "step.1.after",
        "step.1.by",
        "step.2.team",
        "step.2.after",
        "last.number",
        "last.after",
        "last.repeat",
    ] {
        assert!(page.contains(&format!("href=\"#{field}\"")), "{field}: {page}");
        assert!(page.contains(&format!("id=\"{field}\"")), "{field} can be reached");
    }
    assert_eq!(version(&app), 0);
    let rule = |who: &'static str, told: &'static str| {
        vec![
            (who, "on"),
            ("event.jar_triggered", "on"),
            ("when", "night"),
            ("told", told),
            ("urgency", "now"),
            ("acknowledge", "yes"),
            ("place", "1"),
            ("step.1.whom", "duty"),
            ("step.1.sms", "on"),
            ("step.2.whom", "team"),
            ("step.2.team", "Control"),
            ("step.2.after", "0.5"),
            ("step.2.voice", "on"),
            ("last.name", "Duty manager"),
            ("last.number", "01632 960133"),
            ("last.after", "5"),
            ("last.repeat", "10"),
            ("last.phone", "07700 900133"),
        ]
    };
    done(&app, &who, &format!("{policy}/new"), &rule("agency.*", "no")).await;
    done(&app, &who, &format!("{policy}/new"), &rule("agency.police", "yes")).await;
    let words = || {
        let d = app.service().directory();
        d.area("northshire")
            .unwrap()
            .policy
            .iter()
            .map(|r| r.agencies.join(","))
            .collect::<Vec<_>>()
    };
    assert_eq!(words(), ["police", "*"], "a new rule comes first unless it is told otherwise");
    let (_, page) = app.page(&policy, &who).await;
    for part in [
        "The police, on “Joint Agency Response”, at night: told at once, must acknowledge.",
        "After 30 seconds: call to the team Control.",
        "After 5 minutes: Duty manager (01632 960133) is told to ring them, again every 10 minutes",
        "Every agency, on “Joint Agency Response”, at night: not told.",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    // A form that is opened and saved as it is changes nothing.
    let stood = app.service().directory().area("northshire").unwrap().policy.clone();
    let (_, form) = app.page(&format!("{policy}/1"), &who).await;
    assert_eq!(send(&app, &who, &format!("{policy}/1"), &form, &fields_of(&form)).await.0, 303);
    assert_eq!(app.service().directory().area("northshire").unwrap().policy, stood);
    let (_, page) = app.page(&policy, &who).await;
    assert_eq!(send(&app, &who, &format!("{policy}/1/down"), &page, &[]).await.0, 303);
    assert_eq!(words(), ["*", "police"]);
    // From a page that is out of date nothing moves.
    assert_eq!(send(&app, &who, &format!("{policy}/1/down"), &page, &[]).await.0, 409);
    // Of what goes by itself no ladder is shown, and no rule is offered.
    for kind in ["jar_stood_down", "jar_recalled"] {
        let ask = format!("/api/v1/directory/northshire/dry-run?kind={kind}");
        let (_, run) = app.get(&ask).await;
        assert_eq!(
            (&run["by_itself"], run["agencies"].as_array().unwrap().len()),
            (&json!(true), 0)
        );
        let at = format!("{policy}?kind={kind}&date=2026-11-28&time=03:00");
        let (_, page) = app.page(&at, &who).await;
        assert!(page.contains("goes by itself to everybody who was alerted, once"), "{page}");
        assert!(!page.contains("Nobody would be told"), "{page}");
        assert!(!form.contains(&format!("event.{kind}")), "{form}");
        let (_, agency) = app.page(&format!("{D}/agency/police"), &who).await;
        assert!(agency.contains("told.jar_upgraded") && !agency.contains(kind), "{agency}");
    }
    // At night nobody is told now: the dry run says so.
    let (_, run) = app
        .get("/api/v1/directory/northshire/dry-run?kind=jar_triggered&at=2026-11-28T03:00:00Z")
        .await;
    assert_eq!(
        (run["agencies"].as_array().unwrap().len(), run["not_told"].as_array().unwrap().len()),
        (0, 5)
    );
    done(&app, &who, &format!("{policy}/1/remove"), &[]).await;
    done(&app, &who, &format!("{D}/agency/police/remove"), &[]).await;
    assert!(words().is_empty(), "an agency that goes leaves no rule behind");
    assert_eq!(app.page(&format!("{policy}/1"), &who).await.0, 404);
    done(
        &app,
        &who,
        &format!("{policy}/last"),
        &[
            ("last.name", "Head of service"),
            ("last.number", "01632 960134"),
            ("last.after", "20"),
            ("last.repeat", "15"),
            ("last.email", "head@x.example"),
        ],
    )
    .await;
    let (_, run) = app.get("/api/v1/directory/northshire/dry-run?kind=jar_triggered").await;
    assert_eq!(run["agencies"][0]["last"]["tries"][0]["address"], "head@x.example");
}

/// What a browser would send of a form that nobody touched.
fn fields_of(page: &str) -> Vec<(&str, &str)> {
    let mut out = Vec::new();
    let part = |t: &'_ str, name: &str| -> Option<(usize, usize)> {
        let mark = format!(" {name}=\"");
        let from = t.find(&mark)? + mark.len();
        Some((from, from + t[from..].find('"')?))
    };
    for t in page.split('<').skip(1) {
        let tag = t.split('>').next().unwrap();
        if tag.starts_with("input ") && !tag.contains("name=\"_") {
            if tag.contains("type=\"checkbox\"") && !tag.contains(" checked") {
                continue;
            }
            if let (Some(n), Some(v)) = (part(tag, "name"), part(tag, "value")) {
                out.push((&tag[n.0..n.1], &tag[v.0..v.1]));
            }
        }
    }
    for s in page.split("<select ").skip(1) {
        let s = s.split("</select>").next().unwrap();
        let n = s.split("name=\"").nth(1).unwrap().split('"').next().unwrap();
        if let Some(o) = s.split("<option ").find(|o| o.contains(" selected>")) {
            out.push((n, o.split("value=\"").nth(1).unwrap().split('"').next().unwrap()));
        }
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_see_and_who_may_change() {
    let app = App::start(Db::sqlite()).await;
    let who = coordinator(&app).await;
    let pages = [
        D.to_owned(),
        format!("{D}/history"),
        format!("{D}/export.csv"),
        format!("{D}/policy"),
        format!("{D}/rota/police"),
        format!("{D}/rota/police.ics"),
    ];
    let forms = [
        format!("{D}/agency/new"),
        format!("{D}/agency/police"),
        format!("{D}/agency/police/remove"),
        format!("{D}/agency/police/person/new"),
        format!("{D}/agency/police/contact/new"),
        format!("{D}/agency/police/contact/hook"),
        format!("{D}/agency/police/contact/hook/code"),
        format!("{D}/agency/police/contact/hook/secret"),
        format!("{D}/agency/police/contact/hook/remove"),
        format!("{D}/rota/police/rotation/new"),
        format!("{D}/rota/police/cover/new"),
        format!("{D}/rota/police/paste"),
        format!("{D}/rota/police/calendar"),
        format!("{D}/policy/new"),
        format!("{D}/policy/last"),
        format!("{D}/import"),
    ];
    app.add_user("south@x.example", "coordinator", "southshire", None).await;
    app.add_user("pol@x.example", "agency", "northshire", Some("police")).await;
    app.add_user("audit@x.example", "auditor", "northshire", None).await;
    let south = app.sign_in("south@x.example").await;
    let police = app.sign_in("pol@x.example").await;
    let auditor = app.sign_in("audit@x.example").await;
    for path in pages.iter().chain(&forms) {
        assert_eq!(app.page(path, &who).await.0, 200, "{path}");
        let r = app.http.get(format!("{}{path}", app.url)).send().await.unwrap();
        assert_eq!(
            (r.status().as_u16(), r.headers()["location"].to_str().unwrap()),
            (303, "/sign-in"),
            "{path}"
        );
        let (s, page) = app.page(path, &south).await;
        assert_eq!(s, 404, "{path}");
        assert!(!page.contains("Northshire"), "{path}");
        assert_eq!(app.page(path, &police).await.0, 403, "{path}");
    }
    assert_eq!(app.page("/directory/nowhere", &who).await.0, 404);
    assert_eq!(app.page("/directory", &police).await.0, 403);
    // An auditor sees, and finds no way to change.
    for path in &pages {
        let (s, page) = app.page(path, &auditor).await;
        assert_eq!(s, 200, "{path}");
        assert!(
            !page.contains("/new\"") && !page.contains("method=\"post\" action=\"/directory"),
            "{path}"
        );
    }
    let (_, own) = app.page(D, &auditor).await;
    let word = csrf(&own);
    for path in forms.iter().map(String::as_str).chain([
        "/directory/northshire/history/0",
        "/directory/northshire/agency/police/contact/hook/send-code",
        "/directory/northshire/agency/police/contact/hook/secret/finish",
        "/directory/northshire/policy/1/up",
    ]) {
        assert_eq!(
            app.page(path, &auditor).await.0,
            if path.ends_with("/0")
                || path.ends_with("send-code")
                || path.ends_with("finish")
                || path.ends_with("up")
            {
                405
            } else {
                403
            },
            "{path}"
        );
        let fields =
            [("_csrf", word.as_str()), ("_version", "0"), ("name", "x"), ("ring", "01632 960111")];
        assert_eq!(app.form(path, &auditor, &fields).await.0, 403, "{path}");
        // Without the session's word nobody changes anything.
        assert_eq!(app.form(path, &who, &fields[1..]).await.0, 403, "{path}");
        let (_, southern) = app.page("/panels", &south).await;
        let fields = [("_csrf", csrf(&southern)), ("_version", "0".to_owned())];
        let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
        assert_eq!(app.form(path, &south, &fields).await.0, 404, "{path}");
    }
    assert_eq!(version(&app), 0);
    assert!(app.sink.all().is_empty(), "no code was sent");

    let ask = "/api/v1/directory/northshire/dry-run?kind=jar_triggered";
    let store = &app.service().store;
    for (scopes, area, want) in [
        (TokenScope::Read, "*", 200),
        (TokenScope::Read, "northshire", 200),
        (TokenScope::Read, "southshire", 404),
        (TokenScope::Notify, "*", 403),
    ] {
        let t = token::issue(store, "t", &[scopes], area, None, Utc::now()).await.unwrap();
        let r = app.http.get(format!("{}{ask}", app.url)).bearer_auth(&t).send().await.unwrap();
        assert_eq!(r.status().as_u16(), want, "{scopes:?} {area}");
    }
    assert_eq!(app.get("/api/v1/directory/nowhere/dry-run?kind=jar_triggered").await.0, 404);
    for (query, field) in
        [("", "kind"), ("kind=verify", "kind"), ("kind=jar_triggered&at=now", "at")]
    {
        let (s, body) = app.get(&format!("/api/v1/directory/northshire/dry-run?{query}")).await;
        assert_eq!((s, body["errors"][0]["field"].clone()), (422, json!(field)), "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_import_command_previews_refuses_and_applies() {
    let db = Db::sqlite();
    let sink = Sink::start().await;
    let dir = db.dir.path().to_owned();
    std::fs::write(dir.join("area.toml"), area_text(&sink, "")).unwrap();
    let url = db.url.clone();
    let config = format!(
        "[database]\nurl = \"{url}\"\n[areas]\nfiles = [\"{}\"]\n",
        dir.join("area.toml").display()
    );
    std::fs::write(dir.join("cdr.toml"), config).unwrap();
    let mut app =
        App::with(db, sink, &area_text(&Sink::start().await, ""), |_| {}, Arc::new(SystemClock))
            .await;
    app.stop().await;
    let key = std::fs::read_to_string(dir.join("master.key")).unwrap();
    let run = |text: &str, extra: &[&str]| {
        std::fs::write(dir.join("d.csv"), text).unwrap();
        let out = std::process::Command::new(env!("CARGO_BIN_EXE_cdr"))
            .arg("--config")
            .arg(dir.join("cdr.toml"))
            .args(["import", "directory"])
            .arg(dir.join("d.csv"))
            .args(extra)
            .env("CDR__CRYPT__MASTER_KEY", key.trim())
            .output()
            .unwrap();
        (
            out.status.code().unwrap(),
            String::from_utf8(out.stdout).unwrap() + &String::from_utf8(out.stderr).unwrap(),
        )
    };
    let head = "agency,agency_name,ring,team,person,role,kind,address,when,order";
    let good =
        format!("{head}\nschool,School nursing,01632 960177,,Ada Exampleby,,mobile,07700 900111,,");
    let (code, said) = run(&good.replace("900111", "9001"), &["--apply"]);
    assert!(
        code == 1 && said.contains("line 2, address:") && said.contains("Nothing was changed"),
        "{said}"
    );
    let (code, said) = run(&good, &[]);
    assert!(
        code == 0 && said.contains("added    School nursing") && said.contains("--apply"),
        "{said}"
    );
    assert_eq!(app.db.number("SELECT COUNT(*) FROM directory").await, 0);
    let (code, said) = run(&good, &["--area", "southshire", "--apply"]);
    assert!(code != 0 && said.contains("no area"), "{said}");
    let (code, said) = run(&good, &["--apply"]);
    assert!(code == 0 && said.contains("now at version 1"), "{said}");
    assert_eq!(app.db.number("SELECT MAX(version) FROM directory").await, 1);
    let (code, said) = run(&good, &["--apply"]);
    assert!(code == 0 && said.contains("nothing to change"), "{said}");
    let many: String =
        (0..50_000).map(|n| format!("a{n},A,01632 960101,,,,email,d{n}@a.example,,\n")).collect();
    let (code, said) = run(&format!("{head}\n{many}"), &["--apply"]);
    assert!(code == 1 && said.contains("50000 lines"), "{said}");
    assert_eq!(app.db.number("SELECT MAX(version) FROM directory").await, 1);
}
