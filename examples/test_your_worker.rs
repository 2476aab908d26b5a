//! How to test a worker without a server and without waiting: call the handler alone, then let it run against the embedded
//! server with virtual time, where a retry delay of a minute passes at once. The functions are what would stand under
//! `#[test]` in a project.
//!
//! `cargo run --example test_your_worker --features embedded`

#![allow(clippy::print_stdout, reason = "it is what the example is for")]

use std::{error::Error, time::Duration};

use conductor_sync::{
    Client, Config, RetryLogic, StartWorkflowRequest, TaskContext, TaskDef, TaskError, TaskRunner, TaskStatus, Worker,
    WorkflowDef, WorkflowStatus, WorkflowTask, embedded::EmbeddedServer,
};
use serde::Deserialize;
use serde_json::json;

const DEADLINE: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
struct Mail {
    to: String,
}

/// The worker under test. Its first attempt fails.
fn send(cx: &TaskContext, mail: Mail) -> Result<String, TaskError> {
    match cx.attempt() {
        0 => Err(TaskError::failed("the mail server is busy")),
        _ => Ok(format!("sent to {}", mail.to)),
    }
}

fn the_handler_alone_sends_at_the_second_attempt() -> Result<(), Box<dyn Error>> {
    let cx = TaskContext::for_test(&json!({"taskId": "t", "workflowInstanceId": "w", "retryCount": 1}))?;
    let sent = send(&cx, Mail { to: "Ada".to_owned() }).map_err(|e| format!("{e:?}"))?;
    assert_eq!(sent, "sent to Ada");
    Ok(())
}

fn a_busy_mail_server_is_tried_again_after_a_minute() -> Result<(), Box<dyn Error>> {
    let server = EmbeddedServer::start_virtual()?;
    server.register_task(TaskDef::new("test_your_worker_send").retries(
        1,
        RetryLogic::Fixed,
        Duration::from_secs(60),
    ))?;
    let task = WorkflowTask::simple("test_your_worker_send", "send").input("to", "${workflow.input.to}");
    server.register_workflow(WorkflowDef::new("test_your_worker_mail").task(task))?;
    let client = Client::new(Config::new(&server.url())?)?;
    let runner = TaskRunner::new(&client).worker(Worker::new("test_your_worker_send", send)).start()?;

    let request = StartWorkflowRequest::new("test_your_worker_mail").input(json!({"to": "Ada"}));
    let id = server.start_workflow(&request)?;
    server.wait_until("the second attempt to be scheduled", DEADLINE, |view| {
        view.workflow(&id).is_some_and(|workflow| workflow.tasks.len() == 2)
    })?;
    server.advance(Duration::from_secs(59));
    let workflow = server.workflow(&id).ok_or("the workflow is gone")?;
    assert_eq!(workflow.tasks[0].status, TaskStatus::Failed);
    assert_eq!(workflow.tasks[1].status, TaskStatus::Scheduled, "it is too early");

    server.advance(Duration::from_secs(1));
    let workflow = server.wait_for_workflow(&id, DEADLINE)?;
    assert_eq!(workflow.status, WorkflowStatus::Completed);
    assert_eq!(workflow.output.to_value()?, json!({"result": "sent to Ada"}));
    assert!(runner.stop(DEADLINE).is_clean());
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    env_logger::init();
    the_handler_alone_sends_at_the_second_attempt()?;
    a_busy_mail_server_is_tried_again_after_a_minute()?;
    println!("2 tests passed");
    Ok(())
}
