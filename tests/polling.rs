//! Polls and the answers to them: nothing that a server sends ends a poller, floods the server or loses a good task.

#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

mod common;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use common::{Answer, Gate, Request, Server, be_slow, echo, start, stop_clean, task, task_with, tasks};
use conductor_sync::{Client, RawJson, TaskError, TaskRunner, Worker};
use serde_json::{Value, json};

/// A worker that counts its runs.
fn counting() -> (Worker, Arc<AtomicUsize>) {
    let n_runs = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&n_runs);
    let worker = Worker::new("job", move |_, input: Value| {
        count.fetch_add(1, Ordering::AcqRel);
        Ok(input)
    });
    (worker.poll_timeout(Duration::from_millis(200)), n_runs)
}

fn tasks_from(first: usize, n: usize) -> Vec<Value> {
    (first..first + n).map(|n| task(&format!("t{n}"))).collect()
}

fn n_polls(all: &[Request]) -> usize {
    all.iter().filter(|r| r.is_poll()).count()
}

#[test]
fn an_answer_that_is_no_list_of_tasks_runs_nothing_and_the_next_poll_works() {
    let json = |text: &str| Answer::status(200, "application/json", text);
    for (what, answer) in [
        ("a login page", Answer::html(200)),
        ("a page of a gateway", Answer::html(502)),
        ("an object", json(r#"{"tasks": []}"#)),
        ("a task that is in no list", Answer::json(200, &task("odd"))),
        ("null", json("null")),
        ("nothing", json("")),
        ("a text", json(r#""none""#)),
        ("a number", json("0")),
        ("half a list", json(r#"[{"taskId": "odd""#)),
        ("two lists", json("[][]")),
        ("a byte order mark", json("\u{feff}[]")),
        ("bytes that are no text", Answer::status(200, "application/json", b"\xff\xfe[\0]\0")),
        ("an error", Answer::refused(500, "database is locked")),
        ("no content", Answer::Bytes(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec())),
        ("a reset", Answer::Reset),
        ("an end", Answer::Close),
        ("another protocol", Answer::BytesAndEnd(b"220 mail.example ESMTP\r\n".to_vec())),
        ("a status without meaning", Answer::BytesAndEnd(b"HTTP/1.1 099 Odd\r\nContent-Length: 2\r\n\r\n[]".to_vec())),
    ] {
        let server = Server::start(move |r| (r.is_poll() && r.nth == 0).then(|| answer.clone()));
        server.add([task("t0")]);
        let (worker, n_runs) = counting();
        let handle = start(&server, worker);
        server.wait_for_updates("t0", 1);
        assert_eq!(stop_clean(handle).completed, 1, "{what}");
        assert_eq!(n_runs.load(Ordering::Acquire), 1, "{what}");
    }
}

/// Cuts the answer to every other poll, each at another place, and waits until all places had their turn.
fn cut_everywhere(whole: Vec<u8>, n_places: usize) -> impl FnOnce() {
    let step = whole.len().div_ceil(n_places);
    let server = Server::start(move |r| match (r.is_poll(), r.nth % 2) {
        (true, 0) => whole.get(..r.nth / 2 * step).map(|part| Answer::BytesAndEnd(part.to_vec())),
        // An answer that is whole, or the pauses would grow.
        (true, nth) => Some(Answer::tasks(&[task(&format!("whole-{nth}"))])),
        _ => None,
    });
    let n_runs = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&n_runs);
    let worker = Worker::new("job", move |cx, input: Value| {
        count.fetch_add(usize::from(!cx.task_id().starts_with("whole")), Ordering::AcqRel);
        Ok(input)
    });
    let handle = start(&server, worker);
    move || {
        server.wait_for("a poll for each place", |all| n_polls(all) > 2 * n_places);
        stop_clean(handle);
        assert_eq!(n_runs.load(Ordering::Acquire), 0);
        assert!(server.requests().iter().filter(|r| r.is_update()).all(|r| r.task_id().starts_with("whole")));
    }
}

#[test]
fn an_answer_that_is_cut_off_anywhere_runs_nothing() {
    let list = Value::Array(tasks(3).collect()).to_string();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    let (first, second) = list.split_at(list.len() / 3);
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let ends = [
        format!("{head}Content-Length: {}\r\n\r\n{list}", list.len()),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{}{}", chunk(first), chunk(second)),
        format!("{head}Connection: close\r\n\r\n{list}"),
    ]
    // The list is whole when its last byte is there, so the last place is before it.
    .map(|whole| cut_everywhere(whole.as_bytes()[..whole.rfind(']').unwrap()].to_vec(), 50));
    ends.into_iter().for_each(|end| end());
}

/// A task's text with the text of its input in place.
fn task_text(id: &str, input: &str) -> String {
    let text = task_with(id, json!({"inputData": "here"})).to_string();
    text.replace("\"here\"", input)
}

#[test]
fn odd_tasks_of_a_batch_are_failed_by_themselves_and_the_others_run() {
    let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(988), "]".repeat(988));
    let batch = [
        task_text("good-1", "{}"),
        task_with("unknown-status", json!({"status": "ON_THE_MOON", "newField": [1]})).to_string(),
        task_with("without-id", json!({"taskId": null})).to_string(),
        task_text("", "{}"),
        task_text("deep", &deep),
        task_text("big", &format!(r#"{{"x":{}}}"#, "7".repeat(400))),
        task_text("surrogate", r#"{"x":"\ud800"}"#),
        task_with("wrong-type", json!({"retryCount": "many"})).to_string(),
        task_with("without-workflow", json!({"workflowInstanceId": null})).to_string(),
        task_text("no-utf8", r#"{"x":"<BAD>"}"#),
        "17".to_owned(),
        "null".to_owned(),
        "[[]]".to_owned(),
        task_text("good-2", "{\"text\":\"\u{fffd}\"}"),
    ];
    let text = format!("[{}]", batch.join(","));
    let (before, after) = text.split_once("<BAD>").unwrap();
    let body = [before.as_bytes(), b"\xc3\x28\xff", after.as_bytes()].concat();
    let answer = Answer::status(200, "application/json", body);
    let server = Server::start(move |r| (r.is_poll() && r.nth == 0).then(|| answer.clone()));
    let handle = TaskRunner::new(&server.client()).worker(echo()).threads(20).start().unwrap();
    server.wait_for_tasks(8);
    assert_eq!(stop_clean(handle).completed, 8);
    let reports: BTreeMap<_, _> = server
        .requests()
        .iter()
        .filter(|r| r.is_update())
        .map(|r| (r.task_id().to_owned(), (r.status(), r.reason())))
        .collect();
    assert_eq!(reports.len(), 8, "{reports:?}");
    for id in ["good-1", "good-2", "unknown-status"] {
        assert_eq!(reports[id].0, "COMPLETED", "{id}");
    }
    for (id, says) in [
        ("deep", "recursion limit"),
        ("big", "number out of range"),
        ("surrogate", "hex escape"),
        ("wrong-type", "can't read the task"),
        ("no-utf8", "UTF-8"),
    ] {
        let (status, reason) = &reports[id];
        assert!(status == "FAILED_WITH_TERMINAL_ERROR" && reason.contains(says), "{id}: {status}: {reason}");
    }
}

#[test]
fn a_handler_that_takes_json_as_text_gets_and_gives_it_unchanged() {
    let input = format!(r#"{{"x":{}{},"y":{},"z":"\ud800"}}"#, "[".repeat(980), "]".repeat(980), "7".repeat(400));
    let answer = Answer::status(200, "application/json", format!("[{}]", task_text("t0", &input)));
    let server = Server::start(move |r| (r.is_poll() && r.nth == 0).then(|| answer.clone()));
    let handle = start(&server, Worker::new("job", |_, input: RawJson| Ok(input)));
    let updates = server.wait_for_updates("t0", 1);
    stop_clean(handle);
    let text = String::from_utf8_lossy(&updates[0].body);
    assert!(text.contains(&input) && text.contains("COMPLETED"), "{}", &text[..200]);
}

#[test]
fn a_task_whose_input_is_stored_outside_is_not_run() {
    let server = Server::well_behaved();
    server.add([task_with("t0", json!({"inputData": {}, "externalInputPayloadStoragePath": "in/7.json"}))]);
    let (worker, n_runs) = counting();
    let handle = start(&server, worker);
    let updates = server.wait_for_updates("t0", 1);
    stop_clean(handle);
    assert_eq!((n_runs.load(Ordering::Acquire), updates.len()), (0, 1));
    assert_eq!(updates[0].status(), "FAILED_WITH_TERMINAL_ERROR");
    assert!(updates[0].reason().contains("in/7.json"), "{}", updates[0].reason());
}

#[test]
fn a_task_that_is_handed_out_again_while_it_runs_runs_once() {
    let server = Server::start(|r| match (r.is_poll(), r.nth) {
        (true, 0) => Some(Answer::tasks(&[task("t0"), task("t0")])),
        (true, 1 | 2) => Some(Answer::tasks(&[task_with("t0", json!({"pollCount": 2}))])),
        _ => None,
    });
    let (gate, n_runs) = (Gate::new(), Arc::new(AtomicUsize::new(0)));
    let (count, closed) = (Arc::clone(&n_runs), gate.clone());
    let worker = Worker::new("job", move |_, input: Value| {
        count.fetch_add(1, Ordering::AcqRel);
        closed.pass();
        Ok(input)
    });
    let handle = TaskRunner::new(&server.client()).worker(worker).threads(4).start().unwrap();
    server.wait_for("four polls", |all| n_polls(all) >= 4);
    gate.open();
    server.wait_for_updates("t0", 1);
    assert_eq!(stop_clean(handle).completed, 1);
    assert_eq!((n_runs.load(Ordering::Acquire), server.updates("t0").len()), (1, 1));
}

#[test]
fn a_task_that_comes_back_after_an_in_progress_result_runs_again() {
    let back = task_with("t0", json!({"pollCount": 2}));
    let acknowledge = Gate::new();
    let (wait, is_reported) = (acknowledge.clone(), AtomicBool::new(false));
    // It comes back before its first result is acknowledged.
    let server = Server::start(move |r| match (r.is_poll(), r.is_update(), r.nth) {
        (true, ..) => is_reported.swap(false, Ordering::AcqRel).then(|| Answer::tasks(std::slice::from_ref(&back))),
        (_, true, 0) => {
            is_reported.store(true, Ordering::Release);
            wait.pass();
            None
        }
        _ => None,
    });
    server.add([task("t0")]);
    let worker = Worker::new("job", |cx, input: Value| match cx.poll_count() {
        1 => Err(TaskError::in_progress(Duration::ZERO)),
        _ => Ok(input),
    });
    let handle = start(&server, worker);
    server.wait_for("both results", |all| all.iter().filter(|r| r.is_update()).count() == 2);
    acknowledge.open();
    // That it came back shows that its first result has arrived, so a stop does not wait for the acknowledgement.
    assert!(stop_clean(handle).completed >= 1);
    let statuses: Vec<_> = server.updates("t0").iter().map(Request::status).collect();
    assert_eq!(statuses, ["IN_PROGRESS", "COMPLETED"]);
}

#[test]
fn none_of_more_tasks_than_were_asked_for_is_dropped() {
    let server = Server::start(|r| (r.is_poll() && r.nth == 0).then(|| Answer::tasks(&tasks(5).collect::<Vec<_>>())));
    let handle = start(&server, echo().dedicated_threads(1));
    server.wait_for_tasks(5);
    assert_eq!(stop_clean(handle).completed, 5);
    assert!(server.requests().iter().filter(|r| r.is_update()).all(|r| r.status() == "COMPLETED"));
}

#[test]
fn tasks_that_find_no_free_thread_are_given_back_with_the_output_they_had() {
    let batch: Vec<_> = (0..150).map(|n| task_with(&format!("t{n}"), json!({"outputData": {"page": n}}))).collect();
    let server = Server::start(move |r| (r.is_poll() && r.nth == 0).then(|| Answer::tasks(&batch)));
    let gate = Gate::new();
    let closed = gate.clone();
    let worker = Worker::new("job", move |_, input: Value| {
        closed.pass();
        Ok(input)
    });
    let handle = start(&server, worker.dedicated_threads(1).give_back_after(Duration::from_millis(100)));
    // They wait together, not one after the other.
    server.wait_for_tasks(149);
    gate.open();
    server.wait_for_tasks(150);
    let report = stop_clean(handle);
    assert_eq!((report.completed, report.given_back), (1, 149));
    for update in server.requests().iter().filter(|r| r.is_update() && r.task_id() != "t0") {
        let body = update.json();
        assert_eq!(body["status"], "IN_PROGRESS");
        assert_eq!(body["callbackAfterSeconds"].as_i64().unwrap_or(0), 0);
        assert_eq!(format!("t{}", body["outputData"]["page"]), update.task_id());
    }
}

#[test]
fn a_task_of_another_type_is_given_back() {
    let other = task_with("t0", json!({"taskType": "other", "taskDefName": "other"}));
    let server =
        Server::start(move |r| (r.is_poll() && r.nth == 0).then(|| Answer::tasks(std::slice::from_ref(&other))));
    let (worker, n_runs) = counting();
    let handle = start(&server, worker);
    let updates = server.wait_for_updates("t0", 1);
    let report = stop_clean(handle);
    assert_eq!((n_runs.load(Ordering::Acquire), report.given_back), (0, 1));
    assert_eq!(updates[0].status(), "IN_PROGRESS");
}

#[test]
fn no_answer_makes_a_poller_flood_the_server() {
    const N_POLLS: usize = 6;
    /// A poll that brings a task, another one, and one by a helper come without a pause.
    const MOST_AT_ONCE: usize = 3;
    /// No pause is shorter.
    const LEAST_PAUSE: Duration = Duration::from_millis(25);
    let json = |text: &str| Answer::status(200, "application/json", text);
    let other = task_with("t0", json!({"taskType": "other", "taskDefName": "other"}));
    let all: Vec<(&str, Answer)> = vec![
        ("an empty list before the hold is over", json("[]")),
        ("no content", Answer::Bytes(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec())),
        ("an error", Answer::refused(500, "database is locked")),
        ("not allowed", Answer::status(401, "text/plain", "")),
        ("a login page", Answer::html(200)),
        ("a reset", Answer::Reset),
        ("a task that can't be read", json("[null]")),
        ("a task without a workflow", json(r#"[{"taskId": "t0"}]"#)),
        ("the same task of another type", Answer::tasks(&[other])),
        ("the same running task", Answer::tasks(&[task("t0")])),
    ];
    let running: Vec<_> = all
        .into_iter()
        .map(|(what, answer)| {
            let server = Server::start(move |r| r.is_poll().then(|| answer.clone()));
            let gate = Gate::new();
            let closed = gate.clone();
            let worker = Worker::new("job", move |_, input: Value| {
                closed.pass();
                Ok(input)
            });
            let handle = start(&server, worker.poll_timeout(Duration::from_millis(500)));
            (what, server, gate, handle)
        })
        .collect();
    for (what, server, gate, handle) in running {
        server.wait_for(&format!("{what}: {N_POLLS} polls"), |all| n_polls(all) >= N_POLLS);
        gate.open();
        stop_clean(handle);
        let polls: Vec<_> = server.requests().into_iter().filter(Request::is_poll).take(N_POLLS).collect();
        for burst in polls.windows(MOST_AT_ONCE + 1) {
            let within = burst[MOST_AT_ONCE].at - burst[0].at;
            assert!(within >= LEAST_PAUSE, "{what}: {} polls within {within:?}", burst.len());
        }
    }
}

#[test]
fn an_idle_worker_that_allows_no_hold_polls_a_few_times_a_second() {
    const N_POLLS: usize = 12;
    let server = Server::well_behaved();
    let begun = Instant::now();
    let handle = start(&server, echo().poll_timeout(Duration::ZERO));
    server.wait_for("polls", |all| n_polls(all) >= N_POLLS);
    let took = begun.elapsed();
    stop_clean(handle);
    assert!(took > Duration::from_millis(600), "{N_POLLS} polls in {took:?}");
}

/// Checks at each poll that what it asks for, with what was handed out and is not finished, fits into the pool.
struct Held {
    n_handed_out: AtomicUsize,
    n_finished: AtomicUsize,
    most: Mutex<usize>,
}

fn held(n_tasks: usize) -> (Server, Arc<Held>, impl Fn(&str) -> Worker) {
    let held =
        Arc::new(Held { n_handed_out: AtomicUsize::new(0), n_finished: AtomicUsize::new(0), most: Mutex::new(0) });
    let watch = Arc::clone(&held);
    let server = Server::start(move |r| {
        if !r.is_poll() {
            return None;
        }
        // The two types poll at once; the lock makes what is read and written here one step.
        let mut most = watch.most.lock().unwrap();
        let handed_out = watch.n_handed_out.load(Ordering::Acquire);
        *most = (*most).max(handed_out - watch.n_finished.load(Ordering::Acquire) + r.count());
        let n = r.count().min(n_tasks.saturating_sub(handed_out));
        watch.n_handed_out.store(handed_out + n, Ordering::Release);
        drop(most);
        let job = if r.target.contains("/other?") { "other" } else { "job" };
        let of_type = json!({"taskType": job, "taskDefName": job});
        Some(Answer::tasks(
            &(handed_out..handed_out + n).map(|n| task_with(&format!("t{n}"), of_type.clone())).collect::<Vec<_>>(),
        ))
    });
    let count = Arc::clone(&held);
    let worker = move |task_type: &str| {
        let held = Arc::clone(&count);
        let worker = Worker::new(task_type, move |_, input: Value| {
            be_slow(Duration::from_millis(2));
            held.n_finished.fetch_add(1, Ordering::AcqRel);
            Ok(input)
        });
        worker.poll_timeout(Duration::from_millis(100))
    };
    (server, held, worker)
}

#[test]
fn polls_ask_for_no_more_tasks_than_there_are_free_threads() {
    for (n_threads, n_pollers) in [(1, 1), (4, 1), (4, 3)] {
        let (server, held, worker) = held(200);
        let handle = start(&server, worker("job").dedicated_threads(n_threads).pollers(n_pollers));
        server.wait_for_tasks(200);
        assert_eq!(stop_clean(handle).completed, 200);
        assert_eq!(*held.most.lock().unwrap(), n_threads, "{n_pollers} pollers");
    }
}

#[test]
fn in_a_shared_pool_each_type_holds_at_most_one_task_beyond_the_threads() {
    let (server, held, worker) = held(300);
    let runner = TaskRunner::new(&server.client()).worker(worker("job")).worker(worker("other")).threads(3);
    let handle = runner.start().unwrap();
    server.wait_for_tasks(300);
    assert_eq!(stop_clean(handle).completed, 300);
    let most = *held.most.lock().unwrap();
    assert!((3..=5).contains(&most), "{most}");
}

#[test]
fn a_limited_worker_runs_no_more_tasks_at_once_than_its_limit() {
    let (server, held, worker) = held(100);
    let runner = TaskRunner::new(&server.client()).worker(worker("job").max_concurrent(2)).threads(8);
    let handle = runner.start().unwrap();
    server.wait_for_tasks(100);
    assert_eq!(stop_clean(handle).completed, 100);
    assert_eq!(*held.most.lock().unwrap(), 2);
}

#[test]
fn a_batch_that_is_too_large_to_read_is_not_asked_for_again_and_again() {
    let n_lost = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&n_lost);
    let left = AtomicUsize::new(200);
    let server = Server::start(move |r| {
        if !r.is_poll() {
            return None;
        }
        let n = r.count().min(left.load(Ordering::Acquire));
        if n > 4 {
            count.fetch_add(1, Ordering::AcqRel);
            return Some(Answer::status(200, "application/json", vec![b' '; 20_000]));
        }
        let before = left.fetch_sub(n, Ordering::AcqRel);
        Some(Answer::tasks(&(before - n..before).map(|n| task(&format!("t{n}"))).collect::<Vec<_>>()))
    });
    let client = Client::new(server.config().max_answer_bytes(10_000)).unwrap();
    let handle = TaskRunner::new(&client).worker(echo()).threads(16).start().unwrap();
    server.wait_for_tasks(200);
    assert_eq!(stop_clean(handle).completed, 200);
    let n_lost = n_lost.load(Ordering::Acquire);
    assert!((1..10).contains(&n_lost), "{n_lost} batches were too large");
}

#[test]
fn a_pause_that_the_server_asks_one_poller_for_holds_for_all_of_a_worker() {
    let ids = AtomicUsize::new(0);
    let server = Server::start(move |r| {
        if !r.is_poll() {
            return None;
        }
        if r.nth == 40 {
            return Some(Answer::with_headers(429, "text/plain", "Retry-After: 2\r\n", b"later"));
        }
        // Every batch is full, so that further pollers help.
        Some(Answer::tasks(&tasks_from(ids.fetch_add(r.count(), Ordering::AcqRel), r.count())))
    });
    let handle = TaskRunner::new(&server.client()).worker(echo()).threads(8).start().unwrap();
    server.wait_for("polls after the pause", |all| n_polls(all) > 60);
    let polls: Vec<_> = server.requests().into_iter().filter(Request::is_poll).collect();
    assert!(stop_clean(handle).completed > 0);
    let answered = polls.iter().find(|r| r.nth == 40).unwrap().answered.unwrap();
    // A poll that was on its way already may come a little later.
    let (from, to) = (answered + Duration::from_millis(500), answered + Duration::from_millis(1900));
    assert_eq!(polls.iter().filter(|r| r.at > from && r.at < to).count(), 0);
}

#[test]
fn an_answer_that_drips_is_given_up_at_the_request_timeout() {
    let slow = Answer::tasks(&tasks(100).collect::<Vec<_>>()).bytes();
    let server = Server::start(move |r| (r.is_poll() && r.nth == 0).then(|| Answer::Drip(slow.clone())));
    server.add([task("t0")]);
    let client = Client::new(server.config().request_timeout(Duration::from_secs(1))).unwrap();
    let handle = TaskRunner::new(&client).worker(echo()).threads(2).start().unwrap();
    server.wait_for_updates("t0", 1);
    assert_eq!(stop_clean(handle).completed, 1);
}

#[test]
fn an_empty_domain_is_not_sent_and_another_is() {
    for (domain, sent) in [("", None), ("  ", None), ("eu west&1", Some("eu%20west%261"))] {
        let server = Server::well_behaved();
        server.add([task("t0")]);
        let handle = start(&server, echo().domain(domain));
        server.wait_for_updates("t0", 1);
        stop_clean(handle);
        assert!(server.requests().iter().filter(|r| r.is_poll()).all(|r| r.query("domain") == sent), "`{domain}`");
    }
}

fn n_polls_for(all: &[Request], task_type: &str) -> usize {
    all.iter().filter(|r| r.is_poll() && r.task_type() == task_type).count()
}

#[test]
fn a_paused_worker_polls_again_when_it_is_resumed() {
    let server = Server::well_behaved();
    let other = Worker::new("other", |_, input: Value| Ok(input)).poll_timeout(Duration::from_millis(200));
    let handle = TaskRunner::new(&server.client()).worker(echo()).worker(other).threads(2).start().unwrap();
    // The other worker polls in the same way, and goes on: in the time of its polls, a first one of a paused worker that was
    // under way ends, and then there would be another.
    let while_the_other_polls = || {
        let before = n_polls_for(&server.requests(), "other");
        server.wait_for("polls of the other worker", |all| n_polls_for(all, "other") >= before + 4);
    };
    while_the_other_polls();
    handle.pause("job").unwrap();
    while_the_other_polls();
    server.add(tasks(3));
    let n_before = n_polls_for(&server.requests(), "job");
    assert!(n_before >= 2);
    while_the_other_polls();
    assert_eq!((n_polls_for(&server.requests(), "job"), server.n_queued()), (n_before, 3), "a paused worker polls");
    handle.resume("job").unwrap();
    server.wait_for_tasks(3);
    assert!(handle.pause("nobody").unwrap_err().to_string().contains("nobody"));
    handle.pause("job").unwrap();
    assert_eq!(stop_clean(handle).completed, 3);
}

#[test]
fn a_pause_holds_for_every_poller_of_a_busy_worker() {
    const N_POLLERS: usize = 4;
    let n_tasks = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&n_tasks);
    let server = Server::start(move |r| {
        if !r.is_poll() {
            return None;
        }
        be_slow(Duration::from_millis(20));
        let first = count.fetch_add(r.count(), Ordering::AcqRel);
        Some(Answer::tasks(&(first..first + r.count()).map(|n| task(&format!("t{n}"))).collect::<Vec<_>>()))
    });
    let handle = start(&server, echo().dedicated_threads(16).pollers(N_POLLERS));
    server.wait_for_polls(100);
    handle.pause("job").unwrap();
    let n_before = server.n_polls();
    // There is always more to fetch, so that a poller that goes on keeps this from coming true.
    server.wait_for("the end of polls and tasks", |all| {
        let n_updates = all.iter().filter(|r| r.is_update()).count();
        all.iter().all(|r| r.answered.is_some()) && n_updates == n_tasks.load(Ordering::Acquire)
    });
    // Each may have been about to poll.
    let n_late = server.n_polls() - n_before;
    assert!(n_late <= N_POLLERS, "{n_late} polls after the pause");
    stop_clean(handle);
}
