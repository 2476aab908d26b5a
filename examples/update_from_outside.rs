//! Tasks that no worker polls: a person, a web hook or another program reports their results, by the id of the task or by
//! its reference name in the workflow. Also how to look at a task, and how to write and read its log.
//!
//! `cargo run --example update_from_outside --features embedded` needs no server. With `CONDUCTOR_SERVER_URL` set, the same program
//! runs on that server.

#![allow(clippy::print_stdout, reason = "it is what the example is for")]

use std::{
    error::Error,
    time::{Duration, Instant},
};

use conductor_sync::{
    Client, Config, ReferenceUpdate, StartWorkflowRequest, TaskDef, TaskExecLog, TaskResult, TaskResultStatus,
    TaskStatus, WorkflowDef, WorkflowStatus, WorkflowTask, embedded::EmbeddedServer,
};
use serde_json::json;

/// The log of a task once it holds something: the real server writes it a little later.
fn wait_for_log(client: &Client, task_id: &str, deadline: Duration) -> Result<Vec<TaskExecLog>, Box<dyn Error>> {
    let end = Instant::now() + deadline;
    loop {
        let log = client.tasks().logs(task_id)?;
        if !log.is_empty() {
            return Ok(log);
        }
        if Instant::now() >= end {
            return Err(format!("no log of task {task_id} within {deadline:?}").into());
        }
        crossbeam_channel::after(Duration::from_millis(200)).recv()?;
    }
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
    let mut workflow = WorkflowDef::new("update_from_outside_order");
    for reference in ["approve", "pay", "ship"] {
        let name = format!("update_from_outside_{reference}");
        client.metadata().register_task(&TaskDef::new(&name).response_timeout(Duration::from_secs(3600)))?;
        workflow = workflow.task(WorkflowTask::simple(&name, reference));
    }
    client.metadata().update_workflow(&workflow.output("parcel", "${ship.output.parcel}"))?;
    let id = client.workflows().start(&StartWorkflowRequest::new("update_from_outside_order"))?;

    // By id, as a worker does it.
    let order = client.workflows().get(&id)?;
    let task_id = &order.task("approve").ok_or("the workflow has no task `approve`")?.task_id;
    client.tasks().add_log(task_id, "asked Grace for her approval")?;
    for line in wait_for_log(&client, task_id, Duration::from_secs(15))? {
        println!("log: {}", line.log);
    }
    let approved = TaskResult::new(&id, task_id, TaskResultStatus::Completed).output(json!({"by": "Grace"}));
    client.tasks().update(&approved)?;
    let task = client.tasks().get(task_id)?;
    println!("{} is {} with {}", task.reference_task_name, task.status, task.output_data);
    if task.status != TaskStatus::Completed {
        return Err(format!("not completed: {task:?}").into());
    }

    // By reference name: no need to know the id.
    let paid = ReferenceUpdate::new(&id, "pay", TaskResultStatus::Completed).output(json!({"cents": 1250}));
    let task_id = client.tasks().update_by_reference(&paid)?.ok_or("no task `pay` is pending")?;
    println!("pay is {}", client.tasks().get(&task_id)?.status);

    // By reference name, with the workflow as it is afterwards.
    let shipped = ReferenceUpdate::new(&id, "ship", TaskResultStatus::Completed).output(json!({"parcel": "P-17"}));
    let order = client.tasks().update_by_reference_sync(&shipped)?;
    println!("the order is {} with {}", order.status, order.output);
    if order.status != WorkflowStatus::Completed || order.output.to_value()? != json!({"parcel": "P-17"}) {
        return Err(format!("expected the parcel P-17: {order:?}").into());
    }
    Ok(())
}
