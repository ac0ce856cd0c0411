//! Workbooks that somebody sends, and cycles over what lies there. What came is checked whole, by the reader of the
//! processor, before anything is replaced; receiving it is in `upload/parcel`.

use std::sync::Arc;

use axum::Json;
use axum::extract::multipart::MultipartRejection;
use axum::extract::{DefaultBodyLimit, Multipart, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::Problem;
use super::stocks::not_yet;
use super::supervisor::{Changed, Worker};
use super::{Desk, access, child};
use crate::board::rows::{Run, Upload};
use crate::clock;
use crate::store::{Store, Tables, Writer};

mod parcel;

use parcel::{Parcel, Sent};

/// Where they are sent to.
pub const PATH: &str = "/api/v1/upload/excel-files";
/// All of a request.
pub const REQUEST_MOST: u64 = 128 << 20;
/// So many errors are told.
const ERRORS_MOST: usize = 10;
/// A run by soloist that is not over by then is not waited for.
const RUN_LIMIT: std::time::Duration = std::time::Duration::from_secs(30);
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_millis(50);

/// Lets one upload in at a time.
pub type Gate = Mutex<()>;

/// Their routes.
pub fn routes() -> OpenApiRouter<Arc<Desk>> {
    OpenApiRouter::new()
        .routes(routes!(excel_files))
        .layer(DefaultBodyLimit::max(REQUEST_MOST as usize))
        .routes(routes!(process))
        .routes(routes!(status))
        .routes(routes!(delete))
}

/// What came of workbooks that were sent.
#[derive(Debug, Serialize, ToSchema)]
struct Uploaded {
    /// `success`.
    status: &'static str,
    message: String,
    files_uploaded: FilesUploaded,
    processing_result: ProcessingResult,
}

/// Which were sent.
#[derive(Debug, Serialize, ToSchema)]
struct FilesUploaded {
    #[serde(skip_serializing_if = "Option::is_none")]
    historical: Option<Sent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<Sent>,
}

/// How a cycle went.
#[derive(Debug, Serialize, ToSchema)]
struct ProcessingResult {
    /// `success` or `error`.
    status: String,
    message: String,
    stocks_processed: i64,
    total_stocks: Option<i64>,
    /// The first ten.
    errors: Vec<String>,
    run_id: Option<String>,
}

/// The form.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described: the fields are read one by one")]
struct Form {
    #[schema(value_type = Option<String>, format = Binary)]
    historical_file: Vec<u8>,
    #[schema(value_type = Option<String>, format = Binary)]
    live_file: Vec<u8>,
}

/// Takes one workbook or both, and processes them. They replace those that lie there only if both can be used.
#[utoipa::path(
    post,
    path = "/api/v1/upload/excel-files",
    request_body(content = Form, content_type = "multipart/form-data"),
    responses((status = 200, body = Uploaded))
)]
async fn excel_files(State(desk): State<Arc<Desk>>, form: Result<Multipart, MultipartRejection>) -> Response {
    match upload(&desk, form).await {
        Ok(uploaded) => Json(uploaded).into_response(),
        Err(problem) => access::closed(problem),
    }
}

async fn upload(desk: &Desk, form: Result<Multipart, MultipartRejection>) -> Result<Uploaded, Problem> {
    let form = form.map_err(|e| {
        let problem =
            Problem::new(e.status(), "usage", format!("the form is not understood: {}", e.body_text()));
        problem.hint("send multipart/form-data with historical_file and live_file")
    })?;
    let Ok(_alone) = desk.uploads.try_lock() else {
        return Err(
            Problem::new(StatusCode::CONFLICT, "busy", "another upload is under way").hint("ask again")
        );
    };
    let mut parcel = Parcel::new(&desk.dir)?;
    parcel.receive(form).await?;
    parcel.complete()?;
    let checked = child::cycle(parcel.folder(), &parcel.scratch()).await?;
    checked.map_err(|why| {
        let detail = parcel.in_words_of_the_folder(&why);
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad-workbook", detail);
        problem.hint("nothing was replaced; send workbooks that can be used")
    })?;
    let location = desk.boards.location().clone();
    let sent = tokio::task::spawn_blocking(move || {
        let writer = Writer::of_this_run("uploads")?;
        let mut store = Store::open(&location)?;
        // Under the write lock: no cycle reads one workbook of before and one of now.
        let stored = store.write(&writer, |tables| {
            parcel.record(tables)?;
            parcel.put_in_place()
        });
        if stored.is_err() {
            parcel.take_back();
        }
        stored.map(|()| parcel.sent())
    });
    let [historical, live] = sent.await.map_err(|e| anyhow::anyhow!("the upload broke off: {e}"))??;
    let processing_result = cycle(desk).await?;
    let message = format!("Files uploaded. {}", processing_result.message);
    let files_uploaded = FilesUploaded { historical, live };
    Ok(Uploaded { status: "success", message, files_uploaded, processing_result })
}

/// Processes what lies there, and says how that went.
#[utoipa::path(post, path = "/api/v1/upload/process", responses((status = 200, body = ProcessingResult)))]
async fn process(State(desk): State<Arc<Desk>>) -> Result<Json<ProcessingResult>, Problem> {
    let result = cycle(&desk).await?;
    if result.status == "success" {
        return Ok(Json(result));
    }
    Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad-workbook", result.message)
        .hint("send other workbooks, or put them into the folder"))
}

/// A cycle by soloist, or without one by this server.
async fn cycle(desk: &Desk) -> Result<ProcessingResult, Problem> {
    match desk.supervisor.look(&desk.processor).await {
        Worker::Known(_) => supervised(desk).await?,
        Worker::Unsupervised | Worker::Unknown => {
            // What it refuses it has written down.
            let _ = child::cycle(&desk.dir, desk.boards.location()).await?;
        }
    }
    let board = desk.boards.anew().await?;
    let Some(run) = &board.last else {
        let said = "the processor has written nothing down; its log says why";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad-workbook", said));
    };
    let errors = match run.status.as_str() {
        "success" => board.issues.iter().take(ERRORS_MOST).map(|issue| issue.message.clone()).collect(),
        _ => vec![run.message.clone()],
    };
    Ok(ProcessingResult {
        status: run.status.clone(),
        message: run.message.clone(),
        stocks_processed: run.stocks_processed,
        total_stocks: run.stocks_total,
        errors,
        run_id: run.run_id.clone(),
    })
}

/// Has soloist run it, and waits until that run is over. One that was at work before may have read other workbooks.
async fn supervised(desk: &Desk) -> Result<(), Problem> {
    let deadline = tokio::time::Instant::now() + RUN_LIMIT;
    loop {
        let before = desk.supervisor.look(&desk.processor).await;
        let at_work = before.status().filter(|status| status.kind == "job" && status.pid.is_some());
        let done = desk.supervisor.run(&desk.processor).await?;
        let is_older =
            done.run_id.is_some() && at_work.and_then(|status| status.run_id.clone()) == done.run_id;
        let answered = before.status().and_then(|status| status.schedule.as_ref()?.answer.clone());
        loop {
            tokio::time::sleep(LOOK_AGAIN).await;
            let now = desk.supervisor.look(&desk.processor).await;
            let is_over = now.status().is_none_or(|status| match status.kind.as_str() {
                "job" => status.run_id != done.run_id || status.pid.is_none() && status.is_settled(),
                // A worker that is ticked has answered.
                _ => status.schedule.as_ref().and_then(|schedule| schedule.answer.clone()) != answered,
            });
            if is_over {
                break;
            }
            if tokio::time::Instant::now() > deadline {
                let said = format!("the processor was not done within {} s", RUN_LIMIT.as_secs());
                let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-slow", said);
                return Err(problem.hint("GET /api/v1/process/status tells when it is"));
            }
        }
        if !is_older {
            return Ok(());
        }
    }
}

/// How the last cycle went, and what was sent.
#[derive(Debug, Serialize, ToSchema)]
struct UploadStatus<'a> {
    /// `success`, or `no_data` as long as no cycle was.
    status: &'static str,
    last_processing: Option<&'a Run>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// The newest first.
    files: &'a [Upload],
}

/// How the last cycle went, and what was sent.
#[utoipa::path(get, path = "/api/v1/upload/status", responses((status = 200, body = UploadStatus)))]
async fn status(State(desk): State<Arc<Desk>>) -> Result<Response, Problem> {
    let board = desk.boards.current().await?;
    let last_processing = board.last.as_ref();
    let status = if last_processing.is_some() { "success" } else { "no_data" };
    let message = last_processing.is_none().then(|| not_yet(desk.boards.location()));
    Ok(Json(UploadStatus { status, last_processing, message, files: &board.uploads }).into_response())
}

/// Deletes all rows; the workbooks stay, and the next cycle stores their rows anew.
#[utoipa::path(delete, path = "/api/v1/upload/data", responses((status = 200, body = Changed)))]
async fn delete(State(desk): State<Arc<Desk>>) -> Result<Json<Changed>, Problem> {
    let location = desk.boards.location().clone();
    let deleted = tokio::task::spawn_blocking(move || {
        if Store::look(&location)?.is_none() {
            return Ok(());
        }
        Store::open(&location)?.write(&Writer::of_this_run("uploads")?, empty)
    });
    deleted.await.map_err(|e| anyhow::anyhow!("the deletion broke off: {e}"))??;
    desk.boards.anew().await?;
    Ok(Json(Changed::to("All stored rows were deleted; the next cycle stores those of the workbooks anew")))
}

fn empty(tables: &mut dyn Tables) -> anyhow::Result<()> {
    tables.batch(
        "DELETE FROM historical_data; DELETE FROM live_data; DELETE FROM row_issues; DELETE FROM uploaded_files;",
    )?;
    let now = &clock::utc_now();
    // The revision goes on: who has seen the one before learns of it. No cycle finds so many rows as are said to be there, so
    // the next one does not take the workbooks for unchanged.
    let statement = "UPDATE snapshot_source SET revision = revision + 1, fingerprint = '', row_count = -1, \
                     stocks_processed = 0, message = '', updated_at = $1";
    tables.execute(statement, &[now.into()])?;
    let statement = "INSERT INTO processing_metadata (process_type, stocks_processed, status, message, processed_at, \
                     rows_stored, issues, created_at, updated_at) \
                     VALUES ('delete', 0, 'success', 'All stored rows were deleted by request', $1, 0, 0, $1, $1)";
    tables.execute(statement, &[now.into()]).map(|_| ())
}
