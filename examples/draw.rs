//! Pictures: a workflow with a fork, a switch, a loop and sub-workflows as a diagram, and what came of a run of it as the
//! same diagram with states and times and as a timeline.
//!
//! `cargo run --example draw --features embedded` writes them to `target/diagrams`, or to the folder that is given as an
//! argument. The embedded server runs the linear part; with `CONDUCTOR_SERVER_URL` set, that server runs the whole.

#![allow(clippy::print_stdout)]

use std::{error::Error, fs, path::PathBuf, time::Duration};

use conductor_sync::{
    Client, Config, RawJson, RetryLogic, StartWorkflowRequest, SubWorkflowParams, TaskContext, TaskDef, TaskError,
    TaskRunner, Worker, WorkflowDef, WorkflowTask, embedded::EmbeddedServer,
};
use serde_json::{Value, json};

/// A task that the server executes itself.
fn system(kind: &str, reference: &str) -> WorkflowTask {
    let mut task = WorkflowTask::simple(reference, reference);
    task.task_type = Some(kind.to_owned());
    task
}

fn sub_workflow(reference: &str, params: SubWorkflowParams) -> WorkflowTask {
    let mut task = system("SUB_WORKFLOW", reference);
    task.sub_workflow_param = Some(params);
    task
}

/// What every server runs: one task after the other.
fn linear() -> WorkflowDef {
    WorkflowDef::new("draw_linear")
        .task(WorkflowTask::simple("draw_fetch", "fetch"))
        .task(WorkflowTask::simple("draw_flaky", "weigh"))
        .task(WorkflowTask::simple("draw_send", "send"))
}

/// Everything that branches, joins, repeats and nests.
fn whole() -> WorkflowDef {
    let mut fork = system("FORK_JOIN", "both");
    // The join waits for no task that is retried: on a busy server it has been seen to look at the failed attempt before
    // the next one was there, and to fail the workflow (3.32.1).
    fork.fork_tasks = vec![
        vec![WorkflowTask::simple("draw_flaky", "weigh"), WorkflowTask::simple("draw_fetch", "fetch")],
        vec![WorkflowTask::simple("draw_send", "announce")],
    ];
    let mut join = system("JOIN", "both_done");
    join.join_on = vec!["fetch".to_owned(), "announce".to_owned()];

    let mut switch = system("SWITCH", "how").input("way", "${workflow.input.way}");
    switch.evaluator_type = Some("value-param".to_owned());
    switch.expression = Some("way".to_owned());
    switch.decision_cases.insert("parcel".to_owned(), vec![WorkflowTask::simple("draw_send", "by_parcel")]);
    switch.decision_cases.insert("letter".to_owned(), vec![WorkflowTask::simple("draw_send", "by_letter")]);
    let mut refuse = system("TERMINATE", "refuse").input("terminationStatus", "FAILED");
    refuse = refuse.input("terminationReason", "no such way");
    switch.default_case = vec![refuse];

    let mut repeat = system("DO_WHILE", "remind");
    repeat.loop_over = vec![WorkflowTask::simple("draw_send", "reminder")];
    repeat.loop_condition = Some("$.remind['iteration'] < 3".to_owned());

    let mut dynamic = system("FORK_JOIN_DYNAMIC", "each")
        .input("tasks", json!([forked("copy_a"), forked("copy_b")]))
        .input("inputs", json!({"copy_a": {}, "copy_b": {}}));
    dynamic.dynamic_fork_tasks_param = Some("tasks".to_owned());
    dynamic.dynamic_fork_tasks_input_param_name = Some("inputs".to_owned());

    let mut inline = SubWorkflowParams::default();
    inline.name = Some("draw_inline".to_owned());
    let definition = WorkflowDef::new("draw_inline").task(WorkflowTask::simple("draw_send", "bill"));
    inline.workflow_definition = RawJson::new(&definition.owner_email("draw@example.com")).ok();
    let mut named = SubWorkflowParams::default();
    named.name = Some("draw_linear".to_owned());
    named.version = Some(1);

    let mut after = system("FORK_JOIN", "after");
    after.fork_tasks = vec![vec![sub_workflow("billing", inline)], vec![sub_workflow("once_more", named)]];
    let mut after_done = system("JOIN", "after_done");
    after_done.join_on = vec!["billing".to_owned(), "once_more".to_owned()];

    let parts = [fork, join, switch, repeat, dynamic, system("JOIN", "each_done"), after, after_done];
    parts.into_iter().fold(WorkflowDef::new("draw_whole"), WorkflowDef::task)
}

fn forked(reference: &str) -> Value {
    json!({"name": "draw_send", "taskReferenceName": reference, "type": "SIMPLE"})
}

/// The first attempt fails, so that there is a retry to see.
fn flaky(cx: &TaskContext, _: Value) -> Result<Value, TaskError> {
    match cx.task()?.retry_count {
        0 => Err(TaskError::failed("the scales are busy")),
        _ => Ok(json!({"grams": 420})),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    env_logger::init();
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "target/diagrams".to_owned()));
    let embedded; // Lives as long as the program does.
    let (config, drawn) = match Config::from_env_if_set()? {
        Some(config) => (config, whole()),
        None => {
            embedded = EmbeddedServer::start()?;
            (Config::new(&embedded.url())?, linear())
        }
    };
    let client = Client::new(config)?;
    for name in ["draw_fetch", "draw_flaky", "draw_send"] {
        let definition = TaskDef::new(name).retries(1, RetryLogic::Fixed, Duration::from_secs(1));
        client.metadata().register_task(&definition.response_timeout(Duration::from_secs(30)))?;
    }
    client.metadata().update_workflow(&linear().owner_email("draw@example.com"))?;
    client.metadata().update_workflow(&drawn.clone().owner_email("draw@example.com"))?;

    let runner = TaskRunner::new(&client)
        .worker(Worker::new("draw_fetch", |_, _: Value| Ok(json!({"found": true}))))
        .worker(Worker::new("draw_flaky", flaky))
        .worker(Worker::new("draw_send", |_, _: Value| Ok(json!({"sent": true}))))
        .start()?;
    let input = json!({"way": "parcel"});
    let id = client.workflows().start(&StartWorkflowRequest::new(&drawn.name).input(input))?;
    // The server may notice the end of a sub-workflow only half a minute later (3.32.1).
    let done = client.workflows().wait(&id, Duration::from_secs(53))?;
    let report = runner.stop(Duration::from_secs(5));
    println!("{} attempts done, {} clean", report.completed, report.is_clean());

    // The definition is drawn whole wherever it ran.
    let (definition, execution) = (whole().diagram(), done.diagram());
    fs::create_dir_all(&folder)?;
    for (name, text) in [
        ("definition.mmd", definition.mermaid()),
        ("definition.dot", definition.dot()),
        ("execution.mmd", execution.mermaid()),
        ("execution.dot", execution.dot()),
        ("timeline.txt", done.timeline().to_string()),
    ] {
        fs::write(folder.join(name), text)?;
    }
    println!("{}", definition.mermaid());
    println!("{}", done.timeline().width(110));
    println!("five pictures of {} ({}) are in {}", drawn.name, done.status, folder.display());
    Ok(())
}
