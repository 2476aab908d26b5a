//! What goes on between a task's hand-out and its result: heartbeats, looks at the task, and how they keep off the result.

#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

mod common;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use common::{Answer, Call, Gate, Request, Server, be_slow, comes_true, start, stop_clean, task, task_with};
use conductor_sync::{Client, TaskContext, TaskError, TaskRunner, Worker};
use serde_json::{Value, json};

/// A task that times out a second after the last that was heard of it.
fn short(id: &str) -> Value {
    task_with(id, json!({"responseTimeoutSeconds": 1}))
}

/// A worker whose handler waits at a gate.
fn waiting(gate: &Gate) -> Worker {
    let gate = gate.clone();
    Worker::new("job", move |_, input: Value| {
        gate.pass();
        Ok(input)
    })
    .poll_timeout(Duration::from_millis(200))
}

/// A worker whose handler returns when its task is cancelled, or when `enough` says so.
fn watching(enough: impl Fn(&TaskContext) -> bool + Send + Sync + 'static) -> Worker {
    let worker = Worker::new("job", move |cx, _: Value| {
        assert!(comes_true(|| cx.is_cancelled() || enough(cx)));
        Ok(json!({"cancelled": cx.is_cancelled()}))
    });
    worker.poll_timeout(Duration::from_millis(200))
}

/// Answers each heartbeat with `met`, which opens the gate, and everything else as told.
fn heartbeats_meet(
    met: Answer,
    gate: &Gate,
    others: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static,
) -> Server {
    let gate = gate.clone();
    Server::start(move |r| {
        if r.is_heartbeat() {
            gate.open();
            return Some(met.clone());
        }
        others(r)
    })
}

/// What a look at a task finds that has ended.
fn completed(id: &str) -> Answer {
    Answer::json(200, &task_with(id, json!({"status": "COMPLETED"})))
}

fn n_heartbeats(all: &[Request], task_id: &str) -> usize {
    all.iter().filter(|r| r.is_heartbeat() && r.task_id() == task_id).count()
}

/// The heartbeats that were on the wire together with a result of the same task.
fn overlaps(all: &[Request]) -> Vec<String> {
    let mut updates: HashMap<&str, Vec<&Request>> = HashMap::new();
    all.iter().filter(|r| r.is_update()).for_each(|r| updates.entry(r.task_id()).or_default().push(r));
    let meets = |beat: &Request, update: &Request| {
        beat.answered.is_none_or(|end| update.at <= end) && update.answered.is_none_or(|end| beat.at <= end)
    };
    let beats = all.iter().filter(|r| r.is_heartbeat());
    beats
        .filter(|beat| updates.get(beat.task_id()).is_some_and(|all| all.iter().any(|u| meets(beat, u))))
        .map(|beat| beat.task_id().to_owned())
        .collect()
}

#[test]
fn a_heartbeat_and_the_result_of_its_task_never_meet_on_the_wire() {
    const N_TASKS: usize = 300;
    let gates: Arc<HashMap<String, Gate>> = Arc::new((0..N_TASKS).map(|n| (format!("t{n}"), Gate::new())).collect());
    let seen = Arc::clone(&gates);
    let server = Server::start(move |r| {
        if r.is_heartbeat() {
            // The handler returns while its heartbeat waits for the answer.
            seen[r.task_id()].open();
            be_slow(Duration::from_millis(40));
        }
        None
    });
    // Every third has a heartbeat that is due by itself, the others ask for one.
    let all = (0..N_TASKS).map(|n| if n % 3 == 0 { short(&format!("t{n}")) } else { task(&format!("t{n}")) });
    server.add(all);
    let worker = Worker::new("job", move |cx, input: Value| {
        if cx.task().is_ok_and(|task| task.response_timeout_seconds > 1) {
            cx.heartbeat();
        }
        gates[cx.task_id()].pass();
        Ok(input)
    });
    let handle = TaskRunner::new(&server.client()).worker(worker).threads(40).start().unwrap();
    server.wait_for_tasks(N_TASKS);
    assert_eq!(stop_clean(handle).completed, N_TASKS as u64);
    let all = server.requests();
    assert!(all.iter().filter(|r| r.is_heartbeat()).count() >= N_TASKS);
    assert_eq!(overlaps(&all), Vec::<String>::new());
}

#[test]
fn heartbeats_go_on_while_a_result_can_not_be_delivered_and_keep_off_its_tries() {
    let cured = Arc::new(AtomicBool::new(false));
    let is_cured = Arc::clone(&cured);
    let server = Server::start(move |r| {
        // Slow enough that each is due while the other is on the wire.
        be_slow(Duration::from_millis(if r.is_heartbeat() { 100 } else { 500 }));
        (r.is_update() && !is_cured.load(Ordering::Acquire)).then(|| Answer::html(503))
    });
    server.add((0..4).map(|n| short(&format!("t{n}"))));
    let gate = Gate::new();
    gate.open();
    let handle = TaskRunner::new(&server.client()).worker(waiting(&gate)).threads(4).start().unwrap();
    server.wait_for("heartbeats after the results", |all| (0..4).all(|n| n_heartbeats(all, &format!("t{n}")) >= 3));
    cured.store(true, Ordering::Release);
    server.wait_for("all results", |all| (0..4).all(|n| all.iter().any(|r| r.call == Call::Update(format!("t{n}")))));
    assert_eq!(stop_clean(handle).completed, 4);
    assert_eq!(overlaps(&server.requests()), Vec::<String>::new());
}

#[test]
fn a_heartbeat_that_a_handler_asks_for_is_sent_at_once() {
    for lease in [3600, 0] {
        let beats = Arc::new([Gate::new(), Gate::new()]);
        let seen = Arc::clone(&beats);
        let server = Server::start(move |r| {
            if r.is_heartbeat() {
                seen.get(r.nth).unwrap_or(&seen[1]).open();
            }
            None
        });
        server.add([task_with("t0", json!({"responseTimeoutSeconds": lease}))]);
        let worker = Worker::new("job", move |cx, _: Value| {
            for beat in &*beats {
                cx.heartbeat();
                beat.pass();
            }
            Ok(())
        });
        let begun = Instant::now();
        let handle = start(&server, worker.poll_timeout(Duration::from_millis(200)));
        server.wait_for_updates("t0", 1);
        // By itself it would come in an hour, or with the next look at the task, which is due after 30 s.
        assert!(begun.elapsed() < Duration::from_secs(25));
        assert_eq!(stop_clean(handle).completed, 1);
        assert_eq!(n_heartbeats(&server.requests(), "t0"), 2);
    }
}

#[test]
fn a_heartbeat_that_fails_is_tried_again_and_does_no_harm() {
    let cut = Answer::BytesAndEnd(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nt".to_vec());
    let running = [
        ("an error", Answer::html(503)),
        ("a refusal", Answer::invalid()),
        ("a page", Answer::html(200)),
        ("a reset", Answer::Reset),
        ("a part", cut),
    ]
    .map(|(what, answer)| {
        let server = Server::start(move |r| match &r.call {
            Call::Heartbeat(_) if r.nth < 3 => Some(answer.clone()),
            Call::Get(id) => Some(completed(id)),
            _ => None,
        });
        server.add([short("t0")]);
        let gate = Gate::new();
        let handle = start(&server, waiting(&gate));
        (what, server, gate, handle)
    });
    for (what, server, gate, handle) in running {
        server.wait_for(what, |all| n_heartbeats(all, "t0") >= 4);
        gate.open();
        let updates = server.wait_for_updates("t0", 1);
        assert_eq!(stop_clean(handle).completed, 1, "{what}");
        assert_eq!((updates.len(), updates[0].status().as_str()), (1, "COMPLETED"), "{what}");
    }
}

#[test]
fn a_result_comes_after_the_end_of_a_heartbeat_that_is_never_answered_and_is_looked_at() {
    let gate = Gate::new();
    let server = heartbeats_meet(Answer::Never, &gate, move |r| match &r.call {
        Call::Get(id) => Some(completed(id)),
        _ => None,
    });
    server.add([short("t0")]);
    let client = Client::new(server.config().request_timeout(Duration::from_secs(2))).unwrap();
    let handle = TaskRunner::new(&client).worker(waiting(&gate)).threads(2).start().unwrap();
    let looks = Call::Get("t0".into());
    server.wait_for("looks at the task", |all| {
        all.iter().filter(|r| r.call == looks && r.answered.is_some()).count() == 3
    });
    assert_eq!(stop_clean(handle).completed, 1);
    let all = server.requests();
    let place = |call: Call| all.iter().position(|r| r.call == call).unwrap();
    let (beat, update, look) =
        (place(Call::Heartbeat("t0".into())), place(Call::Update("t0".into())), place(Call::Get("t0".into())));
    // A heartbeat is given up after a second, or after half of what is left of the lease.
    assert!(all[update].at - all[beat].at > Duration::from_millis(900), "it came before the heartbeat had ended");
    // It waits until the server answers again, and is looked at twice afterwards: the heartbeat may end in between.
    let later = all.iter().skip(update).filter(|r| r.call == looks).map(|r| r.at).collect::<Vec<_>>();
    assert!(look < update && later.len() == 2 && server.updates("t0").len() == 1);
    assert!(later[1] - later[0] > Duration::from_millis(900));
}

#[test]
fn a_result_that_a_late_heartbeat_has_undone_is_sent_again() {
    let gate = Gate::new();
    let server = heartbeats_meet(Answer::Reset, &gate, move |r| match &r.call {
        // The first look fails. The next is before the result, and after two results the task is still as the heartbeat
        // has left it.
        Call::Get(_) if r.nth == 0 => Some(Answer::html(502)),
        Call::Get(id) if r.nth < 4 => Some(Answer::json(200, &task(id))),
        Call::Get(id) => Some(completed(id)),
        _ => None,
    });
    server.add([short("t0")]);
    let handle = start(&server, waiting(&gate));
    server.wait_for("six looks at the task", |all| {
        all.iter().filter(|r| r.call == Call::Get("t0".into()) && r.answered.is_some()).count() == 6
    });
    assert_eq!(stop_clean(handle).completed, 1);
    let updates = server.updates("t0");
    assert_eq!(updates.len(), 3);
    assert!(updates.iter().all(|u| u.body == updates[0].body));
}

#[test]
fn a_result_after_an_unanswered_heartbeat_is_sent_although_no_look_is_answered() {
    let gate = Gate::new();
    let server = heartbeats_meet(Answer::Reset, &gate, move |r| match &r.call {
        Call::Get(_) => Some(Answer::html(503)),
        _ => None,
    });
    server.add([short("t0")]);
    let handle = start(&server, waiting(&gate));
    server.wait_for_updates("t0", 1);
    assert_eq!(stop_clean(handle).completed, 1);
    assert_eq!(server.updates("t0").len(), 1);
}

#[test]
fn an_acknowledged_result_that_is_still_looked_at_counts_as_delivered() {
    let gate = Gate::new();
    let server = heartbeats_meet(Answer::Reset, &gate, move |r| match &r.call {
        // The first tells that the server is there.
        Call::Get(id) if r.nth == 0 => Some(Answer::json(200, &task(id))),
        Call::Get(_) => Some(Answer::Never),
        _ => None,
    });
    server.add([short("t0")]);
    let handle = start(&server, waiting(&gate));
    server.wait_for("a look after the result", |all| {
        all.iter().rposition(|r| matches!(r.call, Call::Get(_))) > all.iter().position(Request::is_update)
            && all.iter().any(Request::is_update)
    });
    let report = handle.stop(Duration::from_millis(300));
    assert!(report.undelivered.is_empty(), "{report:?}");
}

#[test]
fn a_stop_sends_a_result_although_a_heartbeat_is_never_answered() {
    let gate = Gate::new();
    let server = heartbeats_meet(Answer::Never, &gate, move |r| match &r.call {
        Call::Get(id) => Some(completed(id)),
        _ => None,
    });
    server.add([task("t0")]);
    let client = Client::new(server.config().request_timeout(Duration::from_secs(60))).unwrap();
    let worker = waiting(&gate).heartbeat_every(Duration::from_millis(50));
    let handle = TaskRunner::new(&client).worker(worker).threads(1).start().unwrap();
    server.wait_for("a heartbeat", |all| all.iter().any(Request::is_heartbeat));
    let report = handle.stop(Duration::from_secs(1));
    assert!(report.undelivered.is_empty(), "{report:?}");
    assert_eq!(server.updates("t0").len(), 1);
}

#[test]
fn the_doubt_about_a_heartbeat_outlives_an_in_progress_result() {
    let gate = Gate::new();
    let is_reported = AtomicBool::new(false);
    let back = task_with("t0", json!({"pollCount": 2}));
    let server = heartbeats_meet(Answer::Reset, &gate, move |r| match &r.call {
        Call::Get(id) if r.nth < 2 => Some(Answer::json(200, &task(id))),
        Call::Get(id) => Some(completed(id)),
        Call::Update(_) if r.nth == 0 => {
            is_reported.store(true, Ordering::Release);
            None
        }
        _ if r.is_poll() && is_reported.swap(false, Ordering::AcqRel) => {
            Some(Answer::tasks(std::slice::from_ref(&back)))
        }
        _ => None,
    });
    server.add([short("t0")]);
    let worker = Worker::new("job", move |cx, input: Value| match cx.poll_count() {
        1 => {
            gate.pass();
            Err(TaskError::in_progress(Duration::ZERO))
        }
        _ => Ok(input),
    });
    let handle = start(&server, worker.poll_timeout(Duration::from_millis(200)));
    let look = Call::Get("t0".into());
    server.wait_for("four looks", |all| all.iter().filter(|r| r.call == look && r.answered.is_some()).count() == 4);
    assert_eq!(stop_clean(handle).completed, 2);
    let all = server.requests();
    let order: Vec<_> = all.iter().filter(|r| r.is_update() || r.call == look).map(|r| r.call == look).collect();
    // Each result waits for the heartbeat, and the last is looked at as well.
    assert_eq!(order, [true, false, true, false, true, true]);
}

#[test]
fn other_tasks_keep_their_heartbeats_while_one_heartbeat_is_never_answered() {
    let server = Server::start(|r| (r.call == Call::Heartbeat("t0".into())).then_some(Answer::Never));
    server.add([short("t0"), short("t1")]);
    let gate = Gate::new();
    let handle = start(&server, waiting(&gate));
    server.wait_for("heartbeats", |all| n_heartbeats(all, "t0") >= 1 && n_heartbeats(all, "t1") >= 4);
    gate.open();
    server.wait_for_updates("t1", 1);
    drop(server);
    let _undelivered = handle.stop(Duration::ZERO);
}

#[test]
fn other_results_are_delivered_while_one_is_never_answered() {
    for n_threads in [1, 2] {
        let server = Server::start(|r| (r.call == Call::Update("t0".into())).then_some(Answer::Never));
        server.add([task("t0")]);
        let gate = Gate::new();
        gate.open();
        let handle = TaskRunner::new(&server.client()).worker(waiting(&gate)).threads(n_threads).start().unwrap();
        server.wait_for("the first result", |all| all.iter().any(Request::is_update));
        server.add(["t1", "t2"].map(task));
        server.wait_for_updates("t2", 1);
        assert_eq!(server.updates("t0").len(), 1, "the first is still waited for");
        let report = handle.stop(Duration::ZERO);
        assert_eq!((report.completed, report.undelivered), (2, vec!["t0".to_owned()]));
    }
}

#[test]
fn a_worker_without_heartbeats_sends_none() {
    let server = Server::well_behaved();
    let gate = Gate::new();
    let (closed, runs) = (gate.clone(), Gate::new());
    let begins = runs.clone();
    let silent = Worker::new("silent", move |_, input: Value| {
        begins.open();
        closed.pass();
        Ok(input)
    });
    let silent = silent.without_heartbeats();
    server.add([task_with("t0", json!({"taskType": "silent", "taskDefName": "silent", "responseTimeoutSeconds": 1}))]);
    let handle = TaskRunner::new(&server.client()).worker(silent).worker(waiting(&gate)).threads(2).start().unwrap();
    runs.pass();
    // By the time of its heartbeats, the other task would have had its own.
    server.add([short("t1")]);
    server.wait_for("heartbeats of the other worker", |all| n_heartbeats(all, "t1") >= 2);
    gate.open();
    server.wait_for_tasks(2);
    stop_clean(handle);
    assert_eq!(n_heartbeats(&server.requests(), "t0"), 0);
}

#[test]
fn a_task_that_has_ended_on_the_server_is_cancelled_and_its_result_is_not_sent() {
    let ended = |status: &str| Answer::json(200, &task_with("t0", json!({"status": status})));
    for (what, answer, settled) in [
        ("cancelled", ended("CANCELED"), (0, 0)),
        ("timed out", ended("TIMED_OUT"), (0, 0)),
        ("completed by somebody else", ended("COMPLETED"), (0, 0)),
        // Its handler is told, and its result is offered all the same.
        ("gone", Answer::unknown_task("t0"), (1, 1)),
    ] {
        let server = Server::start(move |r| matches!(r.call, Call::Get(_)).then(|| answer.clone()));
        server.add([task("t0")]);
        let seen = Arc::new(AtomicBool::new(false));
        let tell = Arc::clone(&seen);
        let worker = Worker::new("job", move |cx, _: Value| {
            tell.store(comes_true(|| cx.is_cancelled()), Ordering::Release);
            Ok(())
        });
        let runner = TaskRunner::new(&server.client()).worker(worker).threads(2);
        let handle = runner.cancellation_check(Duration::from_millis(100)).start().unwrap();
        server.wait_for("a look", |all| all.iter().any(|r| matches!(r.call, Call::Get(_)) && r.answered.is_some()));
        let report = stop_clean(handle);
        assert!(seen.load(Ordering::Acquire), "{what}");
        assert_eq!((report.completed, server.updates("t0").len()), settled, "{what}");
    }
}

#[test]
fn a_look_that_tells_nothing_cancels_nothing() {
    for (what, answer) in [
        ("an error", Answer::refused(500, "database is locked")),
        ("a page for every address", Answer::html(404)),
        ("another status", Answer::json(200, &task_with("t0", json!({"status": "ON_THE_MOON"})))),
        ("nothing", Answer::json(200, &json!({}))),
        ("another task", Answer::json(200, &task_with("t1", json!({"status": "COMPLETED"})))),
        ("a reset", Answer::Reset),
    ] {
        let looks = Arc::new(Mutex::new(0));
        let count = Arc::clone(&looks);
        let server = Server::start(move |r| {
            matches!(r.call, Call::Get(_)).then(|| {
                *count.lock().unwrap() += 1;
                answer.clone()
            })
        });
        server.add([task("t0")]);
        let worker = watching(move |_| *looks.lock().unwrap() >= 5);
        let runner = TaskRunner::new(&server.client()).worker(worker).threads(2);
        let handle = runner.cancellation_check(Duration::from_millis(100)).start().unwrap();
        let updates = server.wait_for_updates("t0", 1);
        stop_clean(handle);
        assert_eq!(updates[0].json()["outputData"]["cancelled"], false, "{what}");
    }
}

#[test]
fn a_task_that_heartbeats_find_unknown_for_a_second_is_cancelled_and_its_result_offered() {
    let server = Server::start(|r| r.is_heartbeat().then(|| Answer::unknown_task(r.task_id())));
    server.add([short("t0")]);
    let handle = start(&server, watching(|_| false));
    let updates = server.wait_for_updates("t0", 1);
    assert_eq!(stop_clean(handle).completed, 1);
    assert_eq!(updates[0].json()["outputData"]["cancelled"], true);
    let all = server.requests();
    let beats: Vec<_> = all.iter().filter(|r| r.is_heartbeat()).collect();
    assert!(beats.len() >= 2 && beats[beats.len() - 1].at - beats[0].at >= Duration::from_secs(1));
}

#[test]
fn an_in_progress_result_is_followed_by_no_heartbeat() {
    let server = Server::well_behaved();
    server.add([short("t0")]);
    let gate = Gate::new();
    let closed = gate.clone();
    let worker = Worker::new("job", move |cx, _: Value| -> Result<(), TaskError> {
        if cx.task_id() == "t1" {
            closed.pass();
        }
        Err(TaskError::in_progress(Duration::from_secs(60)))
    });
    let handle = start(&server, worker);
    server.wait_for_updates("t0", 1);
    // By the time of its heartbeats, the first task would have had its own.
    server.add([short("t1")]);
    server.wait_for("heartbeats of a later task", |all| n_heartbeats(all, "t1") >= 2);
    gate.open();
    server.wait_for_updates("t1", 1);
    assert_eq!(n_heartbeats(&server.requests(), "t0"), 0);
    assert_eq!(stop_clean(handle).completed, 2);
}

#[test]
fn a_task_that_never_times_out_is_a_task() {
    let endless = json!({
        "responseTimeoutSeconds": i64::MAX,
        "taskDefinition": {"timeoutSeconds": i64::MAX},
        "startTime": i64::MIN,
        "updateTime": i64::MAX,
    });
    let server = Server::well_behaved();
    server.add([task_with("t0", endless.clone()), task_with("t1", endless), task("t2")]);
    let worker = Worker::new("job", |cx, _: Value| {
        cx.heartbeat();
        Ok(json!({"ends": cx.deadline().is_some()}))
    });
    let handle = start(&server, worker);
    server.wait_for_tasks(3);
    assert_eq!(stop_clean(handle).completed, 3);
    assert!(server.requests().iter().filter(|r| r.is_update()).all(|r| r.status() == "COMPLETED"));
}
