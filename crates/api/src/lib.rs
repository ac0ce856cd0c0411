//! Shapes. What the daemon, its clients and other programs say to each other: requests, answers, errors and events, and
//! a client that speaks them. It decides nothing and knows no file of the project.

pub mod client;
pub mod error;
pub mod event;
pub mod health;
pub mod history;
pub mod request;
pub mod schedule;
pub mod status;
pub mod watch;
