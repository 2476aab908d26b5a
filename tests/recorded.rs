//! What the real server said, heard by the client: each recorded exchange is answered to the method that makes that call.
//! It has to send what was recorded, give back all that was answered, and turn each refusal into the right error with the
//! server's own words. What no method can send stands in a list with the reason, and another request in its place. Where
//! there is a real server, more exchanges are recorded and compared at once.

#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

mod common;
#[path = "recorded/fresh.rs"]
mod fresh;

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use common::{Answer, Server};
use conductor_sync::*;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

#[derive(Clone, Deserialize)]
struct Case {
    name: String,
    method: String,
    path: String,
    request_body: Option<String>,
    status: u16,
    response_content_type: Option<String>,
    response_body: String,
}

fn cases() -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/server-cases.jsonl");
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Exchanges that no method makes.
const NO_OPERATION: &[(&str, &str)] = &[
    ("method_not_allowed_405", "the server has no such route"),
    ("token_404", "the open-source server has no such route"),
    ("workflow_execute_no_version_404", "the server has no such route: the version is a part of it"),
];

/// Requests that the client refuses before it sends them, with the parameter it names, and what is sent in their place.
const REFUSED: &[(&str, &str, &str)] = &[
    ("taskdef_empty_list_400", "definitions", r#"[{"name": "t"}]"#),
    ("wfdef_validate_400", "name", r#"{"name": "w", "tasks": []}"#),
    ("workflow_start_no_name_400", "name", r#"{"name": "w", "input": {}}"#),
    ("workflow_start_priority_400", "priority", r#"{"name": "w", "priority": 99, "input": {}}"#),
    ("task_update_v2_empty_500", "taskId", TASK_RESULT),
    ("task_update_bad_status_500", "status", TASK_RESULT),
    ("task_update_wrong_content_type_500", "taskId", TASK_RESULT),
    ("task_update_output_not_object_500", "output_data", TASK_RESULT),
    ("task_update_no_status_500", "status", TASK_RESULT),
    (
        "scheduler_save_bad_500",
        "start_workflow_request",
        r#"{"name": "s", "cronExpression": "x", "startWorkflowRequest": {"name": "w"}}"#,
    ),
    ("task_poll_batch_timeout_too_long_400", "timeout", "/api/tasks/poll/batch/apimap_g1_t?timeout=5000"),
    ("workflow_search_too_big_400", "page_size", "/api/workflow/search?size=5000"),
];

/// Requests that can't be written with the types of the client, with the reason, and what is sent in their place.
const UNWRITABLE: &[(&str, &str, &str)] = &[
    ("task_update_malformed_json_500", "the body is no JSON", TASK_RESULT),
    ("task_poll_batch_bad_count_500", "the count is no number", "/api/tasks/poll/batch/apimap_g1_t?count=1"),
    (
        "external_storage_location_bad_400",
        "the operation and the type of the payload are none",
        "/api/tasks/externalstoragelocation?path=&operation=WRITE&payloadType=TASK_OUTPUT",
    ),
];

const TASK_RESULT: &str = r#"{"workflowInstanceId": "y", "taskId": "x", "status": "COMPLETED"}"#;

/// Refusals whose status says too little: the client goes by the words.
const BY_WORDS: &[(&str, ErrorKind)] = &[
    ("wfdef_delete_missing_500", ErrorKind::NotFound),
    ("event_delete_missing_500", ErrorKind::NotFound),
    ("workflow_resume_not_paused_500", ErrorKind::Conflict),
    ("workflow_skip_already_scheduled_500", ErrorKind::Conflict),
];

/// What a method gave back.
enum Given {
    Json(Value),
    Text(String),
    /// The method gives back nothing but that it was heard.
    Heard,
}

fn whole<T: Serialize>(outcome: Result<T>) -> Option<Result<Given>> {
    Some(outcome.map(|answer| Given::Json(serde_json::to_value(answer).unwrap())))
}

fn text(outcome: Result<String>) -> Option<Result<Given>> {
    Some(outcome.map(Given::Text))
}

fn heard(outcome: Result<()>) -> Option<Result<Given>> {
    Some(outcome.map(|()| Given::Heard))
}

fn bulk<T: Serialize>(outcome: Result<BulkOutcome<T>>) -> Option<Result<Given>> {
    whole(outcome.map(|o| json!({"bulkSuccessfulResults": o.successes, "bulkErrorResults": o.errors})))
}

fn page<T: Serialize + DeserializeOwned>(search: Search<T>) -> Option<Result<Given>> {
    whole(search.first_page().map(|page| json!({"totalHits": page.total_hits, "results": page.results})))
}

impl Case {
    /// The parts of the path below the API.
    fn segments(&self) -> Vec<String> {
        let path = self.path.split('?').next().unwrap();
        path.trim_start_matches("/api/").split('/').map(decoded).collect()
    }

    fn params(&self) -> Vec<(String, String)> {
        params(&self.path)
    }

    fn param(&self, name: &str) -> Option<String> {
        self.params().into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    fn number(&self, name: &str) -> Option<u32> {
        self.param(name).map(|value| value.parse().unwrap())
    }

    fn body<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(self.request_body.as_deref().unwrap()).unwrap()
    }

    /// The same exchange with another request: a path, or a body.
    fn with(&self, request: &str) -> Self {
        match request.starts_with("/api/") {
            true => Self { path: request.to_owned(), ..self.clone() },
            false => Self { request_body: Some(request.to_owned()), ..self.clone() },
        }
    }

    fn call(&self, client: &Client) -> Option<Result<Given>> {
        let segments = self.segments();
        let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
        match parts[0] {
            "tasks" => self.call_tasks(client, &parts[1..]),
            "workflow" => self.call_workflows(&client.workflows(), &parts[1..]),
            "metadata" => self.call_metadata(&client.metadata(), &parts[1..]),
            "event" => self.call_events(&client.events(), &parts[1..]),
            "scheduler" => self.call_schedules(&client.schedules(), &parts[1..]),
            _ => self.call_admin(&client.admin(), &parts),
        }
    }

    fn call_tasks(&self, client: &Client, parts: &[&str]) -> Option<Result<Given>> {
        let tasks = client.tasks();
        match (self.method.as_str(), parts) {
            ("GET", ["poll", "batch", task_type]) => whole(tasks.poll_batch(self.poll(task_type))),
            ("GET", ["poll", task_type]) => whole(tasks.poll(self.poll(task_type))),
            ("GET", ["queue", "sizes"]) => {
                let types: Vec<String> = self.params().into_iter().map(|(_, value)| value).collect();
                whole(tasks.queue_sizes(&types))
            }
            ("GET", ["queue", "all"]) => whole(tasks.all_queue_sizes()),
            ("GET", ["externalstoragelocation"]) => whole(tasks.external_storage_location(
                &self.param("path").unwrap(),
                PayloadOperation::Write,
                PayloadType::TaskOutput,
            )),
            ("GET", [id]) => whole(tasks.get(id)),
            ("GET", [id, "log"]) => whole(tasks.logs(id)),
            ("POST", []) => heard(tasks.update(&self.body())),
            ("POST", ["update-v2"]) => whole(tasks.update_and_poll(&self.body())),
            ("POST", [id, "log"]) => heard(tasks.add_log(id, self.request_body.as_deref().unwrap())),
            ("POST", [id, status, "signal"]) => heard(tasks.signal(&self.signal(id, status))),
            ("POST", [id, status, "signal", "sync"]) => whole(tasks.signal_sync(&self.signal(id, status))),
            ("POST", [id, reference, status]) => {
                text(tasks.update_by_reference(&self.report(id, reference, status)).map(Option::unwrap_or_default))
            }
            ("POST", [id, reference, status, "sync"]) => {
                whole(tasks.update_by_reference_sync(&self.report(id, reference, status)))
            }
            _ => None,
        }
    }

    fn poll(&self, task_type: &str) -> PollRequest {
        let millis = self.number("timeout").unwrap_or(0);
        let poll = PollRequest::new(task_type).timeout(Duration::from_millis(millis.into()));
        let poll = poll.count(self.number("count").unwrap_or(1) as usize);
        match self.param("workerid") {
            Some(id) => poll.worker_id(id),
            None => poll,
        }
    }

    fn signal(&self, id: &str, status: &str) -> SignalRequest {
        let signal = SignalRequest::new(id, status.into()).output(self.body::<RawJson>());
        let millis = self.number("timeoutMillis").unwrap_or(5000);
        let signal = signal.wait_for(Duration::from_millis(millis.into()));
        signal.returns(self.returns())
    }

    fn returns(&self) -> ReturnStrategy {
        self.param("returnStrategy").map_or(ReturnStrategy::TargetWorkflow, |name| name.as_str().into())
    }

    fn report(&self, id: &str, reference: &str, status: &str) -> ReferenceUpdate {
        let report = ReferenceUpdate::new(id, reference, status.into()).output(self.body::<RawJson>());
        match self.param("workerid") {
            Some(id) => report.worker_id(id),
            None => report,
        }
    }

    fn call_workflows(&self, workflows: &WorkflowClient, parts: &[&str]) -> Option<Result<Given>> {
        match (self.method.as_str(), parts) {
            ("GET", ["search"]) => page(workflows.search(self.search())),
            ("GET", ["running", name]) => {
                let version = u16::try_from(self.number("version").unwrap()).unwrap();
                whole(workflows.running(RunningQuery::new(*name).version(version)))
            }
            ("GET", [id]) if self.param("includeTasks").is_some() => whole(workflows.without_tasks(id)),
            ("GET", [id]) => whole(workflows.get(id)),
            ("GET", [id, "status"]) => whole(workflows.status(id)),
            ("GET", [name, "correlated", id]) => {
                whole(workflows.correlated(CorrelationQuery::new(*name).in_any_state(), id))
            }
            ("POST", [name, "correlated"]) => {
                let ids: Vec<String> = self.body();
                whole(workflows.correlated_by_each(CorrelationQuery::new(*name).in_any_state(), &ids))
            }
            ("POST", []) => text(workflows.start(&self.body())),
            ("POST", ["test"]) => whole(workflows.test(&self.test())),
            ("POST", ["execute", name, version]) => whole(workflows.execute(&self.execution(name, version))),
            ("POST", ["bulk", ..]) | ("PUT", ["bulk", ..]) => self.call_bulk(&workflows.bulk(), parts[1]),
            ("POST", [id, "restart"]) => heard(workflows.restart(id)),
            ("POST", [id, "retry"]) => heard(workflows.retry(id)),
            ("POST", [id, "rerun"]) => text(workflows.rerun(id, &self.body())),
            ("POST", [name]) => text(workflows.start_by_name(&self.named_start(name))),
            ("PUT", ["decide", id]) => heard(workflows.decide(id)),
            ("PUT", [id, "pause"]) => heard(workflows.pause(id)),
            ("PUT", [id, "resume"]) => heard(workflows.resume(id)),
            ("PUT", [id, "skiptask", reference]) => heard(workflows.skip_task(id, reference, &SkipTaskRequest::new())),
            ("DELETE", [id]) => heard(workflows.terminate(id, self.param("reason").as_deref())),
            ("DELETE", [id, "remove"]) => heard(workflows.remove(id, Removal::Delete)),
            _ => None,
        }
    }

    fn call_bulk(&self, workflows: &WorkflowBulkClient, operation: &str) -> Option<Result<Given>> {
        let ids: Vec<String> = self.body();
        match operation {
            "pause" => bulk(workflows.pause(&ids)),
            "resume" => bulk(workflows.resume(&ids)),
            "terminate" => bulk(workflows.terminate(&ids, self.param("reason").as_deref())),
            "search" => bulk(workflows.without_tasks(&ids)),
            _ => None,
        }
    }

    fn search(&self) -> SearchRequest {
        let mut search = SearchRequest::new().skip(self.number("start").unwrap_or(0));
        if let Some(query) = self.param("query") {
            search = search.query(query);
        }
        if let Some(text) = self.param("freeText") {
            search = search.free_text(text);
        }
        if self.param("sort").as_deref() == Some("startTime:DESC") {
            search = search.newest_first();
        }
        search.page_size(self.number("size").unwrap())
    }

    fn named_start(&self, name: &str) -> StartWorkflowRequest {
        let start = StartWorkflowRequest::new(name).input(self.body::<RawJson>());
        let start = start.version(u16::try_from(self.number("version").unwrap()).unwrap());
        let start = start.priority(u8::try_from(self.number("priority").unwrap()).unwrap());
        start.correlation_id(self.param("correlationId").unwrap())
    }

    fn execution(&self, name: &str, version: &str) -> ExecuteWorkflowRequest {
        let mut start: StartWorkflowRequest = self.body();
        start.name = name.to_owned();
        let start = start.version(version.parse().unwrap());
        let mut run = ExecuteWorkflowRequest::new(start).request_id(self.param("requestId").unwrap());
        if let Some(reference) = self.param("waitUntilTaskRef") {
            run = run.until_task(reference);
        }
        run.wait_for(Duration::from_secs(self.number("waitForSeconds").unwrap().into())).returns(self.returns())
    }

    fn test(&self) -> WorkflowTestRequest {
        let mut body: Value = self.body();
        let mocks = body.as_object_mut().unwrap().remove("taskRefToMockOutput").unwrap();
        let mut request = WorkflowTestRequest::new(serde_json::from_value(body).unwrap());
        for (reference, mocks) in mocks.as_object().unwrap() {
            for mock in mocks.as_array().unwrap() {
                request = request.mock(reference, serde_json::from_value(mock.clone()).unwrap());
            }
        }
        request
    }

    fn call_metadata(&self, metadata: &MetadataClient, parts: &[&str]) -> Option<Result<Given>> {
        match (self.method.as_str(), parts) {
            ("POST", ["taskdefs"]) => heard(metadata.register_tasks(&self.body::<Vec<TaskDef>>())),
            ("PUT", ["taskdefs"]) => heard(metadata.update_task(&self.body())),
            ("GET", ["taskdefs", name]) => whole(metadata.task(name)),
            ("DELETE", ["taskdefs", name]) => heard(metadata.delete_task(name)),
            ("POST", ["workflow"]) if self.param("overwrite").is_some() => {
                heard(metadata.overwrite_workflow(&self.body()))
            }
            ("POST", ["workflow"]) => heard(metadata.register_workflow(&self.body())),
            ("PUT", ["workflow"]) => bulk(metadata.update_workflows(&self.body::<Vec<WorkflowDef>>())),
            ("POST", ["workflow", "validate"]) => heard(metadata.validate_workflow(&self.body())),
            ("GET", ["workflow", name]) => match self.number("version") {
                Some(version) => whole(metadata.workflow_version(name, u16::try_from(version).unwrap())),
                None => whole(metadata.workflow(name)),
            },
            ("DELETE", ["workflow", name, version]) => heard(metadata.delete_workflow(name, version.parse().unwrap())),
            _ => None,
        }
    }

    fn call_events(&self, events: &EventClient, parts: &[&str]) -> Option<Result<Given>> {
        match (self.method.as_str(), parts) {
            ("POST", []) => heard(events.register(&self.body())),
            ("PUT", []) => heard(events.update(&self.body())),
            ("DELETE", [name]) => heard(events.delete(name)),
            ("GET", []) => whole(events.list()),
            ("GET", [event]) => whole(events.active_of(event)),
            _ => None,
        }
    }

    fn call_schedules(&self, schedules: &ScheduleClient, parts: &[&str]) -> Option<Result<Given>> {
        match (self.method.as_str(), parts) {
            ("POST", ["schedules"]) => whole(schedules.save(&self.body())),
            ("GET", ["schedules", "search"]) => {
                let search = ScheduleSearch::new().workflow(self.param("workflowName").unwrap());
                page(schedules.search(&search.page_size(self.number("size").unwrap())))
            }
            ("GET", ["schedules", name]) => whole(schedules.get(name)),
            ("DELETE", ["schedules", name]) => heard(schedules.delete(name)),
            ("PUT", ["schedules", name, "pause"]) => heard(schedules.pause(name, self.param("reason").as_deref())),
            ("PUT", ["schedules", name, "resume"]) => heard(schedules.resume(name)),
            ("GET", ["nextFewSchedules"]) => {
                let limit = u8::try_from(self.number("limit").unwrap_or(5)).unwrap();
                let runs = schedules.next_runs(&self.param("cronExpression").unwrap(), limit);
                whole(runs.map(|runs| runs.into_iter().map(millis).collect::<Vec<_>>()))
            }
            _ => None,
        }
    }

    fn call_admin(&self, admin: &AdminClient, parts: &[&str]) -> Option<Result<Given>> {
        match (self.method.as_str(), parts) {
            ("GET", ["health"]) => whole(admin.health()),
            ("GET", ["version"]) => text(admin.version()),
            ("GET", ["admin", "task", task_type]) => {
                let place = |name| u16::try_from(self.number(name).unwrap()).unwrap();
                whole(admin.pending_tasks(task_type, place("start"), place("count")))
            }
            ("POST", ["queue", "update", id, reference, status]) => {
                let update = QueueUpdate::by_reference(*id, *reference, (*status).into());
                heard(admin.update_through_queue(&update.output(self.body::<RawJson>())))
            }
            _ => None,
        }
    }

    /// A server that answers this exchange. Before it saves a schedule the client asks when it would run.
    fn server(&self) -> Server {
        let case = self.clone();
        Server::start(move |request| {
            let is_asked_before = request.target.contains("/nextFewSchedules") && !case.path.contains("/nextFew");
            let kind = case.response_content_type.as_deref().unwrap_or("text/plain");
            Some(match is_asked_before {
                true => Answer::json(200, &json!([1])),
                false => Answer::status(case.status, kind, &case.response_body),
            })
        })
    }

    /// What the client made of it that it should not have.
    fn check_answer(&self, outcome: Result<Given>) -> Result<(), String> {
        match outcome {
            Ok(given) if self.status < 300 => self.check_given(given),
            Ok(_) => Err("a refusal was taken for an answer".to_owned()),
            Err(error) if self.status < 300 => Err(format!("an answer was taken for a refusal: {error:?}")),
            Err(error) => self.check_error(&error),
        }
    }

    fn check_given(&self, given: Given) -> Result<(), String> {
        let body = self.response_body.as_str();
        let is_right = match &given {
            Given::Json(value) if body.is_empty() => value.is_null() || *value == json!([]),
            Given::Json(value) => serde_json::from_str::<Value>(body).is_ok_and(|there| there == *value),
            Given::Text(text) => text == body,
            // The server repeats the id of the task.
            Given::Heard => body.is_empty() || self.request_body.as_ref().is_some_and(|sent| sent.contains(body)),
        };
        match (is_right, given) {
            (true, _) => Ok(()),
            (false, Given::Json(value)) => Err(format!("{value} is not what was answered: {body}")),
            (false, Given::Text(text)) => Err(format!("`{text}` is not what was answered: {body}")),
            (false, Given::Heard) => Err(format!("something was lost: {body}")),
        }
    }

    fn check_error(&self, error: &Error) -> Result<(), String> {
        let by_words = BY_WORDS.iter().find(|(name, _)| *name == self.name).map(|(_, kind)| *kind);
        let kind = by_words.unwrap_or(match self.status {
            400 => ErrorKind::Rejected,
            404 => ErrorKind::NotFound,
            409 => ErrorKind::Conflict,
            500 => ErrorKind::Server,
            other => panic!("{}: a status without a rule: {other}", self.name),
        });
        let body: Value = serde_json::from_str(&self.response_body).unwrap();
        let mut words = vec![body["message"].as_str().unwrap()];
        let problems = body["validationErrors"].as_array().into_iter().flatten();
        words.extend(problems.map(|problem| problem["message"].as_str().unwrap()));
        let said = error.server_message().unwrap_or_default();
        if error.kind() != kind || error.status() != Some(self.status) || error.is_retryable() {
            return Err(format!("{error:?} is not {kind:?}"));
        }
        match words.iter().find(|word| !said.contains(**word)) {
            Some(lost) => Err(format!("`{lost}` is not in `{said}`")),
            None => Ok(()),
        }
    }

    /// Whether the client sent what was recorded: the method, the path, each parameter, each field of the body.
    fn check_request(&self, sent: &common::Request) -> Result<(), String> {
        /// Has no effect (3.32.1), and the client has no name for it.
        const LEFT_OUT: &[&str] = &["consistency"];
        let path = |target: &str| decoded(target.split('?').next().unwrap());
        if sent.method != self.method || path(&sent.target) != path(&self.path) {
            return Err(format!("{} {} was sent", sent.method, sent.target));
        }
        let there = params(&sent.target);
        let lost = |(name, value): &(String, String)| {
            !LEFT_OUT.contains(&name.as_str()) && !there.iter().any(|(n, v)| n == name && v == value)
        };
        if let Some(lost) = self.params().iter().find(|param| lost(param)) {
            return Err(format!("{lost:?} was not sent, but {there:?}"));
        }
        let Some(recorded) = self.request_body.as_deref() else { return Ok(()) };
        let is_same = match serde_json::from_str::<Value>(recorded) {
            Ok(Value::Object(fields)) => {
                let sent = sent.json();
                fields.iter().all(|(name, value)| sent.get(name) == Some(value))
            }
            Ok(other) => sent.json() == other,
            Err(_) => sent.body == recorded.as_bytes(),
        };
        if is_same { Ok(()) } else { Err(format!("{} was sent", String::from_utf8_lossy(&sent.body))) }
    }

    /// Makes the call and checks all of it.
    fn check(&self) -> Result<(), String> {
        let server = self.server();
        let outcome = self.call(&server.client()).ok_or("no method makes this call")?;
        self.check_answer(outcome)?;
        self.check_request(server.requests().last().ok_or("nothing was sent")?)
    }
}

fn millis(time: SystemTime) -> u128 {
    time.duration_since(UNIX_EPOCH).unwrap().as_millis()
}

fn params(target: &str) -> Vec<(String, String)> {
    let pairs = target.split_once('?').map_or("", |(_, query)| query).split('&');
    pairs.filter_map(|pair| pair.split_once('=')).map(|(name, value)| (decoded(name), decoded(value))).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let hex = (*first == b'%').then(|| std::str::from_utf8(&behind[..2]).unwrap());
        bytes.push(hex.map_or(*first, |hex| u8::from_str_radix(hex, 16).unwrap()));
        rest = &behind[if hex.is_some() { 2 } else { 0 }..];
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn every_recorded_exchange_goes_through_the_method_that_makes_it() {
    let mut wrong = Vec::new();
    for case in cases() {
        if NO_OPERATION.iter().any(|(name, _)| *name == case.name) {
            continue;
        }
        let stand_in = REFUSED.iter().chain(UNWRITABLE).find(|(name, ..)| *name == case.name);
        let case = stand_in.map_or(case.clone(), |(_, _, request)| case.with(request));
        if let Err(what) = case.check() {
            wrong.push(format!("{} ({} {}): {what}", case.name, case.method, case.path));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn what_is_refused_before_it_is_sent_names_the_parameter() {
    let cases = cases();
    for (name, parameter, _) in REFUSED {
        let case = cases.iter().find(|case| case.name == *name).unwrap();
        let server = case.server();
        let Some(Err(error)) = case.call(&server.client()) else { panic!("{name} is not refused") };
        assert_eq!(error.kind(), ErrorKind::Invalid, "{name}: {error}");
        assert!(error.to_string().contains(parameter), "{name}: {error}");
        assert_eq!(server.requests().len(), 0, "{name}");
    }
}

#[test]
fn the_lists_of_exceptions_name_each_exchange_once_and_only_where_they_must() {
    let cases = cases();
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!((names.len(), cases.len()), (119, 119));
    let listed = NO_OPERATION.iter().map(|row| row.0).chain(REFUSED.iter().chain(UNWRITABLE).map(|row| row.0));
    let listed: Vec<&str> = listed.chain(BY_WORDS.iter().map(|row| row.0)).collect();
    assert_eq!(listed.iter().collect::<BTreeSet<_>>().len(), listed.len(), "one is listed twice");
    assert!(listed.iter().all(|name| names.contains(name)), "one is no exchange");
    let server = Server::well_behaved();
    for (name, _) in NO_OPERATION {
        let case = cases.iter().find(|case| case.name == *name).unwrap();
        assert!(case.call(&server.client()).is_none(), "{name} has a method");
    }
}

#[test]
fn a_lost_field_a_wrong_kind_and_a_lost_word_are_seen() {
    let find = |name: &str| cases().into_iter().find(|case| case.name == name).unwrap();
    let mut task = find("task_get");
    let given = task.call(&task.server().client()).unwrap().unwrap();
    task.response_body = task.response_body.replacen('{', r#"{"notHeard": 1, "#, 1);
    assert!(task.check_given(given).is_err());
    let missing = find("workflow_get_404");
    let error = missing.call(&missing.server().client()).unwrap().err().unwrap();
    assert!(Case { status: 409, ..missing.clone() }.check_error(&error).is_err());
    let body = missing.response_body.replace("No such", "No longer such");
    assert!(Case { response_body: body, ..missing }.check_error(&error).is_err());
    let mut pause = find("workflow_pause");
    pause.method = "POST".to_owned();
    assert!(pause.check().is_err());
}
