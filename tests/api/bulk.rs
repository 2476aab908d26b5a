//! The operations under `/workflow/bulk`.

use conductor_sync::{BulkOutcome, ErrorKind, Removal, TaskResultStatus, WorkflowStatus};

use super::{Api, fails, missing};

/// It was done for `id` and not for the workflow that does not exist.
#[track_caller]
fn done_for(id: &str, outcome: conductor_sync::Result<BulkOutcome>) {
    let outcome = outcome.unwrap();
    assert_eq!(outcome.successes, [id]);
    assert_eq!(outcome.errors.keys().collect::<Vec<_>>(), ["nope"]);
    assert!(!outcome.is_complete());
}

#[track_caller]
fn state(api: &Api, id: &str, expected: &WorkflowStatus) {
    assert_eq!(api.client.workflows().status(id).unwrap().status, *expected);
}

pub(crate) fn pause_and_resume(api: &Api) {
    let bulk = api.client.workflows().bulk();
    api.register(&["a"]);
    let id = api.start();
    done_for(&id, bulk.pause(&[id.as_str(), "nope"]));
    state(api, &id, &WorkflowStatus::Paused);
    done_for(&id, bulk.resume(&[id.as_str(), "nope"]));
    state(api, &id, &WorkflowStatus::Running);
    assert!(bulk.resume(&[&id]).unwrap().errors.contains_key(&id), "it is not paused");
    fails(bulk.pause::<&str>(&[]), ErrorKind::Invalid);
}

pub(crate) fn restart(api: &Api) {
    let bulk = api.client.workflows().bulk();
    api.register(&["a"]);
    let id = api.start();
    assert!(bulk.restart(&[&id]).unwrap().errors.contains_key(&id), "it runs");
    api.end(TaskResultStatus::Completed);
    done_for(&id, bulk.restart(&[id.as_str(), "nope"]));
    state(api, &id, &WorkflowStatus::Running);
    api.end(TaskResultStatus::Completed);
    done_for(&id, bulk.restart_with_latest_definitions(&[id.as_str(), "nope"]));
    state(api, &id, &WorkflowStatus::Running);
}

pub(crate) fn retry(api: &Api) {
    let bulk = api.client.workflows().bulk();
    api.register(&["a"]);
    let id = api.start();
    api.end(TaskResultStatus::Failed);
    done_for(&id, bulk.retry(&[id.as_str(), "nope"]));
    state(api, &id, &WorkflowStatus::Running);
    assert!(bulk.retry(&[&id]).unwrap().errors.contains_key(&id), "it runs");
}

pub(crate) fn terminate(api: &Api) {
    let bulk = api.client.workflows().bulk();
    api.register(&["a"]);
    let id = api.start();
    done_for(&id, bulk.terminate(&[id.as_str(), "nope"], Some("enough & more")));
    let workflow = api.client.workflows().get(&id).unwrap();
    assert_eq!(workflow.reason_for_incompletion.as_deref(), Some("enough & more"));
}

pub(crate) fn remove(api: &Api) {
    let bulk = api.client.workflows().bulk();
    api.register(&["a"]);
    let id = api.start();
    assert!(bulk.remove(&[&id], Removal::Archive).unwrap().errors.contains_key(&id), "it runs");
    done_for(&id, bulk.remove(&[id.as_str(), "nope"], Removal::Delete));
    missing(api.client.workflows().get(&id));
}

pub(crate) fn terminate_and_remove(api: &Api) {
    let bulk = api.client.workflows().bulk();
    api.register(&["a"]);
    let id = api.start();
    done_for(&id, bulk.terminate_and_remove(&[id.as_str(), "nope"], Some("enough"), Removal::Archive));
    missing(api.client.workflows().get(&id));
}

pub(crate) fn get(api: &Api) {
    let bulk = api.client.workflows().bulk();
    api.register(&["a"]);
    let id = api.start();
    for (outcome, n_tasks) in
        [(bulk.get(&[id.as_str(), "nope"]).unwrap(), 1), (bulk.get_without_tasks(&[id.as_str(), "nope"]).unwrap(), 0)]
    {
        assert_eq!((outcome.successes.len(), outcome.errors.len()), (1, 1));
        let workflow = &outcome.successes[0];
        assert_eq!((&workflow.workflow_id, &workflow.status), (&id, &WorkflowStatus::Running));
        assert_eq!(workflow.tasks.len(), n_tasks);
    }
    fails(bulk.get(&["", "x"]), ErrorKind::Invalid);
}
