//! Somebody signed in, with a browser, in a story.

use crate::story::Story;
use crate::support::csrf;
use child_death_review::auth::password;
use child_death_review::store::UserRow;
use uuid::Uuid;

pub struct Visitor {
    http: reqwest::Client,
    base: String,
    cookie: String,
}

impl Visitor {
    /// Signs in as a new account with this role.
    pub async fn of(story: &Story, role: &str, area: &str, agency: Option<&str>) -> Self {
        let email = format!("{}@cdr.example", Uuid::new_v4().simple());
        let row = UserRow {
            id: Uuid::new_v4(),
            email: email.clone(),
            name: format!("Name of {role}"),
            role: role.to_owned(),
            area: area.to_owned(),
            agency: agency.map(str::to_owned),
            password_hash: password::hash("correct horse battery".into()).await.unwrap(),
            created_at: story.now(),
            disabled_at: None,
        };
        assert!(
            story.node().with(move |s| async move { s.store.add_user(row).await.unwrap() }).await
        );
        let base = story.node().url.clone();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        let form = format!("email={email}&password=correct+horse+battery");
        let r = http.post(format!("{base}/sign-in")).body(form).send().await.unwrap();
        assert_eq!(r.status(), 303);
        let cookie = r.headers()["set-cookie"].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        Self { http, base, cookie }
    }

    pub async fn open(&self, path: &str) -> reqwest::Response {
        let r = self.http.get(format!("{}{path}", self.base)).header("cookie", &self.cookie);
        r.send().await.unwrap()
    }

    pub async fn page(&self, path: &str) -> (u16, String) {
        let r = self.open(path).await;
        (r.status().as_u16(), r.text().await.unwrap())
    }

    /// Fills in the form on the page `at` and sends it to `path`: status, where it leads, what it
    /// says.
    pub async fn fill(
        &self,
        at: &str,
        path: &str,
        fields: &[(&str, &str)],
    ) -> (u16, String, String) {
        let (status, page) = self.page(at).await;
        assert_eq!(status, 200, "{at}: {page}");
        let body: String = form_urlencoded::Serializer::new(String::new())
            .append_pair("_csrf", &csrf(&page))
            .extend_pairs(fields)
            .finish();
        let r = self
            .http
            .post(format!("{}{path}", self.base))
            .header("cookie", &self.cookie)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
            .send()
            .await
            .unwrap();
        let to = r.headers().get("location").map_or("", |l| l.to_str().unwrap()).to_owned();
        (r.status().as_u16(), to, r.text().await.unwrap())
    }
}
