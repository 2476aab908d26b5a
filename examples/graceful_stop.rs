//! Stops a runner in the midst of its work: what runs may end, what was fetched and not begun goes back to the server, and
//! the report tells. A program that ends by SIGTERM uses `run_until_signal` instead of `stop`.
//!
//! `cargo run --example graceful_stop --features embedded` needs no server. With `CONDUCTOR_SERVER_URL` set, the same program
//! runs on that server.

#![allow(clippy::print_stdout, reason = "it is what the example is for")]

use std::{error::Error, time::Duration};

use conductor_sync::{
    Client, Config, StartWorkflowRequest, TaskContext, TaskDef, TaskError, TaskRunner, TaskStatus, Worker, WorkflowDef,
    WorkflowTask, embedded::EmbeddedServer,
};
use serde_json::{Value, json};

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
    client.metadata().register_task(&TaskDef::new("graceful_stop_print").response_timeout(Duration::from_secs(30)))?;
    let workflow =
        WorkflowDef::new("graceful_stop_workflow").task(WorkflowTask::simple("graceful_stop_print", "print"));
    client.metadata().update_workflow(&workflow)?;

    // The handler says here that it has begun.
    let (begun_in, begun) = crossbeam_channel::unbounded();
    let print = move |cx: &TaskContext, _: Value| -> Result<Value, TaskError> {
        begun_in.send(cx.task_id().to_owned())?;
        crossbeam_channel::after(Duration::from_secs(1)).recv()?;
        Ok(json!({"was_stopping": cx.is_stopping()}))
    };
    let runner = TaskRunner::new(&client).worker(Worker::new("graceful_stop_print", print)).threads(2).start()?;

    let mut ids = Vec::new();
    for _ in 0..8 {
        ids.push(client.workflows().start(&StartWorkflowRequest::new("graceful_stop_workflow"))?);
    }
    let first = begun.recv_timeout(Duration::from_secs(15))?;
    println!("task {first} runs: stop");
    let report = runner.stop(Duration::from_secs(15));
    println!("{report:#?}");

    // A task that was handed out and neither completed nor given back would be IN_PROGRESS until its response timeout.
    let (mut n_completed, mut n_left) = (0, 0);
    for id in &ids {
        let workflow = client.workflows().get(id)?;
        match workflow.task("print").map(|task| &task.status) {
            Some(TaskStatus::Completed) => n_completed += 1,
            Some(TaskStatus::Scheduled) => {
                n_left += 1;
                client.workflows().terminate(id, Some("the example is over"))?;
            }
            other => return Err(format!("task of workflow {id} is {other:?}").into()),
        }
    }
    println!("{n_completed} tasks completed, {n_left} left for other workers, none lost");
    if !report.is_clean() || n_completed == 0 || report.completed != n_completed {
        return Err(format!("expected a clean stop with {n_completed} tasks completed: {report:?}").into());
    }
    Ok(())
}
