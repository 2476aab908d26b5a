//! The operations under `/workflow/bulk`.

use conductor_sync::{BulkOutcome, Removal, TaskResultStatus, WorkflowStatus};

use super::{Api, missing};

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
}

pub(crate) fn restart(api: &Api) {
    let bulk = api.client.workflows().bulk();
    api.register(&["a"]);
    let id = api.start();
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
        [(bulk.get(&[id.as_str(), "nope"]).unwrap(), 1), (bulk.without_tasks(&[id.as_str(), "nope"]).unwrap(), 0)]
    {
        assert_eq!((outcome.successes.len(), outcome.errors.len()), (1, 1));
        let workflow = &outcome.successes[0];
        assert_eq!((&workflow.workflow_id, &workflow.status), (&id, &WorkflowStatus::Running));
        assert_eq!(workflow.tasks.len(), n_tasks);
    }
}

/// A bulk call answers, and tells for each workflow why not.
pub(crate) mod refused {
    use conductor_sync::ErrorKind;

    use super::{
        super::{fails, refused},
        *,
    };

    /// It was not done, for this reason.
    #[track_caller]
    fn not_done(id: &str, reason: &str, outcome: conductor_sync::Result<BulkOutcome>) {
        let outcome = outcome.unwrap();
        assert!(outcome.successes.is_empty() && outcome.errors[id].contains(reason), "{outcome:?}");
        refused();
    }

    fn started(api: &Api) -> String {
        api.register(&["a"]);
        api.start()
    }

    pub(crate) fn pause_and_resume(api: &Api) {
        let bulk = api.client.workflows().bulk();
        let id = started(api);
        not_done(&id, "not PAUSED", bulk.resume(&[&id]));
        api.end(TaskResultStatus::Completed);
        not_done(&id, "has ended", bulk.pause(&[&id]));
        fails(bulk.pause::<&str>(&[]), ErrorKind::Invalid);
        fails(bulk.resume::<&str>(&[]), ErrorKind::Invalid);
    }

    pub(crate) fn restart(api: &Api) {
        let bulk = api.client.workflows().bulk();
        let id = started(api);
        not_done(&id, "terminal", bulk.restart(&[&id]));
        not_done(&id, "terminal", bulk.restart_with_latest_definitions(&[&id]));
        fails(bulk.restart::<&str>(&[]), ErrorKind::Invalid);
    }

    pub(crate) fn retry(api: &Api) {
        let bulk = api.client.workflows().bulk();
        let id = started(api);
        not_done(&id, "still running", bulk.retry(&[&id]));
        fails(bulk.retry::<&str>(&[]), ErrorKind::Invalid);
    }

    pub(crate) fn terminate(api: &Api) {
        let bulk = api.client.workflows().bulk();
        let id = started(api);
        api.end(TaskResultStatus::Completed);
        not_done(&id, "COMPLETED", bulk.terminate(&[&id], None));
        fails(bulk.terminate::<&str>(&[], None), ErrorKind::Invalid);
    }

    pub(crate) fn remove(api: &Api) {
        let bulk = api.client.workflows().bulk();
        let id = started(api);
        not_done(&id, "Cannot archive", bulk.remove(&[&id], Removal::Archive));
        fails(bulk.remove::<&str>(&[], Removal::Archive), ErrorKind::Invalid);
    }

    pub(crate) fn terminate_and_remove(api: &Api) {
        let bulk = api.client.workflows().bulk();
        not_done("nope", "nope", bulk.terminate_and_remove(&["nope"], None, Removal::Delete));
        fails(bulk.terminate_and_remove::<&str>(&[], None, Removal::Archive), ErrorKind::Invalid);
    }

    pub(crate) fn get(api: &Api) {
        let bulk = api.client.workflows().bulk();
        let outcome = bulk.get(&["nope"]).unwrap();
        assert!(outcome.successes.is_empty() && outcome.errors.contains_key("nope"), "{outcome:?}");
        refused();
        fails(bulk.get(&["", "x"]), ErrorKind::Invalid);
    }
}
