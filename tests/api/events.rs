//! The operations under `/event`, and what handlers do.

use conductor_sync::{
    ErrorKind, EventAction, EventHandler, StartWorkflowAction, StartWorkflowRequest, TaskAction, WorkflowDef,
    WorkflowStatus, WorkflowTask,
};
use serde_json::json;

use super::{Api, LONG, eventually, fails};

fn event(api: &Api) -> String {
    format!("conductor:{}:paid", api.name("w"))
}

/// Listens to nothing, so that no server asks a queue for it.
fn handler(api: &Api) -> EventHandler {
    let start = EventAction::start_workflow(StartWorkflowAction::new("w").input("order", "${order}"));
    EventHandler::new(api.name("h"), event(api)).action(start).inactive()
}

/// Handlers that listen, which are deleted also when the row fails: each takes a thread of the server.
struct Listening<'a>(&'a Api, &'static [&'static str]);

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        for name in self.1 {
            // It may not have been registered.
            drop(self.0.client.events().delete(&self.0.name(name)));
        }
    }
}

pub(crate) fn register(api: &Api) {
    api.client.events().register(&handler(api)).unwrap();
    assert_eq!(api.client.events().all_of(&event(api)).unwrap()[0].actions, handler(api).actions);
}

pub(crate) fn update(api: &Api) {
    let events = api.client.events();
    events.register(&handler(api)).unwrap();
    events.update(&handler(api).action(EventAction::terminate_workflow("w", "enough"))).unwrap();
    assert_eq!(events.all_of(&event(api)).unwrap()[0].actions.len(), 2);
}

pub(crate) fn delete(api: &Api) {
    let events = api.client.events();
    events.register(&handler(api)).unwrap();
    events.delete(&api.name("h")).unwrap();
    assert_eq!(events.all_of(&event(api)).unwrap(), []);
}

pub(crate) fn list(api: &Api) {
    api.client.events().register(&handler(api)).unwrap();
    assert!(api.client.events().list().unwrap().iter().any(|known| known.name == api.name("h")));
}

pub(crate) fn of_event(api: &Api) {
    let events = api.client.events();
    events.register(&handler(api)).unwrap();
    assert_eq!(events.active_of(&event(api)).unwrap(), []);
    assert_eq!(events.all_of(&event(api)).unwrap().len(), 1);
}

/// Registers the workflow `w`, which says `order` to the event and ends.
fn register_sender(api: &Api) {
    let mut node = WorkflowTask::simple("paid", "paid").input("order", "${workflow.input.order}");
    node.task_type = Some("EVENT".to_owned());
    node.sink = Some("conductor".to_owned());
    api.client.metadata().update_workflow(&WorkflowDef::new(api.name("w")).task(node)).unwrap();
}

fn send(api: &Api, order: &str) {
    let start = StartWorkflowRequest::new(api.name("w")).input(json!({"order": order}));
    api.client.workflows().start(&start).unwrap();
}

/// An event completes a task that waits and starts a workflow. The server looks for new handlers once a minute, and what was
/// sent before is not lost.
pub(crate) fn acts(api: &Api) {
    let workflows = api.client.workflows();
    register_sender(api);
    let waits = Api::beside(api);
    waits.register_wait();
    let waiting = waits.start();
    let complete = TaskAction::by_reference(&waiting, "w1").output("paid", "${order}");
    let ship = StartWorkflowAction::new(waits.name("w")).input("order", "${order}");
    let events = api.client.events();
    let _listening = Listening(api, &["h"]);
    let both = EventHandler::new(api.name("h"), event(api))
        .action(EventAction::complete_task(complete))
        .action(EventAction::start_workflow(ship));
    events.register(&both).unwrap();
    send(api, "P-17");
    let done = workflows.wait(&waiting, LONG).unwrap();
    assert_eq!(done.status, WorkflowStatus::Completed);
    // With the rest of the action and the event's own name and id.
    assert_eq!(done.tasks[0].output_data.to_value().unwrap()["paid"], "P-17");
    let started = eventually("a workflow is started", || workflows.running(waits.name("w").as_str()).unwrap().pop());
    let input = workflows.get(&started).unwrap().input.to_value().unwrap();
    assert_eq!(input["order"], "P-17", "{input}");
    let queues = api.client.admin().queues().unwrap();
    assert!(queues.contains_key(&event(api)), "{queues:?}");
    assert!(api.client.admin().queues_verbose().unwrap().contains_key(&event(api)));
    workflows.terminate(&started, None).unwrap();
}

/// Of two handlers with a condition, the one whose condition holds acts.
pub(crate) fn acts_on_condition(api: &Api) {
    let workflows = api.client.workflows();
    register_sender(api);
    let waits = Api::beside(api);
    waits.register_wait();
    let (other, meant) = (waits.start(), waits.start());
    let events = api.client.events();
    let _listening = Listening(api, &["h1", "h2"]);
    for (name, id, script) in [("h1", &other, "$.order == 'other'"), ("h2", &meant, "$.order == 'P-17'")] {
        let fail = EventAction::fail_task(TaskAction::by_reference(id.as_str(), "w1"));
        let handler = EventHandler::new(api.name(name), event(api)).condition("javascript", script);
        events.register(&handler.action(fail)).unwrap();
    }
    send(api, "P-17");
    assert_eq!(workflows.wait(&meant, LONG).unwrap().status, WorkflowStatus::Failed);
    assert_eq!(workflows.status(&other).unwrap().status, WorkflowStatus::Running);
    send(api, "other");
    assert_eq!(workflows.wait(&other, LONG).unwrap().status, WorkflowStatus::Failed);
}

pub(crate) mod refused {
    use super::super::{lost, missing};
    use super::*;

    pub(crate) fn register(api: &Api) {
        api.client.events().register(&handler(api)).unwrap();
        fails(api.client.events().register(&handler(api)), ErrorKind::Conflict);
    }

    pub(crate) fn update(api: &Api) {
        missing(api.client.events().update(&handler(api)));
    }

    pub(crate) fn delete(api: &Api) {
        missing(api.client.events().delete(&api.name("nope")));
    }

    pub(crate) fn list(api: &Api) {
        lost(api.elsewhere().events().list());
    }

    pub(crate) fn of_event(api: &Api) {
        lost(api.elsewhere().events().active_of("conductor:w:paid"));
        lost(api.elsewhere().events().all_of("conductor:w:paid"));
        fails(api.client.events().active_of("sqs:a/b"), ErrorKind::Invalid);
    }
}
