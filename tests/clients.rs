//! What the clients say when something is wrong: on which call, about what, and what to do.

#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

mod common;

use std::{
    net::TcpListener,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use common::{Answer, PATIENCE, Request, Server};
use conductor_sync::{
    Client, Config, Error, ErrorKind, PollRequest, RawJson, ReferenceUpdate, StartWorkflowRequest, TaskDef, TaskResult,
    TaskResultStatus, WorkflowDef,
};
use serde_json::{Value, json};

#[track_caller]
fn check<T: std::fmt::Debug>(outcome: Result<T, Error>, kind: ErrorKind, says: &[&str]) {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    for part in says {
        assert!(error.to_string().contains(part), "`{part}` is not in: {error}");
    }
}

/// A server that answers everything alike.
fn answering(answer: impl Fn() -> Answer + Send + Sync + 'static) -> Server {
    Server::start(move |_| Some(answer()))
}

#[test]
fn bad_input_names_the_call_and_the_parameter_and_sends_nothing() {
    let server = Server::well_behaved();
    let client = server.client();
    let (tasks, workflows, metadata) = (client.tasks(), client.workflows(), client.metadata());
    let bad = ErrorKind::Invalid;
    check(tasks.get(""), bad, &["get task", "taskId must not be empty"]);
    check(tasks.get("a/b"), bad, &["taskId", "`a/b`"]);
    check(tasks.poll(".."), bad, &["poll", "taskType"]);
    check(tasks.poll_batch(PollRequest::new("x").timeout(Duration::from_secs(6))), bad, &["poll x", "6s", "5 s"]);
    let hurried = Client::new(Config::new(&server.url()).unwrap().request_timeout(Duration::from_secs(1))).unwrap();
    let poll = PollRequest::new("x").timeout(Duration::from_secs(1));
    check(hurried.tasks().poll_batch(poll), bad, &["timeout is 1s", "below Config::request_timeout"]);
    check(tasks.logs(""), bad, &["taskId must not be empty"]);
    check(tasks.add_log("t", ""), bad, &["line must not be empty"]);
    check(tasks.update(&TaskResult::new("w", "", TaskResultStatus::Completed)), bad, &["taskId must not be empty"]);
    check(tasks.update(&TaskResult::new("", "t", TaskResultStatus::Completed)), bad, &["workflowInstanceId"]);
    let no_object = TaskResult::new("w", "t", TaskResultStatus::Completed).output(RawJson::from(3));
    check(tasks.update(&no_object), bad, &["update task t", "output_data must be a JSON object"]);
    let update = ReferenceUpdate::new("w", "", TaskResultStatus::Completed);
    check(tasks.update_by_reference(&update), bad, &["reference must not be empty"]);
    check(workflows.get("a\\b"), bad, &["workflowId"]);
    check(workflows.start(&StartWorkflowRequest::new(" ")), bad, &["name must not be empty"]);
    check(workflows.start(&StartWorkflowRequest::new("w").priority(100)), bad, &["start workflow w", "100", "0 to 99"]);
    let no_object = StartWorkflowRequest::new("w").input("text");
    check(workflows.start(&no_object), bad, &["start workflow w", "input must be a JSON object"]);
    check(metadata.register_tasks(&[]), bad, &["must not be empty"]);
    check(metadata.register_task(&TaskDef::new("")), bad, &["name must not be empty"]);
    check(metadata.register_workflow(&WorkflowDef::new("")), bad, &["name must not be empty"]);
    check(metadata.task("."), bad, &["name"]);
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_server_that_is_not_there_is_told_from_one_that_does_not_answer() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = Client::new(Config::new(&format!("http://{free}")).unwrap()).unwrap();
    check(client.tasks().get("t"), ErrorKind::Connect, &["get task t", "refused the connection", "is the port right"]);
    let server = answering(|| Answer::Never);
    let client = Client::new(server.config().request_timeout(Duration::from_millis(300))).unwrap();
    check(client.tasks().get("t"), ErrorKind::NoAnswer, &["within 300 ms"]);
}

/// The address is in the message, and what to do is its end.
#[track_caller]
fn check_advice(url: &str, kind: ErrorKind, says: &str) {
    let client = Client::new(Config::new(url).unwrap()).unwrap();
    let outcome = client.tasks().get("t");
    let told = outcome.as_ref().unwrap_err().to_string();
    assert!(told.ends_with("check host and port of the server URL"), "{told}");
    check(outcome, kind, &["get task t", url, says]);
}

#[test]
fn a_port_of_another_protocol_is_told_with_advice() {
    let ssh = answering(|| Answer::BytesAndEnd(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec()));
    check_advice(&ssh.url(), ErrorKind::NoAnswer, "no whole answer");
}

#[test]
fn a_listener_that_closes_at_once_is_told_with_advice() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::scope(|scope| {
        // Two: what does no harm twice is tried again.
        scope.spawn(|| listener.incoming().take(2).for_each(drop));
        check_advice(&format!("http://{address}/api"), ErrorKind::NoAnswer, "no whole answer");
    });
}

#[test]
fn a_400_that_is_not_conductors_is_told_with_advice() {
    let page = answering(|| Answer::html(400));
    check_advice(&page.url(), ErrorKind::Rejected, "server said 400");
    let text = answering(|| Answer::status(400, "text/plain", "Client sent an HTTP request to an HTTPS server.\n"));
    check_advice(&text.url(), ErrorKind::Rejected, "to an HTTPS server");
}

#[test]
fn an_unknown_host_is_told_with_advice() {
    check_advice("http://nohost.invalid:8080/api", ErrorKind::Connect, "");
}

#[test]
fn a_page_or_a_missing_route_is_a_wrong_address_and_a_missing_thing_is_not() {
    let wrong = ErrorKind::WrongAddress;
    let page = answering(|| Answer::html(200));
    check(page.client().tasks().get("t"), wrong, &["HTML page", "check the server URL", &page.url()]);
    check(page.client().workflows().pause("w"), wrong, &["HTML page"]);
    check(page.client().workflows().start(&StartWorkflowRequest::new("w")), wrong, &["HTML page"]);
    let route = answering(|| Answer::refused(404, "No static resource api/tasks/t."));
    check(route.client().tasks().get("t"), wrong, &["404", "check the server URL"]);
    let proxy = answering(|| Answer::html(404));
    check(proxy.client().tasks().get("t"), wrong, &["404"]);
    let thing = answering(|| Answer::refused(404, "No such task found by id: t"));
    check(thing.client().tasks().get("t"), ErrorKind::NotFound, &["get task t", "No such task found by id: t"]);
}

#[test]
fn a_redirect_is_not_followed_and_says_where_it_points() {
    let elsewhere = Server::well_behaved();
    let target = format!("{}/login", elsewhere.url());
    let server = answering(move || Answer::with_headers(302, "text/html", &format!("Location: {target}\r\n"), b""));
    check(server.client().tasks().get("t"), ErrorKind::WrongAddress, &["302", "/login", "not followed"]);
    assert_eq!(elsewhere.n_connections(), 0);
}

#[test]
fn a_refusal_says_what_the_server_said() {
    let server = answering(Answer::invalid);
    let result = TaskResult::new("w", "t", TaskResultStatus::Completed);
    check(
        server.client().tasks().update(&result),
        ErrorKind::Rejected,
        &["400", "Validation failed", "must not be odd"],
    );
    let server = answering(|| Answer::refused(409, "Workflow exists"));
    let def = WorkflowDef::new("w");
    check(server.client().metadata().register_workflow(&def), ErrorKind::Conflict, &["register workflow w", "exists"]);
    let server = answering(|| Answer::refused(500, "No such task definition"));
    check(server.client().metadata().delete_task("t"), ErrorKind::NotFound, &["No such task definition"]);
    let server = answering(|| Answer::with_headers(503, "text/plain", "Retry-After: 7\r\n", b"later"));
    let error = server.client().tasks().get("t").unwrap_err();
    assert!(error.is_retryable() && error.retry_after() == Some(Duration::from_secs(7)), "{error}");
}

#[test]
fn an_answer_of_another_shape_is_told_without_the_data_in_it() {
    let server = answering(|| Answer::json(200, &json!([1, 2])));
    check(server.client().tasks().get("t"), ErrorKind::Decode, &["get task t", "sequence, expected a Task"]);
    let server = answering(|| Answer::json(200, &json!({"taskId": "t", "retryCount": "secret"})));
    check(
        server.client().tasks().get("t"),
        ErrorKind::Decode,
        &["JSON: retryCount: invalid value: string, expected an integer"],
    );
    let told = server.client().tasks().get("t").unwrap_err().to_string();
    assert!(!told.contains("secret"), "{told}");
    let server = answering(|| Answer::status(200, "application/json", "this is no JSON"));
    check(server.client().tasks().get("t"), ErrorKind::Decode, &["it starts with `this is no JSON`"]);
    let server = answering(|| Answer::status(200, "application/json", vec![b' '; 2000]));
    let client = Client::new(server.config().max_answer_bytes(1000)).unwrap();
    check(client.tasks().get("t"), ErrorKind::TooLarge, &["1000 bytes", "max_answer_bytes"]);
}

#[test]
fn waiting_for_a_workflow_tells_the_state_it_was_in() {
    let server = answering(|| Answer::json(200, &json!({"workflowId": "w", "status": "RUNNING"})));
    let waited = server.client().workflows().wait("w", Duration::from_millis(200));
    check(waited, ErrorKind::Deadline, &["wait for workflow w", "200 ms", "RUNNING"]);
    // And once at what is open at the end.
    assert!(server.requests().len() <= 5, "it looks less and less often");
    let server = answering(|| Answer::refused(404, "No such workflow found by id: w"));
    check(server.client().workflows().wait("w", Duration::from_secs(60)), ErrorKind::NotFound, &["No such workflow"]);
}

#[test]
fn many_workflows_that_are_waited_for_share_the_looks() {
    const N: usize = 1200;
    let n_looks = AtomicUsize::new(0);
    let server = Server::start(move |r| {
        let as_state = |id: &Value, status: &str| json!({"workflowId": id, "status": status, "output": {"of": id}});
        if r.target.starts_with("/api/workflow/bulk/search") {
            // Three requests for each round; in the second all have ended but those that are not there.
            let status = if n_looks.fetch_add(1, Ordering::AcqRel) < 3 { "RUNNING" } else { "COMPLETED" };
            let ids = r.json().as_array().unwrap().clone();
            let (there, missing): (Vec<_>, Vec<_>) = ids.into_iter().partition(|id| *id != "w7");
            let found: Vec<_> = there.iter().map(|id| as_state(id, status)).collect();
            let missing: serde_json::Map<_, _> =
                missing.iter().map(|id| (id.as_str().unwrap().to_owned(), "none".into())).collect();
            return Some(Answer::json(200, &json!({"bulkSuccessfulResults": found, "bulkErrorResults": missing})));
        }
        let id = r.target.strip_prefix("/api/workflow/")?.split(['/', '?']).next()?;
        Some(match id {
            "w7" => Answer::refused(404, "No such workflow found by id: w7"),
            id => Answer::json(200, &as_state(&id.into(), "COMPLETED")),
        })
    });
    let ids: Vec<String> = (0..N).map(|n| format!("w{n}")).collect();
    let ended = server.client().workflows().wait_all(&ids, Duration::from_secs(60));
    for (id, outcome) in ids.iter().zip(&ended) {
        match outcome {
            Ok(workflow) => {
                assert_eq!((&workflow.workflow_id, workflow.output.get()), (id, &*format!(r#"{{"of":"{id}"}}"#)))
            }
            Err(error) => assert!(id == "w7" && error.is_not_found(), "{id}: {error}"),
        }
    }
    let all = server.requests();
    let is_look = |r: &&Request| r.target.contains("bulk/search") || r.target.contains("/status");
    assert_eq!(all.iter().filter(is_look).count(), 3 + 1 + 3);
    assert_eq!(all.len() - 7, N - 1, "each is fetched once");
}

#[test]
fn threads_that_wait_for_one_workflow_each_share_their_looks() {
    const N: usize = 50;
    let n_looks = AtomicUsize::new(0);
    let server = Server::start(move |r| {
        let is_look = r.target.contains("/bulk/search") || r.target.contains("/status");
        let ended = n_looks.fetch_add(usize::from(is_look), Ordering::AcqRel) > 5;
        let as_state = |id: &Value| json!({"workflowId": id, "status": if ended { "COMPLETED" } else { "RUNNING" }});
        if r.target.starts_with("/api/workflow/bulk/search") {
            let found: Vec<_> = r.json().as_array().unwrap().iter().map(as_state).collect();
            return Some(Answer::json(200, &json!({"bulkSuccessfulResults": found, "bulkErrorResults": {}})));
        }
        let id = r.target.strip_prefix("/api/workflow/")?.split(['/', '?']).next()?;
        Some(Answer::json(200, &as_state(&id.into())))
    });
    let client = server.client();
    thread::scope(|scope| {
        for n in 0..N {
            let client = &client;
            scope.spawn(move || {
                let id = format!("w{n}");
                assert_eq!(client.workflows().wait(&id, PATIENCE).unwrap().workflow_id, id);
            });
        }
    });
    let mut looks: Vec<_> = server.requests();
    looks.retain(|r| r.target.contains("/bulk/search") || r.target.contains("/status"));
    let spent = looks[looks.len() - 1].at - looks[0].at;
    // The first finds no other; then there are five a second.
    let most = 3 + usize::try_from(spent.as_millis() / 200).unwrap();
    assert!(looks.len() <= most, "{} looks in {} ms", looks.len(), spent.as_millis());
}
