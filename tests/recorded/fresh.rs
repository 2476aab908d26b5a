//! Exchanges recorded while they are made: the client talks to the real server that `CONDUCTOR_SERVER_URL` names through a
//! tap that keeps each answer as it came, and what a method gives back is compared with it.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use conductor_sync::*;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::common::{Answer, PATIENCE, Request, Server, comes_true};

/// Stands between the client and the real server.
struct Tap {
    server: Server,
    client: Client,
    /// The last answer.
    heard: Arc<Mutex<String>>,
    /// What nobody else is called.
    name: String,
    n_compared: usize,
}

impl Tap {
    /// `None` where there is no real server.
    fn start() -> Option<Self> {
        let real = Config::from_env_if_set().unwrap()?;
        let url = Client::new(real).unwrap().server_url().to_owned();
        let address = url.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
        let heard = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&heard);
        let server = Server::start(move |request| Some(pass_on(&address, request, &kept)));
        let client = server.client();
        let millis = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis();
        Some(Self { server, client, heard, name: format!("fresh_{}_{millis}", process::id()), n_compared: 0 })
    }

    /// Checks that nothing of the last answer was lost, and gives back what the method gave.
    #[track_caller]
    fn same<T: Serialize>(&mut self, outcome: Result<T>) -> T {
        let answer = outcome.unwrap();
        self.compare(serde_json::to_value(&answer).unwrap());
        answer
    }

    #[track_caller]
    fn compare(&mut self, value: Value) {
        let heard = self.heard.lock().unwrap().clone();
        let target = self.server.requests().pop().unwrap().target;
        match heard.is_empty() {
            true => assert!(value.is_null() || value == json!([]), "{target}: {value}"),
            false => assert_eq!(value, serde_json::from_str::<Value>(&heard).unwrap(), "{target}"),
        }
        self.n_compared += 1;
    }

    #[track_caller]
    fn same_page<T: Serialize + DeserializeOwned>(&mut self, search: Search<T>) -> Vec<T> {
        let page = search.first_page().unwrap();
        self.compare(json!({"totalHits": page.total_hits, "results": page.results}));
        page.results
    }

    #[track_caller]
    fn same_bulk<T: Serialize>(&mut self, outcome: Result<BulkOutcome<T>>) {
        let outcome = outcome.unwrap();
        self.compare(json!({"bulkSuccessfulResults": outcome.successes, "bulkErrorResults": outcome.errors}));
    }
}

/// Sends a request to the real server and keeps its answer. With HTTP 1.0 the end of the connection is that of the body.
fn pass_on(address: &str, request: &Request, kept: &Mutex<String>) -> Answer {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    let kind = match request.target.ends_with("/log") {
        true => "text/plain",
        false => "application/json",
    };
    let head = format!(
        "{} {} HTTP/1.0\r\nHost: {address}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        request.method,
        request.target,
        request.body.len()
    );
    connection.write_all(&[head.as_bytes(), &request.body].concat()).unwrap();
    let mut bytes = Vec::new();
    connection.read_to_end(&mut bytes).unwrap();
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    *kept.lock().unwrap() = String::from_utf8(bytes[head..].to_vec()).unwrap();
    Answer::BytesAndEnd(bytes)
}

/// A workflow whose branches hold one task of each type that an open-source server executes or holds.
const EVERY_TYPE: &str = r#"{
  "name": "NAME", "version": 1, "schemaVersion": 2,
  "inputTemplate": {"big": 123456789012345678901234567890, "nothing": null},
  "tasks": [
    {"name": "set", "taskReferenceName": "set", "type": "SET_VARIABLE", "inputParameters": {"tries": 1}},
    {"name": "fork", "taskReferenceName": "fork", "type": "FORK_JOIN", "forkTasks": [
      [{"name": "NAME_t", "taskReferenceName": "simple", "type": "SIMPLE", "inputParameters": {"big": "${workflow.input.big}"}}],
      [{"name": "dynamic", "taskReferenceName": "dynamic", "type": "DYNAMIC", "dynamicTaskNameParam": "which", "inputParameters": {"which": "NAME_t"}}],
      [{"name": "switch", "taskReferenceName": "switch", "type": "SWITCH", "evaluatorType": "value-param", "expression": "kind", "inputParameters": {"kind": "a"}, "decisionCases": {"a": [{"name": "human", "taskReferenceName": "human", "type": "HUMAN"}]}, "defaultCase": []}],
      [{"name": "inline", "taskReferenceName": "inline", "type": "INLINE", "inputParameters": {"evaluatorType": "graaljs", "expression": "1 + 1"}}],
      [{"name": "bad", "taskReferenceName": "bad", "type": "INLINE", "optional": true, "inputParameters": {"evaluatorType": "graaljs", "expression": "("}}, {"name": "noop", "taskReferenceName": "noop", "type": "NOOP"}],
      [{"name": "jq", "taskReferenceName": "jq", "type": "JSON_JQ_TRANSFORM", "inputParameters": {"queryExpression": ".a", "a": [1, null, 1.5]}}],
      [{"name": "loop", "taskReferenceName": "loop", "type": "DO_WHILE", "loopCondition": "$.loop['iteration'] < 2", "loopOver": [{"name": "again", "taskReferenceName": "again", "type": "INLINE", "inputParameters": {"evaluatorType": "graaljs", "expression": "2"}}]}],
      [{"name": "child", "taskReferenceName": "child", "type": "SUB_WORKFLOW", "subWorkflowParam": {"name": "NAME_child", "version": 1}}],
      [{"name": "start", "taskReferenceName": "start", "type": "START_WORKFLOW", "inputParameters": {"startWorkflow": {"name": "NAME_child", "input": {}}}}],
      [{"name": "wait", "taskReferenceName": "wait", "type": "WAIT", "inputParameters": {"duration": "1 hours"}}],
      [{"name": "event", "taskReferenceName": "event", "type": "EVENT", "sink": "conductor", "inputParameters": {"n": 1}}],
      [{"name": "http", "taskReferenceName": "http", "type": "HTTP", "optional": true, "inputParameters": {"http_request": {"uri": "http://127.0.0.1:1/", "method": "GET"}}}]
    ]},
    {"name": "join", "taskReferenceName": "join", "type": "JOIN", "joinOn": ["simple", "dynamic", "wait"]},
    {"name": "end", "taskReferenceName": "end", "type": "TERMINATE", "inputParameters": {"terminationStatus": "COMPLETED"}}
  ]
}"#;

/// Types of tasks as an execution tells them: a SIMPLE or DYNAMIC task has the name of its definition.
const TYPES: &[&str] = &[
    "SET_VARIABLE",
    "FORK",
    "SWITCH",
    "HUMAN",
    "INLINE",
    "NOOP",
    "JSON_JQ_TRANSFORM",
    "DO_WHILE",
    "SUB_WORKFLOW",
    "START_WORKFLOW",
    "WAIT",
    "EVENT",
    "HTTP",
    "JOIN",
];

/// Waits until the workflow has a task of each type, and gives it back as it was compared.
fn with_every_type(tap: &mut Tap, id: &str) -> Workflow {
    let mut workflow = tap.same(tap.client.clone().workflows().get(id));
    let have_come = || {
        workflow = tap.same(tap.client.clone().workflows().get(id));
        TYPES.iter().all(|t| workflow.tasks.iter().any(|task| task.task_type == *t))
    };
    assert!(comes_true(have_come), "not each of {TYPES:?} has come, but {:?}", workflow.tasks);
    workflow
}

#[test]
fn an_execution_with_every_type_of_task_loses_nothing() {
    let Some(mut tap) = Tap::start() else { return };
    let (client, name) = (tap.client.clone(), tap.name.clone());
    let (metadata, workflows, tasks) = (client.metadata(), client.workflows(), client.tasks());
    let child = WorkflowDef::from_json(
        &json!({"name": format!("{name}_child"), "version": 1, "schemaVersion": 2,
            "tasks": [{"name": "w", "taskReferenceName": "w", "type": "WAIT"}]})
        .to_string(),
    );
    metadata.update_workflow(&child.unwrap()).unwrap();
    metadata.update_workflow(&WorkflowDef::from_json(&EVERY_TYPE.replace("NAME", &name)).unwrap()).unwrap();
    let start = StartWorkflowRequest::new(&name).correlation_id("c").input(json!({"n": [null, 1.5]}));
    let id = workflows.start(&start).unwrap();
    let seen = with_every_type(&mut tap, &id);
    // The two for workers.
    let task_type = format!("{name}_t");
    assert_eq!(seen.tasks.iter().filter(|task| task.task_type == task_type).count(), 2);
    let first = tap.same(tasks.poll(PollRequest::new(&task_type).worker_id("w"))).unwrap();
    assert!(first.workflow_task().unwrap().is_some() && first.task_definition().unwrap().is_some());
    tap.same(tasks.poll_batch(PollRequest::new(&task_type).count(1)));
    let result = TaskResult::new(&id, &first.task_id, TaskResultStatus::Failed).reason("no").log("a line");
    tasks.update(&result.output(json!({"big": 1, "z": null}))).unwrap();
    tap.same(tasks.get(&first.task_id));
    assert_eq!(tap.same(tasks.logs(&first.task_id)).len(), 1);
    for seen in &seen.tasks {
        tap.same(tasks.get(&seen.task_id));
    }
    tap.same(workflows.without_tasks(&id));
    tap.same(workflows.status(&id));
    tap.same_page(workflows.tasks(WorkflowTasksQuery::new(&id).page_size(5)));
    tap.same(workflows.correlated(CorrelationQuery::new(&name).with_tasks(), "c"));
    tap.same(workflows.correlated_by_each(CorrelationQuery::new(&name).in_any_state(), &["c", "d"]));
    tap.same(workflows.running(name.as_str()));
    tap.same_bulk(workflows.bulk().get(&[id.as_str(), "nope"]));
    tap.same(tasks.poll_data(&task_type));
    tap.same(tasks.all_poll_data());
    tap.same(client.admin().pending_tasks(&task_type, 0, 9));
    workflows.terminate(&id, Some("seen")).unwrap();
    let ended = tap.same(workflows.get(&id));
    assert_eq!(ended.status, WorkflowStatus::Terminated);
    let hits = tap.same_page(workflows.search(SearchQuery::new().is(SearchField::WorkflowType, &name)));
    assert_eq!(hits.len(), 1);
    tap.same_page(workflows.search_workflows(SearchQuery::new().is(SearchField::WorkflowType, &name)));
    let query = || SearchQuery::new().is(SearchField::TaskDefName, &task_type);
    tap.same_page(workflows.search_by_tasks(query()));
    tap.same_page(workflows.search_workflows_by_tasks(query()));
    assert!(!tap.same_page(tasks.search(query())).is_empty());
    assert!(!tap.same_page(tasks.search_tasks(query())).is_empty());
    tap.same_bulk(workflows.bulk().remove(&[&id], Removal::Delete));
    assert!(tap.n_compared > 40, "{} answers were compared", tap.n_compared);
}

#[test]
fn waiting_calls_and_lists_of_definitions_lose_nothing() {
    let Some(mut tap) = Tap::start() else { return };
    let (client, name) = (tap.client.clone(), format!("{}_b", tap.name));
    let (metadata, workflows, tasks) = (client.metadata(), client.workflows(), client.tasks());
    let text = json!({"name": name, "version": 1, "schemaVersion": 2, "tasks": [
        {"name": "w", "taskReferenceName": "w1", "type": "WAIT"}, {"name": "w", "taskReferenceName": "w2", "type": "WAIT"}]});
    let def = WorkflowDef::from_json(&text.to_string()).unwrap();
    tap.same_bulk(metadata.update_workflows(std::slice::from_ref(&def)));
    for strategy in [
        ReturnStrategy::TargetWorkflow,
        ReturnStrategy::BlockingWorkflow,
        ReturnStrategy::BlockingTask,
        ReturnStrategy::BlockingTaskInput,
    ] {
        let run = ExecuteWorkflowRequest::new(StartWorkflowRequest::new(&name)).returns(strategy.clone());
        let answer = tap.same(workflows.execute(&run.wait_for(Duration::from_secs(2))));
        let signal = SignalRequest::new(answer.target_workflow_id(), TaskResultStatus::Completed).returns(strategy);
        tap.same(tasks.signal_sync(&signal.output(json!({"a": null}))));
        let report = ReferenceUpdate::new(answer.target_workflow_id(), "w2", TaskResultStatus::Completed);
        tap.same(tasks.update_by_reference_sync(&report.output(json!({"b": 1}))));
    }
    let mocked = WorkflowTestRequest::new(StartWorkflowRequest::new(&name)).mock("w1", TaskMock::completed(json!({})));
    let tested = tap.same(workflows.test(&mocked));
    tap.same_bulk(workflows.bulk().terminate_and_remove(&["nope"], None, Removal::Delete));
    tap.same_bulk(workflows.bulk().terminate(&[&tested.workflow_id], Some("done")));
    metadata.register_task(&TaskDef::new(&name)).unwrap();
    tap.same(metadata.task(&name));
    tap.same(metadata.workflow(&name));
    tap.same(metadata.workflow_version(&name, 1));
    tap.same(metadata.tasks());
    tap.same(metadata.workflows());
    tap.same(metadata.latest_workflows());
    tap.same(metadata.workflow_names());
    tap.same(metadata.workflow_names_and_versions());
    tap.same(metadata.workflow_versions(&name));
    let unfinished = workflows.running(name.as_str()).unwrap();
    if !unfinished.is_empty() {
        drop(workflows.bulk().terminate_and_remove(&unfinished, None, Removal::Delete).unwrap());
    }
    assert!(tap.n_compared > 20, "{} answers were compared", tap.n_compared);
}

#[test]
fn event_handlers_lose_nothing() {
    let Some(mut tap) = Tap::start() else { return };
    let (client, name) = (tap.client.clone(), format!("{}_e", tap.name));
    let details = EventAction::complete_task(TaskAction::by_reference("${w}", "r").output("n", 1));
    let start = EventAction::start_workflow(StartWorkflowAction::new(&name).input("order", "${order}"));
    let variables = EventAction::update_workflow_variables(UpdateVariablesAction::default());
    let end = EventAction::terminate_workflow("${w}", "enough");
    let event = format!("conductor:{name}:x");
    let handler = EventHandler::new(&name, &event).action(details).action(start).action(variables).action(end);
    let handler = handler.action(EventAction::fail_task(TaskAction::by_id("w", "t"))).condition("javascript", "true");
    client.events().register(&handler).unwrap();
    assert_eq!(tap.same(client.events().active_of(&event))[0].actions.len(), 5);
    tap.same(client.events().list());
    client.events().delete(&name).unwrap();
}

#[test]
fn schedules_and_their_runs_lose_nothing() {
    let Some(mut tap) = Tap::start() else { return };
    let (client, name) = (tap.client.clone(), format!("{}_s", tap.name));
    let schedules = client.schedules();
    let def = WorkflowDef::new(&name).task(WorkflowTask::simple(&name, "a"));
    client.metadata().update_workflow(&def).unwrap();
    let mut schedule =
        WorkflowSchedule::new(&name, "* * * * * ?", StartWorkflowRequest::new(&name)).zone("Europe/Berlin");
    schedule.description = Some("every second".to_owned());
    tap.same(schedules.save(&schedule));
    let runs = || schedules.search_executions(&ScheduleSearch::new().query(format!("workflowName={name}")));
    assert!(comes_true(|| !tap.same_page(runs()).is_empty()), "the schedule did not run");
    schedules.pause(&name, Some("seen")).unwrap();
    tap.same(schedules.get(&name));
    tap.same(schedules.list_of(&name));
    tap.same_page(schedules.search(&ScheduleSearch::new().workflow(&name)));
    tap.same_bulk(schedules.pause_all_of(&[&name, "nope"]));
    tap.same(schedules.requeue_executions());
    schedules.delete(&name).unwrap();
    let unfinished = client.workflows().running(name.as_str()).unwrap();
    if !unfinished.is_empty() {
        drop(client.workflows().bulk().terminate_and_remove(&unfinished, None, Removal::Delete).unwrap());
    }
}

#[test]
fn what_operators_are_told_loses_nothing() {
    let Some(mut tap) = Tap::start() else { return };
    let (client, name) = (tap.client.clone(), format!("{}_a", tap.name));
    let (admin, tasks) = (client.admin(), client.tasks());
    tap.same(admin.config());
    tap.same(admin.queues_verbose());
    tap.same(admin.status_queues());
    tap.same(admin.environment());
    tap.same(admin.secret_names());
    tap.same(admin.health());
    tap.same(tasks.all_queue_sizes());
    tap.same(tasks.queue_sizes(&[&name]));
    let details = tasks.all_queue_details().unwrap();
    let shards = details.into_iter().map(|(queue, shards)| {
        let shards = shards.into_iter().map(|(name, s)| (name, json!({"size": s.size, "uacked": s.uacked})));
        (queue, Value::Object(shards.collect()))
    });
    tap.compare(Value::Object(shards.collect()));
}
