//! The start of a runner: what it refuses, and what it tells about a server that does not answer as it should.

#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use common::{Answer, PATIENCE, Server, comes_true, echo, free_address, start, stop_clean, task};
use conductor_sync::{Client, Config, ErrorKind, RunnerHandle, TaskRunner, Worker};
use serde_json::Value;

fn named(task_type: &str) -> Worker {
    Worker::new(task_type, |_, input: Value| Ok(input))
}

#[test]
fn a_runner_that_can_not_work_does_not_start_and_says_why() {
    let server = Server::well_behaved();
    let runner = || TaskRunner::new(&server.client());
    let impatient = || {
        let config = server.config().request_timeout(Duration::from_secs(2));
        TaskRunner::new(&Client::new(config).unwrap())
    };
    for (what, runner, says) in [
        ("no worker", runner(), "no worker"),
        ("the same type twice", runner().worker(echo()).worker(echo()), "another worker"),
        ("the same domain twice", runner().worker(echo().domain("eu")).worker(echo().domain("eu")), "another worker"),
        ("an empty domain is none", runner().worker(echo().domain(" ")).worker(echo()), "another worker"),
        ("no threads", runner().worker(echo()).threads(0), "threads must not be 0"),
        ("no threads of its own", runner().worker(echo().dedicated_threads(0)), "dedicated_threads must not be 0"),
        ("nothing at once", runner().worker(echo().max_concurrent(0)), "max_concurrent must not be 0"),
        ("no poller", runner().worker(echo().pollers(0)), "pollers must not be 0"),
        ("no name", runner().worker(named("")), "must not be empty"),
        ("a slash", runner().worker(named("a/b")), "`/`"),
        ("a backslash", runner().worker(named("a\\b")), "`\\`"),
        ("here", runner().worker(named(".")), "`.`"),
        ("up", runner().worker(echo()).worker(named("..")), "`..`"),
        ("a line end", runner().worker(named("a\nb")), "control characters"),
        ("a domain with a line end", runner().worker(echo().domain("a\r\nb")), "control characters"),
        ("a long hold", runner().worker(echo().poll_timeout(Duration::from_millis(5001))), "above 5 s"),
        (
            "no time for an answer",
            impatient().worker(echo().poll_timeout(Duration::from_secs(2))),
            "must be below Config::request_timeout",
        ),
        (
            "less than no time",
            impatient().worker(echo().poll_timeout(Duration::from_secs(3))),
            "must be below Config::request_timeout",
        ),
    ] {
        let error = runner.start().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{what}: {error}");
        assert!(error.to_string().contains(says), "{what}: {error}");
    }
    assert_eq!(server.n_connections(), 0);
}

#[test]
fn one_type_in_several_domains_is_several_workers() {
    let server = Server::well_behaved();
    let runner = TaskRunner::new(&server.client()).worker(echo()).worker(echo().domain("eu")).worker(named("other"));
    let handle = runner.threads(4).start().unwrap();
    handle.wait_until_polling(PATIENCE).unwrap();
    for domain in [None, Some("eu")] {
        assert!(server.requests().iter().any(|r| r.task_type() == "job" && r.query("domain") == domain));
    }
    assert_eq!(stop_clean(handle).completed, 0);
}

#[test]
fn times_without_end_are_times() {
    let server = Server::well_behaved();
    server.add([task("t0")]);
    let config = server.config().request_timeout(Duration::MAX).connect_timeout(Duration::MAX);
    let runner = TaskRunner::new(&Client::new(config).unwrap()).worker(echo()).threads(2).grace(Duration::MAX);
    let handle = runner.cancellation_check(Duration::MAX).start().unwrap();
    handle.wait_until_polling(Duration::MAX).unwrap();
    server.wait_for_updates("t0", 1);
    let report = handle.stop(Duration::MAX);
    assert!(report.is_clean() && report.completed == 1, "{report:?}");
}

/// What a wait for polls says, once a poll has met something.
fn complaint(handle: &RunnerHandle) -> String {
    let end = Instant::now() + PATIENCE;
    loop {
        let error = handle.wait_until_polling(Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Deadline);
        if !error.to_string().contains("no poll has been answered yet") || Instant::now() > end {
            return error.to_string();
        }
    }
}

#[test]
fn a_server_that_is_down_at_the_start_is_waited_for() {
    let address = free_address();
    let client = Client::new(Config::new(&format!("http://{address}")).unwrap()).unwrap();
    let handle = TaskRunner::new(&client).worker(echo()).threads(2).start().unwrap();
    let complaint = complaint(&handle);
    assert!(complaint.contains("job") && complaint.contains("refused the connection"), "{complaint}");
    let server = Server::start_at(address, |_| None);
    server.add([task("t0")]);
    handle.wait_until_polling(PATIENCE).unwrap();
    server.wait_for_updates("t0", 1);
    assert_eq!(stop_clean(handle).completed, 1);
}

#[test]
fn a_server_that_goes_away_and_comes_back_is_found_again() {
    let address = free_address();
    let server = Server::start_at(address, |_| None);
    let client = Client::new(Config::new(&format!("http://{address}")).unwrap()).unwrap();
    let handle = TaskRunner::new(&client).worker(echo()).threads(2).start().unwrap();
    handle.wait_until_polling(PATIENCE).unwrap();
    drop(server);
    let is_noticed = || handle.wait_until_polling(Duration::ZERO).is_err();
    assert!(comes_true(is_noticed), "the end of the server is not noticed");
    let server = Server::start_at(address, |_| None);
    server.add([task("t0")]);
    server.wait_for_updates("t0", 1);
    handle.wait_until_polling(PATIENCE).unwrap();
    assert_eq!(stop_clean(handle).completed, 1);
}

#[test]
fn a_wait_for_polls_tells_what_the_polls_met() {
    let json = |text: &str| Answer::status(200, "application/json", text);
    for (answer, says) in [
        (Answer::html(200), "HTML page answered instead of the API: check the server URL"),
        (Answer::html(404), "no Conductor API answers at"),
        (Answer::refused(404, "No static resource tasks/poll"), "No static resource"),
        (
            Answer::status(401, "text/plain", "who are you"),
            "server said 401: who are you; this version of the SDK sends no credentials",
        ),
        (Answer::refused(500, "database is locked"), "server said 500: database is locked"),
        (
            Answer::with_headers(302, "text/plain", "Location: https://login.example/\r\n", b""),
            "https://login.example/",
        ),
        (json(r#"{"tasks":[]}"#), "not the expected JSON"),
        (Answer::Close, "no whole answer"),
    ] {
        let cured = Arc::new(AtomicBool::new(false));
        let is_cured = Arc::clone(&cured);
        let server = Server::start(move |r| {
            (r.task_type() == "job" && !is_cured.load(Ordering::Acquire)).then(|| answer.clone())
        });
        let runner = TaskRunner::new(&server.client()).worker(echo()).worker(named("healthy")).threads(2);
        let handle = runner.start().unwrap();
        let complaint = loop {
            let complaint = complaint(&handle);
            // The other one may not have had its first answer yet.
            if !complaint.contains("healthy") {
                break complaint;
            }
        };
        assert!(complaint.contains("job") && complaint.contains(says), "{complaint}");
        cured.store(true, Ordering::Release);
        handle.wait_until_polling(PATIENCE).unwrap();
        assert_eq!(stop_clean(handle).completed, 0);
    }
}

#[test]
fn a_wait_for_polls_that_get_no_answer_says_so() {
    let server = Server::start(|r| r.is_poll().then_some(Answer::Never));
    let handle = start(&server, echo().domain("eu"));
    let error = handle.wait_until_polling(Duration::from_millis(50)).unwrap_err().to_string();
    assert!(error.contains("job in domain eu: no poll has been answered yet"), "{error}");
    drop(server);
    let _unanswered = handle.stop(Duration::ZERO);
}

#[cfg(feature = "metrics")]
#[test]
fn a_port_that_is_taken_is_an_error_at_the_start() {
    let server = Server::well_behaved();
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let runner = TaskRunner::new(&server.client()).worker(echo()).metrics_address(taken.local_addr().unwrap());
    let error = runner.start().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Local);
    assert_eq!(server.n_connections(), 0);
}
