//! The operations under `/admin`, `/queue`, `/environment`, `/secrets`, `/version` and `/health`.

use conductor_sync::{
    ErrorKind, Node, QueueUpdate, TaskResultStatus, WorkflowBuilder, WorkflowDef, WorkflowStatus, WorkflowTask,
    workflow_environment, workflow_secret,
};
use serde_json::json;

use super::{Api, LONG, eventually, fails, holds};

/// Starts a workflow that waits for a human, which the server keeps in no queue.
pub(crate) fn start_human(api: &Api) -> String {
    let mut node = WorkflowTask::simple("human", "h");
    node.task_type = Some("HUMAN".to_owned());
    api.client.metadata().update_workflow(&WorkflowDef::new(api.name("w")).task(node)).unwrap();
    let id = api.start();
    let workflows = api.client.workflows();
    eventually("the human is waited for", || workflows.get(&id).unwrap().tasks.pop());
    id
}

pub(crate) fn config(api: &Api) {
    assert!(api.client.admin().config().unwrap().contains_key("java.specification.version"));
}

pub(crate) fn pending_tasks(api: &Api) {
    api.register(&["a"]);
    let (first, second) = (api.start(), api.start());
    let admin = api.client.admin();
    let pending = admin.pending_tasks(&api.name("t"), 0, 10).unwrap();
    let of: Vec<_> = pending.iter().map(|task| &task.workflow_instance_id).collect();
    assert!(of.len() == 2 && of.contains(&&first) && of.contains(&&second), "{of:?}");
    assert_eq!(admin.pending_tasks(&api.name("t"), 1, 10).unwrap().len(), 1);
    assert_eq!(admin.pending_tasks("no_such_type", 0, 10).unwrap(), []);
}

/// It is put there once.
pub(crate) fn requeue_sweep(api: &Api) {
    let id = start_human(api);
    assert!(api.client.admin().requeue_sweep(&id).unwrap());
    assert!(!api.client.admin().requeue_sweep(&id).unwrap());
}

/// The workflow is put into the queue of those to be looked at, although the answer is about its last task alone.
pub(crate) fn verify_and_repair(api: &Api) {
    let id = start_human(api);
    assert!(!api.client.admin().verify_and_repair(&id).unwrap());
    assert!(!api.client.admin().requeue_sweep(&id).unwrap(), "it is there already");
}

/// That an event handler makes a queue is seen where one acts.
pub(crate) fn queues(api: &Api) {
    let admin = api.client.admin();
    let (names, sizes) = (admin.queues().unwrap(), admin.queues_verbose().unwrap());
    assert!(names.values().all(|name| name.to_value().unwrap().is_string()), "{names:?}");
    assert!(sizes.values().all(|queues| queues.is_object()), "{sizes:?}");
}

/// The default event queue has one for each status that it can set. It is off unless the server has a message broker.
pub(crate) fn status_queues(api: &Api) {
    let queues = api.client.admin().status_queues().unwrap();
    let sizes = api.client.admin().status_queue_sizes().unwrap();
    assert_eq!(queues.keys().collect::<Vec<_>>(), ["COMPLETED", "FAILED"], "start it with .ci/server and python3");
    assert!(sizes.len() == 2 && sizes.values().all(|size| *size >= 0), "{sizes:?}");
}

/// A message ends the task, and what it holds becomes the output.
pub(crate) fn update_through_queue(api: &Api) {
    let workflows = api.client.workflows();
    api.register_wait();
    let (first, second) = (api.start(), api.start());
    let task = workflows.get(&second).unwrap().tasks.pop().expect("it waits").task_id;
    let completed = QueueUpdate::by_reference(&first, "w1", TaskResultStatus::Completed).output(json!({"n": 1}));
    let failed = QueueUpdate::by_id(&second, task, TaskResultStatus::Failed).output(json!({"n": 2}));
    for (id, update, status, n) in
        [(&first, completed, WorkflowStatus::Completed, 1), (&second, failed, WorkflowStatus::Failed, 2)]
    {
        api.client.admin().update_through_queue(&update).unwrap();
        let done = workflows.wait(id, LONG).unwrap();
        assert_eq!(done.status, status);
        assert_eq!(done.tasks[0].output_data.to_value().unwrap()["n"], n);
    }
}

/// What these tests need of a server that `.ci/server` has not started.
pub(crate) const VALUES: &str =
    "the process of the server must have CONDUCTOR_ENV_PLACE=here and CONDUCTOR_SECRET_KEY=hush in its environment";

pub(crate) fn environment(api: &Api) {
    let admin = api.client.admin();
    let known = admin.environment().unwrap();
    assert!(
        known.iter().any(|known| known.name == "PLACE" && known.value.as_deref() == Some("here")),
        "{VALUES}: {known:?}"
    );
    for known in known {
        assert_eq!(admin.environment_value(&known.name).unwrap(), known.value, "{}", known.name);
    }
    assert_eq!(admin.environment_value("NO_SUCH_VALUE").unwrap(), None);
}

pub(crate) fn secret_names(api: &Api) {
    let names = api.client.admin().secret_names().unwrap();
    assert!(names.iter().any(|name| name == "KEY"), "{VALUES}: {names:?}");
}

/// Without a key some can't be used.
pub(crate) fn providers(api: &Api) {
    let providers = api.client.admin().providers().unwrap();
    assert!(!providers.managed_by_host);
    let named = |name: &str| providers.providers.iter().find(|provider| provider.name == name).expect(name);
    assert!(!named("cohere").configured && named("cohere").base_url.is_none(), "{providers:?}");
    assert!(named("ollama").base_url.is_some() && named("ollama").reachable.is_some(), "{providers:?}");
}

/// The worker alone is told a secret: the server keeps the reference, for an output too.
pub(crate) fn environment_and_secrets(api: &Api) {
    let task = Node::simple(api.name("t"), "a")
        .input("place", workflow_environment("PLACE"))
        .input("key", workflow_secret("KEY"))
        .input("nowhere", workflow_environment("NO_SUCH_VALUE"))
        .input("unknown", workflow_secret("NO_SUCH_SECRET"));
    let builder = WorkflowBuilder::new(api.name("w")).task(&task).output("place", workflow_environment("PLACE"));
    builder.output("key", workflow_secret("KEY")).register(&api.client.metadata()).unwrap();
    let id = api.start();
    let polled = api.end(TaskResultStatus::Completed);
    let given = json!({"place": "here", "key": "hush", "nowhere": null, "unknown": null});
    assert_eq!(polled.input_data.to_value().unwrap(), given, "{VALUES}");
    let stored = api.client.tasks().get(&polled.task_id).unwrap().input_data.to_value().unwrap();
    assert_eq!((&stored["place"], &stored["key"]), (&json!("here"), &json!("${workflow.secrets.KEY}")));
    let done = api.client.workflows().wait(&id, LONG).unwrap();
    holds(&done.output, &json!({"place": "here", "key": "${workflow.secrets.KEY}"}));
}

pub(crate) fn version(api: &Api) {
    assert_eq!(api.client.admin().version().unwrap(), "3.32.1");
}

pub(crate) fn health(api: &Api) {
    assert!(api.client.admin().health().unwrap().healthy);
}

pub(crate) mod refused {
    use super::super::{lost, missing};
    use super::*;

    pub(crate) fn config(api: &Api) {
        lost(api.elsewhere().admin().config());
    }

    pub(crate) fn pending_tasks(api: &Api) {
        lost(api.elsewhere().admin().pending_tasks("t", 0, 10));
        fails(api.client.admin().pending_tasks("t", 0, 0), ErrorKind::Invalid);
    }

    pub(crate) fn requeue_sweep(api: &Api) {
        lost(api.elsewhere().admin().requeue_sweep("w"));
    }

    pub(crate) fn verify_and_repair(api: &Api) {
        missing(api.client.admin().verify_and_repair("nope"));
    }

    pub(crate) fn queues(api: &Api) {
        lost(api.elsewhere().admin().queues());
        lost(api.elsewhere().admin().queues_verbose());
    }

    pub(crate) fn status_queues(api: &Api) {
        lost(api.elsewhere().admin().status_queues());
        lost(api.elsewhere().admin().status_queue_sizes());
    }

    pub(crate) fn update_through_queue(api: &Api) {
        let failed = |update: QueueUpdate| fails(api.client.admin().update_through_queue(&update), ErrorKind::Rejected);
        // No server has a queue for this status.
        let error = failed(QueueUpdate::by_reference("w", "a", TaskResultStatus::InProgress).output(json!({"n": 1})));
        assert!(error.to_string().contains("There is no queue for handling IN_PROGRESS status"), "{error}");
        failed(QueueUpdate::by_id("w", "t", TaskResultStatus::InProgress));
    }

    pub(crate) fn environment(api: &Api) {
        lost(api.elsewhere().admin().environment());
        lost(api.elsewhere().admin().environment_value("NO_SUCH_VALUE"));
    }

    pub(crate) fn secret_names(api: &Api) {
        lost(api.elsewhere().admin().secret_names());
    }

    pub(crate) fn providers(api: &Api) {
        lost(api.elsewhere().admin().providers());
    }

    pub(crate) fn version(api: &Api) {
        lost(api.elsewhere().admin().version());
    }

    pub(crate) fn health(api: &Api) {
        lost(api.elsewhere().admin().health());
    }
}
