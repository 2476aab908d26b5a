//! Results and the answers to them: what is tried again, what is settled, what is set aside.

mod common;

use std::time::Duration;

use common::{Answer, Call, Server, echo, start, stop_clean, task, tasks};

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
