//! What somebody may not see and what does not exist are answered alike; here, in equal time.

use super::{AGENCIES, Client, Program, Sink, percentile};
use child_death_review::domain::id::Reference;
use std::time::{Duration, Instant};

/// Asks for each in turn, so that what else the machine does falls on all alike; milliseconds.
async fn in_turn(
    c: &mut Client,
    asked: &[(&str, &str, Vec<u8>, u16)],
    times: usize,
) -> Vec<Vec<f64>> {
    let mut ms = vec![Vec::new(); asked.len()];
    for n in 0..times {
        for k in 0..asked.len() {
            // Not always the same one first.
            let i = (k + n) % asked.len();
            let (method, path, body, status) = &asked[i];
            let at = Instant::now();
            let (got, _) = c.send(method, path, body).await;
            ms[i].push(at.elapsed().as_secs_f64() * 1e3);
            assert_eq!(got, *status, "{method} {path}");
        }
    }
    ms.iter_mut().for_each(|m| m.sort_by(f64::total_cmp));
    ms
}

/// The same question twice says how much the medians differ by chance.
fn say(what: &str, names: [&str; 3], ms: &[Vec<f64>]) {
    let p50: Vec<f64> = ms.iter().map(|m| percentile(m, 0.5) * 1e3).collect();
    println!(
        "Denied {what}, {} each: {} {:.0} µs, {} {:.0} µs, {} {:.0} µs (p50); apart {:+.1} %, by chance {:+.1} %",
        ms[0].len(),
        names[0],
        p50[0],
        names[1],
        p50[1],
        names[2],
        p50[2],
        (p50[0] / p50[1] - 1.0) * 100.0,
        (p50[2] / p50[1] - 1.0) * 100.0,
    );
}

/// The form on one page, filled in by a stranger about the child of this notification.
fn strangers(body: &[u8], key: &str) -> Vec<u8> {
    let v: serde_json::Value = serde_json::from_slice(body).unwrap();
    let said = |at: &str| v.pointer(at).and_then(|v| v.as_str()).unwrap_or_default().to_owned();
    let mut form = form_urlencoded::Serializer::new(String::new());
    for at in ["child.given_names", "child.family_name", "child.nhs_number"] {
        form.append_pair(at, &said(&format!("/{}", at.replace('.', "/"))));
    }
    for (at, name) in
        [("/child/date_of_birth", "child.date_of_birth"), ("/death/date", "death.date")]
    {
        let date = said(at);
        for (part, text) in ["year", "month", "day"].iter().zip(date.split('-')) {
            form.append_pair(&format!("{name}-{part}"), text);
        }
    }
    form.append_pair("jar_answers.sudden_no_apparent_cause", "yes");
    form.append_pair("notifier.telephone", "07700 900987");
    form.append_pair("_key", key);
    form.finish().into_bytes()
}

/// A report of a death that is known already, by somebody who must not learn that it is.
async fn second_reports(p: &mut Program, sink: &Sink, body: fn(u64) -> Vec<u8>) {
    const N: usize = 200;
    p.look_for_second_reports();
    p.serve();
    sink.reset();
    let mut c = Client::connect(p.port, &p.token).await;
    for n in 0..N {
        assert_eq!(c.send("POST", "/api/v1/notifications", &body(n as u64)).await.0, 201);
    }
    let mut c = Client::connect(p.port, "").await;
    let mut ms = vec![Vec::new(); 3];
    for n in 0..N {
        for k in 0..3 {
            let i = (k + n) % 3;
            let about = body((i * 1_000_000 + n) as u64);
            let form = strangers(&about, &format!("a-key-of-the-bench-{i}-{n}"));
            let at = Instant::now();
            let (status, _) = c.send("POST", "/notify/one-page", &form).await;
            ms[i].push(at.elapsed().as_secs_f64() * 1e3);
            assert!(status == 303 || status == 201, "{status}");
        }
    }
    ms.iter_mut().for_each(|m| m.sort_by(f64::total_cmp));
    say("second report", ["known", "new", "new"], &ms);
    // Those about a known child call nobody again.
    let new = (3 * N * AGENCIES) as u64;
    assert!(sink.wait_for(new, Duration::from_secs(20)).await);
    tokio::time::sleep(Duration::from_millis(500)).await;
    // A rung of an earlier case's ladder may have come meanwhile.
    let seen = sink.unique() as u64;
    assert!((new..new + N as u64).contains(&seen), "the known ones were attached: {seen}");
    p.stop();
}

const SIGN_INS: usize = 20;

/// A wrong password for an account that exists and for one that does not, each account once and
/// from an address of its own: who tries often is answered otherwise.
async fn sign_ins(p: &Program, password: &str) {
    let mut ms = vec![Vec::new(); 3];
    for n in 0..SIGN_INS {
        for k in 0..3 {
            let i = (k + n) % 3;
            let from = u8::try_from(10 + n * 3 + k).unwrap();
            let mut c = Client::connect_from(from, p.port, "").await;
            let who = ["known", "unknown", "nobody"][i];
            let form = format!("email={who}{n}@bench.example&password=wrong-{password}");
            let at = Instant::now();
            let (status, _) = c.send("POST", "/sign-in", form.as_bytes()).await;
            ms[i].push(at.elapsed().as_secs_f64() * 1e3);
            assert_eq!(status, 401);
        }
    }
    ms.iter_mut().for_each(|m| m.sort_by(f64::total_cmp));
    say("sign-in", ["with an account", "without", "without"], &ms);
}

pub async fn times(p: &mut Program, sink: &Sink, body: fn(u64) -> Vec<u8>) {
    let other = p.dir.path().join("other.toml");
    std::fs::write(
        &other,
        "id = \"other\"\nname = \"Other\"\ncall_back = \"01632 960200\"\n[[agency]]\nid = \"office\"\nname = \"Office\"\nring = \"01632 960201\"\n",
    )
    .unwrap();
    p.replace("area.toml\"]", &format!("area.toml\", \"{}\"]", other.display()));
    p.configure("[sign_in]\nsecond_factor = \"optional\"\n[limits]\nnotify_a_minute = 0\npages_a_minute = 0\napi_a_minute = 0\nsign_in_a_minute = 0\n");
    let theirs =
        p.run(&["token", "add", "--name", "theirs", "--scopes", "read,write", "--area", "other"]);
    let password = "a-long-bench-passphrase-1";
    p.add_user("here@bench.example", "coordinator", password);
    p.add_user_of("other", "there@bench.example", "coordinator", password);
    for n in 0..SIGN_INS {
        p.add_user(&format!("known{n}@bench.example"), "coordinator", password);
    }
    p.serve();
    let mut mine = Client::connect(p.port, &p.token).await;
    let (status, answer) = mine.send("POST", "/api/v1/notifications", &body(1)).await;
    assert_eq!(status, 201);
    let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
    let reference = answer["reference"].as_str().unwrap();
    let mut c = Client::connect(p.port, &theirs).await;
    // References as they are made, of no case.
    let of_nothing = (100_000..).map(|n| format!("{}{n:06}", &reference[..reference.len() - 6]));
    let mut of_nothing = of_nothing.filter(|r| r != reference && Reference::parse(r).is_some());
    let (one, two) = (of_nothing.next().unwrap(), of_nothing.next().unwrap());
    let get = |r: &str, at: &str| format!("{at}/{r}");
    for (what, at, times) in [("API", "/api/v1/cases", 2000), ("page", "/cases", 1000)] {
        let (denied, missing, again) = (get(reference, at), get(&one, at), get(&two, at));
        if at == "/cases" {
            c = Client::sign_in(p.port, "there@bench.example", password).await;
        }
        let asked = [
            ("GET", denied.as_str(), Vec::new(), 404),
            ("GET", missing.as_str(), Vec::new(), 404),
            ("GET", again.as_str(), Vec::new(), 404),
        ];
        in_turn(&mut c, &asked, 50).await;
        let ms = in_turn(&mut c, &asked, times).await;
        say(what, ["another area's", "missing", "missing"], &ms);
    }
    sign_ins(p, password).await;
    p.stop();
    second_reports(p, sink, body).await;
}
