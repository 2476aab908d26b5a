//! What the calls about tasks and workflows send, what they refuse to send, and what they make of odd answers.

#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

mod common;

use std::time::{Duration, SystemTime};

use common::{Answer, Server};
use conductor_sync::{
    Error, ErrorKind, ExecuteWorkflowRequest, PayloadOperation, PayloadType, Removal, RerunWorkflowRequest,
    ReturnStrategy, SearchField, SearchQuery, SearchRequest, SignalRequest, SignalResponse, SkipTaskRequest,
    StartOutcome, StartWorkflowRequest, TaskMock, TaskResult, TaskResultStatus, WorkflowStatus, WorkflowTasksQuery,
    WorkflowTestRequest,
};
use serde_json::{Value, json};

#[track_caller]
fn refused<T: std::fmt::Debug>(outcome: Result<T, Error>, says: &[&str]) {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    for part in says {
        assert!(error.to_string().contains(part), "`{part}` is not in: {error}");
    }
}

/// A server that answers everything with this JSON.
fn answering(body: Value) -> Server {
    Server::start(move |_| Some(Answer::json(200, &body)))
}

/// The path and the body of the only request.
#[track_caller]
fn only(server: &Server) -> (String, Value) {
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    (requests[0].target.strip_prefix("/api").unwrap().to_owned(), requests[0].json())
}

#[test]
fn bad_input_about_tasks_names_the_parameter_and_sends_nothing() {
    let server = Server::well_behaved();
    let client = server.client();
    let tasks = client.tasks();
    let signal = |id: &str| SignalRequest::new(id, TaskResultStatus::Completed);
    refused(
        tasks.update_and_poll(&TaskResult::new("w", "", TaskResultStatus::Completed)),
        &["taskId must not be empty"],
    );
    refused(tasks.signal(&signal("")), &["signal workflow", "workflowId must not be empty"]);
    refused(tasks.signal(&signal("a/b")), &["workflowId", "`a/b`"]);
    refused(tasks.signal(&signal("w").output(3)), &["signal workflow w", "output must be a JSON object"]);
    refused(tasks.signal_sync(&signal("w").wait_for(Duration::from_secs(15))), &["wait_for", "request_timeout", "15s"]);
    refused(tasks.signal_sync(&SignalRequest::new("w", "".into())), &["status must not be empty"]);
    refused(tasks.queue_sizes::<&str>(&[]), &["task_types must not be empty"]);
    refused(tasks.requeue(""), &["requeue", "taskType must not be empty"]);
    let ask = tasks.external_storage_location("", PayloadOperation::Read, PayloadType::TaskInput);
    refused(ask, &["path must not be empty"]);
    let wrong_index = SearchQuery::new().is(SearchField::CorrelationId, "c");
    refused(tasks.search(wrong_index).first_page(), &["search tasks", "index of tasks has no correlationId"]);
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn bad_input_about_workflows_names_the_parameter_and_sends_nothing() {
    let server = Server::well_behaved();
    let client = server.client();
    let workflows = client.workflows();
    let start = || StartWorkflowRequest::new("w");
    let execute = || ExecuteWorkflowRequest::new(start());
    refused(
        workflows.execute(&ExecuteWorkflowRequest::new(StartWorkflowRequest::new(" "))),
        &["name must not be empty"],
    );
    refused(
        workflows.execute(&ExecuteWorkflowRequest::new(start().input(1))),
        &["execute workflow w", "input must be"],
    );
    refused(workflows.execute(&execute().wait_for(Duration::ZERO)), &["wait_for must not be zero"]);
    refused(workflows.execute(&execute().wait_for(Duration::from_secs(20))), &["wait_for", "request_timeout"]);
    refused(workflows.execute(&execute().until_task("a,b")), &["until_task"]);
    refused(workflows.start_by_name(&StartWorkflowRequest::new("a/b")), &["name", "`a/b`"]);
    refused(workflows.tasks("").first_page(), &["get tasks of workflow", "workflowId must not be empty"]);
    refused(workflows.tasks(WorkflowTasksQuery::new("w").page_size(0)).first_page(), &["page_size is 0"]);
    refused(workflows.tasks(WorkflowTasksQuery::new("w").skip(u32::MAX)).first_page(), &["skip is 4294967295"]);
    refused(workflows.correlated("w", ""), &["correlationId must not be empty"]);
    refused(workflows.correlated_by_each("w", &["a", ""]), &["correlation_ids"]);
    refused(workflows.running(""), &["name must not be empty"]);
    refused(workflows.restart(".."), &["workflowId"]);
    refused(workflows.retry(""), &["retry workflow", "workflowId"]);
    refused(workflows.rerun("w", &RerunWorkflowRequest::new().from_task("")), &["re_run_from_task_id"]);
    refused(workflows.rerun("w", &RerunWorkflowRequest::new().workflow_input(3)), &["workflow_input must be"]);
    refused(workflows.reset_callbacks(""), &["workflowId"]);
    refused(workflows.skip_task("w", "", &SkipTaskRequest::new()), &["skip task", "reference must not be empty"]);
    refused(workflows.skip_task("w", "r", &SkipTaskRequest::new().output("", "")), &["taskOutput", "name"]);
    refused(workflows.remove("", Removal::Delete), &["workflowId"]);
    refused(workflows.terminate_and_remove("a b\n", None, Removal::Delete), &["workflowId", "control characters"]);
    let mock = WorkflowTestRequest::new(start()).mock("a", TaskMock::completed(3));
    refused(workflows.test(&mock), &["test workflow w", "mock of a"]);
    refused(workflows.start_once(&start(), Duration::ZERO), &["start workflow w", "correlation_id must be set"]);
    let many = vec!["id"; 1001];
    refused(workflows.bulk().pause(&many), &["pause workflows", "1001 ids", "1 to 1,000"]);
    refused(workflows.bulk().remove::<&str>(&[], Removal::Delete), &["0 ids"]);
    refused(workflows.bulk().get(&["a", ""]), &["empty id"]);
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_query_that_the_language_can_not_say_is_refused() {
    let server = Server::well_behaved();
    let workflows = server.client().workflows();
    let query = SearchQuery::new;
    let now = SystemTime::now();
    for (query, says) in [
        (query().is(SearchField::TaskType, "t"), "index of workflows has no taskType"),
        (query().is(SearchField::Status, " "), "value of status must not be empty"),
        (query().is(SearchField::WorkflowType, "a AND b"), "workflowType must not contain"),
        (query().is(SearchField::WorkflowType, "it's"), "must not contain quotes"),
        (query().is(SearchField::StartTime, "5"), "startTime is a time"),
        (query().after(SearchField::Status, now), "status is no time"),
        (query().any_of(SearchField::Status, ["A,B"]), "comma"),
        (query().is(SearchField::CorrelationId, "a,b"), "correlationId must not contain quotes, brackets, commas"),
        (query().any_of::<&str>(SearchField::Status, []), "empty list"),
    ] {
        refused(workflows.search(query).first_page(), &["search workflows", says]);
    }
    refused(workflows.search(SearchRequest::new().page_size(5001)).first_page(), &["5001", "1 to 5,000"]);
    let outcomes: Vec<_> = workflows.search(query().is(SearchField::TaskId, "t")).into_iter().collect();
    assert!(outcomes.len() == 1 && outcomes[0].is_err(), "the error is the last item");
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_search_sends_its_query_order_and_page() {
    let server = answering(json!({"totalHits": 0, "results": []}));
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_518_617_491);
    let query = SearchQuery::new()
        .is(SearchField::CorrelationId, "a b")
        .any_of(SearchField::Status, ["FAILED", "TIMED_OUT"])
        .after(SearchField::StartTime, time)
        .before(SearchField::EndTime, time);
    let request = SearchRequest::new().query(query).free_text("x&y").newest_first().ascending(SearchField::Status);
    server.client().workflows().search(request.top_level_only().classifier("agent").skip(7)).first_page().unwrap();
    assert_eq!(
        only(&server).0,
        "/workflow/search?start=7&size=100&query=correlationId%3D%22a%20b%22%20AND%20status%20IN%20%28FAILED%2CTIMED_OUT%29\
         %20AND%20startTime%3E1795518617491%20AND%20endTime%3C1795518617491&freeText=x%26y&sort=startTime%3ADESC%7Cstatus\
         %3AASC&classifier=agent&topLevelOnly=true"
    );
}

/// A search whose pages come from `page`, by their start and size.
fn paged(page: impl Fn(u64) -> Value + Send + Sync + 'static) -> Server {
    Server::start(move |request| Some(Answer::json(200, &page(request.query("start").unwrap().parse().unwrap()))))
}

fn ids(from: u64, to: u64) -> Vec<Value> {
    (from..to).map(|n| json!({"workflowId": n.to_string()})).collect()
}

#[track_caller]
fn found(server: &Server, page_size: u32) -> usize {
    let search = server.client().workflows().search(SearchRequest::new().page_size(page_size));
    search.into_iter().collect::<Result<Vec<_>, _>>().unwrap().len()
}

#[test]
fn a_search_fetches_page_after_page_and_ends() {
    let server = paged(|start| json!({"totalHits": 5, "results": ids(start, (start + 2).min(5))}));
    assert_eq!((found(&server, 2), server.requests().len()), (5, 3));
    let full = paged(|start| json!({"totalHits": 4, "results": ids(start, (start + 2).min(4))}));
    assert_eq!((found(&full, 2), full.requests().len()), (4, 2));
    let lazy = paged(|start| json!({"totalHits": 9, "results": ids(start, start + 3)}));
    let mut hits = lazy.client().workflows().search(SearchRequest::new().page_size(3)).into_iter();
    assert_eq!(lazy.requests().len(), 0);
    assert!(hits.by_ref().take(3).all(|hit| hit.is_ok()));
    assert_eq!(lazy.requests().len(), 1, "the next page is fetched when it is needed");
}

#[test]
fn hits_that_are_gone_do_not_end_a_search() {
    // Of 6 in the index, the first three have been removed: pages and totals lack them.
    let server = paged(|start| match start {
        0 => json!({"totalHits": 4, "results": []}),
        2 => json!({"totalHits": 5, "results": ids(3, 4)}),
        _ => json!({"totalHits": 6, "results": ids(4, 6)}),
    });
    assert_eq!((found(&server, 2), server.requests().len()), (3, 3));
}

#[test]
fn a_search_ends_whatever_the_server_says() {
    let growing = paged(|start| json!({"totalHits": start + 1000, "results": ids(start, start + 100)}));
    assert_eq!((found(&growing, 100), growing.requests().len()), (1000, 10));
    let empty = paged(|_| json!({"totalHits": i64::MAX, "results": []}));
    assert_eq!((found(&empty, 5000), empty.requests().len()), (0, 100));
    let negative = paged(|_| json!({"totalHits": -1, "results": []}));
    assert_eq!((found(&negative, 1), negative.requests().len()), (0, 1));
    let failing = Server::start(|request| match request.query("start") {
        Some("0") => Some(Answer::json(200, &json!({"totalHits": 9, "results": ids(0, 1)}))),
        _ => Some(Answer::refused(400, "no more")),
    });
    let search = failing.client().workflows().search(SearchRequest::new().page_size(1));
    let outcomes: Vec<_> = search.into_iter().map(|hit| hit.is_ok()).collect();
    assert_eq!(outcomes, [true, false], "an error is the last item");
}

#[test]
fn a_signal_response_is_a_workflow_or_a_task() {
    for (kind, is_task) in [
        ("TARGET_WORKFLOW", false),
        ("BLOCKING_WORKFLOW", false),
        ("BLOCKING_TASK", true),
        ("BLOCKING_TASK_INPUT", true),
        ("SOMETHING_NEW", true),
    ] {
        let body = json!({"responseType": kind, "targetWorkflowId": "w", "targetWorkflowStatus": "RUNNING",
            "taskId": "t", "status": "IN_PROGRESS", "signalTimeout": true, "later": [1]});
        let server = answering(body.clone());
        let signal = SignalRequest::new("w", TaskResultStatus::Completed).returns(ReturnStrategy::BlockingTask);
        let answer = server.client().tasks().signal_sync(&signal).unwrap();
        assert_eq!(answer.task().is_some(), is_task, "{kind}");
        assert_eq!((answer.target_workflow_id(), answer.is_timeout()), ("w", true));
        let back = match answer {
            SignalResponse::Task(run) => serde_json::to_value(run).unwrap(),
            SignalResponse::Workflow(run) => serde_json::to_value(run).unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(back, body, "nothing is lost");
        let (path, sent) = only(&server);
        assert_eq!(path, "/tasks/w/COMPLETED/signal/sync?returnStrategy=BLOCKING_TASK&timeoutMillis=5000");
        assert_eq!(sent, json!({}));
    }
}

#[test]
fn an_execution_sends_whole_seconds_and_the_latest_version_as_zero() {
    let server = answering(json!({"responseType": "TARGET_WORKFLOW", "targetWorkflowId": "w"}));
    let request = ExecuteWorkflowRequest::new(StartWorkflowRequest::new("a b")).until_task("x").until_task("y");
    server.client().workflows().execute(&request.wait_for(Duration::from_millis(1100))).unwrap();
    let (path, body) = only(&server);
    assert_eq!(
        path,
        "/workflow/execute/a%20b/0?waitUntilTaskRef=x%2Cy&waitForSeconds=2&returnStrategy=TARGET_WORKFLOW"
    );
    assert_eq!(body, json!({"name": "a b"}));
}

#[test]
fn a_test_request_is_a_start_with_results() {
    let server = answering(json!({"workflowId": "w", "status": "COMPLETED"}));
    let start = StartWorkflowRequest::new("w").input(json!({"n": 1}));
    let inner = WorkflowTestRequest::new(StartWorkflowRequest::new("inner")).mock("b", TaskMock::failed());
    let request =
        WorkflowTestRequest::new(start).mock("a", TaskMock::completed(json!({"x": 1}))).sub_workflow("s", inner);
    assert_eq!(server.client().workflows().test(&request).unwrap().status, WorkflowStatus::Completed);
    let failed = json!({"status": "FAILED", "output": {}});
    assert_eq!(
        only(&server).1,
        json!({"name": "w", "input": {"n": 1},
            "taskRefToMockOutput": {"a": [{"status": "COMPLETED", "output": {"x": 1}}]},
            "subWorkflowTestRequest": {"s": {"name": "inner", "taskRefToMockOutput": {"b": [failed]},
                "subWorkflowTestRequest": {}}}})
    );
}

#[test]
fn fields_of_a_skip_go_into_the_address() {
    let server = Server::start(|_| Some(Answer::status(200, "text/plain", "")));
    let skip = SkipTaskRequest::new().input("a b", "1&2").output("é", "");
    server.client().workflows().skip_task("w", "r", &skip).unwrap();
    assert_eq!(only(&server).0, "/workflow/w/skiptask/r?taskInput%5Ba%20b%5D=1%262&taskOutput%5B%C3%A9%5D=");
}

#[test]
fn an_address_that_is_too_long_names_its_parameter_and_is_not_sent() {
    let server = Server::well_behaved();
    let workflows = server.client().workflows();
    let long = "x".repeat(8_000);
    refused(workflows.terminate("w", Some(&long)), &["terminate workflow w: reason is too long"]);
    let skip = SkipTaskRequest::new().input("a", &*long).output("b", "1");
    refused(workflows.skip_task("w", "r", &skip), &["skip task r: taskInput[a] is too long"]);
    let accented = "é".repeat(1_000);
    refused(workflows.correlated(&*accented, &accented), &["correlationId is too long"]);
    refused(workflows.search(&*long).first_page(), &["query is too long", "takes 7600"]);
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_bulk_removal_has_a_body_and_names_each_id_once() {
    let server = answering(json!({"bulkErrorResults": {"c": "no"}, "bulkSuccessfulResults": ["a", "b", "a", "b"]}));
    let bulk = server.client().workflows().bulk();
    let outcome = bulk.terminate_and_remove(&["a", "b", "c"], Some("x y"), Removal::Delete).unwrap();
    assert_eq!((outcome.successes, outcome.errors.len()), (vec!["a".to_owned(), "b".to_owned()], 1));
    let (path, body) = only(&server);
    assert_eq!(path, "/workflow/bulk/terminate-remove?archiveWorkflow=false&reason=x%20y");
    assert_eq!(body, json!(["a", "b", "c"]));
}

#[test]
fn plain_words_about_a_message_are_about_the_workflow_and_a_missing_route_is_not() {
    let send = |status: u16, kind: &'static str, body: &'static str| {
        let server = Server::start(move |_| Some(Answer::status(status, kind, body)));
        server.client().workflows().send_message("w", &[("n".to_owned(), 1.into())].into())
    };
    let missing = send(404, "text/plain", "No such workflow").unwrap_err();
    assert!(missing.is_not_found() && missing.server_message() == Some("No such workflow"), "{missing}");
    assert_eq!(send(409, "text/plain", "not running").unwrap_err().kind(), ErrorKind::Conflict);
    assert!(send(429, "text/plain", "full").unwrap_err().is_retryable());
    assert!(send(404, "text/html", "<html></html>").unwrap_err().is_wrong_address());
    assert!(send(404, "text/plain", "").unwrap_err().is_wrong_address());
    let off = json!({"status": 404, "message": "No static resource api/workflow/w/messages."}).to_string();
    let off = Server::start(move |_| Some(Answer::status(404, "application/json", &off)));
    let outcome = off.client().workflows().send_message("w", &[("n".to_owned(), 1.into())].into());
    assert!(outcome.unwrap_err().is_wrong_address());
    assert_eq!(send(200, "text/plain", "m-1").unwrap(), "m-1");
}

#[test]
fn refusals_of_a_state_are_conflicts_whatever_their_status() {
    let say = |status, message: &'static str| Server::start(move |_| Some(Answer::refused(status, message)));
    let retry = say(404, "Workflow is still running.  status=RUNNING");
    assert_eq!(retry.client().workflows().retry("w").unwrap_err().kind(), ErrorKind::Conflict);
    let resume = say(500, "The workflow w is not PAUSED so cannot resume. Current status is RUNNING");
    assert_eq!(resume.client().workflows().resume("w").unwrap_err().kind(), ErrorKind::Conflict);
    let unknown = say(404, "No such workflow found by id: w");
    let no_task = say(400, "Task t not found");
    assert!(
        no_task
            .client()
            .workflows()
            .rerun("w", &RerunWorkflowRequest::new().from_task("t"))
            .unwrap_err()
            .is_not_found()
    );
    assert!(
        no_task.client().agents().rerun("w", &RerunWorkflowRequest::new().from_task("t")).unwrap_err().is_not_found()
    );
    assert!(unknown.client().workflows().retry("w").unwrap_err().is_not_found());
}

#[test]
fn a_run_that_is_late_knows_the_workflow_it_started() {
    let server = Server::start(|request| match request.target.as_str() {
        "/api/workflow" => Some(Answer::status(200, "text/plain", "w-1")),
        _ => Some(Answer::refused(503, "later")),
    });
    let late =
        server.client().workflows().run(&StartWorkflowRequest::new("w"), Duration::from_millis(100)).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Deadline);
    assert!(late.to_string().contains("could not be seen"), "{late}");
    assert_eq!(late.workflow_state().unwrap().workflow_id, "w-1");
}

/// A server where starts go as `start` says, by their number, and are found afterwards if it says so.
fn starts(start: impl Fn(usize) -> (Answer, bool) + Send + Sync + 'static) -> Server {
    let state = std::sync::Mutex::new((0, false));
    Server::start(move |request| {
        let mut state = state.lock().unwrap();
        if request.target.contains("/correlated") {
            let found = [json!({"workflowId": "late", "createTime": 9}), json!({"workflowId": "w-1", "createTime": 5})];
            return Some(Answer::json(200, &if state.1 { json!({"c/1": found}) } else { json!({}) }));
        }
        let (answer, is_there) = start(state.0);
        *state = (state.0 + 1, is_there);
        Some(answer)
    })
}

#[test]
fn a_start_whose_answer_is_lost_is_looked_up_before_another() {
    let request = StartWorkflowRequest::new("w").correlation_id("c/1");
    let long = Duration::from_secs(30);
    let id = || Answer::status(200, "text/plain", "w-1");
    let plain = starts(move |_| (id(), true));
    let workflows = plain.client().workflows();
    assert_eq!(workflows.start_once(&request, long).unwrap(), StartOutcome::Started("w-1".to_owned()));
    assert_eq!(workflows.start_once(&request, long).unwrap(), StartOutcome::Found("w-1".to_owned()), "the oldest");
    let lost = starts(|_| (Answer::Close, true));
    let found = lost.client().workflows().start_once(&request, long).unwrap();
    assert_eq!((found, lost.requests().len()), (StartOutcome::Found("w-1".to_owned()), 3));
    let not_heard = starts(move |nth| if nth == 0 { (Answer::refused(503, "later"), false) } else { (id(), true) });
    let started = not_heard.client().workflows().start_once(&request, long).unwrap();
    assert_eq!((started, not_heard.requests().len()), (StartOutcome::Started("w-1".to_owned()), 4));
}

#[test]
fn a_start_that_is_refused_is_not_repeated() {
    let request = StartWorkflowRequest::new("w").correlation_id("c/1");
    for (status, n_requests) in [(400, 2), (500, 3)] {
        let server = starts(move |_| (Answer::refused(status, "no"), false));
        let error = server.client().workflows().start_once(&request, Duration::from_secs(30)).unwrap_err();
        assert_eq!((error.status(), server.requests().len()), (Some(status), n_requests));
    }
    let down = starts(|_| (Answer::refused(503, "later"), false));
    let error = down.client().workflows().start_once(&request, Duration::from_millis(100)).unwrap_err();
    assert_eq!((error.status(), down.requests().len()), (Some(503), 2), "the time is over before another try");
}
