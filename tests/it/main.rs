//! Journeys, rules and faults, on real parts: SQLite and PostgreSQL, a real SMTP server, real
//! HTTP receivers, and the real program where processes must die.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::pedantic)] // tests and benches say what they expect

mod access;
mod answers;
mod api;
mod broken_systems;
mod called_again;
mod case_page;
mod commands;
mod components;
mod copies;
mod cover;
mod daily_copy;
mod desk;
mod directory;
mod documents;
mod domain;
#[allow(dead_code)] // other tests script what this slice does not
mod doubles;
mod drills;
mod exchange;
mod faults;
mod likeness;
mod mail_faults;
mod nodes;
mod notify_flow;
mod privacy;
mod providers;
mod reach;
mod rota;
mod schedules;
mod security;
mod sign_in;
mod store;
mod stories;
#[allow(dead_code)] // a telling has words that one slice does not use
mod story;
mod strain;
mod support;
mod visitor;
mod waiting;
mod watched;
