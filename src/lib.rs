pub mod config;
pub mod domain;
pub mod platform;
pub mod store;
