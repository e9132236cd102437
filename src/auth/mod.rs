//! Who is calling, and what they may do.

pub mod enter;
pub mod outside;
pub mod passkey;
pub mod password;
pub mod policy;
pub mod recovery;
pub mod rules;
pub mod session;
pub mod step;
pub mod throttle;
pub mod token;
pub mod totp;
