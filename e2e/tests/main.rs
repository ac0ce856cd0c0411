//! All that is shown with real daemons and real processes, in one binary: its tests wait more than they work, so one long
//! queue of them is done sooner than forty short ones, and it is linked once. One file a topic.

#![cfg(target_os = "linux")]

mod alerts;
mod bad_input;
mod browser;
mod capture;
mod clock;
mod daemon_death;
mod diagnosis;
mod doctor;
mod escape;
mod handover;
mod handover_reload;
mod history;
mod hours;
mod http_answers;
mod http_safety;
mod instances;
mod kills;
mod leader;
mod lifecycle;
mod limits;
mod logs;
mod main_process;
mod market;
mod market_browser;
mod moving;
mod notify;
mod older_guard;
mod overlaps;
mod pid_reuse;
mod ports;
mod probes;
mod processor;
mod proxy;
mod puppet;
mod race;
mod real_habits;
mod real_node;
mod real_notify;
mod real_servers;
mod real_takeover;
mod revival;
mod run;
mod schedules;
mod schemathesis;
mod silent_guard;
mod stories;
mod streams;
mod takeover;
mod ticks;
mod up_twice;
mod waiting;
mod watch;
mod watching;
