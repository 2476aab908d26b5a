//! Results and the answers to them: what is tried again, what is settled, what is set aside.

#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

mod common;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use common::{Answer, Call, Server, echo, quiet_handlers, start, stop_clean, task, task_with, tasks};
use conductor_sync::{Client, Config, RawJson, TaskError, TaskResult, TaskResultStatus, TaskRunner, Worker};
use crossbeam_channel::bounded;
use serde_json::{Value, json};

#[test]
fn a_result_whose_connection_was_reset_is_sent_again_with_the_same_bytes() {
    let server = Server::start(|r| (r.is_update() && r.nth == 0).then_some(Answer::Reset));
    server.add([task("t0")]);
    let handle = start(&server, echo());
    let updates = server.wait_for_updates("t0", 2);
    assert_eq!(stop_clean(handle).completed, 1);
    assert_eq!(server.updates("t0").len(), 2);
    assert_eq!(updates[0].body, updates[1].body);
}

#[test]
fn a_result_is_offered_until_the_server_takes_it() {
    let server = Server::start(|r| (r.is_update() && r.nth < 6).then(|| Answer::refused(500, "database is locked")));
    server.add(tasks(2));
    let handle = start(&server, echo());
    let updates = server.wait_for_updates("t0", 7);
    server.wait_for_updates("t1", 7);
    assert_eq!(stop_clean(handle).completed, 2);
    assert_eq!((server.updates("t0").len(), server.updates("t1").len()), (7, 7));
    assert!(updates.iter().all(|u| u.body == updates[0].body && u.status() == "COMPLETED"));
}

#[test]
fn a_task_that_is_unknown_twice_is_settled_after_two_tries_a_second_apart() {
    let server = Server::start(|r| r.is_update().then(|| Answer::unknown_task(r.task_id())));
    server.add([task("t0")]);
    let handle = start(&server, echo());
    let updates = server.wait_for_updates("t0", 2);
    assert_eq!(stop_clean(handle).completed, 1);
    assert_eq!(server.calls(&Call::Update("t0".to_owned())).len(), 2);
    assert!(updates[1].at - updates[0].at >= Duration::from_secs(1));
}

#[test]
fn answers_that_are_no_acknowledgement_count_as_not_delivered() {
    let cut = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 99\r\n\r\nt".to_vec();
    let running = [
        ("a 404 page of another program", Answer::html(404)),
        ("a 404 for the route", Answer::refused(404, "No static resource api/tasks.")),
        ("a login page with status 200", Answer::html(200)),
        ("the id of another task", Answer::acknowledged("t17")),
        ("a body that is cut off", Answer::BytesAndEnd(cut)),
        ("bytes that are no HTTP", Answer::BytesAndEnd(b"220 mail.example ESMTP\r\n".to_vec())),
        ("a head without an end", Answer::BytesAndEnd(b"HTTP/1.1 200 OK\r\nContent-".to_vec())),
        ("a closed connection", Answer::Close),
        ("a gateway that times out", Answer::html(504)),
        ("a conflict", Answer::refused(409, "try again")),
    ]
    .map(|(what, answer)| {
        let server = Server::start(move |r| (r.is_update() && r.nth < 4).then(|| answer.clone()));
        server.add([task("t0")]);
        let handle = start(&server, echo());
        (what, server, handle)
    });
    for (what, server, handle) in running {
        let updates = server.wait_for_updates("t0", 5);
        assert_eq!(stop_clean(handle).completed, 1, "{what}");
        assert_eq!(server.updates("t0").len(), 5, "{what}");
        assert!(updates.iter().all(|u| u.body == updates[0].body && u.status() == "COMPLETED"), "{what}");
    }
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = Server::well_behaved();
    let location = format!("Location: {}/tasks\r\n", elsewhere.url());
    let server = Server::start(move |r| {
        let answer = || Answer::with_headers(302, "text/plain", &location, b"");
        ((r.is_update() || r.is_poll()) && r.nth < 3).then(answer)
    });
    server.add([task("t0")]);
    let handle = start(&server, echo());
    server.wait_for_updates("t0", 4);
    assert_eq!(stop_clean(handle).completed, 1);
    assert_eq!(elsewhere.n_connections(), 0);
}

#[test]
fn an_update_that_is_never_answered_is_sent_again_after_the_request_timeout() {
    let server = Server::start(|r| (r.is_update() && r.nth == 0).then_some(Answer::Never));
    server.add([task("t0")]);
    let client = Client::new(server.config().request_timeout(Duration::from_secs(2))).unwrap();
    let handle = TaskRunner::new(&client).worker(echo()).threads(2).start().unwrap();
    server.wait_for_updates("t0", 1);
    assert_eq!(stop_clean(handle).completed, 1);
    let updates = server.updates("t0");
    assert_eq!(updates.len(), 2);
    assert_eq!(updates[0].body, updates[1].body);
}

#[test]
fn a_pause_that_the_server_asks_for_is_kept() {
    let server = Server::start(|r| {
        let status = r.task_id().parse().unwrap_or(503);
        let asked = (r.is_update() || r.is_poll()) && r.nth == 0;
        asked.then(|| Answer::with_headers(status, "text/plain", "Retry-After: 1\r\n", b"later"))
    });
    server.add(["429", "401", "503"].map(task));
    let handle = start(&server, echo());
    server.wait_for_tasks(3);
    for id in ["429", "401", "503"] {
        let updates = server.wait_for_updates(id, 2);
        assert!(updates[1].at - updates[0].at >= Duration::from_secs(1), "{id}");
    }
    let polls = server.calls(&Call::Poll);
    assert!(polls[1].at - polls[0].at >= Duration::from_secs(1));
    assert_eq!(stop_clean(handle).completed, 3);
}

#[test]
fn a_result_that_the_server_refuses_is_replaced_by_one_small_failure() {
    for (what, answer) in [
        ("validation", Answer::invalid()),
        ("JSON", Answer::refused(500, "JSON parse error: Document nesting depth (1001) exceeds the maximum")),
        ("size", Answer::html(413)),
    ] {
        let server = Server::start(move |r| (r.is_update() && r.nth == 0).then(|| answer.clone()));
        server.add([task_with("t0", json!({"inputData": {"text": "x".repeat(10_000)}}))]);
        let (heard_in, heard) = bounded(8);
        let handle = TaskRunner::new(&server.client())
            .worker(echo())
            .threads(2)
            .on_undeliverable(move |result| heard_in.send(result.clone()).unwrap())
            .start()
            .unwrap();
        let updates = server.wait_for_updates("t0", 2);
        assert_eq!(stop_clean(handle).completed, 1, "{what}");
        let updates = (server.updates("t0").len() == 2).then_some(updates).expect(what);
        assert_eq!(updates[1].status(), "FAILED_WITH_TERMINAL_ERROR", "{what}");
        assert!(updates[1].reason().contains("the server refuses the result"), "{what}: {}", updates[1].reason());
        assert!(updates[1].body.len() < 1000, "{what}: {} bytes", updates[1].body.len());
        let heard: Vec<_> = heard.iter().collect();
        assert_eq!(heard.len(), 1, "{what}");
        assert_eq!((heard[0].task_id.as_str(), heard[0].workflow_id.as_str()), ("t0", "workflow-of-t0"));
        assert_eq!(heard[0].result.get().as_bytes(), updates[0].body, "{what}");
    }
}

#[test]
fn a_result_that_no_server_would_take_is_handed_to_the_callback_as_well() {
    let server = Server::well_behaved();
    server.add([task("t0")]);
    let (told_in, told) = bounded(2);
    let large = Worker::new("job", |_, _: Value| Ok("x".repeat(11 << 20))).poll_timeout(Duration::from_millis(200));
    let runner = TaskRunner::new(&server.client()).worker(large).threads(1);
    let handle = runner.on_undeliverable(move |lost| told_in.send(lost.clone()).unwrap()).start().unwrap();
    let updates = server.wait_for_updates("t0", 1);
    assert_eq!(stop_clean(handle).completed, 1);
    let lost = told.try_iter().collect::<Vec<_>>();
    assert_eq!(lost.len(), 1);
    assert!(lost[0].result.get().len() > 11 << 20 && lost[0].task_id == "t0");
    assert!(lost[0].reason.contains("the server takes at most"), "{}", lost[0].reason);
    assert_eq!(updates[0].status(), "FAILED_WITH_TERMINAL_ERROR");
}

#[test]
fn a_result_is_set_aside_when_its_replacement_is_refused_too() {
    let server = Server::start(|r| r.is_update().then(Answer::invalid));
    server.add([task("t0")]);
    let (heard_in, heard) = bounded(8);
    let handle = TaskRunner::new(&server.client())
        .worker(echo())
        .threads(2)
        .on_undeliverable(move |result| heard_in.send(result.result.get().to_owned()).unwrap())
        .start()
        .unwrap();
    server.wait_for_updates("t0", 2);
    assert_eq!(stop_clean(handle).completed, 1);
    assert_eq!(server.updates("t0").len(), 2);
    let heard: Vec<_> = heard.iter().collect();
    assert!(heard.len() == 1 && heard[0].contains("COMPLETED"), "only the handler's result is told: {heard:?}");
}

#[test]
fn a_panic_in_the_callback_for_refused_results_harms_nothing() {
    quiet_handlers();
    let server = Server::start(|r| (r.task_id() == "t0" && r.is_update() && r.nth == 0).then(Answer::invalid));
    server.add([task("t0")]);
    let handle = TaskRunner::new(&server.client())
        .worker(echo())
        .threads(1)
        .on_undeliverable(|_| panic!("the callback panics on purpose"))
        .start()
        .unwrap();
    let updates = server.wait_for_updates("t0", 2);
    assert_eq!(updates[1].status(), "FAILED_WITH_TERMINAL_ERROR");
    server.add([task("t1")]);
    server.wait_for_updates("t1", 1);
    assert_eq!(stop_clean(handle).completed, 2);
}

#[test]
fn a_result_that_alone_meets_errors_while_others_get_through_is_set_aside() {
    let server = Server::start(|r| {
        let poison = r.task_id() == "t0" && r.is_update() && r.status() == "COMPLETED";
        poison.then(|| Answer::refused(500, "Cannot invoke \"Object.toString()\""))
    });
    server.add(tasks(100));
    let handle = start(&server, echo());
    server.wait_for_tasks(100);
    let updates = server.wait_for_updates("t0", 9);
    assert_eq!(stop_clean(handle).completed, 100);
    let updates = (server.updates("t0").len() == 9).then_some(updates).expect("eight tries and the replacement");
    assert_eq!(updates[8].status(), "FAILED_WITH_TERMINAL_ERROR");
}

/// Each holds a place, so that nothing would be fetched any more.
#[test]
fn a_lone_result_is_kept_while_the_server_can_write_nothing() {
    let cured = Arc::new(AtomicBool::new(false));
    let is_cured = Arc::clone(&cured);
    let server = Server::start(move |r| {
        let fails = (r.is_update() || r.is_heartbeat()) && !is_cured.load(Ordering::Acquire);
        fails.then(|| Answer::refused(500, "could not execute statement"))
    });
    server.add([task("t0")]);
    let handle = start(&server, echo());
    // Then it was refused often enough to ask whether it is the result that is refused.
    server.wait_for("a heartbeat", |all| all.iter().any(|r| r.is_heartbeat() && r.answered.is_some()));
    cured.store(true, Ordering::Release);
    // One that gets through spares it its pause.
    server.add([task("t1")]);
    server.wait_for_tasks(2);
    assert_eq!(stop_clean(handle).completed, 2);
    let updates = server.updates("t0");
    assert!(updates.iter().all(|u| u.body == updates[0].body && u.status() == "COMPLETED"));
}

/// A server that looks at no more than the head of a large request: `answer` decides by it. Says how many came.
fn door(answer: impl Fn(&str) -> Option<&'static str> + Send + 'static) -> (Client, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}/api", listener.local_addr().unwrap());
    let n_requests = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&n_requests);
    let serve = move || {
        for connection in listener.incoming() {
            let mut connection = BufReader::new(connection.unwrap());
            let (mut head, mut length) = (String::new(), 0);
            while !head.ends_with("\r\n\r\n") {
                assert_ne!(connection.read_line(&mut head).unwrap(), 0);
            }
            count.fetch_add(1, Ordering::AcqRel);
            let head = head.to_ascii_lowercase();
            for line in head.lines() {
                length = line.strip_prefix("content-length: ").map_or(length, |n| n.parse().unwrap());
            }
            let refusal = answer(&head);
            if refusal.is_none() {
                connection.read_exact(&mut vec![0; length]).unwrap();
            }
            let text = refusal.unwrap_or("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nt");
            connection.get_mut().write_all(text.as_bytes()).unwrap();
        }
    };
    thread::Builder::new().name("door".to_owned()).spawn(serve).unwrap();
    (Client::new(Config::new(&url).unwrap()).unwrap(), n_requests)
}

fn large_result() -> TaskResult {
    let text: RawJson = json!({"text": "x".repeat(8 << 20)}).to_string().parse().unwrap();
    TaskResult::new("w", "t", TaskResultStatus::Completed).output(text)
}

#[test]
fn a_body_that_is_refused_for_its_size_before_it_is_sent_is_no_lost_answer() {
    let (client, n_requests) =
        door(|_| Some("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
    for _ in 0..5 {
        let error = client.tasks().update(&large_result()).unwrap_err();
        assert_eq!(error.status(), Some(413), "{error}");
    }
    assert_eq!(n_requests.load(Ordering::Acquire), 5);
}

#[test]
fn a_body_is_sent_as_it_is_where_it_can_not_be_announced() {
    let (client, n_requests) = door(|head| {
        let refusal = "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        head.contains("expect: 100-continue").then_some(refusal)
    });
    client.tasks().update(&large_result()).unwrap();
    assert_eq!(n_requests.load(Ordering::Acquire), 2);
}

#[test]
fn many_results_that_are_refused_do_not_hold_the_others_up() {
    const N_TASKS: usize = 40;
    let server = Server::start(|r| {
        let is_fifth = r.task_id().trim_start_matches('t').parse::<usize>().is_ok_and(|n| n % 5 == 0);
        (is_fifth && r.is_update() && r.status() == "COMPLETED").then(|| Answer::refused(400, "blocked"))
    });
    server.add(tasks(N_TASKS));
    let handle = TaskRunner::new(&server.client()).worker(echo()).threads(2).start().unwrap();
    server.wait_for_tasks(N_TASKS);
    server.wait_for("a failure in place of each", |all| {
        all.iter().filter(|r| r.is_update() && r.status() == "FAILED_WITH_TERMINAL_ERROR").count() == N_TASKS / 5
    });
    assert_eq!(stop_clean(handle).completed, 40);
}

#[test]
fn a_result_that_alone_meets_errors_is_not_tried_as_often_as_others_get_through() {
    let server = Server::start(|r| (r.task_id() == "t0" && r.is_update()).then(|| Answer::html(503)));
    server.add(tasks(400));
    let handle = start(&server, echo());
    server.wait_for_tasks(400);
    let tries = server.updates("t0").len();
    let report = handle.stop(Duration::ZERO);
    assert_eq!(report.undelivered, ["t0"]);
    // By its own pauses it is tried about ten times in the first quarter of a minute.
    assert!(tries < 60, "{tries} tries");
}

#[test]
fn a_task_that_is_unknown_waits_its_second_although_others_get_through_again() {
    let server = Server::start(|r| match (r.task_id(), r.is_update(), r.nth) {
        ("t0", true, 0 | 1) => Some(Answer::unknown_task("t0")),
        ("t1", true, 0) => Some(Answer::html(503)),
        _ => None,
    });
    server.add([task("t0")]);
    let handle = start(&server, echo());
    server.wait_for_updates("t0", 1);
    server.add([task("t1")]);
    server.wait_for_updates("t1", 2);
    let updates = server.wait_for_updates("t0", 2);
    assert!(updates[1].at - updates[0].at >= Duration::from_secs(1));
    assert_eq!(stop_clean(handle).completed, 2);
}

#[test]
fn a_stop_does_not_shorten_the_second_of_an_unknown_task() {
    let server = Server::start(|r| (r.is_update() && r.task_id() == "t0").then(|| Answer::unknown_task("t0")));
    server.add([task("t0")]);
    let handle = start(&server, echo());
    server.wait_for_updates("t0", 1);
    // When these are done, the first one waits for its second try.
    server.add(["t1", "t2"].map(task));
    server.wait_for_tasks(3);
    assert_eq!(stop_clean(handle).completed, 3);
    let updates = server.updates("t0");
    assert!(updates.len() == 2 && updates[1].at - updates[0].at >= Duration::from_secs(1));
}

#[test]
fn an_unanswered_in_progress_result_is_sent_again_only_while_the_task_is_still_ours() {
    let later = || {
        Worker::new("job", |_, _: Value| -> Result<(), TaskError> {
            Err(TaskError::in_progress(Duration::from_secs(60)))
        })
    };
    for (poll_count, n_updates) in [(1, 2), (2, 1)] {
        let server = Server::start(move |r| match &r.call {
            Call::Update(_) if r.nth == 0 => Some(Answer::Reset),
            Call::Get(id) => Some(Answer::json(200, &task_with(id, json!({"pollCount": poll_count})))),
            _ => None,
        });
        server.add([task("t0")]);
        let handle = start(&server, later().poll_timeout(Duration::from_millis(200)));
        server.wait_for("a look at the task", |all| all.iter().any(|r| matches!(r.call, Call::Get(_))));
        assert_eq!(stop_clean(handle).completed, 1);
        assert_eq!(server.updates("t0").len(), n_updates);
    }
}

#[test]
fn an_unanswered_in_progress_result_is_settled_when_its_task_is_unknown_twice() {
    let server = Server::start(|r| match &r.call {
        Call::Update(_) => Some(Answer::Reset),
        Call::Get(id) => Some(Answer::unknown_task(id)),
        _ => None,
    });
    server.add([task("t0")]);
    let worker = Worker::new("job", |_, _: Value| -> Result<(), TaskError> {
        Err(TaskError::in_progress(Duration::from_secs(60)))
    });
    let handle = start(&server, worker.poll_timeout(Duration::from_millis(200)));
    let get = Call::Get("t0".to_owned());
    server.wait_for("two looks", |all| all.iter().filter(|r| r.call == get).count() == 2);
    assert_eq!(stop_clean(handle).completed, 1);
    let looks = server.calls(&get);
    assert!(looks.len() == 2 && looks[1].at - looks[0].at >= Duration::from_secs(1));
    assert_eq!(server.updates("t0").len(), 1);
}

#[test]
fn while_no_result_gets_through_no_more_tasks_are_fetched() {
    let cured = Arc::new(AtomicBool::new(false));
    let is_cured = Arc::clone(&cured);
    let server = Server::start(move |r| {
        (r.is_update() && !is_cured.load(Ordering::Acquire)).then(|| Answer::refused(503, "down for maintenance"))
    });
    server.add(tasks(200));
    let n_runs = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&n_runs);
    let worker = Worker::new("job", move |_, input: Value| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(input)
    });
    let handle = start(&server, worker);
    server.wait_for("a full house", |all| all.iter().filter(|r| r.is_update() && r.answered.is_some()).count() >= 16);
    // Two in each of: undelivered for each thread, waiting for a place among these, run, assigned; and one on its way.
    let n_before = n_runs.load(Ordering::Relaxed);
    assert!(n_before <= 13, "{n_before}");
    cured.store(true, Ordering::Release);
    server.wait_for_tasks(200);
    assert_eq!(stop_clean(handle).completed, 200);
    assert_eq!(n_runs.load(Ordering::Relaxed), 200);
}
