//! People with phones who fill in the notification page by page.

use super::{Program, percentile, read_message};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// The pages of the usual way, and what is typed there.
const WAY: [(&str, &str); 8] = [
    ("who", "child.family_name=Benchfield&child.age_description=about+4+months"),
    ("when", "death.date-is=unknown"),
    ("where", "death.place.type=emergency_department&death.place.name=Bench+Infirmary"),
    ("sudden", "jar_answers.sudden_no_apparent_cause=yes"),
    ("cause", "jar_answers.external_cause=unknown"),
    ("care", ""),
    ("caller", "notifier.telephone=07700+900987"),
    ("check", ""),
];

/// A browser: one connection and its cookie.
struct Browser {
    stream: TcpStream,
    buffer: Vec<u8>,
    cookie: String,
    took: Arc<Mutex<Vec<(String, f64)>>>,
}

struct Answer {
    status: u16,
    to: String,
    body: String,
}

impl Browser {
    async fn send(&mut self, method: &str, path: &str, form: &str) -> Answer {
        let kind = if method == "POST" {
            "content-type: application/x-www-form-urlencoded\r\n"
        } else {
            ""
        };
        let cookie = if self.cookie.is_empty() {
            String::new()
        } else {
            format!("cookie: {}\r\n", self.cookie)
        };
        let text = format!(
            "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{cookie}{kind}content-length: {}\r\n\r\n{form}",
            form.len()
        );
        let at = Instant::now();
        self.stream.write_all(text.as_bytes()).await.unwrap();
        let (head, body) = read_message(&mut self.stream, &mut self.buffer).await.unwrap();
        let ms = at.elapsed().as_secs_f64() * 1e3;
        self.took.lock().unwrap().push((format!("{method} {path}"), ms));
        let header = |name: &str| {
            head.lines()
                .find_map(|l| {
                    let (n, v) = l.split_once(": ")?;
                    n.eq_ignore_ascii_case(name).then(|| v.to_owned())
                })
                .unwrap_or_default()
        };
        let set = header("set-cookie");
        if !set.is_empty() {
            self.cookie = set.split(';').next().unwrap_or_default().to_owned();
        }
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        Answer { status, to: header("location"), body: String::from_utf8_lossy(&body).into_owned() }
    }

    async fn page(&mut self, path: &str) -> String {
        let a = self.send("GET", path, "").await;
        assert_eq!(a.status, 200, "{path}: {}", a.body);
        a.body
    }
}

fn hidden(html: &str, name: &str) -> String {
    let at = format!("name=\"{name}\" value=\"");
    let rest = html.split(&at).nth(1).unwrap_or_else(|| panic!("no {name}"));
    rest.split('"').next().unwrap_or_default().to_owned()
}

/// One person from the first page to the last, who thinks so long before each.
async fn one(
    port: u16,
    think: Duration,
    start: Duration,
    took: Arc<Mutex<Vec<(String, f64)>>>,
) -> bool {
    tokio::time::sleep(start).await;
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut b = Browser { stream, buffer: Vec::new(), cookie: String::new(), took };
    let html = b.page("/notify").await;
    // What a first visit loads besides.
    let assets: Vec<String> = html
        .split('"')
        .filter(|s| s.starts_with("/assets/") || s.starts_with("/static/"))
        .map(str::to_owned)
        .collect();
    for path in &assets {
        b.page(path).await;
    }
    tokio::time::sleep(think).await;
    let key = hidden(&html, "_key");
    let seen = b.send("POST", "/notify/what", &format!("_key={key}&_version=0&event=death")).await;
    assert_eq!(seen.status, 303, "{}", seen.body);
    for (page, typed) in WAY {
        let path = format!("/notify/{page}");
        let html = b.page(&path).await;
        tokio::time::sleep(think).await;
        if page == "check" {
            let seen = b.send("POST", "/notify/send", "").await;
            assert_eq!((seen.status, seen.to.as_str()), (303, "/notify/done"), "{}", seen.body);
            break;
        }
        let form = format!("_version={}&{typed}", hidden(&html, "_version"));
        let seen = b.send("POST", &path, &form).await;
        assert_eq!(seen.status, 303, "{page}: {}", seen.body);
    }
    b.page("/notify/done").await.contains("A Joint Agency Response is due")
}

/// `n` people at once; prints what a page took.
pub async fn fill(p: &Program, n: usize, think: Duration, said: &str) {
    let took = Arc::new(Mutex::new(Vec::new()));
    let began = Instant::now();
    let mut people = Vec::new();
    for i in 0..n {
        // They come within the time of one page.
        let start = think.mul_f64(i as f64 / n as f64);
        people.push(tokio::spawn(one(p.port, think, start, took.clone())));
    }
    let mut done = 0;
    for person in people {
        done += usize::from(person.await.unwrap());
    }
    let seconds = began.elapsed().as_secs_f64();
    let all = took.lock().unwrap();
    let of = |keep: &dyn Fn(&str) -> bool| {
        let mut ms: Vec<f64> = all.iter().filter(|(w, _)| keep(w)).map(|(_, ms)| *ms).collect();
        ms.sort_by(f64::total_cmp);
        ms
    };
    for (what, ms) in [
        ("pages shown and saved", of(&|w| w.contains("/notify"))),
        ("of these sent", of(&|w| w == "POST /notify/send")),
        ("scripts and styles", of(&|w| !w.contains("/notify"))),
    ] {
        println!(
            "People {said}: {done} of {n} told that a response is due, {:.0} requests/s; {what}: {} at p50 {:.1} ms  p99 {:.1} ms  max {:.1} ms",
            all.len() as f64 / seconds,
            ms.len(),
            percentile(&ms, 0.5),
            percentile(&ms, 0.99),
            ms.last().copied().unwrap_or(f64::NAN)
        );
    }
}
