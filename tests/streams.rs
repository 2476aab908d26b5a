//! What is read while it comes: the events of agents and the updates of the A2A protocol, from a server that breaks off, says
//! something else, or nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests stand outside #[test] functions")]

mod common;

use std::{
    iter,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use common::{Answer, Request, Server, comes_true};
use conductor_sync::{
    A2aAgent, A2aMessage, A2aTaskState, A2aUpdate, AgentEvent, Client, Config, Error, ErrorKind, Result,
};
use serde_json::{Value, json};

/// Longer than anything here should take.
const LONG: Duration = Duration::from_secs(20);

/// How long a connection lives where it matters.
const SHORT: Duration = Duration::from_millis(300);

/// A stream of events that says this and stays open.
fn open_stream(text: &str) -> Vec<u8> {
    let head = "HTTP/1.1 200 \r\nContent-Type: text/event-stream;charset=UTF-8\r\nTransfer-Encoding: chunked\r\n\r\n";
    match text {
        "" => head.into(),
        _ => format!("{head}{:x}\r\n{text}\r\n", text.len()).into_bytes(),
    }
}

/// One that breaks off then.
fn broken(text: &str) -> Answer {
    Answer::BytesAndEnd(open_stream(text))
}

/// One that says no more.
fn silent(text: &str) -> Answer {
    Answer::Bytes(open_stream(text))
}

/// One that the server ends.
fn ended(text: &str) -> Answer {
    let mut bytes = open_stream(text);
    bytes.extend(b"0\r\n\r\n");
    Answer::Bytes(bytes)
}

fn event(id: i64, kind: &str) -> String {
    format!("id:{id}\nevent:{kind}\nretry:60000\ndata:{}\n\n", json!({"id": id, "type": kind, "executionId": "e"}))
}

fn is_stream(request: &Request) -> bool {
    request.target.starts_with("/api/agent/stream/")
}

/// A server whose nth stream is answered by `streams`; executions run on.
fn agent_server(streams: impl Fn(usize, &Request) -> Answer + Send + Sync + 'static) -> Server {
    let n = AtomicUsize::new(0);
    Server::start(move |request| {
        Some(match is_stream(request) {
            true => streams(n.fetch_add(1, Ordering::Relaxed), request),
            false => Answer::json(200, &json!({"executionId": "e", "status": "RUNNING", "isComplete": false})),
        })
    })
}

fn client(server: &Server, limit: Duration) -> Client {
    Client::new(Config::new(&server.url()).unwrap().request_timeout(limit)).unwrap()
}

/// The ids of the events, and the error at the end.
fn ids(events: impl Iterator<Item = Result<AgentEvent>>) -> (Vec<i64>, Option<Error>) {
    let (mut ids, mut last) = (Vec::new(), None);
    for event in events {
        assert!(last.is_none(), "an error is the last item");
        match event {
            Ok(event) => ids.push(event.id),
            Err(error) => last = Some(error),
        }
    }
    (ids, last)
}

fn last_ids(server: &Server) -> Vec<Option<String>> {
    let header = |request: &Request| request.header("last-event-id").map(str::to_owned);
    server.requests().iter().filter(|request| is_stream(request)).map(header).collect()
}

#[track_caller]
fn is(error: Option<Error>, kind: ErrorKind, says: &str) {
    let error = error.expect("there is an error");
    assert!(error.kind() == kind && error.to_string().contains(says), "{error:?}");
    assert!(error.to_string().starts_with("get events of agent execution e: "), "{error}");
}

#[test]
fn a_stream_that_breaks_goes_on_behind_the_last_event() {
    let server = agent_server(|nth, _| match nth {
        0 => broken(&format!(":connected\n\n{}{}", event(1, "thinking"), event(2, "tool_call"))),
        1 => broken(&format!("{}data:{{\"id\":4", event(3, "tool_result"))),
        _ => ended(&format!("{}{}", event(4, "thinking"), event(5, "done"))),
    });
    let (seen, error) = ids(server.client().agents().events("e").unwrap().within(LONG));
    assert_eq!((seen, error.is_none()), (vec![1, 2, 3, 4, 5], true));
    assert_eq!(last_ids(&server), [None, Some("2".to_owned()), Some("3".to_owned())]);
}

#[test]
fn a_stream_that_is_closed_goes_on_behind_the_last_event_unless_the_execution_has_ended() {
    let server = agent_server(|nth, _| match nth {
        0 => ended(&event(1, "thinking")),
        1 => ended(&event(2, "thinking")),
        _ => ended(":connected\n\n"),
    });
    let (seen, error) = ids(server.client().agents().events("e").unwrap().within(LONG));
    assert_eq!((seen, error.is_none()), (vec![1, 2], true));
    assert_eq!(last_ids(&server), [None, Some("1".to_owned()), Some("2".to_owned())]);
    let server = Server::start(|request| {
        Some(match is_stream(request) {
            true => ended(&event(1, "thinking")),
            false => Answer::json(200, &json!({"executionId": "e", "status": "COMPLETED", "isComplete": true})),
        })
    });
    let (seen, error) = ids(server.client().agents().events("e").unwrap().within(LONG));
    assert_eq!((seen, error.is_none(), last_ids(&server).len()), (vec![1], true, 1));
}

#[test]
fn a_connection_whose_time_is_over_is_followed_by_the_next() {
    let server = agent_server(|nth, _| match nth {
        0 => silent(&event(1, "thinking")),
        1 => silent(""),
        _ => silent(&event(2, "done")),
    });
    let (seen, error) = ids(client(&server, SHORT).agents().events("e").unwrap());
    assert_eq!((seen, error.is_none()), (vec![1, 2], true));
    assert_eq!(last_ids(&server), [None, Some("1".to_owned()), Some("1".to_owned())]);
}

#[test]
fn the_first_connection_begins_where_it_is_told_to() {
    let server = agent_server(|_, _| ended(&event(8, "done")));
    assert_eq!(ids(server.client().agents().events("e").unwrap().after(7)).0, [8]);
    assert_eq!(last_ids(&server), [Some("7".to_owned())]);
}

#[test]
fn a_stream_that_breaks_without_an_event_is_an_error() {
    let server = agent_server(|nth, _| match nth {
        0 => broken(&event(1, "thinking")),
        _ => broken(":connected\n\n"),
    });
    let (seen, error) = ids(server.client().agents().events("e").unwrap());
    assert_eq!((seen, last_ids(&server).len()), (vec![1], 2));
    is(error, ErrorKind::NoAnswer, "the stream of events broke off");
}

#[test]
fn a_server_that_asks_for_a_pause_is_not_asked_again_and_the_error_has_the_pause() {
    let server = agent_server(|nth, _| match nth {
        0 => broken(&event(1, "thinking")),
        _ => Answer::with_headers(503, "application/json", "Retry-After: 7\r\n", b"{\"message\": \"busy\"}"),
    });
    let (seen, error) = ids(server.client().agents().events("e").unwrap());
    assert_eq!((seen, last_ids(&server).len()), (vec![1], 2));
    assert_eq!(error.as_ref().unwrap().retry_after(), Some(Duration::from_secs(7)));
    is(error, ErrorKind::Server, "busy");
}

#[test]
fn an_event_beyond_the_limit_is_an_error() {
    let server = agent_server(|_, _| silent(&format!("{}data:{}", event(1, "thinking"), "x".repeat(2000))));
    let config = Config::new(&server.url()).unwrap().max_answer_bytes(1000);
    let (seen, error) = ids(Client::new(config).unwrap().agents().events("e").unwrap().within(LONG));
    assert_eq!(seen, [1]);
    is(error, ErrorKind::TooLarge, "larger than the 1000 bytes allowed by Config::max_answer_bytes");
}

#[test]
fn another_answer_than_a_stream_is_an_error() {
    for (answer, kind, says) in [
        (Answer::html(200), ErrorKind::WrongAddress, "an HTML page answered"),
        (Answer::json(200, &json!({"id": 1})), ErrorKind::Decode, "no stream of events"),
        (ended("data:<html>\n\n"), ErrorKind::Decode, "not the expected JSON"),
    ] {
        let server = agent_server(move |_, _| answer.clone());
        let (seen, error) = ids(server.client().agents().events("e").unwrap());
        assert!(seen.is_empty());
        is(error, kind, says);
    }
}

#[test]
fn the_deadline_of_events_holds() {
    let held = |answer: fn() -> Answer| {
        let server = agent_server(move |_, _| answer());
        let begun = Instant::now();
        let (_, error) = ids(server.client().agents().events("e").unwrap().within(SHORT));
        is(error, ErrorKind::Deadline, "the execution has not ended in time");
        assert!(begun.elapsed() >= SHORT && begun.elapsed() < LONG / 2, "{:?}", begun.elapsed());
    };
    held(|| silent(""));
    held(|| silent(&event(1, "thinking")));
    held(|| Answer::Never);
    held(|| broken(&event(1, "thinking")));
}

#[test]
fn dropping_the_events_closes_the_connection() {
    let server = agent_server(|_, _| silent(&event(1, "thinking")));
    let client = server.client();
    let mut events = client.agents().events("e").unwrap();
    assert_eq!(events.next().unwrap().unwrap().id, 1);
    let n_open = server.n_open_connections();
    drop(events);
    assert!(comes_true(|| server.n_open_connections() < n_open), "it is still open");
}

fn update(result: &Value) -> String {
    format!("data:{}\n\n", json!({"jsonrpc": "2.0", "id": 1, "result": result}))
}

fn a2a_task(state: &str) -> Value {
    json!({"kind": "task", "id": "t1", "contextId": "c", "status": {"state": state}})
}

fn a2a_status(state: &str, is_final: bool) -> String {
    update(&json!({"kind": "status-update", "taskId": "t1", "status": {"state": state}, "final": is_final}))
}

fn a2a_artifact(id: &str) -> Value {
    json!({"artifactId": id, "parts": [{"kind": "text", "text": id}]})
}

/// A server that streams this, and tells of the task, with what it has brought, the nth time that it is asked for it.
fn a2a_server(
    stream: impl Fn() -> Answer + Send + Sync + 'static,
    task: impl Fn(usize) -> Answer + Send + Sync + 'static,
) -> Server {
    let n = AtomicUsize::new(0);
    Server::start(move |request| {
        let asked = request.json();
        Some(match asked["method"].as_str().unwrap() {
            "message/stream" => stream(),
            "tasks/get" => {
                assert_eq!(asked["params"], json!({"id": "t1"}));
                task(n.fetch_add(1, Ordering::Relaxed))
            }
            other => panic!("{other}"),
        })
    })
}

fn told(state: &str, artifacts: &[&str]) -> Answer {
    let mut task = a2a_task(state);
    task["artifacts"] = artifacts.iter().map(|id| a2a_artifact(id)).collect();
    Answer::json(200, &json!({"jsonrpc": "2.0", "id": 1, "result": task}))
}

/// The updates in short, and the error at the end.
fn updates(client: &Client, deadline: Duration) -> (Vec<String>, Option<Error>) {
    let (mut seen, mut last) = (Vec::new(), None);
    let begun = client.a2a().stream(A2aAgent::Agent("a"), &A2aMessage::text("hello"), deadline);
    let updates: Box<dyn Iterator<Item = Result<A2aUpdate>>> = match begun {
        Ok(updates) => Box::new(updates),
        Err(error) => Box::new(iter::once(Err(error))),
    };
    for update in updates {
        assert!(last.is_none(), "an error is the last item");
        match update {
            Ok(A2aUpdate::Task(task)) => seen.push(format!("task {}", task.status.state)),
            Ok(A2aUpdate::Status(update)) => seen.push(format!("{} {}", update.task_id, update.status.state)),
            Ok(A2aUpdate::Artifact(update)) => seen.push(format!("{} {}", update.task_id, update.artifact.artifact_id)),
            Ok(other) => seen.push(format!("{other:?}")),
            Err(error) => last = Some(error),
        }
    }
    (seen, last)
}

fn never_asked(_: usize) -> Answer {
    panic!("the stream has told all")
}

#[test]
fn updates_are_told_as_they_come() {
    let artifact = json!({"kind": "artifact-update", "taskId": "t1", "artifact": a2a_artifact("x"), "append": true});
    let text = [
        ":hello\n\n".to_owned(),
        update(&a2a_task("submitted")),
        a2a_status("working", false),
        update(&artifact),
        update(&json!({"kind": "message", "role": "agent"})),
        a2a_status("input-required", true),
        "data: what comes behind the end is not read\n\n".to_owned(),
    ];
    let server = a2a_server(move || silent(&text.concat()), never_asked);
    let (seen, error) = updates(&server.client(), LONG);
    assert_eq!(seen[..3], ["task submitted", "t1 working", "t1 x"]);
    assert!(seen[3].starts_with("Other(") && seen[4..] == ["t1 input-required"], "{seen:?}");
    assert!(error.is_none(), "{error:?}");
    let sent = server.requests()[0].json();
    assert_eq!((&sent["method"], &sent["params"]["message"]["role"]), (&json!("message/stream"), &json!("user")));
}

#[test]
fn what_the_stream_does_not_tell_is_asked_for() {
    let begun = || update(&a2a_task("working"));
    let artifact = || update(&json!({"kind": "artifact-update", "taskId": "t1", "artifact": a2a_artifact("x")}));
    for stream in [
        silent(&[begun(), artifact()].concat()),
        broken(&[begun(), artifact()].concat()),
        ended(&[begun(), artifact()].concat()),
        // The reference server's stream ends so after five minutes.
        ended(&[begun(), artifact(), a2a_status("working", true)].concat()),
    ] {
        let server = a2a_server(
            move || stream.clone(),
            |nth| match nth {
                0 => told("working", &["x"]),
                1 => Answer::refused(503, "busy"),
                2 => Answer::Reset,
                _ => told("completed", &["x", "y"]),
            },
        );
        let (mut seen, error) = updates(&client(&server, SHORT), LONG);
        seen.retain(|update| update != "t1 working");
        assert_eq!(
            (&seen[..], error.is_none()),
            (&["task working", "t1 x", "t1 y", "t1 completed"].map(String::from)[..], true)
        );
    }
}

#[test]
fn a_task_that_is_lost_on_the_way_is_an_error() {
    for (stream, task, kind, says) in [
        (broken(":hello\n\n"), told("working", &[]), ErrorKind::NoAnswer, "the stream of events broke off"),
        (ended(""), told("working", &[]), ErrorKind::NoAnswer, "the stream ended without a task"),
        (silent(":hello\n\n"), told("working", &[]), ErrorKind::NoAnswer, "has told of no task in time"),
        (Answer::Close, told("working", &[]), ErrorKind::NoAnswer, "no whole answer"),
        (broken(&update(&a2a_task("working"))), Answer::refused(500, "no"), ErrorKind::Server, "no"),
        (Answer::html(200), told("working", &[]), ErrorKind::WrongAddress, "an HTML page answered"),
        (ended("data:<html>\n\n"), told("working", &[]), ErrorKind::Decode, "not the expected JSON"),
        (
            ended("data:{\"error\":{\"code\":-32001,\"message\":\"gone\"}}\n\n"),
            told("working", &[]),
            ErrorKind::NotFound,
            "server said -32001: gone",
        ),
        (
            Answer::refused(500, "No A2A task (agent execution) found: t"),
            told("working", &[]),
            ErrorKind::NotFound,
            "server said 500: No A2A task (agent execution) found: t",
        ),
        (
            Answer::json(200, &json!({"error": {"code": -32602, "message": "bad"}})),
            told("working", &[]),
            ErrorKind::Rejected,
            "server said -32602: bad",
        ),
        (
            Answer::json(200, &json!({"result": {"kind": "task"}})),
            told("working", &[]),
            ErrorKind::Decode,
            "no stream of events",
        ),
    ] {
        let server = a2a_server(move || stream.clone(), move |_| task.clone());
        let error = updates(&client(&server, SHORT), LONG).1.expect(says);
        assert!(error.kind() == kind && error.to_string().contains(says), "{says}: {error:?}");
        assert!(error.to_string().contains("of agent a: ") || error.to_string().contains("to agent a: "), "{error}");
    }
}

#[test]
fn an_update_beyond_the_limit_is_an_error() {
    let server = a2a_server(|| silent(&format!("data:{}", "x".repeat(2000))), never_asked);
    let config = Config::new(&server.url()).unwrap().max_answer_bytes(1000);
    let error = updates(&Client::new(config).unwrap(), LONG).1.unwrap();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
}

#[test]
fn the_deadline_of_updates_holds() {
    for stream in
        [Answer::Never, silent(""), silent(&update(&a2a_task("working"))), broken(&update(&a2a_task("working")))]
    {
        let server = a2a_server(move || stream.clone(), |_| told("working", &[]));
        let begun = Instant::now();
        let error = updates(&server.client(), SHORT).1.unwrap();
        assert_eq!(error.kind(), ErrorKind::Deadline, "{error:?}");
        assert!(error.to_string().contains("has not come to rest before the deadline"), "{error}");
        assert!(begun.elapsed() >= SHORT && begun.elapsed() < LONG / 2, "{:?}", begun.elapsed());
    }
}

#[test]
fn a_task_that_is_at_rest_from_the_beginning_is_all_there_is() {
    let server = a2a_server(|| ended(&update(&a2a_task("completed"))), never_asked);
    assert_eq!(updates(&server.client(), LONG).0, ["task completed"]);
    assert!(A2aTaskState::Completed.is_terminal());
}

#[test]
fn dropping_the_updates_closes_the_connection() {
    let server = a2a_server(|| silent(&update(&a2a_task("working"))), never_asked);
    let client = server.client();
    let mut updates = client.a2a().stream(A2aAgent::Agent("a"), &A2aMessage::text("hello"), LONG).unwrap();
    assert!(matches!(updates.next(), Some(Ok(A2aUpdate::Task(_)))));
    let n_open = server.n_open_connections();
    drop(updates);
    assert!(comes_true(|| server.n_open_connections() < n_open), "it is still open");
}
