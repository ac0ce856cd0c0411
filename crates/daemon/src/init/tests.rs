//! Folders as people have them, and what is proposed for each: above all those in which others wrote PID files, start
//! scripts and loops by hand. Every proposal loads.

use std::path::Path;

use super::*;
use crate::config::Declared;

struct Folder(tempfile::TempDir);

impl Folder {
    fn with(files: &[(&str, &str)]) -> Folder {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Folder(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// What is proposed, and what that declares.
    fn proposed(&self) -> (Proposal, Vec<Declared>) {
        let proposal = propose(self.path()).unwrap_or_else(|e| panic!("{e}"));
        let config = Config::parse(&proposal.text, self.path(), FILE_NAME).unwrap_or_else(|e| panic!("{e}"));
        (proposal, config.declared)
    }
}

#[track_caller]
fn is_one(declared: &[Declared], name: &str, command: &str, dir: &str, ports: &[u16]) {
    let names: Vec<&str> = declared.iter().map(|one| one.name.as_str()).collect();
    let one =
        declared.iter().find(|one| one.name == name).unwrap_or_else(|| panic!("no {name} in {names:?}"));
    assert_eq!(one.program.argv.join(" "), command);
    assert!(one.program.dir.ends_with(dir), "{}", one.program.dir.display());
    assert_eq!(one.plan.ports, ports);
}

#[track_caller]
fn says(proposal: &Proposal, parts: &[&str]) {
    for part in parts {
        assert!(proposal.text.contains(part), "`{part}` is not in:\n{}", proposal.text);
    }
}

const LOOP: &str = "import time\n\ndef scan():\n    pass\n\nif __name__ == '__main__':\n    while True:\n        scan()\n        time.sleep(60)\n";

/// A page in Flask that starts its scanner by itself, which has a PID file against a second one.
#[test]
fn a_scanner_that_its_application_starts_is_not_started_twice() {
    let app = "import subprocess, sys\nfrom flask import Flask, jsonify\n\napp = Flask(__name__)\n\n\
               def start_background_scanner():\n    return subprocess.Popen([sys.executable, 'background_scanner.py'])\n\n\
               @app.route('/api/scanner/status')\ndef status():\n    return jsonify({})\n\n\
               @app.route('/health')\ndef health():\n    return 'ok'\n\n\
               if __name__ == '__main__':\n    start_background_scanner()\n    app.run(host='0.0.0.0', port=5001)\n";
    let folder = Folder::with(&[
        ("app.py", app),
        ("background_scanner.py", LOOP),
        (
            "cleanup_scanners.py",
            "import psutil\nfor p in psutil.process_iter():\n    if 'background_scanner.py' in p.name(): p.kill()\n",
        ),
        ("background_scanner.pid", "41664\n"),
    ]);
    let (proposal, declared) = folder.proposed();
    is_one(&declared, "web", "python3 app.py", "", &[5001]);
    assert_eq!(declared.len(), 1, "{}", proposal.text);
    assert!(declared[0].plan.readiness.is_some(), "it has /health");
    says(
        &proposal,
        &[
            "# Flask in app.py:4\n[services.web]",
            "port = 5001  # app.py:19",
            "# app.py:7 starts it too: take that out there",
            "# [services.background_scanner]\n# command = [\"python3\", \"background_scanner.py\"]",
            "# [jobs.background_scanner]",
            "# every = \"1m\"",
            "# background_scanner.pid\n# cleanup_scanners.py",
        ],
    );
    assert!(
        proposal.remarks[0].contains("background_scanner is written down as a remark"),
        "{:?}",
        proposal.remarks
    );
    // The same, once the application leaves its scanner alone.
    let (_, declared) = Folder::with(&[
        ("app.py", &app.replace("subprocess.Popen", "print")),
        ("background_scanner.py", LOOP),
    ])
    .proposed();
    is_one(&declared, "background_scanner", "python3 background_scanner.py", "", &[]);
    is_one(&declared, "web", "python3 app.py", "", &[5001]);
}

/// A backend behind start_server.py with its --port and --force, PID file and batch scripts.
#[test]
fn a_server_behind_its_start_script_is_started_without_it() {
    let start = "import argparse, subprocess, sys\nimport psutil\n\ndef main():\n    parser = argparse.ArgumentParser()\n    \
                 parser.add_argument('--host', default='0.0.0.0')\n    parser.add_argument(\"--port\", type=int, default=8001)\n    \
                 parser.add_argument('--force', action='store_true')\n    args = parser.parse_args()\n    \
                 subprocess.Popen([sys.executable, '-m', 'uvicorn',\n        'app.main:app', '--host', args.host, '--port', str(args.port), '--reload'])\n";
    let folder = Folder::with(&[
        ("start-backend.bat", "cd backend\npython start_server.py\n"),
        ("stop-backend.bat", "cd backend\npython stop_server.py --port 8001\n"),
        ("restart-backend.bat", "cd backend\npython start_server.py --port 8001 --force\n"),
        ("backend/start_server.py", start),
        ("backend/stop_server.py", "import psutil\n"),
        ("backend/.server_8001.pid", "12345"),
        ("backend/requirements.txt", "fastapi\nuvicorn\npsutil>=7.0.0\n"),
        ("backend/.env", "DATABASE_URL=sqlite:///x.db\n"),
        ("backend/app/__init__.py", ""),
        ("backend/app/config.py", "CORS = ['http://localhost:3000']\n"),
        ("backend/app/main.py", "from fastapi import FastAPI\n\napp = FastAPI(title='StockTracker')\n"),
    ]);
    std::fs::create_dir_all(folder.path().join("backend/venv/bin")).unwrap();
    std::fs::write(folder.path().join("backend/venv/bin/python"), "").unwrap();
    let (proposal, declared) = folder.proposed();
    assert_eq!(declared.len(), 1, "{}", proposal.text);
    let command = "venv/bin/python -m uvicorn app.main:app --host 0.0.0.0 --port 8001";
    is_one(&declared, "backend", command, "backend", &[8001]);
    assert_eq!(declared[0].program.env["DATABASE_URL"], "sqlite:///x.db");
    says(
        &proposal,
        &[
            "# FastAPI in backend/app/main.py:3",
            "port = 8001  # backend/start_server.py:7",
            "backend/start_server.py:11 reloads it, this does not: `watch` or `soloist restart backend`",
            "# backend/start_server.py\n# backend/stop_server.py",
            "# backend/.server_8001.pid",
            "# start-backend.bat",
        ],
    );
}

/// A scraper as a process of its own of the API that it belongs to; how it is started stands in the notes.
#[test]
fn a_process_within_an_application_is_told_and_left_with_it() {
    let background = "import multiprocessing\nimport time\n\ndef _scraper_worker(config):\n    while True:\n        time.sleep(30)\n\n\
                      def start_scraper_process(config):\n    global _p\n    _p = multiprocessing.Process(\n        target=_scraper_worker, args=(config,), daemon=True)\n    _p.start()\n";
    let folder = Folder::with(&[
        (
            "fastapi_app.py",
            "from fastapi import FastAPI\nimport uvicorn\napp = FastAPI()\n\n@app.get('/api/scraper-status')\ndef s():\n    return {}\n\nif __name__ == \"__main__\":\n    uvicorn.run(app, host='0.0.0.0')\n",
        ),
        ("fastapi_background.py", background),
        (
            "MIGRATION.md",
            "```bash\npython fastapi_app.py\n# or\nuvicorn fastapi_app:app --host 0.0.0.0 --port 5000 --reload\n```\n\n`kill -9 <PID>`\n",
        ),
    ]);
    let (proposal, declared) = folder.proposed();
    assert_eq!(declared.len(), 1, "{}", proposal.text);
    is_one(
        &declared,
        "fastapi_app",
        "python3 -m uvicorn fastapi_app:app --host 0.0.0.0 --port 5000",
        "",
        &[5000],
    );
    says(
        &proposal,
        &["# fastapi_background.py:10 starts a process of its own", "port = 5000  # MIGRATION.md:4"],
    );
}

/// A backend on 8001 that batch scripts kill and start, and pages that were sent to 8002 for a while.
#[test]
fn pages_that_were_sent_to_another_port_are_told() {
    let folder = Folder::with(&[
        (
            "backend/start_backend.bat",
            "@echo off\r\nREM frees port 8001\r\nfor /f %%a in ('netstat -ano ^| findstr :8001') do taskkill /F /PID %%a\r\npython -m uvicorn app.main:app --reload --host 0.0.0.0 --port 8001\r\n",
        ),
        ("backend/stop_backend.bat", "taskkill /F\r\n"),
        (
            "backend/app/main.py",
            "from fastapi import FastAPI\nfrom app.api import reports\napp = FastAPI()\n",
        ),
        ("backend/app/api/reports.py", "def flat_id():\n    return 1\n"),
        (
            "web/package.json",
            "{\n  \"scripts\": {\n    \"start\": \"react-scripts start\",\n    \"build\": \"react-scripts build\"\n  },\n  \"dependencies\": { \"react-scripts\": \"5.0.1\" }\n}\n",
        ),
        (
            "web/src/services/api.js",
            "import axios from 'axios';\n\nconst TEMP_PORT = '8002';  // Change to '8001' after restart\n",
        ),
    ]);
    let (proposal, declared) = folder.proposed();
    is_one(
        &declared,
        "backend",
        "python3 -m uvicorn app.main:app --host 0.0.0.0 --port 8001",
        "backend",
        &[8001],
    );
    is_one(&declared, "web", "npm run start", "web", &[3000]);
    let web = declared.iter().find(|one| one.name == "web").unwrap();
    assert_eq!(web.plan.needs.iter().map(|need| need.on.as_str()).collect::<Vec<_>>(), ["backend"]);
    says(
        &proposal,
        &["web/src/services/api.js:3 calls port 8002, which nothing here has", "$SOLOIST_PORT_BACKEND"],
    );
}

/// A processor within the hours of an exchange: once as a loop of its own, once within the server.
#[test]
fn a_loop_in_the_hours_of_an_exchange_can_become_a_job() {
    let processor = "import asyncio\nfrom datetime import datetime, time\n\nclass BackgroundProcessor:\n    def is_market_hours(self) -> bool:\n        \
                     market_open = time(9, 15)\n        market_close = time(15, 30)\n        return market_open <= datetime.now().time() <= market_close\n\n    \
                     async def process_loop(self):\n        while self.is_running:\n            if self.is_market_hours():\n                await asyncio.sleep(self.process_interval)\n            else:\n                await asyncio.sleep(300)\n";
    let folder = Folder::with(&[
        ("main.py", "from fastapi import FastAPI\nENABLE_BACKGROUND_PROCESSOR = False\napp = FastAPI()\n"),
        ("app/__init__.py", ""),
        ("app/services/background_processor.py", processor),
        (
            "run_live.py",
            "import time\nfrom processor import process\n\nMARKET_OPEN = '9:15'\nMARKET_CLOSE = '15:30'\nwhile True:\n    process()\n    time.sleep(6)\n",
        ),
        ("GUIDE.md", "Then restart the server:\n```bash\nuvicorn main:app --reload --port 9000\n```\n"),
    ]);
    let (proposal, declared) = folder.proposed();
    is_one(&declared, "api", "python3 -m uvicorn main:app --port 9000", "", &[9000]);
    is_one(&declared, "run_live", "python3 run_live.py", "", &[]);
    says(
        &proposal,
        &[
            "port = 9000  # GUIDE.md:3",
            "app/services/background_processor.py:11 loops within this: with several workers",
            "app/services/background_processor.py:6 has hours as `window = \"NSE\"`",
            "# window = \"NSE\"",
            "# [jobs.run_live]\n# command = [\"python3\", \"run_live.py\"]\n# every = \"6s\"\n# window = \"NSE\"",
        ],
    );
    // What stands there as a remark is sound too.
    let from = proposal.text.find("# [jobs.run_live]").unwrap();
    let job: String = proposal.text[from..]
        .lines()
        .take(4)
        .map(|line| format!("{}\n", line.trim_start_matches("# ")))
        .collect();
    Config::parse(&job, folder.path(), FILE_NAME).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn what_was_declared_for_other_tools_is_taken_over() {
    let folder = Folder::with(&[
        (
            "Procfile",
            "web: gunicorn shop:app --bind 0.0.0.0:$PORT\nworker: python worker.py --queue 'high low'\nrelease: python migrate.py\n",
        ),
        ("shop.py", "from flask import Flask\napp = Flask(__name__)\n"),
        ("worker.py", LOOP),
        (
            "docker-compose.yml",
            "version: '3'\nservices:\n  shop:\n    build: .\n    depends_on:\n      - db\n  db:\n    image: postgres:16 # the store\n    ports:\n      - \"127.0.0.1:5433:5432\"\nvolumes:\n  data: {}\n",
        ),
    ]);
    let (proposal, declared) = folder.proposed();
    is_one(&declared, "web", "sh -c exec gunicorn shop:app --bind 0.0.0.0:$PORT", "", &[5000]);
    is_one(&declared, "worker", "python worker.py --queue high low", "", &[]);
    is_one(&declared, "db", "docker compose up --no-deps db", "", &[]);
    assert_eq!(declared.len(), 3, "{}", proposal.text);
    let web = declared.iter().find(|one| one.name == "web").unwrap();
    assert_eq!(web.plan.needs[0].on, "db");
    says(
        &proposal,
        &["readiness = { tcp = 5433, period-seconds = 1 }", "docker-compose.yml:3 runs it in a container"],
    );
}

#[test]
fn servers_of_other_kinds_are_found() {
    let folder = Folder::with(&[
        (
            "api/package.json",
            "{ \"scripts\": { \"dev\": \"nodemon server.js\", \"start\": \"node server.js\" }, \"dependencies\": { \"express\": \"4\" } }",
        ),
        (
            "api/server.js",
            "const app = require('express')();\napp.get('/health', (q, s) => s.send('ok'));\nconst PORT = process.env.PORT || 4000;\napp.listen(PORT);\n",
        ),
        ("api/node_modules/x/package.json", "{ \"scripts\": { \"start\": \"x\" } }"),
        (
            "ui/package.json",
            "{ \"scripts\": { \"dev\": \"vite\" }, \"devDependencies\": { \"vite\": \"5\" } }",
        ),
        ("ui/pnpm-lock.yaml", ""),
        ("package.json", "{ \"scripts\": { \"dev\": \"concurrently 'npm:api' 'npm:ui'\" } }"),
        (
            "shop/manage.py",
            "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\nfrom django.core.management import execute_from_command_line\n",
        ),
        ("rusty/Cargo.toml", "[package]\nname = \"rusty\"\n[dependencies]\naxum = \"0.8\"\n"),
        ("rusty/src/main.rs", "fn main() { bind(\"127.0.0.1:7001\") }\n"),
    ]);
    let (proposal, declared) = folder.proposed();
    is_one(&declared, "api", "npm run start", "api", &[4000]);
    is_one(&declared, "ui", "pnpm run dev", "ui", &[5173]);
    is_one(&declared, "shop", "python3 manage.py runserver --noreload 127.0.0.1:8000", "shop", &[8000]);
    is_one(&declared, "rusty", "cargo run --release --bin rusty", "rusty", &[7001]);
    assert_eq!(declared.len(), 4, "{}", proposal.text);
}

#[test]
fn who_needs_whom_never_goes_in_a_circle() {
    let folder = Folder::with(&[
        ("api/package.json", "{ \"scripts\": { \"start\": \"node s.js\" } }"),
        ("api/s.js", "cors('http://localhost:5173');\napp.listen(4000);\n"),
        (
            "ui/package.json",
            "{ \"scripts\": { \"dev\": \"vite\" }, \"devDependencies\": { \"vite\": \"5\" } }",
        ),
        ("ui/src/api.ts", "export const API = 'http://localhost:4000';\n"),
        (
            "compose.yaml",
            "services:\n  api:\n    build:\n      context: ./api\n    depends_on:\n      ui:\n        condition: service_started\n  ui:\n    build: ./ui\n",
        ),
    ]);
    let (proposal, declared) = folder.proposed();
    is_one(&declared, "api", "npm run start", "api", &[4000]);
    is_one(&declared, "ui", "npm run dev", "ui", &[5173]);
    assert!(declared.iter().all(|one| one.plan.needs.is_empty()), "{}", proposal.text);
    std::fs::remove_file(folder.path().join("compose.yaml")).unwrap();
    let (_, declared) = folder.proposed();
    assert_eq!(declared.iter().map(|one| one.plan.needs.len()).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn an_application_that_a_function_makes_is_told_by_the_function() {
    let folder = Folder::with(&[
        (
            "site/__init__.py",
            "from flask import Flask\n\ndef create_app():\n    app = Flask(__name__)\n    return app\n",
        ),
        ("svc/requirements.txt", ""),
        (
            "svc/src/factory.py",
            "from fastapi import FastAPI\n\ndef create_app():\n    app = FastAPI()\n    return app\n",
        ),
    ]);
    let (_, declared) = folder.proposed();
    let commands: Vec<String> = declared.iter().map(|one| one.program.argv.join(" ")).collect();
    assert!(
        commands.contains(&"python3 -m uvicorn src.factory:create_app --factory --port 8000".to_owned()),
        "{commands:?}"
    );
    assert!(
        commands.contains(&"python3 -m flask --app site:create_app run --port 5000".to_owned()),
        "{commands:?}"
    );
}

#[test]
fn names_and_ports_that_come_twice_are_set_apart() {
    let flask = "from flask import Flask\napp = Flask(__name__)\napp.run(port=7000)\n";
    let folder = Folder::with(&[("a/x y/app.py", flask), ("b/x y/app.py", flask), ("c/.x/app.py", flask)]);
    let (proposal, declared) = folder.proposed();
    let names: Vec<&str> = declared.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["x-y", "x-y-2"]);
    says(&proposal, &["port 7000 of b/x y/app.py:3 is taken above"]);
}

#[test]
fn guessed_ports_are_set_apart_in_the_commands_too() {
    let fast = "from fastapi import FastAPI\napp = FastAPI()\n";
    let (_, declared) =
        Folder::with(&[("a/x.py", fast), ("b/y.py", fast), ("c/manage.py", "import django\n")]).proposed();
    is_one(&declared, "a", "python3 -m uvicorn x:app --port 8000", "a", &[8000]);
    is_one(&declared, "b", "python3 -m uvicorn y:app --port 8001", "b", &[8001]);
    is_one(&declared, "c", "python3 manage.py runserver --noreload 127.0.0.1:8002", "c", &[8002]);
}

#[test]
fn what_is_odd_or_hostile_still_loads() {
    let long = "x".repeat(300 << 10);
    let folder = Folder::with(&[
        (".env", "THIS IS NO ENV FILE\n"),
        ("main.py", "app = FastAPI()\n"),
        ("a\nb\"\\/run.py", LOOP),
        ("package.json", "[1, 2"),
        ("docker-compose.yml", "services:\n\t- x\n  :\n    ports: [\n"),
        ("Procfile", "bad: 'open\nweb:\n: x\nnote: # x\nnone: '' x\nnul: a\0\nany: x -p 00\n"),
        ("web/package.json", r#"{"scripts": {"start": "node s.js"}}"#),
        ("web/s.js", "app.get('/health', f)\n"),
        ("Cargo.toml", "axum = ["),
        ("long.py", &long),
    ]);
    std::os::unix::fs::symlink("/", folder.path().join("loop")).unwrap();
    let (proposal, _) = folder.proposed();
    assert!(!proposal.text.contains("env-file"), "{}", proposal.text);
}

#[test]
fn an_empty_folder_gets_an_example_and_a_file_that_is_there_stays() {
    let folder = Folder::with(&[]);
    let (proposal, declared) = folder.proposed();
    assert!(declared.is_empty() && proposal.found.is_empty());
    says(&proposal, &["# [services.api]"]);
    let path = write(folder.path(), &proposal.text).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), proposal.text);
    let refusal = write(folder.path(), "other").unwrap_err().to_string();
    assert!(refusal.contains("is there already") && refusal.contains("--stdout"), "{refusal}");
    assert_eq!(std::fs::read_to_string(path).unwrap(), proposal.text);
}
