//! What is written for people and for other programs reads back; secrets are not shown.

use std::time::Duration;

use proptest::prelude::*;
use soloist_api::error::{Code, Problem};
use soloist_core::id::{RunId, TickId};
use soloist_daemon::config::{duration, interval, is_name};
use soloist_daemon::logs::mask::Mask;
use soloist_daemon::logs::{Position, Start};
use soloist_os::identity::{Exit, Identity};
use soloist_os::record::{Holder, Record};

/// At most eleven digits, which is all that any duration needs. Of days, hours, minutes, seconds and milliseconds those that are not zero.
fn span() -> impl Strategy<Value = (Duration, String)> {
    prop::collection::vec(0..100_u64, 5).prop_map(|numbers| {
        let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
        let parts: Vec<(u64, (&str, u64))> =
            numbers.into_iter().zip(units).filter(|(number, _)| *number > 0).collect();
        let ms = parts.iter().map(|(number, (_, ms))| number * ms).sum();
        let words: Vec<String> = parts.iter().map(|(number, (unit, _))| format!("{number}{unit}")).collect();
        (Duration::from_millis(ms), words.join(" "))
    })
}

/// Words that lead to a secret, and what follows it.
fn secret() -> impl Strategy<Value = (String, String)> {
    let before = prop::sample::select(vec![
        "password=",
        "DB_PASSWORD: ",
        "\"client_secret\": \"",
        "api_key='",
        "X-Auth-Token: ",
        "--token ",
        "Authorization: Basic ",
        "Cookie: a=",
        "bearer ",
        "postgres://ada:",
    ]);
    (before, "[A-Z][A-Z0-9]{19}").prop_map(|(before, secret)| {
        let after = match before {
            "\"client_secret\": \"" => "\"",
            "api_key='" => "'",
            "postgres://ada:" => "@db",
            _ => "",
        };
        (format!("{before}{secret}{after}"), secret)
    })
}

fn lines() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => "[ -~äß€]{0,24}",
        2 => secret().prop_map(|(text, _)| text),
        1 => prop::sample::select(vec!["\n", "\r\n", " ", "token", "password=", "\"", "'", "\\\"", "=", ": ", "://", "@",
            "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "[masked]", "\u{1b}[35m", "eyJ"]).prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn identity() -> impl Strategy<Value = Identity> {
    (any::<u32>(), any::<u64>(), "[0-9a-f-]{36}", any::<u64>()).prop_map(|(pid, start, boot, ns)| Identity {
        pid,
        start,
        boot,
        ns,
    })
}

fn record() -> impl Strategy<Value = Record> {
    let words = || prop::collection::vec(any::<String>(), 0..4);
    let times = (any::<u64>(), prop::option::of(any::<u64>()), any::<u64>());
    let rest = (any::<bool>(), prop::option::of(any::<u64>()), any::<bool>());
    (identity(), prop::option::of(identity()), any::<String>(), words(), times, rest).prop_map(
        |(guard, main, cause, command, (since_ms, exit_ms, stop_grace_ms), (was_stopped, print, ended))| {
            Record {
                version: 1,
                instance: "api".to_owned(),
                project: "/srv/ä b".into(),
                holder: Holder::Daemon,
                guard,
                run_id: RunId(since_ms).to_string(),
                main,
                command,
                ports: vec![8001],
                since_ms,
                cgroup: None,
                pid_file: None,
                exit: exit_ms.map(|ms| Exit::from_wait_status(i32::from(ms as u8) << 8)),
                exit_ms,
                stop_grace_ms,
                was_stopped,
                cause,
                print,
                usage: Default::default(),
                log_at: print,
                log_seq: exit_ms,
                past: Vec::new(),
                ended,
            }
        },
    )
}

proptest! {
    #[test]
    fn ids_read_back_and_nothing_else_is_one(id in any::<u64>(), text in "[0-9a-fA-F+x-]{14,18}") {
        prop_assert_eq!(RunId::parse(&RunId(id).to_string()), Some(RunId(id)));
        prop_assert_eq!(TickId::parse(&TickId(id).to_string()), Some(TickId(id)));
        if let Some(id) = RunId::parse(&text) {
            prop_assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn a_place_in_a_log_reads_back_from_its_id(seq in any::<u64>(), offset in any::<u64>(), text in "\\PC{0,24}") {
        let id = format!("{offset}-{seq}");
        prop_assert_eq!(Start::parse(&id), Some(Start::At(Position { seq, offset })));
        _ = Start::parse(&text);
    }

    #[test]
    fn durations_read_back((span, text) in span(), noise in "[0-9a-zµ. -]{0,16}") {
        prop_assume!(!text.is_empty());
        prop_assert_eq!(duration(&text), Ok(span));
        if span >= Duration::from_millis(10) {
            prop_assert_eq!(interval(&text), Ok(span));
        }
        if let Ok(found) = interval(&noise) {
            prop_assert!(found >= Duration::from_millis(10) && duration(noise.trim()) == Ok(found));
        }
    }

    #[test]
    fn names_are_what_the_documentation_says(text in "[A-Za-z0-9._@/ é-]{0,70}") {
        let is_letter = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let expected = (1..=64).contains(&text.len()) && text.chars().all(is_letter) && !text.starts_with(['.', '-']);
        prop_assert_eq!(is_name(&text).is_ok(), expected);
    }

    #[test]
    fn a_problem_reads_back_with_its_code(at in 0..Code::ALL.len(), detail in any::<String>(), hint in prop::option::of(any::<String>())) {
        let code = Code::ALL[at];
        let mut problem = Problem::new(code, detail);
        problem.hint = hint;
        let json = serde_json::to_value(&problem).unwrap();
        let (word, status, exit, _) = code.row();
        prop_assert_eq!((&json["code"], &json["status"]), (&word.into(), &status.into()));
        let back: Problem = serde_json::from_value(json).unwrap();
        prop_assert_eq!(back.code.exit_code(), exit);
        prop_assert_eq!(back, problem);
    }

    #[test]
    fn a_record_reads_back_and_a_part_of_one_is_none(record in record(), cut in any::<prop::sample::Index>()) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("api.json");
        let json = serde_json::to_vec(&record).unwrap();
        std::fs::write(&file, &json).unwrap();
        prop_assert_eq!(Record::read(&file), Some(record));
        std::fs::write(&file, &json[..cut.index(json.len())]).unwrap();
        prop_assert_eq!(Record::read(&file), None);
    }

    #[test]
    fn a_secret_is_never_shown((text, secret) in secret(), before in "[a-z]{0,8} ", after in " [a-z ]{0,20}") {
        let shown = Mask::default().text(format!("{before}{text}{after}"));
        prop_assert!(!shown.contains(&secret), "{shown}");
    }

    #[test]
    fn what_is_masked_stays_so_line_by_line_and_grows_only_by_its_marks(text in lines()) {
        let once = Mask::default().text(&text);
        prop_assert_eq!(Mask::default().text(&once), once.clone(), "of {:?}", text);
        let mut mask = Mask::default();
        let by_line: String = text.split_inclusive('\n').map(|line| mask.text(line)).collect();
        prop_assert_eq!(&by_line, &once);
        prop_assert!(once.len() <= text.len() + 8 * once.matches("[masked]").count(), "{text:?} → {once:?}");
        prop_assert_eq!(once.matches('\n').count(), text.matches('\n').count());
        prop_assert_eq!(Mask::off().text(&text), text);
    }
}
