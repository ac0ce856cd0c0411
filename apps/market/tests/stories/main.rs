//! What `market` promises, told with the real program: rows, refusals, whole snapshots, answers.
//! `stage` is the one door to the program; the stories know neither its files nor its queries.

mod refusals;
mod rows;
mod serving;
mod serving_access;
mod serving_control;
mod serving_quotes;
mod serving_uploads;
mod snapshots;
mod stage;
