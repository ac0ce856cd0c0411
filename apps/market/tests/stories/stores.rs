//! What the store promises whatever the database: no writer that was put aside changes anything, and tables that this
//! program does not know are left alone.

use std::process::Output;
use std::thread;

use crate::stage::{Stage, TODAY, query};

const OTHER_DAY: &str = "2025-11-21";

fn process_with(stage: &Stage, token: &str, today: &str) -> Output {
    stage.command(&["--today", today]).env("SOLOIST_TOKEN", token).output().expect("the program runs")
}

/// Exit code 1, and one line with all the words.
#[track_caller]
pub fn is_refused(output: &Output, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{output:?}");
    for words in words {
        assert!(said.contains(words), "no {words:?} in {said}");
    }
}

#[test]
fn a_writer_that_was_put_aside_changes_nothing() {
    let stage = Stage::with_sample();
    assert!(process_with(&stage, "5", TODAY).status.success());
    let good = (stage.rows(), stage.runs());
    let refused = process_with(&stage, "4", OTHER_DAY);
    is_refused(&refused, &["processor with token 4", "token 5", "nothing was changed"]);
    // Not even a line of the history, as any other failure has.
    stage.remove("Live.xlsx");
    is_refused(&process_with(&stage, "4", OTHER_DAY), &["token 5"]);
    assert!((stage.rows(), stage.runs()) == good);

    let stage = Stage::with_sample();
    for (token, today) in [("5", TODAY), ("5", OTHER_DAY), ("1099511627776", TODAY)] {
        assert!(process_with(&stage, token, today).status.success());
    }
    assert_eq!(stage.runs().len(), 3);
    is_refused(&process_with(&stage, "5", OTHER_DAY), &["token 1099511627776"]);
    // Without a supervisor there is nobody who puts aside.
    stage.process_well();
    is_refused(&process_with(&stage, "five", TODAY), &["SOLOIST_TOKEN", "five", "no number"]);
}

#[test]
fn the_tokens_of_other_writers_do_not_matter() {
    let stage = Stage::with_sample();
    stage.process_well();
    stage.change("INSERT INTO fences (writer, token) VALUES ('scanner', 9), ('Uploads', 9)");
    assert!(process_with(&stage, "2", OTHER_DAY).status.success());
    let fences = query(&stage.connection(), "SELECT writer, token FROM fences ORDER BY writer");
    // Ordered by their bytes, whatever the language of the database.
    assert_eq!(fences, [["Uploads", "9"], ["processor", "2"], ["scanner", "9"]]);
}

/// Whoever comes first, the rows are in the end those of the greatest token, which has news in each round.
#[test]
fn of_writers_at_once_the_one_with_the_greatest_token_has_the_last_word() {
    let stage = Stage::with_sample();
    let list = stage.dir().join("one.txt");
    let symbols = list.to_str().expect("a path of text");
    for (round, stock) in (1..).zip(["ABB", "ABCAPITAL", "ALKEM", "AMBER", "ABB"]) {
        std::fs::write(&list, stock).expect("a list is written");
        let (old, new) = ((2 * round).to_string(), (2 * round + 1).to_string());
        thread::scope(|scope| {
            let late = scope.spawn(|| process_with(&stage, &old, OTHER_DAY));
            let mut command = stage.command(&["--today", TODAY, "--symbols", symbols]);
            let output = command.env("SOLOIST_TOKEN", &new).output().expect("the program runs");
            assert!(output.status.success(), "{output:?}");
            let late = late.join().expect("a run");
            if !late.status.success() {
                is_refused(&late, &["was put aside", &format!("token {new}")]);
            }
        });
        let rows = stage.rows().1;
        assert!(!rows.is_empty() && rows.iter().all(|row| row[0] == stock), "of token {old}: {:?}", rows[0]);
    }
}

#[test]
fn tables_of_a_newer_program_are_left_alone() {
    let stage = Stage::with_sample();
    stage.process_well();
    let good = (stage.rows(), stage.runs());
    stage.change(if stage.database().exists() {
        "PRAGMA user_version = 3"
    } else {
        "UPDATE schema_version SET version = 3"
    });
    let words = ["version 3", "knows version 2", "use a newer program"];
    is_refused(&process_with(&stage, "1", OTHER_DAY), &words);
    let (_, health) = stage.serve().json("/health");
    assert!(words.iter().all(|words| health["data"]["message"].to_string().contains(words)), "{health}");
    assert!((stage.rows(), stage.runs()) == good);
}

/// Cells may hold anything; a database has its own ideas of what ends a text or a line.
#[test]
fn odd_texts_are_stored_as_they_are() {
    let stage = Stage::empty();
    let odd = ["a\\b", "\\N", "\\.", "tab\there", "one\ntwo", "it''s \"so\"", "₹ 7 — ü", "$1; --"];
    let heading = ["Stock", "Category", "Strike", "Prev_OI", "Latest_OI", "Call_OI_Difference"];
    let heading = [&heading[..], &["Put_OI_Difference", "LTP", "Additional_Strike"]].concat();
    let rows: Vec<Vec<&str>> = std::iter::once(heading)
        .chain(odd.iter().map(|odd| vec!["ABB", "Call Resistance", "40", "1", "2", "1", "", "50", odd]))
        .collect();
    let historical: Vec<&[&str]> = rows.iter().map(Vec::as_slice).collect();
    let live = crate::stage::table(&[
        &["OPT_ABB"],
        &["Call Resistance", "OI", "Strike"],
        &["Resistance1", "5", "40"],
    ]);
    stage.put("Historical.xlsx", &crate::stage::workbook(&[(TODAY, &crate::stage::table(&historical))]));
    stage.put("Live.xlsx", &crate::stage::workbook(&[(TODAY, &live)]));
    stage.process_well();
    let stored: Vec<String> = stage.rows().0.into_iter().map(|mut row| row.remove(8)).collect();
    assert_eq!(stored, odd);
}

/// What only a file of SQLite can meet.
mod files {
    use std::process::Command;

    use super::*;
    use crate::stage::expected;

    /// The tables of version 1, as they were made.
    const VERSION_1: &str = "
CREATE TABLE IF NOT EXISTS historical_data (
    id INTEGER PRIMARY KEY, stock VARCHAR, category VARCHAR, strike VARCHAR, prev_oi VARCHAR, latest_oi VARCHAR,
    call_oi_difference VARCHAR, put_oi_difference VARCHAR, ltp VARCHAR, additional_strike VARCHAR,
    created_at DATETIME, updated_at DATETIME);
CREATE TABLE IF NOT EXISTS live_data (
    id INTEGER PRIMARY KEY, stock VARCHAR, section VARCHAR, label VARCHAR, prev_oi VARCHAR, strike VARCHAR,
    oi_diff VARCHAR, is_new_strike VARCHAR, add_strike VARCHAR, created_at DATETIME, updated_at DATETIME);
CREATE TABLE IF NOT EXISTS processing_metadata (
    id INTEGER PRIMARY KEY, process_type VARCHAR, stocks_processed INTEGER, status VARCHAR, message VARCHAR,
    processed_at DATETIME, created_at DATETIME, updated_at DATETIME);
CREATE TABLE IF NOT EXISTS snapshot_source (
    id INTEGER PRIMARY KEY CHECK (id = 1), fingerprint VARCHAR, row_count INTEGER, stocks_processed INTEGER,
    stocks_total INTEGER, historical_sheet VARCHAR, live_sheet VARCHAR, message VARCHAR,
    created_at DATETIME, updated_at DATETIME);
PRAGMA user_version = 1;
PRAGMA journal_mode = WAL;
INSERT INTO historical_data VALUES (7, 'ABB', 'Call Resistance', '40', '1', '2', '1', '', '50', '', 't', 't');
INSERT INTO live_data VALUES (8, 'ABB', 'Call Resistance', 'Resistance1', '5', '40', '3', '', '', 't', 't');
INSERT INTO processing_metadata VALUES (4, 'full_process', 1, 'success', 'Processed 1/1 stocks successfully',
    '2025-11-24 03:50:00.000000', '2025-11-24 03:50:00.000000', '2025-11-24 03:50:00.000000');
INSERT INTO snapshot_source VALUES (1, 'old', 2, 1, 1, '24.11.2025', '24.11.2025', 'Processed 1/1 stocks successfully',
    't', 't');";

    #[test]
    fn a_file_of_version_1_keeps_its_rows_until_the_next_good_run_and_its_history_for_good() {
        let stage = Stage::with_sample();
        stage.change(VERSION_1);
        stage.remove("Live.xlsx");
        assert!(!stage.process().status.success());
        let (historical, live) = stage.rows();
        assert_eq!(historical, [["ABB", "Call Resistance", "40", "1", "2", "1", "", "50", ""]]);
        assert_eq!(live, [["ABB", "Call Resistance", "Resistance1", "5", "40", "3", "", ""]]);
        let server = stage.serve();
        assert_eq!(server.json("/api/v1/stocks").1["all_stocks"], serde_json::json!(["ABB"]));

        let stage = Stage::with_sample();
        stage.change(VERSION_1);
        thread::scope(|scope| {
            for run in (0..4).map(|_| scope.spawn(|| stage.process())).collect::<Vec<_>>() {
                let output = run.join().expect("a run");
                assert!(output.status.success(), "{output:?}");
            }
        });
        assert!(stage.rows() == expected("sample"));
        let messages: Vec<_> = stage.runs().into_iter().map(|(_, message)| message).collect();
        assert_eq!(messages, ["Processed 1/1 stocks successfully", "Processed 105/204 stocks successfully"]);
        let connection = stage.connection();
        let first = "SELECT id, processed_at FROM processing_metadata ORDER BY id LIMIT 1";
        assert_eq!(query(&connection, first), [["4", "2025-11-24 03:50:00.000000"]]);
        // The tables are those of a new file.
        let new = Stage::with_sample();
        new.process_well();
        let tables = "SELECT name, sql FROM sqlite_schema ORDER BY name";
        assert_eq!(query(&connection, tables), query(&new.connection(), tables));
    }

    /// A limit of the size of files stands for a full disk; what is written meets it at each of these places.
    #[test]
    fn a_full_disk_is_named_and_the_last_rows_stay() {
        let stage = Stage::with_sample();
        stage.process_well();
        let good = (stage.rows(), stage.runs());
        let size = std::fs::metadata(stage.database()).expect("the file").len();
        let mut refused = 0;
        for limit in [0, 1024, 40_000, size / 2, size - 1, size, size + 100_000] {
            let run = stage.command(&["--today", OTHER_DAY]);
            let mut limited = Command::new("sh");
            // Without the trap the kernel would end the run with a signal.
            limited.args(["-c", "trap '' XFSZ; exec prlimit --fsize=\"$0\" \"$@\"", &limit.to_string()]);
            let output = limited.arg(run.get_program()).args(run.get_args()).output().expect("sh runs");
            if output.status.success() {
                break;
            }
            refused += 1;
            is_refused(&output, &["market.db", "space on its disk"]);
            assert!((stage.rows(), stage.runs()) == good, "rows changed with {limit} bytes");
        }
        assert!(refused >= 4, "{refused}");
        assert!(process_with(&stage, "1", OTHER_DAY).status.success());
        assert!(stage.rows() != good.0);
    }
}
