//! The rules of child death review, and nothing else: no IO, no clock, no randomness.
//!
//! Every function here turns facts (and an instant handed in) into an answer. The way through it:
//! [`intake`] reads a body into [`facts::Facts`]; [`scope`] and [`jar`] judge them; [`case`] turns
//! a command into events and events into a state; [`ready`] says why a case is stuck.

pub mod age;
pub mod alert;
pub mod calendar;
pub mod case;
pub mod civil_time;
pub mod deadline;
pub mod delivery;
pub mod directory;
pub mod document;
pub mod draft;
pub mod escalation;
pub mod event;
pub mod facts;
pub mod history;
pub mod id;
pub mod intake;
pub mod jar;
pub mod likeness;
pub mod milestone;
pub mod nhs_number;
pub mod postcode;
pub mod reading;
pub mod ready;
pub mod retention;
pub mod rota;
pub mod scope;
pub mod subject_access;
