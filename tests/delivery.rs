//! Results and the answers to them: what is tried again, what is settled, what is set aside.

#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use common::{Answer, Call, Request, Server, echo, quiet_handlers, start, stop_clean, task, task_with, tasks};
use conductor_sync::{Client, RunnerHandle, TaskError, TaskRunner, Worker};
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
        ("status 200 and nothing else", Answer::acknowledged("")),
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
        // What is refused was not taken, so there is nothing to look at.
        assert!(server.calls(&Call::Get("t0".into())).is_empty(), "{what}");
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

/// A runner that soon takes a result for one that the server will never take.
fn impatient(server: &Server) -> RunnerHandle {
    let runner = TaskRunner::new(&server.client()).worker(echo()).threads(2);
    runner.undeliverable_after(Duration::ZERO).start().unwrap()
}

#[test]
fn results_that_a_server_refuses_for_a_while_are_not_given_up_although_it_takes_others() {
    let server = Server::start(|r| {
        let number = r.task_id().trim_start_matches('t').parse::<usize>();
        let is_refused = r.is_update() && r.nth < 9 && number.is_ok_and(|n| n < 4);
        is_refused.then(|| Answer::refused(500, "shard 3 is down"))
    });
    server.add(tasks(100));
    let handle = start(&server, echo());
    server.wait_for_tasks(100);
    for id in ["t0", "t1", "t2", "t3"] {
        let updates = server.wait_for_updates(id, 10);
        assert!(updates.iter().all(|update| update.status() == "COMPLETED"), "{id}");
    }
    assert_eq!(stop_clean(handle).completed, 100);
}

#[test]
fn a_result_that_alone_meets_errors_while_others_get_through_is_set_aside() {
    let server = Server::start(|r| {
        let poison = r.task_id() == "t0" && r.is_update() && r.status() == "COMPLETED";
        poison.then(|| Answer::refused(500, "Cannot invoke \"Object.toString()\""))
    });
    server.add(tasks(100));
    let handle = impatient(&server);
    server.wait_for_tasks(100);
    let updates = server.wait_for_updates("t0", 9);
    assert_eq!(stop_clean(handle).completed, 100);
    let updates = (server.updates("t0").len() == 9).then_some(updates).expect("eight tries and the replacement");
    assert_eq!(updates[8].status(), "FAILED_WITH_TERMINAL_ERROR");
}

/// Each holds a place, so that nothing would be fetched any more.
#[test]
fn a_lone_result_is_kept_although_the_server_says_500_for_long() {
    let cured = Arc::new(AtomicBool::new(false));
    let is_cured = Arc::clone(&cured);
    let server = Server::start(move |r| {
        let fails = r.is_update() && !is_cured.load(Ordering::Acquire);
        fails.then(|| Answer::refused(500, "could not execute statement"))
    });
    server.add([task("t0")]);
    let handle = start(&server, echo());
    server.wait_for_updates("t0", 9);
    cured.store(true, Ordering::Release);
    // One that gets through spares it its pause.
    server.add([task("t1")]);
    server.wait_for_tasks(2);
    assert_eq!(stop_clean(handle).completed, 2);
    let updates = server.updates("t0");
    assert!(updates.iter().all(|u| u.body == updates[0].body && u.status() == "COMPLETED"));
}

#[test]
fn a_large_result_whose_connection_alone_is_reset_each_time_is_set_aside() {
    let server = Server::start(|r| (r.is_update() && r.body.len() > 1_000_000).then_some(Answer::Reset));
    server.add([task_with("large", json!({"inputData": {"size": 2_000_000}}))]);
    let of_size = |_: &_, input: Value| Ok("x".repeat(usize::try_from(input["size"].as_u64().unwrap_or(1)).unwrap()));
    let worker = Worker::new("job", of_size).poll_timeout(Duration::from_millis(200));
    let runner = TaskRunner::new(&server.client()).worker(worker).threads(4);
    let handle = runner.undeliverable_after(Duration::ZERO).start().unwrap();
    // Others get through all the while.
    let mut n_others: usize = 0;
    let is_settled = |all: &[Request]| all.iter().any(|r| r.is_update() && r.status().starts_with("FAILED"));
    let n_tries = |all: &[Request]| all.iter().filter(|r| r.is_update() && r.task_id() == "large").count();
    loop {
        let so_far = server.requests();
        if is_settled(&so_far) {
            break;
        }
        server.add((n_others..n_others + 2).map(|n| task(&format!("t{n}"))));
        n_others += 2;
        assert!(n_others < 200, "it is tried for ever");
        server.wait_for("another try", |all| n_tries(all) > n_tries(&so_far));
    }
    server.wait_for_tasks(n_others + 1);
    assert_eq!(stop_clean(handle).completed, u64::try_from(n_others).unwrap() + 1);
    // Each try may have been taken, so its task is looked at first.
    assert!(!server.calls(&Call::Get("large".into())).is_empty());
}

#[test]
fn a_result_that_was_taken_is_not_replaced_by_a_failure() {
    let server = Server::start(|r| match &r.call {
        Call::Update(_) if r.nth == 0 => Some(Answer::Reset),
        Call::Update(_) => Some(Answer::status(413, "text/plain", "too large")),
        Call::Get(id) => Some(Answer::json(200, &task_with(id, json!({"status": "COMPLETED"})))),
        _ => None,
    });
    server.add([task("t0")]);
    let handle = start(&server, echo());
    server.wait_for("a look", |all| all.iter().any(|r| matches!(r.call, Call::Get(_))));
    assert_eq!(stop_clean(handle).completed, 1);
    assert!(server.updates("t0").iter().all(|u| u.status() == "COMPLETED"));
}

#[test]
fn a_result_that_may_have_been_taken_is_not_replaced_where_no_look_is_allowed() {
    let server = Server::start(|r| match &r.call {
        Call::Update(_) if r.nth == 0 => Some(Answer::Reset),
        Call::Update(_) => Some(Answer::status(413, "text/plain", "too large")),
        Call::Get(_) => Some(Answer::refused(403, "no")),
        _ => None,
    });
    server.add([task("t0")]);
    let (told_in, told) = bounded(2);
    let runner = TaskRunner::new(&server.client()).worker(echo()).threads(1);
    let handle = runner.on_undeliverable(move |lost| told_in.send(lost.clone()).unwrap()).start().unwrap();
    server.wait_for("five looks", |all| all.iter().filter(|r| matches!(r.call, Call::Get(_))).count() >= 5);
    assert_eq!(stop_clean(handle).completed, 1);
    assert_eq!(told.try_iter().count(), 1);
    assert!(server.updates("t0").iter().all(|u| u.status() == "COMPLETED"));
}

#[test]
fn an_unanswered_in_progress_result_is_let_go_where_no_look_is_allowed() {
    let server = Server::start(|r| match &r.call {
        Call::Update(_) => Some(Answer::Reset),
        Call::Get(_) => Some(Answer::refused(403, "no")),
        _ => None,
    });
    server.add([task("t0")]);
    let worker = Worker::new("job", |_, _: Value| -> Result<(), TaskError> {
        Err(TaskError::in_progress(Duration::from_secs(5)))
    });
    let (told_in, told) = bounded(2);
    let runner = TaskRunner::new(&server.client()).worker(worker.poll_timeout(Duration::from_millis(200))).threads(1);
    let handle = runner.on_undeliverable(move |lost| told_in.send(lost.clone()).unwrap()).start().unwrap();
    let looks = Call::Get("t0".into());
    server.wait_for("five looks", |all| all.iter().filter(|r| r.call == looks && r.answered.is_some()).count() >= 5);
    assert_eq!(stop_clean(handle).completed, 1);
    assert_eq!(server.updates("t0").len(), 1);
    assert_eq!(told.try_iter().count(), 1);
}

#[test]
fn an_unanswered_in_progress_result_outlasts_a_server_that_can_not_be_looked_at() {
    let server = Server::start(|r| match &r.call {
        Call::Update(_) if r.nth == 0 => Some(Answer::refused(500, "no connection to the database")),
        Call::Get(_) if r.nth < 9 => Some(Answer::refused(500, "no connection to the database")),
        Call::Get(id) => Some(Answer::json(200, &task(id))),
        _ => None,
    });
    server.add([task("t0")]);
    let worker = Worker::new("job", |_, _: Value| -> Result<(), TaskError> {
        Err(TaskError::in_progress(Duration::from_secs(60)))
    });
    let handle = start(&server, worker.poll_timeout(Duration::from_millis(200)));
    let is_long_since = |all: &[Request]| {
        let looks: Vec<_> = all.iter().filter(|r| matches!(r.call, Call::Get(_))).collect();
        looks.last().is_some_and(|last| last.at - looks[0].at > Duration::from_secs(11))
    };
    // Looks of other reports are given up after ten seconds.
    assert!(server.comes(Duration::from_secs(60), is_long_since));
    // The stop brings the next looks forward.
    assert_eq!(stop_clean(handle).completed, 1);
    assert_eq!(server.updates("t0").len(), 2);
}

#[test]
fn an_unanswered_in_progress_result_is_sent_again_where_its_id_fits_no_path() {
    let server = Server::start(|r| match &r.call {
        Call::Update(_) if r.nth == 0 => Some(Answer::html(503)),
        _ => None,
    });
    server.add([task("t/0")]);
    let worker = Worker::new("job", |_, _: Value| -> Result<(), TaskError> {
        Err(TaskError::in_progress(Duration::from_secs(60)))
    });
    let handle = start(&server, worker.poll_timeout(Duration::from_millis(200)));
    server.wait_for_updates("t/0", 2);
    assert_eq!(stop_clean(handle).completed, 1);
}

#[test]
fn a_refused_result_that_may_have_been_taken_is_set_aside_where_no_look_is_answered() {
    let server = Server::start(|r| match &r.call {
        Call::Update(_) if r.nth == 0 => Some(Answer::Reset),
        Call::Update(_) => Some(Answer::status(413, "text/plain", "too large")),
        Call::Get(_) => Some(Answer::html(503)),
        _ => None,
    });
    server.add([task("t0")]);
    let (told_in, told) = bounded(2);
    let runner = TaskRunner::new(&server.client()).worker(echo()).threads(1);
    let handle = runner.on_undeliverable(move |lost| told_in.send(lost.clone()).unwrap()).start().unwrap();
    assert_eq!(told.recv_timeout(Duration::from_secs(90)).unwrap().task_id, "t0");
    assert_eq!(stop_clean(handle).completed, 1);
    assert!(server.updates("t0").iter().all(|u| u.status() == "COMPLETED"));
}

#[test]
fn a_retry_after_that_is_shorter_than_the_pause_does_not_outlast_an_outage() {
    let down = Arc::new(AtomicBool::new(true));
    let is_down = Arc::clone(&down);
    let server = Server::start(move |r| {
        let fails = r.is_update() && is_down.load(Ordering::Acquire);
        fails.then(|| Answer::with_headers(503, "text/plain", "Retry-After: 0\r\n", b"later"))
    });
    server.add([task("t0")]);
    let handle = start(&server, echo());
    // The pauses are some seconds long by now.
    server.wait_for_updates("t0", 7);
    down.store(false, Ordering::Release);
    // A stop shortens what is our own choice.
    let report = handle.stop(Duration::from_secs(2));
    assert_eq!((report.completed, report.is_clean()), (1, true));
}

#[test]
fn many_results_that_are_refused_do_not_hold_the_others_up() {
    const N_TASKS: usize = 100;
    // Enough others come after the last of them to compare it with.
    const N_REFUSED: usize = 8;
    let server = Server::start(|r| {
        let number = r.task_id().trim_start_matches('t').parse::<usize>();
        let is_fifth = number.is_ok_and(|n| n % 5 == 0 && n < 5 * N_REFUSED);
        (is_fifth && r.is_update() && r.status() == "COMPLETED").then(|| Answer::refused(400, "blocked"))
    });
    server.add(tasks(N_TASKS));
    let handle = impatient(&server);
    server.wait_for_tasks(N_TASKS);
    server.wait_for("a failure in place of each", |all| {
        all.iter().filter(|r| r.is_update() && r.status() == "FAILED_WITH_TERMINAL_ERROR").count() == N_REFUSED
    });
    assert_eq!(stop_clean(handle).completed, 100);
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
