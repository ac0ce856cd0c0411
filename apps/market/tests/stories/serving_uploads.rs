//! Workbooks that are sent: checked before anything is replaced, put in place together, processed, and told.

use serde_json::json;

use crate::stage::{Stage, package, table, workbook};

fn sample(name: &str) -> Vec<u8> {
    std::fs::read(package().join("sample").join(name)).expect("a file of the package")
}

/// What lies in the folder, hidden ones too.
fn names(stage: &Stage) -> Vec<String> {
    let entries = std::fs::read_dir(stage.dir()).expect("the folder");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

#[test]
fn two_workbooks_are_put_in_place_and_processed() {
    let stage = Stage::empty();
    let server = stage.serve();
    let (historical, live) = (sample("Historical.xlsx"), sample("Live.xlsx"));
    let (status, told) = server.upload(&[
        ("historical_file", "h 24 Nov.XLSX", &historical),
        ("live_file", "../../live.xlsx", &live),
    ]);
    assert_eq!((status, &told["status"]), (200, &json!("success")), "{told}");
    let files = &told["files_uploaded"];
    assert_eq!(files["historical"]["filename"], "h 24 Nov.XLSX");
    assert_eq!(files["historical"]["size_bytes"], historical.len());
    assert!(
        files["live"]["saved_as"].as_str().is_some_and(|path| path.ends_with("live_data/Live.xlsx")),
        "{told}"
    );
    let result = &told["processing_result"];
    assert_eq!((&result["status"], &result["stocks_processed"]), (&json!("success"), &json!(105)), "{told}");
    assert!(result["errors"].as_array().is_some_and(|errors| errors.len() <= 10), "{told}");
    assert_eq!(names(&stage), ["Historical.xlsx", "Live.xlsx"]);
    assert_eq!((stage.get("Historical.xlsx"), stage.get("Live.xlsx")), (historical, live));
    // Who uploads reads what was uploaded, at once.
    assert_eq!(server.json("/api/v1/stocks/ABB").0, 200);
    let (_, told) = server.json("/api/v1/upload/status");
    assert_eq!(
        (&told["status"], &told["last_processing"]["status"]),
        (&json!("success"), &json!("success")),
        "{told}"
    );
    assert_eq!(
        (&told["files"][0]["file_type"], &told["files"][1]["file_type"]),
        (&json!("Live"), &json!("Historical"))
    );
}

#[test]
fn one_workbook_is_checked_with_the_other_that_lies_there() {
    let stage = Stage::empty();
    let server = stage.serve();
    let (historical, live) = (sample("Historical.xlsx"), sample("Live.xlsx"));
    let (status, told) = server.upload(&[("live_file", "Live.xlsx", &live)]);
    assert_eq!((status, &told["code"]), (400, &json!("usage")), "{told}");
    assert_eq!(names(&stage), [""; 0]);
    stage.put("Historical.xlsx", &historical);
    let (status, told) = server.upload(&[("live_file", "Live.xlsx", &live)]);
    assert_eq!(status, 200, "{told}");
    assert!(told["files_uploaded"]["historical"].is_null(), "{told}");
    // The historical one in place of the live one has no rows that could be live.
    let (status, told) = server.upload(&[("live_file", "Live.xlsx", &historical)]);
    assert_eq!((status, &told["code"]), (422, &json!("bad-workbook")), "{told}");
    assert_eq!(stage.get("Live.xlsx"), live);
}

#[test]
fn what_cannot_be_used_replaces_nothing_and_says_why() {
    let stage = Stage::with_sample();
    stage.process_well();
    let server = stage.serve();
    let before = (stage.get("Historical.xlsx"), stage.get("Live.xlsx"), stage.rows(), names(&stage));
    let good = sample("Live.xlsx");
    let empty = workbook(&[("24-11-2025", &table(&[&["nothing", "here"]]))]);
    let mut cut = good.clone();
    cut.truncate(cut.len() / 2);
    for (name, bytes) in
        [("empty", &empty), ("cut", &cut), ("text", &b"not a zip".to_vec()), ("none", &Vec::new())]
    {
        let (status, told) =
            server.upload(&[("historical_file", "h.xlsx", bytes), ("live_file", "l.xlsx", &good)]);
        assert_eq!((status, &told["code"]), (422, &json!("bad-workbook")), "{name}: {told}");
        let detail = told["detail"].as_str().unwrap_or("");
        assert!(
            detail.contains("live_data/Historical.xlsx") && !detail.contains(".upload-"),
            "{name}: {told}"
        );
    }
    for (files, code, words) in [
        (vec![("historical_file", "h.xls", &good)], 400, ".xlsx"),
        (vec![("historical_file", "h.csv", &good)], 400, ".xlsx"),
        (vec![("historical_file", "", &good)], 400, ".xlsx"),
        (vec![("other", "h.xlsx", &good)], 400, "other"),
        (vec![("live_file", "h.xlsx", &good), ("live_file", "h.xlsx", &good)], 400, "twice"),
        (vec![], 400, "no file"),
    ] {
        let files: Vec<_> =
            files.iter().map(|(part, name, bytes)| (*part, *name, bytes.as_slice())).collect();
        let (status, told) = server.upload(&files);
        assert_eq!((status, &told["code"]), (code, &json!("usage")), "{told}");
        let said = format!("{} {}", told["detail"], told["hint"]);
        assert!(said.contains(words), "{words} in {told}");
    }
    assert_eq!((stage.get("Historical.xlsx"), stage.get("Live.xlsx"), stage.rows(), names(&stage)), before);
}

/// The second cannot be put in place: the first is taken back, and nobody writes that it came.
#[test]
fn both_are_put_in_place_or_none() {
    let stage = Stage::empty();
    let (old, new) = (b"what was there before", sample("Historical.xlsx"));
    stage.put("Historical.xlsx", old);
    std::fs::create_dir(stage.dir().join("Live.xlsx")).expect("a folder in its place");
    let server = stage.serve();
    let live = sample("Live.xlsx");
    let (status, told) =
        server.upload(&[("historical_file", "h.xlsx", &new), ("live_file", "l.xlsx", &live)]);
    assert_eq!((status, &told["code"]), (503, &json!("store")), "{told}");
    assert!(told["detail"].as_str().is_some_and(|said| said.contains("Live.xlsx")), "{told}");
    assert_eq!(stage.get("Historical.xlsx"), old);
    assert_eq!(names(&stage), ["Historical.xlsx", "Live.xlsx"]);
    assert_eq!(server.json("/api/v1/upload/status").1["files"], json!([]));
}

#[test]
fn a_form_that_is_none_is_refused() {
    let stage = Stage::empty();
    let server = stage.serve();
    let path = "/api/v1/upload/excel-files";
    for (kind, body) in [
        ("application/json", "{}"),
        ("multipart/form-data", "--x--\r\n"),
        ("multipart/form-data; boundary=x", "no boundary here"),
        (
            "multipart/form-data; boundary=x",
            "--x\r\nContent-Disposition: form-data; name=\"live_file\"; filename=\"l.xlsx\"\r\n\r\ncut",
        ),
        ("multipart/form-data; boundary=x", ""),
    ] {
        let headers =
            format!("Host: localhost\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n", body.len());
        let (status, answer) = server.send("POST", path, &headers, body.as_bytes());
        let told: serde_json::Value = serde_json::from_str(&answer).unwrap_or_default();
        assert!(
            (400..500).contains(&status) && told["code"] == "usage",
            "{kind} {body:?}: {status} {answer}"
        );
    }
    assert_eq!(names(&stage), [""; 0]);
}

/// 65 MiB of one file, sent without saying so before.
#[test]
fn a_file_without_an_end_is_refused_at_its_bound() {
    let stage = Stage::empty();
    let server = stage.serve();
    let head = "--x\r\nContent-Disposition: form-data; name=\"live_file\"; filename=\"l.xlsx\"\r\n\r\n";
    let mut body = format!("{:x}\r\n{head}\r\n", head.len()).into_bytes();
    let block = vec![0_u8; 1 << 20];
    for _ in 0..65 {
        body.extend_from_slice(b"100000\r\n");
        body.extend_from_slice(&block);
        body.extend_from_slice(b"\r\n");
    }
    let headers =
        "Host: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\nTransfer-Encoding: chunked\r\n";
    let (status, answer) = server.send("POST", "/api/v1/upload/excel-files", headers, &body);
    assert_eq!(status, 413, "{answer}");
    assert_eq!(names(&stage), [""; 0]);
    assert_eq!(server.get("/health").0, 200);
}

#[test]
fn rows_are_deleted_at_once_and_come_back_with_the_next_cycle() {
    let stage = Stage::with_sample();
    let server = stage.serve();
    assert_eq!(server.ask("DELETE", "/api/v1/upload/data").0, 200);
    assert!(!stage.database().exists(), "deleting made a database");
    stage.process_well();
    let rows = stage.rows();
    server.wait_for("/api/v1/stocks/ABB", |(status, _)| *status == 200);
    let (status, told) = server.ask("DELETE", "/api/v1/upload/data");
    assert_eq!(status, 200, "{told}");
    assert_eq!(stage.rows(), (vec![], vec![]));
    assert_eq!(server.problem("GET", "/api/v1/stocks/ABB"), (404, "no-data".to_owned()));
    assert_eq!(
        server.json("/api/v1/stocks/processing-history").1["processing_history"][0]["process_type"],
        "delete"
    );
    let (status, told) = server.ask("POST", "/api/v1/upload/process");
    assert_eq!(status, 200, "{told}");
    assert_eq!(stage.rows(), rows);
    assert_eq!(server.json("/api/v1/stocks/ABB").0, 200);
}

#[test]
fn processing_what_is_not_there_says_so() {
    let stage = Stage::empty();
    let server = stage.serve();
    let (status, answer) = server.ask("POST", "/api/v1/upload/process");
    let told: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!((status, &told["code"]), (422, &json!("bad-workbook")), "{told}");
    assert!(told["detail"].as_str().is_some_and(|said| said.contains("Historical.xlsx")), "{told}");
    assert_eq!(server.json("/api/v1/process/status").1["status"], "error");
}
