//! Journeys, rules and faults, on real parts: SQLite and PostgreSQL, a real SMTP server, real
//! HTTP receivers, and the real program where processes must die.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::pedantic)] // tests and benches say what they expect

mod api;
mod copies;
mod domain;
mod exchange;
mod faults;
mod reach;
mod rota;
mod store;
mod support;
