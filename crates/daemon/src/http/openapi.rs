//! `/openapi.json`: the description of the API (OpenAPI 3.1), gathered from the routes as they are added. Here is only what
//! all of them share: who may ask, and how they refuse, from the one table of codes.

use std::fmt::Write;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use soloist_api::error::{Code, Problem};
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response};

use super::Answer;

/// What is there before any route is.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "soloist", description = "Exactly one process tree per service.", license(name = "MIT OR Apache-2.0")),
    paths(openapi),
    components(schemas(Problem)),
    security(("token" = []))
)]
struct Frame;

pub(super) fn frame() -> OpenApi {
    let mut frame = <Frame as utoipa::OpenApi>::openapi();
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("The text of `.soloist/token`; not asked for on the Unix socket."))
        .build();
    frame.components.get_or_insert_default().add_security_scheme("token", SecurityScheme::Http(token));
    frame
}

pub(super) fn routes(mut description: OpenApi) -> Router {
    for (path, item) in &mut description.paths.paths {
        let writes = [&mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
        let all = writes.into_iter().map(|one| (true, one)).chain([(false, &mut item.get)]);
        for (is_write, operation) in all {
            let Some(operation) = operation else { continue };
            describe(operation);
            if path != "/livez" {
                add_refusals(operation, path, is_write);
            }
        }
    }
    let text = serde_json::to_string(&description).unwrap_or_default();
    Router::new().route("/openapi.json", get(openapi)).with_state(text)
}

/// This description.
#[utoipa::path(get, path = "/openapi.json", responses((status = 200, body = Object)))]
async fn openapi(State(text): State<String>) -> Answer {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// How a route can refuse, by what it is.
fn add_refusals(operation: &mut Operation, path: &str, is_write: bool) {
    let has_input = operation.parameters.is_some() || operation.request_body.is_some();
    for code in Code::ALL {
        let is_possible = match code {
            Code::Error | Code::Ending | Code::Unauthorized | Code::Forbidden => true,
            Code::NoSuchPath => path.contains("{verb}"),
            Code::WrongMethod => false,
            Code::Usage => has_input,
            Code::UnknownService => path.contains('{') || operation.request_body.is_some(),
            Code::BadConfig
            | Code::NotRunning
            | Code::Unhealthy
            | Code::PortHeld
            | Code::NotReady
            | Code::ClaimHeld
            | Code::TooSlow
            | Code::TooLarge
            | Code::KeyReused
            | Code::Busy
            | Code::Overtaken => is_write,
        };
        if is_possible {
            add(operation, code);
        }
    }
}

/// What is not refused is described by what was asked for: the description of an answer is required.
fn describe(operation: &mut Operation) {
    for answer in operation.responses.responses.values_mut() {
        if let RefOr::T(answer) = answer
            && answer.description.is_empty()
        {
            answer.description = operation.summary.clone().unwrap_or_default();
        }
    }
}

/// One status can have several codes.
fn add(operation: &mut Operation, code: Code) {
    let (word, status, _, meaning) = code.row();
    let described = operation.responses.responses.entry(status.to_string());
    let response = described.or_insert_with(|| RefOr::T(Response::default()));
    let RefOr::T(response) = response else { return };
    let separator = if response.description.is_empty() { "" } else { "; " };
    let _ = write!(response.description, "{separator}`{word}`: {meaning}");
    let problem = Content::new(Some(Ref::from_schema_name("Problem")));
    response.content.insert("application/problem+json".to_owned(), problem.into());
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// A route that is added with its description cannot be without one. The page is files, no answers.
    #[test]
    fn every_route_is_added_with_its_description() {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let files = std::fs::read_dir(sources.join("http")).unwrap().map(|entry| entry.unwrap().path());
        for file in files
            .chain([sources.join("http.rs")])
            .filter(|file| file.is_file() && !file.ends_with("openapi.rs") && !file.ends_with("page.rs"))
        {
            let text = std::fs::read_to_string(&file).unwrap();
            let bare = text.lines().find(|line| {
                // Only the command line asks there, and only over the Unix socket.
                line.contains(".route(") && !line.contains("/api/v1/login")
            });
            assert_eq!(
                bare,
                None,
                "in {}: it would not be in /openapi.json; use `.routes(routes!(…))`",
                file.display()
            );
        }
    }
}
