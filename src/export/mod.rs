//! What leaves the service for others to read.

pub mod cell;
pub mod ncmd;
