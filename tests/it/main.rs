//! Journeys, rules and faults, on real parts: SQLite and PostgreSQL, a real SMTP server, real
//! HTTP receivers, and the real program where processes must die.

mod api;
mod domain;
mod faults;
mod reach;
mod store;
mod support;
