//! What can be done to a workflow from outside: pause and resume, retry after a failure, rerun from a task, terminate, skip a
//! task that is still to come, and signal the task in which it waits. The program plays the worker too, so that it knows what
//! happens when.
//!
//! It needs a real server, since the embedded one does not serve all of it:
//! `CONDUCTOR_SERVER_URL=http://localhost:8080/api cargo run --example steer`

#![allow(clippy::print_stdout, reason = "it is what the example is for")]

use std::{error::Error, time::Duration};

use conductor_sync::{
    Client, Config, PollRequest, RerunWorkflowRequest, RetryLogic, SignalRequest, SkipTaskRequest,
    StartWorkflowRequest, TaskDef, TaskResult, TaskResultStatus, WorkflowDef, WorkflowTask,
};
use serde_json::json;

/// Tasks, workflows and what they are called here.
const NAME: &str = "steer_step";
const ORDER: &str = "steer_order";
const APPROVAL: &str = "steer_approval";

/// Takes the step that is due in this workflow and reports how it ended.
fn work(client: &Client, workflow_id: &str, status: TaskResultStatus) -> Result<String, Box<dyn Error>> {
    // Each run of this program has its own queue.
    let poll = PollRequest::new(NAME).domain(format!("steer_{}", std::process::id())).timeout(Duration::from_secs(5));
    let task = client.tasks().poll_batch(poll)?.pop().ok_or("no step is due")?;
    if task.workflow_instance_id != workflow_id {
        return Err(format!("a step of another workflow came: {}", task.workflow_instance_id).into());
    }
    let result =
        TaskResult::new(workflow_id, &task.task_id, status).output(json!({"input": task.input_data.to_value()?}));
    client.tasks().update(&result)?;
    println!("  {} was handed out with {} and reported", task.reference_task_name, task.input_data);
    Ok(task.task_id)
}

fn register(client: &Client) -> Result<(), Box<dyn Error>> {
    client.metadata().register_task(&TaskDef::new(NAME).retries(0, RetryLogic::Fixed, Duration::ZERO))?;
    let step = |reference: &str| WorkflowTask::simple(NAME, reference).input("n", "${workflow.input.n}");
    client
        .metadata()
        .update_workflow(&WorkflowDef::new(ORDER).task(step("pay")).task(step("pack")).task(step("ship")))?;
    let mut wait = WorkflowTask::simple("wait", "approval");
    wait.task_type = Some("WAIT".to_owned());
    client.metadata().update_workflow(&WorkflowDef::new(APPROVAL).task(wait))?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    env_logger::init();
    let config = Config::from_env_if_set()?.ok_or("this example needs a real server: set CONDUCTOR_SERVER_URL")?;
    let client = Client::new(config)?;
    let workflows = client.workflows();
    register(&client)?;

    let order = StartWorkflowRequest::new(ORDER).input(json!({"n": 1}));
    let order = order.domain("*", format!("steer_{}", std::process::id()));
    let id = workflows.start(&order)?;
    let tell = |what: &str| -> Result<(), Box<dyn Error>> {
        println!("{what}: {}", workflows.status(&id)?.status);
        Ok(())
    };

    // Paused: what is queued is still handed out, but nothing follows it.
    workflows.pause(&id)?;
    work(&client, &id, TaskResultStatus::Completed)?;
    tell("paused")?;
    workflows.resume(&id)?;
    tell("resumed")?;

    // Failed: the step that failed once more, and what follows.
    work(&client, &id, TaskResultStatus::Failed)?;
    tell("after a failure")?;
    workflows.retry(&id)?;
    let packed = work(&client, &id, TaskResultStatus::Completed)?;
    tell("after a retry")?;

    work(&client, &id, TaskResultStatus::Completed)?;
    tell("all steps done")?;

    // Once more from a step in the middle; the one behind it is skipped before its turn comes.
    let again = RerunWorkflowRequest::new().from_task(&packed).task_input(json!({"n": 2}));
    workflows.rerun(&id, &again)?;
    workflows.skip_task(&id, "ship", &SkipTaskRequest::new().output("reason", "picked up by the customer"))?;
    work(&client, &id, TaskResultStatus::Completed)?;
    let done = workflows.wait(&id, Duration::from_secs(20))?;
    let shipped = done.task("ship").ok_or("no task `ship`")?;
    println!("after a rerun: {}, ship is {} with {}", done.status, shipped.status, shipped.output_data);

    // From the beginning, and then no more.
    workflows.restart(&id)?;
    tell("restarted")?;
    workflows.terminate(&id, Some("not needed"))?;
    tell("terminated")?;

    // A workflow that waits for somebody.
    let waiting = workflows.start(&StartWorkflowRequest::new(APPROVAL))?;
    let approved = SignalRequest::new(&waiting, TaskResultStatus::Completed).output(json!({"by": "Grace"}));
    let answer = client.tasks().signal_sync(&approved)?;
    let run = answer.workflow().ok_or("a workflow was asked for")?;
    println!("after a signal: {} with {}", run.status, run.output);
    Ok(())
}
