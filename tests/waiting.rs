//! How often workflows that are waited for are looked at, and that each who waits gets its answer.

#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

mod common;

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use common::{Answer, Request, Server};
use conductor_sync::{Client, Error, ErrorKind, Result, Workflow, WorkflowClient, WorkflowStatus};
use serde_json::{Value, json};

/// In the first second six, then five a second; some more since the machine may be slow between a look and its count.
fn most_requests(begun: Instant) -> usize {
    7 + 5 * begun.elapsed().as_millis() as usize / 1_000
}

fn state(id: &str) -> Value {
    json!({"workflowId": id, "status": if id.starts_with("done") { "COMPLETED" } else { "RUNNING" }})
}

fn no_such(id: &str) -> String {
    format!("No such workflow found by id: {id}")
}

/// Answers to looks at one: workflows are RUNNING, but for those called `done…`, and `nope` is not there.
fn single(request: &Request) -> Answer {
    let id = request.target.strip_prefix("/api/workflow/").unwrap().split(['/', '?']).next().unwrap();
    match id {
        "nope" => Answer::refused(404, &no_such(id)),
        _ => Answer::json(200, &state(id)),
    }
}

fn is_for_many(request: &Request) -> bool {
    request.target.starts_with("/api/workflow/bulk/search")
}

fn server() -> Server {
    Server::start(|request| {
        if !is_for_many(request) {
            return Some(single(request));
        }
        let ids = request.json();
        let ids: Vec<&str> = ids.as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
        let errors: BTreeMap<&str, String> =
            ids.iter().filter(|id| **id == "nope").map(|id| (*id, no_such(id))).collect();
        let found: Vec<Value> = ids.iter().filter(|id| **id != "nope").map(|id| state(id)).collect();
        Some(Answer::json(200, &json!({"bulkSuccessfulResults": found, "bulkErrorResults": errors})))
    })
}

/// A server, or a proxy before it, that has no looks at several.
fn only_single(no: fn() -> Answer) -> Server {
    Server::start(move |request| Some(if is_for_many(request) { no() } else { single(request) }))
}

fn missing_route() -> Answer {
    Answer::refused(404, "No static resource api/workflow/bulk/search.")
}

/// The outcomes of what each of many threads waits for.
fn by_threads<T: Send>(n: usize, client: &WorkflowClient, wait: impl Fn(&WorkflowClient, usize) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..n)
            .map(|nth| {
                scope.spawn({
                    let wait = &wait;
                    move || wait(client, nth)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[track_caller]
fn all_late(outcomes: &[Result<Workflow>]) {
    for outcome in outcomes {
        assert_eq!(outcome.as_ref().unwrap_err().kind(), ErrorKind::Deadline);
    }
}

#[test]
fn waiting_for_many_gives_each_its_outcome_in_order_and_few_requests() {
    for server in [server(), only_single(missing_route)] {
        let ids = ["r1", "done1", "nope", "r2", "done2", "a/b", "done1", "r1"];
        let begun = Instant::now();
        let outcomes = server.client().workflows().wait_all(&ids, Duration::from_millis(1_500));
        assert!(begun.elapsed() < Duration::from_secs(5));
        let kinds: Vec<_> =
            outcomes.iter().map(|outcome| outcome.as_ref().map_err(Error::kind).map(|w| &*w.workflow_id)).collect();
        let (late, missing, bad) = (Err(ErrorKind::Deadline), Err(ErrorKind::NotFound), Err(ErrorKind::Invalid));
        assert_eq!(kinds, [late, Ok("done1"), missing, late, Ok("done2"), bad, Ok("done1"), late]);
        for (nth, id) in [(0, "r1"), (3, "r2"), (7, "r1")] {
            let state = outcomes[nth].as_ref().unwrap_err().workflow_state().unwrap();
            assert_eq!((state.workflow_id.as_str(), &state.status), (id, &WorkflowStatus::Running));
        }
        let whole = |id: &str| server.requests().iter().filter(|r| r.target == format!("/api/workflow/{id}")).count();
        assert!(whole("done1") <= 1, "it is fetched once");
        let n_looks = server.requests().len();
        assert!(n_looks <= 14, "{n_looks} requests");
        assert_eq!(server.client().workflows().wait_all::<&str>(&[], Duration::ZERO).len(), 0);
    }
}

#[test]
fn who_waits_for_the_same_workflow_shares_its_looks() {
    let server = server();
    let client = server.client().workflows();
    let begun = Instant::now();
    let outcomes = by_threads(20, &client, |client, _| client.wait("r1", Duration::from_secs(2)));
    all_late(&outcomes);
    let n_requests = server.requests().len();
    assert!(n_requests <= most_requests(begun), "{n_requests} requests of 20 threads in {:?}", begun.elapsed());
}

#[test]
fn a_workflow_that_is_named_twice_is_looked_at_once() {
    let server = server();
    let outcomes = server.client().workflows().wait_all(&["r1"; 20], Duration::from_secs(1));
    all_late(&outcomes);
    assert_eq!(outcomes.len(), 20);
    let n_requests = server.requests().len();
    assert!(n_requests <= 10, "{n_requests} requests");
    let ended = server.client().workflows().wait_all(&["done"; 20], Duration::from_secs(1));
    assert!(ended.len() == 20 && ended.iter().all(Result::is_ok));
    assert!(server.requests().len() <= n_requests + 2, "one look, and fetched once");
}

#[test]
fn many_who_wait_for_many_send_five_requests_a_second_in_all() {
    let server = server();
    let client = server.client().workflows();
    let begun = Instant::now();
    by_threads(20, &client, |client, nth| {
        all_late(&client.wait_all(&[format!("r{nth}"), "r0".to_owned()], Duration::from_secs(2)));
    });
    let n_requests = server.requests().len();
    assert!(n_requests <= most_requests(begun), "{n_requests} requests in {:?}", begun.elapsed());
}

#[test]
fn what_is_looked_at_one_by_one_gets_five_requests_a_second_in_all_and_each_its_turn() {
    for no in [missing_route as fn() -> Answer, || Answer::status(403, "text/html", "<html>no</html>")] {
        let server = only_single(no);
        let client = server.client().workflows();
        let begun = Instant::now();
        by_threads(6, &client, |client, nth| {
            let ids: Vec<String> = (0..2).map(|n| format!("r{nth}_{n}")).collect();
            all_late(&client.wait_all(&ids, Duration::from_secs(4)));
        });
        let requests = server.requests();
        let n_requests = requests.len();
        assert!(n_requests <= most_requests(begun), "{n_requests} requests in {:?}", begun.elapsed());
        let n_looks = |id: &str| requests.iter().filter(|request| request.target.contains(id)).count();
        let ids = (0..6).flat_map(|nth| [format!("/r{nth}_0/"), format!("/r{nth}_1/")]);
        let counts: Vec<usize> = ids.map(|id| n_looks(&id)).collect();
        assert!(counts.iter().all(|n| (1..=4).contains(n)), "{counts:?}");
        assert!(requests.iter().filter(|request| is_for_many(request)).count() <= 1, "it is not asked in vain again");
    }
}

#[test]
fn waiting_for_very_many_one_by_one_ends_in_time_with_few_requests() {
    let server = only_single(missing_route);
    let ids: Vec<String> = (0..300).map(|n| format!("r{n}")).collect();
    let begun = Instant::now();
    let outcomes = server.client().workflows().wait_all(&ids, Duration::from_secs(1));
    assert!(begun.elapsed() < Duration::from_secs(4));
    assert!(outcomes.iter().all(|outcome| outcome.as_ref().is_err_and(|e| e.workflow_state().is_some())));
    let n_requests = server.requests().len();
    assert!(n_requests <= most_requests(begun), "{n_requests} requests in {:?}", begun.elapsed());
}

#[test]
fn large_inputs_are_looked_at_with_smaller_requests() {
    let server = Server::start(|request| {
        if !is_for_many(request) {
            return Some(single(request));
        }
        let ids = request.json();
        let state = |id: &Value| {
            let mut state = state(id.as_str().unwrap());
            state["input"] = json!({"text": "x".repeat(1 << 20)});
            state
        };
        let found: Vec<Value> = ids.as_array().unwrap().iter().map(state).collect();
        Some(Answer::json(200, &json!({"bulkSuccessfulResults": found})))
    });
    // Of twenty at once the answer is too large.
    let client = Client::new(server.config().max_answer_bytes(8 << 20)).unwrap();
    let ids: Vec<String> = (0..20).map(|n| format!("r{n}")).collect();
    all_late(&client.workflows().wait_all(&ids, Duration::from_secs(4)));
    let requests = server.requests();
    let sizes = requests.iter().filter(|request| is_for_many(request)).map(|r| r.json().as_array().unwrap().len());
    let sizes: Vec<usize> = sizes.collect();
    assert_eq!(sizes.iter().filter(|size| **size == 20).count(), 1, "{sizes:?}");
    assert!(sizes.iter().skip(1).all(|size| *size <= 4), "{sizes:?}");
    let outcomes = client.workflows().wait_all(&["done1", "done2"], Duration::from_secs(4));
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
}

#[test]
fn an_end_that_is_seen_and_not_read_is_told_with_the_reason() {
    let server = Server::start(|request| {
        let is_look = request.target.contains("/status");
        Some(if is_look { single(request) } else { Answer::refused(503, "out of memory") })
    });
    let error = server.client().workflows().wait("done", Duration::from_millis(200)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert_eq!(error.workflow_state().map(|state| &state.status), Some(&WorkflowStatus::Completed));
    let words = "wait for workflow done: it ended as COMPLETED, but could not be read within 200 ms: ";
    let text = error.to_string();
    assert!(text.starts_with(words) && text.contains("out of memory"), "{text}");
}

#[test]
fn an_end_that_was_not_read_is_forgotten_when_the_workflow_runs_again() {
    let server = Server::start(|request| {
        if !request.target.contains("/status") {
            return Some(Answer::refused(503, "out of memory"));
        }
        let status = if request.nth == 0 { "COMPLETED" } else { "RUNNING" };
        Some(Answer::json(200, &json!({"workflowId": "w", "status": status})))
    });
    let error = server.client().workflows().wait("w", Duration::from_millis(300)).unwrap_err();
    assert!(error.to_string().starts_with("wait for workflow w: not ended within 300 ms: it was RUNNING"), "{error}");
}
