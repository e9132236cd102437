//! How lists of cases are asked for, in an address: the same words for pages and for the API.
//! Nothing personal ever stands in one.

use crate::domain::age;
use crate::domain::civil_time;
use crate::domain::ready::{Stage, waits};
use crate::service::{AssignedTo, CaseQuery, ClockWish, Handed, order_of};
use crate::store::Mark;
use std::collections::HashMap;
use uuid::Uuid;

pub const JARS: [&str; 3] = ["triggered", "provisional", "not_triggered"];
/// Filters by name, in the order of the form.
pub const FILTERS: [&str; 17] = [
    "stage",
    "jar",
    "ready",
    "area",
    "age",
    "category",
    "received_from",
    "received_to",
    "died_from",
    "died_to",
    "clock",
    "waits",
    "undated",
    "unacknowledged",
    "assigned",
    "handed",
    "new",
];
pub const ORDER: [&str; 2] = ["sort", "order"];

/// A parameter that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    pub field: &'static str,
    pub code: &'static str,
    pub message: String,
}

/// Takes what belongs to a list out of an address; every parameter that cannot be used is named and
/// left out. `new` needs to know since when, which is not said in an address.
pub fn read(q: &HashMap<String, String>) -> (CaseQuery, Vec<Wrong>) {
    let mut wrong = Vec::new();
    let text = |name: &str| q.get(name).map(|v| v.trim()).filter(|v| !v.is_empty());
    let mut one_of = |name: &'static str, words: &[&str]| {
        let v = text(name)?;
        if words.contains(&v) {
            return Some(v.to_owned());
        }
        let message = format!("must be one of: {}", words.join(", "));
        wrong.push(Wrong { field: name, code: "not_in_list", message });
        None
    };
    let ages: Vec<&str> = age::BANDS.into_iter().chain(["unknown"]).collect();
    let codes: Vec<&str> = waits().map(|(c, _)| c).to_vec();
    let stage = one_of("stage", Stage::WORDS);
    let jar = one_of("jar", &JARS);
    let ready = one_of("ready", &["true", "false"]).map(|r| r == "true");
    let age = one_of("age", &ages);
    let clock = one_of("clock", &["overdue", "soon"]);
    let waits = one_of("waits", &codes);
    let undated = one_of("undated", &["true"]).is_some();
    let unacknowledged = one_of("unacknowledged", &["true"]).is_some();
    let handed = one_of("handed", &["to_me", "by_me"]);
    let sort = one_of("sort", &["received", "died", "days", "age", "stage", "due"]);
    let order = one_of("order", &["asc", "desc"]);
    let mut day = |name: &'static str| {
        let day = civil_time::parse_day(text(name)?);
        if day.is_none() {
            let message = "must be a day, like 2026-12-01".to_owned();
            wrong.push(Wrong { field: name, code: "not_a_date", message });
        }
        day
    };
    let (received_from, received_to) = (day("received_from"), day("received_to"));
    let (died_from, died_to) = (day("died_from"), day("died_to"));
    let category = text("category").and_then(|t| {
        let n = t.parse::<i64>().ok().filter(|n| (1..=10).contains(n));
        if n.is_none() {
            let message = "must be a whole number from 1 to 10".to_owned();
            wrong.push(Wrong { field: "category", code: "out_of_range", message });
        }
        n
    });
    let assigned = text("assigned").and_then(|t| match t {
        "me" => Some(AssignedTo::Me),
        "nobody" => Some(AssignedTo::Nobody),
        id => {
            let id = Uuid::try_parse(id).ok().map(AssignedTo::Person);
            if id.is_none() {
                let message = "must be me, nobody, or the id of an account".to_owned();
                wrong.push(Wrong { field: "assigned", code: "not_in_list", message });
            }
            id
        }
    });
    let words = (sort.unwrap_or_default(), order.unwrap_or_default());
    let (sort, up) = order_of(&words.0, &words.1).unwrap_or_default();
    let query = CaseQuery {
        stage,
        jar,
        ready,
        area: text("area").map(str::to_owned),
        age,
        category,
        received_from,
        received_to,
        died_from,
        died_to,
        clock: clock.map(|c| if c == "overdue" { ClockWish::Overdue } else { ClockWish::Soon }),
        waits,
        undated,
        unacknowledged,
        assigned,
        handed: handed.map(|h| if h == "to_me" { Handed::ToMe } else { Handed::ByMe }),
        sort,
        up,
        size: 50,
        ..CaseQuery::default()
    };
    (query, wrong)
}

/// A mark as it stands in an address: the sorted value, `-` where it is not known, and the case.
pub fn mark_text(m: Mark) -> String {
    let key = m.key.map_or_else(|| "-".to_owned(), |k| k.to_string());
    format!("{key}.{}", m.id)
}

pub fn read_mark(text: &str) -> Option<Mark> {
    let (key, id) = text.split_once('.')?;
    let key = if key == "-" { None } else { Some(key.parse().ok()?) };
    Some(Mark { key, id: id.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_come_back_and_nonsense_is_named() {
        for key in [None, Some(0), Some(-7), Some(i64::MAX)] {
            let m = Mark { key, id: Uuid::nil() };
            assert_eq!(read_mark(&mark_text(m)), Some(m));
        }
        for odd in ["", "1", ".", "x.y", "1.2.3", "--.00000000-0000-0000-0000-000000000000"] {
            assert_eq!(read_mark(odd), None, "{odd}");
        }
        let q: HashMap<String, String> =
            FILTERS.iter().map(|f| ((*f).to_owned(), "?".to_owned())).collect();
        let (query, wrong) = read(&q);
        // Everything but the area, which is looked up, and `new`, which is not read here.
        assert_eq!(wrong.len(), FILTERS.len() - 2, "{wrong:?}");
        assert_eq!(query.area.as_deref(), Some("?"));
    }
}
