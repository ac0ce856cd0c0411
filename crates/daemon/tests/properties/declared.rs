//! A declaration that is written as soloist.toml is read as it was meant.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use proptest::prelude::*;
use soloist_core::plan::{Backoff, Condition, Need, Restart, RestartLimit};
use soloist_daemon::config::Config;

/// One service as it is meant.
#[derive(Clone, Debug)]
struct Meant {
    argv: Vec<String>,
    env: BTreeMap<String, String>,
    restart: (Restart, &'static str),
    /// In milliseconds: first and longest delay, and after how long a run counts as healthy.
    backoff: (u64, u64, u64),
    limit: (u32, u64),
    grace: u64,
    success: Vec<u8>,
    /// Of the services before it: those that it needs.
    needs: Vec<(usize, Condition)>,
    has_port: bool,
}

const CONDITIONS: [(Condition, &str); 4] = [
    (Condition::Started, "started"),
    (Condition::Ready, "ready"),
    (Condition::Completed, "completed"),
    (Condition::CompletedSuccessfully, "completed-successfully"),
];

fn meant() -> impl Strategy<Value = Meant> {
    let text = || "[ -~äß€]{0,10}";
    let argv = ("[a-z]{1,8}", prop::collection::vec(text(), 0..4)).prop_map(|(program, mut words)| {
        words.insert(0, program);
        words
    });
    let env = prop::collection::btree_map("X_[A-Z0-9_]{1,8}", text(), 0..4);
    let restart = prop::sample::select(vec![
        (Restart::No, "no"),
        (Restart::OnFailure(None), "on-failure"),
        (Restart::OnFailure(Some(3)), "on-failure:3"),
        (Restart::Always, "always"),
        (Restart::Always, "unless-stopped"),
        (Restart::OnSuccess, "on-success"),
        (Restart::OnAbnormal, "on-abnormal"),
    ]);
    let backoff = (1..10_000_u64, 0..100_000_u64, 1..100_000_u64)
        .prop_map(|(first, more, reset)| (first, first + more, reset));
    let needs = prop::collection::vec((0..8_usize, 0..2_usize), 0..3);
    let rest = (1..60_000_u64, prop::collection::btree_set(any::<u8>(), 1..4), needs, any::<bool>());
    (argv, env, restart, backoff, (1..100_u32, 1..100_000_u64), rest).prop_map(
        |(argv, env, restart, backoff, limit, (grace, success, needs, has_port))| Meant {
            argv,
            env,
            restart,
            backoff,
            limit,
            grace,
            success: success.into_iter().collect(),
            needs: needs.into_iter().map(|(on, until)| (on, CONDITIONS[until].0)).collect(),
            has_port,
        },
    )
}

/// What JSON escapes, TOML escapes alike.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

fn written(all: &[Meant]) -> String {
    let mut toml = String::new();
    for (at, one) in all.iter().enumerate() {
        let argv: Vec<String> = one.argv.iter().map(|word| quoted(word)).collect();
        let env: Vec<String> =
            one.env.iter().map(|(name, value)| format!("{name} = {}", quoted(value))).collect();
        let word =
            |until: Condition| CONDITIONS.iter().find(|(one, _)| *one == until).map_or("", |(_, word)| word);
        let needs = needs(at, one);
        let needs: Vec<String> =
            needs.iter().map(|(on, until)| format!("s{on} = \"{}\"", word(*until))).collect();
        let (first, max, reset) = one.backoff;
        let _ = writeln!(
            toml,
            "[services.s{at}]\ncommand = [{}]\nenv = {{ {} }}\nrestart = \"{}\"\nstop-grace = \"{}ms\"\n\
             backoff = {{ first = \"{first}ms\", max = \"{max}ms\", reset-after = \"{reset}ms\" }}\n\
             restart-limit = {{ count = {}, period = \"{}ms\" }}\nsuccess-exit-codes = {:?}\ndepends-on = {{ {} }}",
            argv.join(", "),
            env.join(", "),
            one.restart.1,
            one.grace,
            one.limit.0,
            one.limit.1,
            one.success,
            needs.join(", "),
        );
        if one.has_port {
            let _ = writeln!(toml, "port = {}", 20_000 + at);
        }
    }
    toml
}

/// Each at most once, and only such as are declared before it.
fn needs(at: usize, one: &Meant) -> BTreeMap<usize, Condition> {
    one.needs.iter().filter(|(on, _)| *on < at).copied().collect()
}

proptest! {
    #[test]
    fn a_declaration_reads_back_as_it_was_meant(all in prop::collection::vec(meant(), 1..6)) {
        let folder = tempfile::tempdir().unwrap();
        let toml = written(&all);
        let config = Config::parse(&toml, folder.path(), "soloist.toml");
        let config = config.map_err(|why| TestCaseError::fail(format!("{why}\n{toml}")))?;
        prop_assert_eq!(config.declared.len(), all.len());
        for (at, (found, one)) in config.declared.iter().zip(&all).enumerate() {
            let ms = Duration::from_millis;
            prop_assert_eq!(&found.name, &format!("s{at}"));
            prop_assert_eq!((&found.program.argv, &found.program.env), (&one.argv, &one.env));
            let (first, max, reset) = one.backoff;
            prop_assert_eq!(found.plan.restart, one.restart.0);
            prop_assert_eq!(found.plan.backoff, Backoff { first: ms(first), max: ms(max), reset_after: ms(reset) });
            prop_assert_eq!(found.plan.limit, RestartLimit { count: one.limit.0, period: ms(one.limit.1) });
            prop_assert_eq!(found.plan.stop_grace, ms(one.grace));
            let codes: Vec<i32> = one.success.iter().map(|code| i32::from(*code)).collect();
            prop_assert_eq!(&found.plan.success_codes, &codes);
            let expected: Vec<Need> = needs(at, one).into_iter().map(|(on, until)| Need { on: format!("s{on}"), until }).collect();
            let mut needs = found.plan.needs.clone();
            needs.sort_by(|a, b| a.on.cmp(&b.on));
            prop_assert_eq!(needs, expected);
            prop_assert_eq!(&found.plan.ports, &one.has_port.then_some(20_000 + at as u16).into_iter().collect::<Vec<_>>());
        }
        prop_assert_eq!(Config::parse(&toml, folder.path(), "soloist.toml").unwrap(), config);
    }

    #[test]
    fn an_env_file_gives_what_was_written(values in prop::collection::btree_map("X_[A-Z0-9_]{1,8}", "[ -&(-\\[\\]-~äß€]{0,20}", 1..6)) {
        let folder = tempfile::tempdir().unwrap();
        let lines: String = values.iter().map(|(name, value)| format!("{name}='{value}'\n# a comment\n\n")).collect();
        std::fs::write(folder.path().join("x.env"), lines).unwrap();
        let toml = "[services.s]\ncommand = [\"true\"]\nenv-file = \"x.env\"\n";
        let config = Config::parse(toml, folder.path(), "soloist.toml");
        let config = config.map_err(|why| TestCaseError::fail(why.to_string()))?;
        prop_assert_eq!(&config.declared[0].program.env, &values);
    }
}
