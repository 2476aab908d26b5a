//! A task that takes longer than a worker should hold it: the handler does a part, hands the task back as in progress with
//! what it has so far, and is called again a second later, until all is done. No thread waits in between.
//!
//! `cargo run --example long_running --features embedded` needs no server. With `CONDUCTOR_SERVER_URL` set, the same program
//! runs on that server.

#![allow(clippy::print_stdout, reason = "it is what the example is for")]

use std::{error::Error, time::Duration};

use conductor_sync::{
    Client, Config, StartWorkflowRequest, TaskContext, TaskDef, TaskError, TaskRunner, Worker, WorkflowDef,
    WorkflowStatus, WorkflowTask, embedded::EmbeddedServer,
};
use serde::{Deserialize, Serialize};

const PAGES_AT_ONCE: u32 = 10;

#[derive(Deserialize)]
struct Import {
    pages: u32,
}

/// The state between the calls; it travels in the output of the task, so that any worker can go on with it.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct Progress {
    pages_done: u32,
    calls: u32,
}

fn import(cx: &TaskContext, import: Import) -> Result<Progress, TaskError> {
    let mut progress = match cx.output_so_far() {
        Some(output) => output.decode()?,
        None => Progress::default(),
    };
    println!("call {}: {} of {} pages were done", cx.poll_count(), progress.pages_done, import.pages);
    progress.pages_done = import.pages.min(progress.pages_done + PAGES_AT_ONCE);
    progress.calls = cx.poll_count();
    if progress.pages_done < import.pages {
        return Err(TaskError::in_progress(Duration::from_secs(1)).output(serde_json::to_value(&progress)?));
    }
    Ok(progress)
}

fn main() -> Result<(), Box<dyn Error>> {
    env_logger::init();
    let embedded; // Lives as long as the program does.
    let config = match Config::from_env_if_set()? {
        Some(config) => config,
        None => {
            embedded = EmbeddedServer::start()?;
            Config::new(&embedded.url())?
        }
    };
    let client = Client::new(config)?;
    client.metadata().register_task(&TaskDef::new("long_running_import").response_timeout(Duration::from_secs(30)))?;
    let workflow = WorkflowDef::new("long_running_workflow")
        .task(WorkflowTask::simple("long_running_import", "import").input("pages", "${workflow.input.pages}"))
        .output("pages_done", "${import.output.pages_done}")
        .output("calls", "${import.output.calls}");
    client.metadata().update_workflow(&workflow)?;
    let runner = TaskRunner::new(&client).worker(Worker::new("long_running_import", import)).start()?;

    let input = serde_json::json!({"pages": 25});
    let id = client.workflows().start(&StartWorkflowRequest::new("long_running_workflow").input(input))?;
    let done = client.workflows().wait(&id, Duration::from_secs(20))?;
    let report = runner.stop(Duration::from_secs(2));
    let progress: Progress = done.output.decode()?;
    println!("{}: {} pages in {} calls", done.status, progress.pages_done, progress.calls);
    if done.status != WorkflowStatus::Completed || (progress.pages_done, progress.calls) != (25, 3) {
        return Err(format!("expected 25 pages in 3 calls: {done:?}").into());
    }
    match report.is_clean() {
        true => Ok(()),
        false => Err(format!("not a clean stop: {report:?}").into()),
    }
}
