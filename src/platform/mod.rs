//! What every part needs and none of it knows a case: clock, cryptography, sockets, metrics.

pub mod address;
pub mod age_file;
pub mod clock;
pub mod crypt;
pub mod failpoint;
pub mod fresh;
pub mod metrics;
pub mod news;
pub mod outgoing;
pub mod telemetry;
