//! The operations under `/metadata`.

use std::time::Duration;

use conductor_sync::{ErrorKind, TaskDef, WorkflowDef, WorkflowTask};

use super::{Api, fails, just_now};

/// Registers two versions of the workflow `w`, the first of which says something of itself.
fn update_two(api: &Api) {
    let both = [workflow(api).description("one"), workflow(api).version(2)];
    assert!(api.client.metadata().update_workflows(&both).unwrap().is_complete());
}

/// A workflow `w` with one task of type `t`.
fn workflow(api: &Api) -> WorkflowDef {
    WorkflowDef::new(api.name("w")).task(WorkflowTask::simple(api.name("t"), "a"))
}

/// A task `t` that says something of itself.
fn task(api: &Api, description: &str) -> TaskDef {
    TaskDef::new(api.name("t")).description(description)
}

pub(crate) fn register_task(api: &Api) {
    let metadata = api.client.metadata();
    metadata.register_task(&task(api, "one")).unwrap();
    metadata.register_tasks(&[task(api, "two"), TaskDef::new(api.name("u"))]).unwrap();
    assert_eq!(metadata.task(&api.name("t")).unwrap().description.as_deref(), Some("two"), "it is replaced");
    assert_eq!(metadata.task(&api.name("u")).unwrap().name, api.name("u"));
    let limited =
        task(api, "three").total_timeout(Duration::from_millis(8_500)).max_retry_delay(Duration::from_secs(7));
    metadata.register_task(&limited.backoff_jitter(Duration::from_millis(6))).unwrap();
    let limited = metadata.task(&api.name("t")).unwrap();
    just_now(limited.created_at());
    let limits = (limited.total_timeout_seconds, limited.max_retry_delay_seconds, limited.backoff_jitter_ms);
    assert_eq!(limits, (Some(9), Some(7), Some(6)));
}

pub(crate) fn update_task(api: &Api) {
    let metadata = api.client.metadata();
    metadata.register_task(&task(api, "one")).unwrap();
    metadata.update_task(&task(api, "two")).unwrap();
    assert_eq!(metadata.task(&api.name("t")).unwrap().description.as_deref(), Some("two"));
}

pub(crate) fn tasks(api: &Api) {
    api.client.metadata().register_task(&task(api, "one")).unwrap();
    let all = api.client.metadata().tasks().unwrap();
    assert!(all.iter().any(|task| task.name == api.name("t") && task.description.as_deref() == Some("one")));
}

pub(crate) fn task_of_name(api: &Api) {
    api.client.metadata().register_task(&task(api, "one")).unwrap();
    assert_eq!(api.client.metadata().task(&api.name("t")).unwrap().description.as_deref(), Some("one"));
}

pub(crate) fn delete_task(api: &Api) {
    let metadata = api.client.metadata();
    metadata.register_task(&task(api, "one")).unwrap();
    metadata.delete_task(&api.name("t")).unwrap();
    assert!(metadata.task(&api.name("t")).unwrap_err().is_not_found());
}

pub(crate) fn register_workflow(api: &Api) {
    let metadata = api.client.metadata();
    metadata.register_workflow(&workflow(api)).unwrap();
    just_now(metadata.workflow(&api.name("w")).unwrap().created_at());
    metadata.overwrite_workflow(&workflow(api).description("again")).unwrap();
    assert_eq!(metadata.workflow(&api.name("w")).unwrap().description.as_deref(), Some("again"));
}

pub(crate) fn update_workflows(api: &Api) {
    let metadata = api.client.metadata();
    metadata.update_workflow(&workflow(api)).unwrap();
    let outcome = metadata.update_workflows(&[workflow(api).version(2), workflow(api).version(3)]).unwrap();
    assert!(outcome.is_complete() && outcome.successes.len() == 2, "{outcome:?}");
    assert_eq!(metadata.workflow_versions(&api.name("w")).unwrap().len(), 3);
}

pub(crate) fn validate_workflow(api: &Api) {
    api.client.metadata().validate_workflow(&workflow(api)).unwrap();
    let outcome = api.client.metadata().workflow(&api.name("w"));
    assert!(outcome.unwrap_err().is_not_found(), "it is not registered");
}

pub(crate) fn workflows(api: &Api) {
    let metadata = api.client.metadata();
    update_two(api);
    let all = metadata.workflows().unwrap();
    assert_eq!(all.iter().filter(|def| def.name == api.name("w")).count(), 2);
    assert_eq!(metadata.workflows_of("no_such_kind").unwrap(), []);
}

/// What was fetched goes back and comes again as it was.
pub(crate) fn workflow_of_name(api: &Api) {
    let metadata = api.client.metadata();
    update_two(api);
    assert_eq!(metadata.workflow(&api.name("w")).unwrap().version, Some(2));
    let fetched = metadata.workflow_version(&api.name("w"), 1).unwrap();
    assert_eq!(fetched.description.as_deref(), Some("one"));
    just_now(fetched.updated_at());
    let text = serde_json::to_string(&fetched).unwrap();
    metadata.update_workflow(&serde_json::from_str(&text).unwrap()).unwrap();
    let mut again = metadata.workflow_version(&api.name("w"), 1).unwrap();
    again.update_time = fetched.update_time;
    assert_eq!(again, fetched);
}

pub(crate) fn workflow_names(api: &Api) {
    api.client.metadata().update_workflow(&workflow(api)).unwrap();
    assert!(api.client.metadata().workflow_names().unwrap().contains(&api.name("w")));
}

pub(crate) fn workflow_names_and_versions(api: &Api) {
    update_two(api);
    let all = api.client.metadata().workflow_names_and_versions().unwrap();
    let versions = &all[&api.name("w")];
    assert_eq!(versions.len(), 2);
    just_now(versions[0].updated_at());
}

pub(crate) fn workflow_versions(api: &Api) {
    let metadata = api.client.metadata();
    update_two(api);
    assert_eq!(metadata.workflow_versions(&api.name("w")).unwrap().len(), 2);
    assert_eq!(metadata.workflow_versions("no_such_workflow").unwrap().len(), 0);
}

pub(crate) fn latest_workflows(api: &Api) {
    let metadata = api.client.metadata();
    update_two(api);
    let latest = metadata.latest_workflows().unwrap();
    let versions = latest.iter().filter(|def| def.name == api.name("w")).map(|def| def.version);
    assert_eq!(versions.collect::<Vec<_>>(), [Some(2)]);
}

pub(crate) fn delete_workflow(api: &Api) {
    let metadata = api.client.metadata();
    update_two(api);
    metadata.delete_workflow(&api.name("w"), 2).unwrap();
    assert_eq!(metadata.workflow(&api.name("w")).unwrap().version, Some(1));
}

pub(crate) mod refused {
    use super::super::{long, lost, missing, too_long};
    use super::*;

    pub(crate) fn register_task(api: &Api) {
        let metadata = api.client.metadata();
        let mut odd = TaskDef::new(api.name("t"));
        odd.retry_count = Some(-1);
        fails(metadata.register_task(&odd), ErrorKind::Rejected);
        fails(metadata.register_tasks(&[]), ErrorKind::Invalid);
        missing(metadata.task(&api.name("t")));
    }

    pub(crate) fn update_task(api: &Api) {
        missing(api.client.metadata().update_task(&task(api, "nobody knows it")));
    }

    pub(crate) fn tasks(api: &Api) {
        lost(api.elsewhere().metadata().tasks());
    }

    pub(crate) fn task_of_name(api: &Api) {
        missing(api.client.metadata().task(&api.name("nope")));
    }

    pub(crate) fn delete_task(api: &Api) {
        missing(api.client.metadata().delete_task(&api.name("nope")));
    }

    pub(crate) fn register_workflow(api: &Api) {
        let metadata = api.client.metadata();
        metadata.register_workflow(&workflow(api)).unwrap();
        fails(metadata.register_workflow(&workflow(api)), ErrorKind::Conflict);
        fails(metadata.overwrite_workflow(&WorkflowDef::new(api.name("w"))), ErrorKind::Rejected);
    }

    pub(crate) fn update_workflows(api: &Api) {
        let empty = WorkflowDef::new(api.name("w"));
        fails(api.client.metadata().update_workflow(&empty), ErrorKind::Rejected);
        fails(api.client.metadata().update_workflows(&[workflow(api), empty]), ErrorKind::Rejected);
        missing(api.client.metadata().workflow(&api.name("w")));
    }

    pub(crate) fn validate_workflow(api: &Api) {
        let empty = WorkflowDef::new(api.name("w"));
        fails(api.client.metadata().validate_workflow(&empty), ErrorKind::Rejected);
    }

    pub(crate) fn workflows(api: &Api) {
        lost(api.elsewhere().metadata().workflows());
        fails(api.client.metadata().workflows_of(" "), ErrorKind::Invalid);
        too_long(api.client.metadata().workflows_of(&long()), "classifier");
    }

    pub(crate) fn workflow_of_name(api: &Api) {
        missing(api.client.metadata().workflow(&api.name("nope")));
        api.client.metadata().update_workflow(&workflow(api)).unwrap();
        missing(api.client.metadata().workflow_version(&api.name("w"), 2));
    }

    pub(crate) fn workflow_names(api: &Api) {
        lost(api.elsewhere().metadata().workflow_names());
    }

    pub(crate) fn workflow_names_and_versions(api: &Api) {
        lost(api.elsewhere().metadata().workflow_names_and_versions());
    }

    pub(crate) fn workflow_versions(api: &Api) {
        lost(api.elsewhere().metadata().workflow_versions("w"));
    }

    pub(crate) fn latest_workflows(api: &Api) {
        lost(api.elsewhere().metadata().latest_workflows());
    }

    pub(crate) fn delete_workflow(api: &Api) {
        missing(api.client.metadata().delete_workflow(&api.name("nope"), 1));
    }
}
