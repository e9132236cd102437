//! stub
use super::calendar::Calendar;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Rota { pub id: String, pub name: String }
pub struct OnDuty { pub person: String, pub until: Option<DateTime<Utc>> }
#[must_use]
pub fn on_duty(_: &Rota, _: &Calendar, _: DateTime<Utc>) -> Vec<OnDuty> { Vec::new() }
pub struct Shift { pub from: DateTime<Utc>, pub to: DateTime<Utc>, pub person: Option<String> }
#[must_use]
pub fn shifts(_: &Rota, _: &Calendar, _: DateTime<Utc>, _: DateTime<Utc>) -> Vec<Shift> { Vec::new() }
#[must_use]
pub fn problems(_: &Rota, _: &std::collections::BTreeSet<&str>) -> Vec<String> { Vec::new() }
