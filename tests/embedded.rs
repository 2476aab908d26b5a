//! The embedded server as a program sees it: through the client, over real sockets.

#![cfg(feature = "embedded")]
#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use conductor_sync::{
    Client, Config, Error, ErrorKind, PollRequest, ReferenceUpdate, RetryLogic, StartWorkflowRequest, Task, TaskDef,
    TaskResult, TaskResultStatus, TaskStatus, TimeoutPolicy, WorkflowDef, WorkflowStatus, WorkflowTask,
    embedded::EmbeddedServer,
};
use serde_json::json;

/// Nothing here takes so long unless it is broken.
const DEADLINE: Duration = Duration::from_secs(20);

fn client(server: &EmbeddedServer) -> Client {
    Client::new(Config::new(&server.url()).unwrap()).unwrap()
}

/// A workflow `hello` of one task `greet`.
fn hello() -> WorkflowDef {
    WorkflowDef::new("hello").task(WorkflowTask::simple("greet", "greet_ref").input("name", "${workflow.input.name}"))
}

fn serving_hello(server: EmbeddedServer) -> EmbeddedServer {
    server.register_workflow(hello()).unwrap();
    server
}

fn start(server: &EmbeddedServer) -> String {
    server.start_workflow(&StartWorkflowRequest::new("hello")).unwrap()
}

fn verdict(task: &Task, status: TaskResultStatus) -> TaskResult {
    TaskResult::new(&task.workflow_instance_id, &task.task_id, status)
}

fn poll(client: &Client) -> Option<Task> {
    client.tasks().poll("greet").unwrap()
}

#[test]
fn a_program_runs_a_workflow_through_the_client() {
    let server = EmbeddedServer::start().unwrap();
    let client = client(&server);
    client.metadata().register_task(&TaskDef::new("greet").response_timeout(Duration::from_secs(30))).unwrap();
    client.metadata().register_workflow(&hello()).unwrap();
    let id = client.workflows().start(&StartWorkflowRequest::new("hello").input(json!({"name": "Ada"}))).unwrap();
    assert_eq!(client.tasks().queue_size("greet", None).unwrap(), 1);
    let task = client.tasks().poll(PollRequest::new("greet").worker_id("w")).unwrap().unwrap();
    assert_eq!((task.input_data.get(), task.response_timeout_seconds), (r#"{"name":"Ada"}"#, 30));
    client.tasks().add_log(&task.task_id, "on it").unwrap();
    let result = verdict(&task, TaskResultStatus::Completed).output(json!({"text": "Hello, Ada"}));
    client.tasks().update(&result.log("done")).unwrap();
    let workflow = client.workflows().wait(&id, DEADLINE).unwrap();
    assert_eq!((&workflow.status, workflow.output.get()), (&WorkflowStatus::Completed, r#"{"text":"Hello, Ada"}"#));
    assert_eq!(workflow, server.workflow(&id).unwrap());
    assert_eq!(client.tasks().get(&task.task_id).unwrap(), server.task(&task.task_id).unwrap());
    let lines: Vec<String> = client.tasks().logs(&task.task_id).unwrap().into_iter().map(|line| line.log).collect();
    assert_eq!(lines, ["on it", "done"]);
    assert_eq!(client.tasks().poll_data("greet").unwrap()[0].worker_id.as_deref(), Some("w"));
}

#[test]
fn user_data_passes_through_unchanged() {
    let server = serving_hello(EmbeddedServer::start().unwrap());
    let client = client(&server);
    let text = r#"{"name": {"n": 123456789012345678901234567890, "z": 1.50, "a": [null, "\u00e9"]}}"#;
    let input: conductor_sync::RawJson = text.parse().unwrap();
    server.start_workflow(&StartWorkflowRequest::new("hello").input(input.clone())).unwrap();
    let task = poll(&client).unwrap();
    assert_eq!(
        task.input_data.get(),
        r#"{"name":{"n": 123456789012345678901234567890, "z": 1.50, "a": [null, "\u00e9"]}}"#
    );
    client.tasks().update(&verdict(&task, TaskResultStatus::Completed).output(input)).unwrap();
    assert_eq!(server.workflow(&task.workflow_instance_id).unwrap().output.get(), text);
}

#[test]
fn refusals_reach_the_client_as_errors_of_their_kind() {
    let server = serving_hello(EmbeddedServer::start().unwrap());
    let client = client(&server);
    let id = start(&server);
    let task = poll(&client).unwrap();
    client.tasks().update(&verdict(&task, TaskResultStatus::Completed)).unwrap();
    let errors: [(Error, ErrorKind, u16); 6] = [
        (client.workflows().get("nope").unwrap_err(), ErrorKind::NotFound, 404),
        (client.tasks().get("nope").unwrap_err(), ErrorKind::NotFound, 404),
        (client.metadata().task("nope").unwrap_err(), ErrorKind::NotFound, 404),
        (client.workflows().terminate(&id, None).unwrap_err(), ErrorKind::Conflict, 409),
        (client.metadata().register_workflow(&hello()).unwrap_err(), ErrorKind::Conflict, 409),
        (client.workflows().resume(&id).unwrap_err(), ErrorKind::Conflict, 500),
    ];
    for (error, kind, status) in errors {
        assert_eq!((error.kind(), error.status()), (kind, Some(status)), "{error}");
    }
    let unknown = ReferenceUpdate::new(&id, "greet_ref", TaskResultStatus::Completed);
    assert_eq!(client.tasks().update_by_reference(&unknown).unwrap(), None);
    assert!(client.tasks().update_by_reference_sync(&unknown).unwrap_err().is_not_found());
}

#[test]
fn what_is_not_served_says_so() {
    let server = EmbeddedServer::start().unwrap();
    let mut wait = WorkflowTask::simple("wait", "wait_ref");
    wait.task_type = Some("WAIT".to_owned());
    let definition = WorkflowDef::new("w").task(wait);
    let client = client(&server);
    client.metadata().register_workflow(&definition).unwrap();
    assert_eq!(client.metadata().workflow("w").unwrap().tasks[0].task_type.as_deref(), Some("WAIT"));
    let error = client.workflows().start(&StartWorkflowRequest::new("w")).unwrap_err();
    assert_eq!(error.status(), Some(501));
    assert!(error.to_string().contains("wait_ref (WAIT)"), "{error}");
    let error = server.start_workflow(&StartWorkflowRequest::new("w")).unwrap_err();
    assert!(error.to_string().contains("wait_ref (WAIT)"), "{error}");
    let answer = exchange(&server, "GET /api/workflow/search?query= HTTP/1.1");
    assert!(answer.starts_with("HTTP/1.1 501 "), "{answer}");
    assert!(answer.contains("does not serve GET /api/workflow/search"), "{answer}");
}

/// What the server answers to a request without a body.
fn exchange(server: &EmbeddedServer, request: &str) -> String {
    raw_exchange(server, &format!("{request}\r\nHost: x\r\nConnection: close\r\n\r\n"))
}

/// All that the server sends until it closes the connection.
fn raw_exchange(server: &EmbeddedServer, text: &str) -> String {
    let url = server.url();
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap().strip_suffix("/api").unwrap()).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_connection_carries_many_requests_of_every_framing() {
    let server = serving_hello(EmbeddedServer::start().unwrap());
    let chunked = "POST /api/workflow/hello HTTP/1.1\r\nContent-Type: application/json;charset=utf-8\r\n\
                   Transfer-Encoding: chunked\r\n\r\n3\r\n{\"n\r\n8;x=y\r\name\":7}\r\n0\r\n\r\n";
    let expecting = "POST /api/tasks/x/log HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi";
    let poll = "GET /api/tasks/poll/batch/greet?count=2&timeout=50 HTTP/1.1\r\n\r\n";
    let last = "HEAD /api/version HTTP/1.0\r\n\r\n";
    let answers = raw_exchange(&server, &format!("{chunked}{expecting}{poll}{last}"));
    let statuses: Vec<&str> = answers.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.lines().next()).collect();
    assert_eq!(statuses, ["200 OK", "100 Continue", "200 OK", "200 OK", "200 OK"], "{answers}");
    assert!(answers.contains(r#""inputData":{"name":7}"#), "{answers}");
    assert!(answers.ends_with("Connection: close\r\n\r\n"), "{answers}");
}

#[test]
fn what_is_no_http_is_answered_400() {
    let server = EmbeddedServer::start().unwrap();
    for text in
        ["nonsense\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"]
    {
        assert!(raw_exchange(&server, text).starts_with("HTTP/1.1 400 Bad Request\r\n"), "{text}");
    }
}

#[test]
fn a_long_poll_is_answered_as_soon_as_it_has_all_it_asked_for() {
    let server = serving_hello(EmbeddedServer::start().unwrap());
    let client = client(&server);
    let began = Instant::now();
    let (tasks, took) = thread::scope(|scope| {
        let poll = scope.spawn(|| {
            let tasks = client.tasks().poll_batch(PollRequest::new("greet").count(2).timeout(Duration::from_secs(5)));
            (tasks.unwrap(), began.elapsed())
        });
        let is_waiting = |view: &conductor_sync::embedded::View<'_>| view.requests().len() == 1;
        server.wait_until("the poll", DEADLINE, is_waiting).unwrap();
        assert_eq!(server.requests()[0].status, None);
        start(&server);
        start(&server);
        poll.join().unwrap()
    });
    assert_eq!(tasks.len(), 2);
    assert!(took < Duration::from_secs(4), "{took:?}");
    assert_eq!(server.requests()[0].status, Some(200));
}

#[test]
fn a_long_poll_with_too_few_tasks_waits_its_whole_time() {
    let server = serving_hello(EmbeddedServer::start().unwrap());
    start(&server);
    let began = Instant::now();
    let request = PollRequest::new("greet").count(2).timeout(Duration::from_millis(300));
    assert_eq!(client(&server).tasks().poll_batch(request).unwrap().len(), 1);
    assert!(began.elapsed() >= Duration::from_millis(300));
}

#[test]
fn a_long_poll_gets_a_task_that_becomes_due_meanwhile() {
    let server = serving_hello(EmbeddedServer::start().unwrap());
    let client = client(&server);
    start(&server);
    let task = poll(&client).unwrap();
    let later = verdict(&task, TaskResultStatus::InProgress).callback_after(Duration::from_secs(1));
    client.tasks().update(&later).unwrap();
    let again = client.tasks().poll_batch(PollRequest::new("greet").timeout(Duration::from_secs(5))).unwrap();
    assert_eq!((again[0].task_id.as_str(), again[0].poll_count), (task.task_id.as_str(), 2));
    let late = again[0].update_time - task.update_time - 1000;
    assert!((0..500).contains(&late), "{late} ms late");
}

#[test]
fn virtual_time_moves_retries_and_timeouts_only_when_told() {
    let server = EmbeddedServer::start_virtual().unwrap();
    let rules = TaskDef::new("greet")
        .retries(1, RetryLogic::Fixed, Duration::from_secs(3600))
        .response_timeout(Duration::from_secs(60))
        .timeout(Duration::from_secs(60), TimeoutPolicy::Retry);
    server.register_task(rules).unwrap();
    let server = serving_hello(server);
    let client = client(&server);
    let id = start(&server);
    let first = poll(&client).unwrap();
    server.advance(Duration::from_secs(59));
    assert_eq!(server.task(&first.task_id).unwrap().status, TaskStatus::InProgress);
    server.advance(Duration::from_secs(1));
    assert_eq!(server.task(&first.task_id).unwrap().status, TaskStatus::TimedOut);
    assert!(poll(&client).is_none());
    server.advance(Duration::from_secs(3600));
    let second = poll(&client).unwrap();
    assert_eq!((second.retry_count, second.scheduled_time), (1, first.start_time + 60_000));
    server.advance(Duration::from_secs(100_000));
    let workflow = server.wait_for_workflow(&id, DEADLINE).unwrap();
    assert_eq!(workflow.status, WorkflowStatus::TimedOut);
    assert_eq!(workflow.end_time, second.start_time + 60_000);
}

#[test]
fn a_waiting_poll_ends_by_the_virtual_clock_or_by_the_real_one() {
    let server = serving_hello(EmbeddedServer::start_virtual().unwrap());
    let client = client(&server);
    let request = || PollRequest::new("greet").timeout(Duration::from_secs(5));
    let began = Instant::now();
    thread::scope(|scope| {
        let poll = scope.spawn(|| client.tasks().poll_batch(request()).unwrap());
        server.wait_until("the poll", DEADLINE, |view| view.requests().len() == 1).unwrap();
        server.advance(Duration::from_secs(5));
        assert!(poll.join().unwrap().is_empty());
    });
    assert!(began.elapsed() < Duration::from_secs(4));
    let began = Instant::now();
    assert!(client.tasks().poll_batch(request().timeout(Duration::from_millis(200))).unwrap().is_empty());
    assert!(began.elapsed() >= Duration::from_millis(200));
}

#[test]
fn a_wait_that_fails_says_what_was_waited_for_and_how_things_stand() {
    let server = serving_hello(EmbeddedServer::start().unwrap());
    let id = start(&server);
    let error = server.wait_for_workflow(&id, Duration::from_millis(20)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline);
    let text = error.to_string();
    assert_eq!(
        text,
        format!(
            "wait for the end of workflow {id}: not within 20 ms; state: {id} RUNNING: greet_ref attempt 0 SCHEDULED"
        )
    );
    let error = server.wait_until("a second task", Duration::ZERO, |view| view.queue_size("greet") == 2).unwrap_err();
    assert!(
        error.to_string().starts_with("wait for a second task: not within 0 ms; state: 0 requests seen"),
        "{error}"
    );
    let error = server.wait_for_workflow("nope", Duration::ZERO).unwrap_err();
    assert!(error.to_string().ends_with("state: unknown"), "{error}");
}

#[test]
fn the_requests_are_recorded_in_order_with_bodies_and_answers() {
    let server = serving_hello(EmbeddedServer::start().unwrap());
    let client = client(&server);
    start(&server);
    let task = client.tasks().poll(PollRequest::new("greet").worker_id("w 1")).unwrap().unwrap();
    client.tasks().update(&verdict(&task, TaskResultStatus::Completed)).unwrap();
    assert!(client.tasks().get("nope").is_err());
    let requests = server.requests();
    let seen: Vec<(&str, &str, Option<u16>)> =
        requests.iter().map(|request| (request.method.as_str(), request.path.as_str(), request.status)).collect();
    assert_eq!(
        seen,
        [
            ("GET", "/api/tasks/poll/greet?workerid=w%201", Some(200)),
            ("POST", "/api/tasks", Some(200)),
            ("GET", "/api/tasks/nope", Some(404)),
        ]
    );
    assert!(requests[1].body.contains(&task.task_id));
    assert!(requests.windows(2).all(|pair| pair[0].at <= pair[1].at));
}

#[test]
fn the_end_of_the_server_answers_waiting_polls_and_closes_the_port() {
    let server = serving_hello(EmbeddedServer::start().unwrap());
    let (url, client) = (server.url(), client(&server));
    let began = Instant::now();
    thread::scope(|scope| {
        let poll = scope.spawn(|| client.tasks().poll_batch(PollRequest::new("greet").timeout(Duration::from_secs(5))));
        server.wait_until("the poll", DEADLINE, |view| view.requests().len() == 1).unwrap();
        drop(server);
        assert!(poll.join().unwrap().unwrap().is_empty());
    });
    assert!(began.elapsed() < Duration::from_secs(4));
    // The client still has its connection, which is closed now.
    assert!(client.tasks().poll("greet").is_err());
    let other = Client::new(Config::new(&url).unwrap()).unwrap();
    assert_eq!(other.tasks().poll("greet").unwrap_err().kind(), ErrorKind::Connect);
    assert!(began.elapsed() < Duration::from_secs(4));
}

#[test]
fn many_workers_share_the_tasks_without_loss_or_duplicates() {
    const N_TASKS: usize = 2000;
    const N_WORKERS: usize = 8;
    let server = serving_hello(EmbeddedServer::start().unwrap());
    let client = client(&server);
    let started: BTreeSet<String> = (0..N_TASKS).map(|_| start(&server)).collect();
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..N_WORKERS {
            scope.spawn(|| {
                loop {
                    let request = PollRequest::new("greet").count(10).timeout(Duration::from_millis(100));
                    let tasks = client.tasks().poll_batch(request).unwrap();
                    if tasks.is_empty() {
                        break;
                    }
                    for task in tasks {
                        client.tasks().update(&verdict(&task, TaskResultStatus::Completed)).unwrap();
                        done.lock().unwrap().push(task.workflow_instance_id);
                    }
                }
            });
        }
    });
    let done = done.into_inner().unwrap();
    assert_eq!(done.len(), N_TASKS);
    assert_eq!(done.into_iter().collect::<BTreeSet<_>>(), started);
    for id in started {
        assert_eq!(server.wait_for_workflow(&id, DEADLINE).unwrap().status, WorkflowStatus::Completed);
    }
}
