//! What `market` promises, told with the real program: rows, refusals, whole snapshots, answers.
//! `stage` is the one door to the program; the stories know neither its files nor its queries.

mod cluster;
mod database;
mod generated;
mod hostile;
mod issues;
#[cfg(target_os = "linux")]
mod kills;
mod postgresql;
#[cfg(target_os = "linux")]
mod producers;
#[cfg(target_os = "linux")]
mod provider_faults;
mod reference;
mod refusals;
#[cfg(target_os = "linux")]
mod replaying;
mod rows;
#[cfg(target_os = "linux")]
mod scanning;
mod serving;
mod serving_access;
mod serving_control;
mod serving_quotes;
mod serving_uploads;
mod snapshots;
mod stage;
mod stores;
#[cfg(target_os = "linux")]
mod ticks;
