//! The operations under `/tasks`.

use std::time::Duration;

use conductor_sync::{
    PayloadOperation, PayloadType, PollRequest, ReferenceUpdate, ReturnStrategy, SearchField, SearchQuery,
    SearchRequest, SignalRequest, TaskResult, TaskResultStatus, TaskStatus, WorkflowDef, WorkflowStatus, WorkflowTask,
};
use serde_json::json;

use super::{Api, LONG, MOST_BYTES, eventually, holds};

pub(crate) fn poll(api: &Api) {
    let tasks = api.client.tasks();
    assert_eq!(tasks.poll(api.name("t").as_str()).unwrap(), None);
    api.register(&["a"]);
    let id = api.start();
    let task = tasks.poll(PollRequest::new(api.name("t")).worker_id("me")).unwrap().unwrap();
    assert_eq!((task.workflow_instance_id, task.worker_id.as_deref()), (id, Some("me")));
}

pub(crate) fn poll_batch(api: &Api) {
    let tasks = api.client.tasks();
    api.register(&["a"]);
    let poll = PollRequest::new(api.name("t")).count(3);
    assert_eq!(tasks.poll_batch(poll.clone()).unwrap(), []);
    for _ in 0..2 {
        api.start();
    }
    assert_eq!(tasks.poll_batch(poll.timeout(Duration::from_millis(200))).unwrap().len(), 2);
}

pub(crate) fn update(api: &Api) {
    api.register(&["a"]);
    api.start();
    let task = api.end(TaskResultStatus::Completed);
    let task = api.client.tasks().get(&task.task_id).unwrap();
    assert_eq!(task.status, TaskStatus::Completed);
    holds(&task.output_data, &json!({"n": 2}));
}

pub(crate) fn update_and_poll(api: &Api) {
    let tasks = api.client.tasks();
    api.register(&["a"]);
    let (first, second) = (api.start(), api.start());
    let task = api.take();
    let done = TaskResult::new(&task.workflow_instance_id, &task.task_id, TaskResultStatus::Completed).worker_id("me");
    let next = tasks.update_and_poll(&done).unwrap().expect("the other one is due");
    assert!([first, second].contains(&next.workflow_instance_id) && next.task_id != task.task_id);
    assert_eq!(next.worker_id.as_deref(), Some("me"));
    let done = TaskResult::new(&next.workflow_instance_id, &next.task_id, TaskResultStatus::Completed);
    assert_eq!(tasks.update_and_poll(&done).unwrap(), None);
}

pub(crate) fn update_by_reference(api: &Api) {
    let tasks = api.client.tasks();
    api.register(&["a"]);
    let id = api.start();
    let update = ReferenceUpdate::new(&id, "a", TaskResultStatus::Completed).output(json!({"n": 3}));
    let task_id = tasks.update_by_reference(&update).unwrap().expect("it is pending");
    assert_eq!(tasks.get(&task_id).unwrap().status, TaskStatus::Completed);
}

pub(crate) fn update_by_reference_sync(api: &Api) {
    let tasks = api.client.tasks();
    api.register(&["a"]);
    let update = ReferenceUpdate::new(api.start(), "a", TaskResultStatus::Completed).output(json!({"n": 3}));
    let workflow = tasks.update_by_reference_sync(&update).unwrap();
    assert_eq!(workflow.status, WorkflowStatus::Completed);
}

pub(crate) fn signal(api: &Api) {
    api.register_wait();
    let id = api.start();
    let signal = SignalRequest::new(&id, TaskResultStatus::Completed).output(json!({"z": 1}));
    api.client.tasks().signal(&signal).unwrap();
    let done = api.client.workflows().wait(&id, Duration::from_secs(20)).unwrap();
    assert_eq!(done.status, WorkflowStatus::Completed);
    holds(&done.output, &json!({"z": 1}));
    api.client.tasks().signal(&signal).expect("the server says nothing when no task waits");
}

pub(crate) fn signal_sync(api: &Api) {
    let tasks = api.client.tasks();
    api.register_wait();
    let id = api.start();
    let signal = |id: &str| SignalRequest::new(id, TaskResultStatus::Completed).output(json!({"z": 1}));
    let done = tasks.signal_sync(&signal(&id)).unwrap();
    assert_eq!((done.target_workflow_id(), done.target_workflow_status()), (id.as_str(), &WorkflowStatus::Completed));
    let run = done.workflow().expect("a workflow was asked for");
    assert_eq!((run.tasks.len(), &run.response_type), (1, &ReturnStrategy::TargetWorkflow));
    holds(&run.output, &json!({"z": 1}));
}

pub(crate) fn logs(api: &Api) {
    let tasks = api.client.tasks();
    api.register(&["a"]);
    api.start();
    let task = api.take();
    assert_eq!(tasks.logs(&task.task_id).unwrap(), []);
    tasks.add_log(&task.task_id, "a \"line\"").unwrap();
    let log =
        eventually("the line is there", || Some(tasks.logs(&task.task_id).unwrap()).filter(|log| !log.is_empty()));
    assert_eq!(log[0].log, "a \"line\"");
}

pub(crate) fn get(api: &Api) {
    api.register(&["a"]);
    api.start();
    let task = api.take();
    assert_eq!(api.client.tasks().get(&task.task_id).unwrap().reference_task_name, "a");
}

pub(crate) fn queue_size(api: &Api) {
    api.register(&["a"]);
    api.start();
    assert_eq!(api.client.tasks().queue_size(&api.name("t"), None).unwrap(), 1);
    assert_eq!(api.client.tasks().queue_size(&api.name("t"), Some("elsewhere")).unwrap(), 0);
}

pub(crate) fn queue_sizes(api: &Api) {
    api.register(&["a"]);
    api.start();
    let sizes = api.client.tasks().queue_sizes(&[api.name("t"), api.name("u")]).unwrap();
    assert_eq!(sizes, [(api.name("t"), 1), (api.name("u"), 0)].into());
}

pub(crate) fn all_queue_sizes(api: &Api) {
    api.register(&["a"]);
    api.start();
    let tasks = api.client.tasks();
    assert_eq!(tasks.all_queue_sizes().unwrap().get(&api.name("t")), Some(&1));
    let details = tasks.all_queue_details().unwrap();
    assert_eq!(details[&api.name("t")].values().map(|shard| shard.size).sum::<i64>(), 1);
}

pub(crate) fn poll_data(api: &Api) {
    let tasks = api.client.tasks();
    assert_eq!(tasks.poll_data(&api.name("t")).unwrap(), []);
    tasks.poll(PollRequest::new(api.name("t")).worker_id("me").domain("d")).unwrap();
    let data = tasks.poll_data(&api.name("t")).unwrap();
    assert_eq!((data[0].worker_id.as_deref(), data[0].domain.as_deref()), (Some("me"), Some("d")));
}

pub(crate) fn all_poll_data(api: &Api) {
    api.client.tasks().poll(api.name("t").as_str()).unwrap();
    let all = api.client.tasks().all_poll_data().unwrap();
    assert!(all.iter().any(|data| data.queue_name.contains(&api.name("t"))), "{all:?}");
}

pub(crate) fn requeue(api: &Api) {
    let tasks = api.client.tasks();
    assert_eq!(tasks.requeue(&api.name("t")).unwrap(), 0);
    api.register(&["a"]);
    api.start();
    let task = api.take();
    assert_eq!(tasks.requeue(&api.name("t")).unwrap(), 1);
    assert_eq!(api.take().task_id, task.task_id, "it is handed out a second time");
}

/// Looks for the tasks of the row that are done.
fn of_row(api: &Api) -> SearchRequest {
    let query = SearchQuery::new().is(SearchField::TaskType, api.name("t")).any_of(SearchField::Status, ["COMPLETED"]);
    SearchRequest::new().query(query).newest_first().page_size(2)
}

fn three_done(api: &Api) {
    api.register(&["a"]);
    for _ in 0..3 {
        api.start();
        api.end(TaskResultStatus::Completed);
    }
}

pub(crate) fn search(api: &Api) {
    let tasks = api.client.tasks();
    assert_eq!(tasks.search(of_row(api)).into_iter().count(), 0);
    three_done(api);
    let first = tasks.search(of_row(api)).first_page().unwrap();
    assert_eq!((first.total_hits, first.results.len()), (3, 2));
    assert_eq!(first.results[0].task_def_name, api.name("t"));
    assert!(first.results[0].took() < LONG && first.results[0].waited() < LONG, "{first:?}");
    let all: Vec<_> = tasks.search(of_row(api)).into_iter().map(|task| task.unwrap().task_id).collect();
    assert_eq!(all.len(), 3);
}

pub(crate) fn search_tasks(api: &Api) {
    let tasks = api.client.tasks();
    three_done(api);
    let pages: Vec<_> = tasks.search_tasks(of_row(api)).pages().map(|page| page.unwrap().results).collect();
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
    holds(&pages[0][0].output_data, &json!({"n": 2}));
    assert!(pages[0][0].waited() < LONG, "{pages:?}");
}

pub(crate) fn external_storage(api: &Api) {
    let ask =
        |path| api.client.tasks().external_storage_location(path, PayloadOperation::Write, PayloadType::TaskOutput);
    let place = ask("").unwrap();
    assert!(place.uri.is_none() && !place.path.is_empty(), "{place:?}");
}

/// It is acknowledged, and yet the task has failed for good.
pub(crate) fn output_beyond_the_limit(api: &Api) {
    let (tasks, workflows) = (api.client.tasks(), api.client.workflows());
    api.register(&["a"]);
    let large = json!({"text": "x".repeat(MOST_BYTES)});
    let by_id = api.start();
    let task = api.take();
    tasks.update(&TaskResult::new(&by_id, &task.task_id, TaskResultStatus::Completed).output(large.clone())).unwrap();
    let by_reference = api.start();
    let update = ReferenceUpdate::new(&by_reference, "a", TaskResultStatus::Completed).output(large);
    assert!(tasks.update_by_reference(&update).unwrap().is_some());
    for id in [by_id, by_reference] {
        let failed = workflows.wait(&id, LONG).unwrap();
        let task = &failed.tasks[0];
        assert_eq!((failed.status, &task.status), (WorkflowStatus::Failed, &TaskStatus::FailedWithTerminalError));
        assert!(task.reason_for_incompletion.as_deref().unwrap().starts_with("The payload size: "), "{task:?}");
        holds(&task.output_data, &json!({}));
    }
}

/// As the description of [`conductor_sync::WorkflowTask::name`] says.
pub(crate) fn unregistered(api: &Api) {
    let node = WorkflowTask::simple(api.name("t"), "a");
    api.client.metadata().update_workflow(&WorkflowDef::new(api.name("w")).task(node)).unwrap();
    let id = api.start();
    let task = api.end(TaskResultStatus::Failed);
    assert_eq!(task.response_timeout_seconds, 3600);
    let again = api.client.workflows().get(&id).unwrap().tasks.pop().unwrap();
    assert_eq!((again.retry_count, again.start_delay_in_seconds), (1, 60));
    assert_eq!(again.workflow_task.unwrap().to_value().unwrap()["taskDefinition"]["retryCount"], 3);
    assert!(api.client.metadata().task(&api.name("t")).unwrap_err().is_not_found());
}

pub(crate) mod refused {
    use conductor_sync::ErrorKind;

    use super::{
        super::{fails, long, lost, missing, too_long},
        *,
    };

    fn completed(workflow_id: &str, task_id: &str) -> TaskResult {
        TaskResult::new(workflow_id, task_id, TaskResultStatus::Completed)
    }

    pub(crate) fn poll(api: &Api) {
        fails(api.client.tasks().poll("a/b"), ErrorKind::Invalid);
        lost(api.elsewhere().tasks().poll("t"));
        too_long(api.client.tasks().poll(PollRequest::new("t").domain(long())), "domain");
    }

    pub(crate) fn poll_batch(api: &Api) {
        let slow = PollRequest::new("t").timeout(Duration::from_secs(6));
        fails(api.client.tasks().poll_batch(slow), ErrorKind::Invalid);
        lost(api.elsewhere().tasks().poll_batch("t"));
        too_long(api.client.tasks().poll_batch(PollRequest::new("t").worker_id(long())), "workerid");
    }

    pub(crate) fn update(api: &Api) {
        api.register(&["a"]);
        missing(api.client.tasks().update(&completed("nope", "nope")));
        missing(api.client.tasks().update(&completed(&api.start(), "nope")));
    }

    pub(crate) fn update_and_poll(api: &Api) {
        missing(api.client.tasks().update_and_poll(&completed("nope", "nope")));
    }

    /// The server does not tell: what is not pending is `None`. Of an output it reads 1,000 levels.
    pub(crate) fn update_by_reference(api: &Api) {
        let update = ReferenceUpdate::new("nope", "a", TaskResultStatus::Completed);
        assert_eq!(api.client.tasks().update_by_reference(&update).unwrap(), None);
        lost(api.elsewhere().tasks().update_by_reference(&update));
        let deep = (0..1_000).fold(json!({}), |inner, _| json!({"a": inner}));
        let error = fails(api.client.tasks().update_by_reference(&update.output(deep)), ErrorKind::Server);
        assert!(error.to_string().contains("JSON parse error"), "{error}");
    }

    pub(crate) fn update_by_reference_sync(api: &Api) {
        api.register(&["a"]);
        let update = ReferenceUpdate::new(api.start(), "a", TaskResultStatus::Completed);
        api.client.tasks().update_by_reference_sync(&update).unwrap();
        missing(api.client.tasks().update_by_reference_sync(&update));
    }

    pub(crate) fn signal(api: &Api) {
        missing(api.client.tasks().signal(&SignalRequest::new("nope", TaskResultStatus::Completed)));
    }

    pub(crate) fn signal_sync(api: &Api) {
        let tasks = api.client.tasks();
        let signal = |id: &str| SignalRequest::new(id, TaskResultStatus::Completed);
        missing(tasks.signal_sync(&signal("nope")));
        api.register_wait();
        let id = api.start();
        fails(tasks.signal_sync(&signal(&id).returns(ReturnStrategy::BlockingTask)), ErrorKind::Server);
        let state = api.client.workflows().status(&id).unwrap().status;
        assert_eq!(state, WorkflowStatus::Completed, "the signal was heard in spite of the refusal");
        missing(tasks.signal_sync(&signal(&id)));
    }

    /// The server does not look whether the task exists.
    pub(crate) fn logs(api: &Api) {
        fails(api.client.tasks().add_log("t", ""), ErrorKind::Invalid);
        fails(api.client.tasks().logs(""), ErrorKind::Invalid);
        lost(api.elsewhere().tasks().add_log("t", "line"));
        lost(api.elsewhere().tasks().logs("t"));
    }

    pub(crate) fn get(api: &Api) {
        missing(api.client.tasks().get("nope"));
    }

    pub(crate) fn queue_size(api: &Api) {
        let as_long_as_can_be = "x".repeat(7_400);
        assert_eq!(api.client.tasks().queue_size("t", Some(&as_long_as_can_be)).unwrap(), 0);
        lost(api.elsewhere().tasks().queue_size("t", None));
        too_long(api.client.tasks().queue_size("t", Some(&long())), "domain");
    }

    pub(crate) fn queue_sizes(api: &Api) {
        fails(api.client.tasks().queue_sizes::<&str>(&[]), ErrorKind::Invalid);
        lost(api.elsewhere().tasks().queue_sizes(&["t"]));
        too_long(api.client.tasks().queue_sizes(&["t", &long()]), "taskType");
    }

    pub(crate) fn all_queue_sizes(api: &Api) {
        lost(api.elsewhere().tasks().all_queue_sizes());
        lost(api.elsewhere().tasks().all_queue_details());
    }

    pub(crate) fn poll_data(api: &Api) {
        lost(api.elsewhere().tasks().poll_data("t"));
        too_long(api.client.tasks().poll_data(&long()), "taskType");
    }

    pub(crate) fn all_poll_data(api: &Api) {
        lost(api.elsewhere().tasks().all_poll_data());
    }

    pub(crate) fn requeue(api: &Api) {
        fails(api.client.tasks().requeue("a/b"), ErrorKind::Invalid);
        lost(api.elsewhere().tasks().requeue("t"));
    }

    pub(crate) fn search(api: &Api) {
        let wrong = fails(api.client.tasks().search("nonsense").first_page(), ErrorKind::Rejected);
        assert!(wrong.to_string().contains("nonsense"), "{wrong}");
    }

    pub(crate) fn search_tasks(api: &Api) {
        fails(api.client.tasks().search_tasks("nonsense").first_page(), ErrorKind::Rejected);
    }

    pub(crate) fn external_storage(api: &Api) {
        let ask = |tasks: conductor_sync::TaskClient, path| {
            tasks.external_storage_location(path, PayloadOperation::Read, PayloadType::TaskInput)
        };
        fails(ask(api.client.tasks(), ""), ErrorKind::Invalid);
        lost(ask(api.elsewhere().tasks(), "p"));
        too_long(ask(api.client.tasks(), &long()), "path");
    }
}
