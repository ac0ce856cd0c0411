//! What a reader of errors gets to see when there is no usable `soloist.toml`.
//! Renders problems with the lines they stand on; finding them is the matter of the other files here.

use std::fmt;
use std::io;
use std::path::Path;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::FILE_NAME;
use super::diagnostic::Problem;

/// More would scroll the first ones away; `problems` has them all.
const RENDERED_MOST: usize = 40;

/// Why there is no [`Config`](super::Config); its `Display` is a finished report in plain text.
#[derive(Debug)]
pub struct ConfigError(Box<Fault>);

#[derive(Debug)]
enum Fault {
    Missing { folder: String },
    Unreadable { path: String, reason: String, advice: &'static str },
    Faulty { file_name: String, text: String, problems: Vec<Problem> },
}

impl ConfigError {
    /// True if the project has no `soloist.toml`.
    pub fn is_missing(&self) -> bool {
        matches!(*self.0, Fault::Missing { .. })
    }

    /// What is wrong in the file, in its order; empty if it could not be read at all.
    pub fn problems(&self) -> &[Problem] {
        match &*self.0 {
            Fault::Missing { .. } | Fault::Unreadable { .. } => &[],
            Fault::Faulty { problems, .. } => problems,
        }
    }

    pub(super) fn missing(root: &Path) -> Self {
        ConfigError(Box::new(Fault::Missing { folder: root.display().to_string() }))
    }

    pub(crate) fn unreadable(path: &Path, reason: &io::Error) -> Self {
        let advice = match reason.kind() {
            io::ErrorKind::NotFound => "check the path given with -C",
            io::ErrorKind::PermissionDenied => "give yourself leave to read it, or run as its owner",
            io::ErrorKind::IsADirectory => "move the folder away and put a file in its place",
            io::ErrorKind::NotADirectory => "give -C the project's folder, not a file in it",
            _ => "see whether another program can read it",
        };
        let (path, reason) = (path.display().to_string(), reason.to_string());
        ConfigError(Box::new(Fault::Unreadable { path, reason, advice }))
    }

    pub(super) fn faulty(file_name: &str, text: &str, problems: Vec<Problem>) -> Self {
        let (file_name, text) = (file_name.to_owned(), text.to_owned());
        ConfigError(Box::new(Fault::Faulty { file_name, text, problems }))
    }
}

/// The reason is part of the text, so there is no `source` that would say it twice.
impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Fault::Missing { folder } => write!(
                out,
                "error: there is no {FILE_NAME} in {folder}\n\
                 help: `soloist init` writes one from what lies there; or declare what should run, for example\n\n    \
                 [services.web]\n    command = [\"./server\"]\n    port = 9000\n\n\
                 or name another project folder with -C"
            ),
            Fault::Unreadable { path, reason, advice } => {
                write!(out, "error: cannot read {path}: {reason}\nhelp: {advice}")
            }
            Fault::Faulty { file_name, text, problems } => {
                let renderer = Renderer::plain();
                for (count, problem) in problems.iter().take(RENDERED_MOST).enumerate() {
                    let gap = if count == 0 { "" } else { "\n\n" };
                    write!(out, "{gap}{}", render(&renderer, file_name, text, problem))?;
                }
                match (problems.len(), problems.len().saturating_sub(RENDERED_MOST)) {
                    (0 | 1, _) => Ok(()),
                    (all, 0) => write!(out, "\n\n{all} problems in {file_name}"),
                    (all, more) => {
                        write!(out, "\n\n{all} problems in {file_name}; the last {more} are not shown")
                    }
                }
            }
        }
    }
}

fn render(renderer: &Renderer, file_name: &str, text: &str, problem: &Problem) -> String {
    let label = Some(problem.label.as_str()).filter(|label| !label.is_empty());
    let others =
        problem.others.iter().map(|(span, label)| AnnotationKind::Context.span(span.clone()).label(label));
    let snippet = Snippet::source(text)
        .path(file_name)
        .annotation(AnnotationKind::Primary.span(problem.span.clone()).label(label))
        .annotations(others);
    let title = Level::ERROR.primary_title(problem.message.as_str());
    renderer.render(&[title.element(snippet).element(Level::HELP.message(problem.help.as_str()))])
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    #[test]
    fn a_report_shows_the_line_the_reason_and_what_to_do() {
        let text = "[services.api]\ncommand = \"./api\"\nportt = 9000\n";
        let report = Config::parse(text, Path::new("/"), FILE_NAME).unwrap_err().to_string();
        assert_eq!(
            report,
            "error: a service has no key `portt`\n \
             --> soloist.toml:3:1\n  \
             |\n\
             3 | portt = 9000\n  \
             | ^^^^^ unknown\n  \
             |\n  \
             = help: did you mean `port`?"
        );
    }

    #[test]
    fn a_flood_of_problems_is_counted_but_not_all_printed() {
        let mut text = "[services.api]\ncommand = \"./api\"\n".to_owned();
        for number in 0..100 {
            text.push_str(&format!("unknown{number} = 1\n"));
        }
        let error = Config::parse(&text, Path::new("/"), FILE_NAME).unwrap_err();
        assert_eq!(error.problems().len(), 100);
        assert!(error.to_string().ends_with("100 problems in soloist.toml; the last 60 are not shown"));
    }
}
