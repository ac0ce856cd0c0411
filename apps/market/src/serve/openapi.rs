//! `/openapi.json`: the description of the API (OpenAPI 3.1), gathered from the routes as they are added. Here is only what
//! all of them share: how they refuse.

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response};

use super::problem::Problem;

/// What is there before any route is.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "market", description = "Option interest and gaps.", license(name = "MIT OR Apache-2.0")),
    paths(openapi),
    components(schemas(Problem))
)]
struct Frame;

/// The beginning of the description.
pub fn frame() -> OpenApi {
    <Frame as utoipa::OpenApi>::openapi()
}

/// The description, where programs and where the seed's readers look for it.
pub fn routes(mut description: OpenApi) -> Router {
    for item in description.paths.paths.values_mut() {
        let all = [&mut item.get, &mut item.post, &mut item.put, &mut item.delete];
        for operation in all.into_iter().flatten() {
            describe(operation);
        }
    }
    let text = serde_json::to_string(&description).unwrap_or_default();
    Router::new()
        .route("/openapi.json", get(openapi))
        .route("/api/openapi.json", get(openapi))
        .with_state(text)
}

/// This description.
#[utoipa::path(get, path = "/openapi.json", responses((status = 200, body = Object)))]
async fn openapi(State(text): State<String>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], text)
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
    for (status, words) in [
        ("4XX", "It is not taken: `code` says why, `hint` what to do."),
        (
            "503",
            "`no-supervisor`: no soloist answers, so nothing can be started; `store`: the database does not answer.",
        ),
    ] {
        let mut answer = Response::new(words);
        let problem = Content::new(Some(Ref::from_schema_name("Problem")));
        answer.content.insert("application/problem+json".to_owned(), problem.into());
        operation.responses.responses.entry(status.to_owned()).or_insert(RefOr::T(answer));
    }
}
