//! What a node carries besides its kind, seen at work on the real server. Without one, nothing here runs.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use conductor_sync::{
    AgentCard, ChatCompletion, Client, JsonMap, Node, ReferenceUpdate, RetryLogic, RunnerHandle, StartWorkflowRequest,
    TaskDef, TaskError, TaskResultStatus, TaskRunner, TimeoutPolicy, Worker, Workflow, WorkflowBuilder, WorkflowStatus,
    workflow_input,
};
use serde_json::{Value, json};

use super::{real, unique};

/// A worker that does what its input `act` says, and the name of its tasks.
fn acting(client: &Client) -> (RunnerHandle, String) {
    let name = unique("builder_acts");
    let n_done = AtomicU32::new(0);
    let worker = Worker::new(&*name, move |cx, input: Value| {
        let attempt = cx.task()?.retry_count;
        match input["act"].as_str() {
            Some("fail") => Err(TaskError::failed("as told")),
            Some("fail twice") if attempt < 2 => Err(TaskError::failed("not yet")),
            _ => Ok(json!({"n": n_done.fetch_add(1, Ordering::Relaxed) + 1, "attempt": attempt})),
        }
    });
    (TaskRunner::new(client).worker(worker).start().unwrap(), name)
}

/// Registers a workflow, which is named by the test, and runs it to its end.
fn run(client: &Client, flow: &WorkflowBuilder, input: Value) -> Workflow {
    let name = flow.register(&client.metadata()).unwrap().name;
    let id = client.workflows().start(&StartWorkflowRequest::new(name).input(input)).unwrap();
    client.workflows().wait(&id, Duration::from_secs(90)).unwrap()
}

fn flow(name: &str) -> WorkflowBuilder {
    WorkflowBuilder::new(unique(&format!("builder_set_{name}")))
}

fn act(name: &str, reference: &str, act: &str) -> Node {
    Node::simple(name, reference).input("act", act)
}

fn states(workflow: &Workflow) -> String {
    let states = workflow.tasks.iter().map(|task| format!("{} {}", task.reference_task_name, task.status));
    states.collect::<Vec<_>>().join(", ")
}

#[test]
fn a_cache_is_taken_but_not_used_by_the_server() {
    let Some(client) = real() else { return };
    let (runner, name) = acting(&client);
    let cached = act(&name, "cached", "count").cache("${workflow.input.key}", Duration::from_secs(60));
    let flow = flow("cache").task(&cached).task_definition(TaskDef::new(name)).output("n", cached.output("n"));
    let outputs = ["a", "a", "b"].map(|key| run(&client, &flow, json!({"key": key})).output.to_value().unwrap());
    // 3.32.1 keeps the setting and runs the worker each time.
    assert_eq!(outputs, [json!({"n": 1}), json!({"n": 2}), json!({"n": 3})]);
    let kept = client.metadata().workflow(&flow.build().unwrap().name).unwrap().tasks[0].cache_config.clone().unwrap();
    assert_eq!(kept.key.as_deref(), Some("${workflow.input.key}"));
    assert!(runner.stop(Duration::from_secs(10)).is_clean());
}

#[test]
fn failures_are_retried_passed_over_or_kept_for_the_end() {
    let Some(client) = real() else { return };
    let (runner, name) = acting(&client);
    let known = |name: &str| flow(name);
    let definition = || TaskDef::new(&*name).retries(3, RetryLogic::Fixed, Duration::ZERO);

    let again = act(&name, "again", "fail twice").retries(2).definition(definition());
    let done = run(&client, &known("again").task(&again).output("attempt", again.output("attempt")), json!({}));
    assert_eq!(done.output.get(), r#"{"attempt":2}"#, "{}", states(&done));
    let once = act(&name, "once", "fail twice").retries(1).definition(definition());
    let done = run(&client, &known("once").task(once), json!({}));
    assert_eq!((&done.status, &*states(&done)), (&WorkflowStatus::Failed, "once FAILED, once FAILED"));

    let last = act(&name, "last", "count");
    let optional = act(&name, "optional", "fail").retries(0).optional();
    let done = run(&client, &known("optional").task(optional).task(&last), json!({}));
    let expected = (&WorkflowStatus::Completed, "optional COMPLETED_WITH_ERRORS, last COMPLETED");
    assert_eq!((&done.status, &*states(&done)), expected);

    let permissive = act(&name, "permissive", "fail").retries(0).permissive();
    let done = run(&client, &known("permissive").task(permissive).task(&last), json!({}));
    let expected = (&WorkflowStatus::Failed, "permissive FAILED, last COMPLETED");
    assert_eq!((&done.status, &*states(&done)), expected);
    assert!(runner.stop(Duration::from_secs(10)).is_clean());
}

#[test]
fn a_definition_of_its_own_needs_no_registered_one() {
    let Some(client) = real() else { return };
    let (runner, name) = acting(&client);
    let own = TaskDef::new(&*name).retries(2, RetryLogic::Fixed, Duration::ZERO);
    let node = act(&name, "own", "fail twice").own_definition(own);
    let done = run(&client, &flow("own").task(&node).output("attempt", node.output("attempt")), json!({}));
    assert_eq!(done.output.get(), r#"{"attempt":2}"#, "{}", states(&done));
    assert!(client.metadata().task(&name).unwrap_err().is_not_found());
    assert!(runner.stop(Duration::from_secs(10)).is_clean());
}

#[test]
fn a_start_delay_passes_before_the_task_is_handed_out() {
    let Some(client) = real() else { return };
    let (runner, name) = acting(&client);
    let late = act(&name, "late", "count").start_delay(Duration::from_millis(1500));
    let done = run(&client, &flow("late").task(late).task_definition(TaskDef::new(name)), json!({}));
    let waited = done.tasks[0].start_time - done.tasks[0].scheduled_time;
    assert!(waited >= 1500, "{waited} ms");
    assert!(runner.stop(Duration::from_secs(10)).is_clean());
}

#[test]
fn a_task_that_takes_too_long_ends_as_its_timeout_says() {
    let Some(client) = real() else { return };
    let name = unique("builder_slow");
    let slow = Node::simple(&*name, "slow").timeout(Duration::from_secs(1), TimeoutPolicy::TimeOutWf);
    let after = WorkflowBuilder::new(unique("builder_set_after")).task(Node::noop("n"));
    let after = after.register(&client.metadata()).unwrap().name;
    let name_of_flow = flow("slow").task(slow).failure_workflow(&*after).register(&client.metadata()).unwrap().name;
    let id = client.workflows().start(&StartWorkflowRequest::new(name_of_flow)).unwrap();
    // Taken, and never answered.
    let (release, held) = crossbeam_channel::bounded::<()>(0);
    let taken = Worker::new(name, move |_, _: Value| {
        // It ends when the test does.
        held.recv().map_err(|_| TaskError::failed("too late"))?;
        Ok(json!({}))
    });
    let runner = TaskRunner::new(&client).worker(taken).start().unwrap();
    let done = client.workflows().wait(&id, Duration::from_secs(90)).unwrap();
    assert_eq!((&done.status, &*states(&done)), (&WorkflowStatus::TimedOut, "slow TIMED_OUT"));
    let output: JsonMap = done.output.decode().unwrap();
    let follower: String = output["conductor.failure_workflow"].decode().unwrap();
    let follower = client.workflows().wait(&follower, Duration::from_secs(30)).unwrap();
    assert_eq!((&*follower.workflow_name, &follower.status), (&*after, &WorkflowStatus::Completed));
    drop(release);
    // Its answer came too late, which is no matter here.
    drop(runner.stop(Duration::from_secs(10)));
}

#[test]
fn a_task_with_async_complete_waits_for_its_answer() {
    let Some(client) = real() else { return };
    let event = Node::event("event", "conductor:builder").async_complete();
    let flow = flow("async").task(&event).output("said", event.output("said"));
    let name = flow.register(&client.metadata()).unwrap().name;
    let id = client.workflows().start(&StartWorkflowRequest::new(name)).unwrap();
    assert!(client.workflows().wait(&id, Duration::from_secs(2)).is_err());
    let update = ReferenceUpdate::new(&*id, "event", TaskResultStatus::Completed).output(json!({"said": "yes"}));
    client.tasks().update_by_reference(&update).unwrap();
    let done = client.workflows().wait(&id, Duration::from_secs(30)).unwrap();
    assert_eq!(done.output.get(), r#"{"said":"yes"}"#);
}

#[test]
fn messages_are_pulled_where_the_server_has_queues() {
    let Some(client) = real() else { return };
    let pull = Node::pull_workflow_messages("pull", 5);
    let flow = flow("pull").task(&pull).output("n", pull.output("count")).output("all", pull.output("messages"));
    let name = flow.register(&client.metadata()).unwrap().name;
    let id = client.workflows().start(&StartWorkflowRequest::new(name)).unwrap();
    let message = JsonMap::from([("greeting".to_owned(), "hello".into())]);
    match client.workflows().send_message(&id, &message) {
        Ok(_) => {
            let done = client.workflows().wait(&id, Duration::from_secs(60)).unwrap();
            let output = done.output.to_value().unwrap();
            assert_eq!(output["n"], 1, "{output}");
            assert_eq!(output["all"][0]["payload"]["greeting"], "hello", "{output}");
        }
        Err(error) => {
            let switch = "conductor.workflow-message-queue.enabled";
            assert!(error.is_wrong_address() && error.to_string().contains(switch), "{error}");
            let seen = client.workflows().get(&id).unwrap();
            assert_eq!(states(&seen), "pull SCHEDULED", "nobody pulls");
            client.workflows().terminate(&id, Some("a test")).unwrap();
        }
    }
}

#[test]
fn tasks_for_agents_need_an_agent_that_answers() {
    let Some(client) = real() else { return };
    let card = Node::get_agent_card("card", AgentCard::new("http://127.0.0.1:1")).retries(0);
    let done = run(&client, &flow("ai").task(card), json!({}));
    let reason = done.reason_for_incompletion.unwrap_or_default();
    assert!(reason.contains("127.0.0.1:1"), "{} {reason}", done.status);
}

#[test]
fn tasks_for_language_models_need_a_provider_that_the_server_knows() {
    let Some(client) = real() else { return };
    let chat = ChatCompletion::new("nobody", "gpt").user_input(workflow_input("text"));
    let chat = Node::llm_chat_complete("chat", chat).retries(0);
    let done = run(&client, &flow("llm").task(chat), json!({"text": "hello"}));
    let reason = done.reason_for_incompletion.unwrap_or_default();
    assert!(reason.contains("no configuration found for: nobody"), "{} {reason}", done.status);
}
