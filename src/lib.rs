//! Child Death Review: see `src/ARCHITECTURE.md` for the map.
#![doc = include_str!("ARCHITECTURE.md")]

pub mod alerts;
pub mod app;
pub mod auth;
pub mod card;
pub mod cmd;
pub mod config;
pub mod domain;
pub mod exchange;
pub mod export;
pub mod platform;
pub mod service;
pub mod store;
pub mod web;
pub mod work;
