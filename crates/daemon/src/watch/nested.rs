//! Programs that load their own code anew when its files change. Known by their command line; two that restart the same
//! program would only get in each other's way.

use std::path::Path;

/// What makes a program reload by itself.
enum When {
    Always,
    /// With one of these words; a flag is also known by what stands before its `=`.
    With(&'static [&'static str]),
    /// But for these words.
    Without(&'static [&'static str]),
}

const RELOADERS: &[(&str, When, &str)] = &[
    ("uvicorn", When::With(&["--reload"]), "uvicorn --reload"),
    ("gunicorn", When::With(&["--reload"]), "gunicorn --reload"),
    ("hypercorn", When::With(&["--reload"]), "hypercorn --reload"),
    ("granian", When::With(&["--reload"]), "granian --reload"),
    ("fastapi", When::With(&["dev"]), "fastapi dev"),
    ("flask", When::With(&["--debug", "--reload"]), "flask --debug"),
    ("manage.py", When::With(&["runserver"]), "manage.py runserver"),
    ("django-admin", When::With(&["runserver"]), "django-admin runserver"),
    ("watchmedo", When::With(&["auto-restart"]), "watchmedo auto-restart"),
    ("watchfiles", When::Always, "watchfiles"),
    ("nodemon", When::Always, "nodemon"),
    ("node", When::With(&["--watch", "--watch-path"]), "node --watch"),
    ("bun", When::With(&["--watch", "--hot"]), "bun --watch"),
    ("deno", When::With(&["--watch"]), "deno --watch"),
    ("tsx", When::With(&["watch", "--watch"]), "tsx watch"),
    ("ts-node-dev", When::Always, "ts-node-dev"),
    ("vite", When::Without(&["build", "preview", "optimize"]), "vite"),
    ("next", When::With(&["dev"]), "next dev"),
    ("nuxt", When::With(&["dev"]), "nuxt dev"),
    ("astro", When::With(&["dev"]), "astro dev"),
    ("ng", When::With(&["serve"]), "ng serve"),
    ("webpack", When::With(&["serve", "--watch"]), "webpack serve"),
    ("watchexec", When::Always, "watchexec"),
    ("entr", When::Always, "entr"),
    ("air", When::Always, "air"),
    ("cargo-watch", When::Always, "cargo watch"),
    ("cargo", When::With(&["watch"]), "cargo watch"),
];

/// Words that only say how the program behind them is found or started.
const WRAPPERS: &[&str] = &[
    "env", "exec", "npx", "bunx", "pnpm", "yarn", "uv", "poetry", "pipenv", "pdm", "hatch", "run", "dotenv",
];
/// Programs that run the scripts of a package.json.
const PACKAGE_RUNNERS: &[&str] = &["npm", "yarn", "pnpm", "bun"];
const SHELLS: &[&str] = &["sh", "bash", "dash", "zsh"];

/// What reloads the code in a command by itself, in the words of people: `uvicorn --reload`. Seen through wrappers such
/// as `npx` and `python -m`, and through the script of `sh -c`; not through a file that is run.
pub fn nested_reloader(argv: &[String]) -> Option<&'static str> {
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    let command = unwrapped(&words);
    let (head, rest) = command.split_first()?;
    if SHELLS.contains(&name(head)) {
        let script = rest.iter().skip_while(|word| !is_script_flag(word)).nth(1)?;
        let words = shell_words::split(script).ok()?;
        let is_end = |word: &String| matches!(word.trim_end_matches(';'), "" | "&&" | "||" | "|" | "&");
        return words.split(is_end).find_map(nested_reloader);
    }
    let known = RELOADERS.iter().find(|(program, when, _)| {
        name(head) == *program
            && match when {
                When::Always => true,
                When::With(words) => rest.iter().any(|word| words.contains(&flag(word))),
                When::Without(words) => !rest.iter().any(|word| words.contains(word)),
            }
    });
    known.map(|(_, _, called)| *called)
}

/// The same, also through the scripts of a package.json in the folder that it runs in: `npm run dev`.
pub fn reloader_in(argv: &[String], folder: &Path) -> Option<&'static str> {
    nested_reloader(argv).or_else(|| {
        let mut words = argv.iter().map(String::as_str).filter(|word| !word.starts_with('-'));
        let runner = name(words.next()?);
        let script = words.find(|word| !matches!(*word, "run" | "run-script"))?;
        let text =
            PACKAGE_RUNNERS.contains(&runner).then(|| std::fs::read(folder.join("package.json")).ok())??;
        let package: serde_json::Value = serde_json::from_slice(&text).ok()?;
        let script = package.get("scripts")?.get(script)?.as_str()?;
        nested_reloader(&["sh".to_owned(), "-c".to_owned(), script.to_owned()])
    })
}

/// The command without what is only there to start it.
pub(super) fn unwrapped<'a, 'w>(words: &'a [&'w str]) -> &'a [&'w str] {
    let is_python = |word: &str| name(word).starts_with("python");
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let is_before = WRAPPERS.contains(&name(word)) || is_python(word) || word.contains('=');
        // An option of a wrapper; what it takes is seldom a word of its own.
        if !(is_before || at > 0 && word.starts_with('-')) {
            break;
        }
        at += 1;
    }
    words.get(at..).unwrap_or_default()
}

fn is_script_flag(word: &&&str) -> bool {
    word.starts_with('-') && word.ends_with('c')
}

fn name(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

fn flag(word: &'_ str) -> &'_ str {
    word.split_once('=').map_or(word, |(flag, _)| flag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(command: &str) -> Option<&'static str> {
        nested_reloader(&shell_words::split(command).unwrap())
    }

    #[test]
    fn reloaders_are_known_by_their_command_line() {
        for (command, called) in [
            ("uvicorn app:app --reload", "uvicorn --reload"),
            (".venv/bin/python -m uvicorn app:app --reload --port 1", "uvicorn --reload"),
            ("uv run --frozen uvicorn app:app --reload", "uvicorn --reload"),
            ("flask --app x --debug run", "flask --debug"),
            ("python manage.py runserver", "manage.py runserver"),
            ("npx nodemon server.js", "nodemon"),
            ("./node_modules/.bin/vite --port 3000", "vite"),
            ("pnpm exec next dev", "next dev"),
            ("node --watch-path=src server.js", "node --watch"),
            ("cargo watch -x run", "cargo watch"),
            ("env A=1 watchexec -r ./api", "watchexec"),
            ("sh -c 'cd app && exec uvicorn app:app --reload'", "uvicorn --reload"),
            ("bash -ec 'nodemon a.js'", "nodemon"),
        ] {
            assert_eq!(found(command), Some(called), "{command}");
        }
    }

    #[test]
    fn the_scripts_of_a_package_are_looked_into() {
        let folder = tempfile::tempdir().unwrap();
        let package = r#"{ "scripts": { "dev": "vite --port 3000", "start": "node server.js" } }"#;
        std::fs::write(folder.path().join("package.json"), package).unwrap();
        let found = |command: &str| reloader_in(&shell_words::split(command).unwrap(), folder.path());
        assert_eq!(found("npm run dev"), Some("vite"));
        assert_eq!(found("yarn dev"), Some("vite"));
        assert_eq!((found("npm start"), found("npm run none"), found("make dev")), (None, None, None));
    }

    #[test]
    fn what_does_not_reload_is_not_taken_for_it() {
        for command in [
            "uvicorn app:app",
            "python app.py --reload",
            "node server.js",
            "vite build",
            "next start",
            "cargo run",
            "./api --name nodemon",
            "sh -c 'echo vite'",
            "sh start.sh",
            "sh -c 'unclosed \"'",
            "",
        ] {
            assert_eq!(found(command), None, "{command}");
        }
    }
}
