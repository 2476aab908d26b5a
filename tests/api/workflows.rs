//! The operations under `/workflow`.

use std::time::{Duration, SystemTime};

use conductor_sync::{
    CorrelationQuery, ExecuteWorkflowRequest, JsonMap, PayloadOperation, PayloadType, RawJson, Removal,
    RerunWorkflowRequest, ReturnStrategy, RunningQuery, SearchField, SearchQuery, SearchRequest, SkipTaskRequest,
    StartWorkflowRequest, TaskMock, TaskResult, TaskResultStatus, TaskStatus, TimeoutPolicy, WorkflowDef,
    WorkflowStatus, WorkflowTask, WorkflowTasksQuery, WorkflowTestRequest,
};
use serde_json::json;

use super::{Api, LONG, holds, just_now, missing, pass};

pub(crate) fn start(api: &Api) {
    let workflows = api.client.workflows();
    api.register(&["a"]);
    let id = workflows.start(&StartWorkflowRequest::new(api.name("w")).priority(7)).unwrap();
    assert_eq!(workflows.get(&id).unwrap().priority, 7);
}

pub(crate) fn start_by_name(api: &Api) {
    let workflows = api.client.workflows();
    api.register(&["a"]);
    let request = StartWorkflowRequest::new(api.name("w")).version(1).priority(7).correlation_id("c/2");
    let id = workflows.start_by_name(&request.input(json!({"x": 1}))).unwrap();
    let workflow = workflows.get(&id).unwrap();
    assert_eq!((workflow.priority, workflow.correlation_id.as_deref()), (7, Some("c/2")));
    holds(&workflow.input, &json!({"x": 1}));
}

pub(crate) fn execute(api: &Api) {
    let workflows = api.client.workflows();
    let named = || ExecuteWorkflowRequest::new(StartWorkflowRequest::new(api.register_wait()).input(json!({"x": 1})));
    let blocks = workflows.execute(&named().request_id("r 1").returns(ReturnStrategy::BlockingTaskInput)).unwrap();
    let task = blocks.task().expect("the task was asked for");
    assert_eq!((task.reference_task_name.as_str(), &task.status), ("w1", &TaskStatus::InProgress));
    assert_eq!((task.request_id.as_str(), blocks.is_timeout()), ("r 1", false));
    just_now(task.created_at());
    let run = workflows.execute(&named()).unwrap();
    let run = run.workflow().expect("the workflow was asked for");
    holds(&run.input, &json!({"x": 1}));
    just_now(run.created_at());
    just_now(run.updated_at());
    api.register(&["a"]);
    let slow = ExecuteWorkflowRequest::new(StartWorkflowRequest::new(api.name("w")).version(1)).until_task("a");
    let slow = slow.wait_for(Duration::from_millis(300));
    let run = workflows.execute(&slow).unwrap();
    assert!(run.is_timeout() && *run.target_workflow_status() == WorkflowStatus::Running, "{run:?}");
}

pub(crate) fn get(api: &Api) {
    let workflows = api.client.workflows();
    api.register(&["a"]);
    let id = api.start();
    assert_eq!(workflows.get(&id).unwrap().tasks.len(), 1);
    assert_eq!(workflows.without_tasks(&id).unwrap().tasks.len(), 0);
}

pub(crate) fn status(api: &Api) {
    api.register(&["a"]);
    let state = api.client.workflows().status(&api.start()).unwrap();
    assert_eq!((state.status, state.correlation_id.as_deref()), (WorkflowStatus::Running, Some("c 1")));
}

pub(crate) fn tasks(api: &Api) {
    let workflows = api.client.workflows();
    api.register(&["a", "b", "c"]);
    let id = api.start();
    for _ in 0..2 {
        api.end(TaskResultStatus::Completed);
    }
    let all = workflows.tasks(WorkflowTasksQuery::new(&id).page_size(2)).into_iter();
    let references: Vec<_> = all.map(|task| task.unwrap().reference_task_name).collect();
    assert_eq!(references, ["a", "b", "c"]);
    let done = workflows.tasks(WorkflowTasksQuery::new(&id).status(TaskStatus::Completed)).first_page().unwrap();
    assert_eq!((done.total_hits, done.results.len()), (2, 2));
    assert_eq!(workflows.tasks(WorkflowTasksQuery::new(&id).skip(2)).into_iter().count(), 1);
}

pub(crate) fn correlated(api: &Api) {
    let workflows = api.client.workflows();
    let name = api.register(&["a"]);
    assert_eq!(workflows.correlated(name.as_str(), "c 1").unwrap(), []);
    let (first, second) = (api.start(), api.start());
    workflows.terminate(&second, None).unwrap();
    let running = workflows.correlated(name.as_str(), "c 1").unwrap();
    assert_eq!(running.iter().map(|workflow| workflow.workflow_id.as_str()).collect::<Vec<_>>(), [&first]);
    let found = workflows.correlated(CorrelationQuery::new(&name).in_any_state(), "c 1").unwrap();
    assert_eq!(found.len(), 2, "{first} and {second}");
}

pub(crate) fn correlated_by_each(api: &Api) {
    let workflows = api.client.workflows();
    let name = api.register(&["a"]);
    api.start();
    workflows.terminate(&api.start(), None).unwrap();
    let all = CorrelationQuery::new(&name).in_any_state().with_tasks();
    let all = workflows.correlated_by_each(all, &["c 1", "none"]).unwrap();
    assert_eq!(all["c 1"].len(), 2);
    assert!(all["c 1"].iter().all(|workflow| workflow.tasks.len() == 1));
    assert!(all.get("none").is_none_or(Vec::is_empty));
}

pub(crate) fn running(api: &Api) {
    let workflows = api.client.workflows();
    let name = api.register(&["a"]);
    let (first, second) = (api.start(), api.start());
    workflows.terminate(&second, None).unwrap();
    assert_eq!(workflows.running(name.as_str()).unwrap(), [first]);
    let (now, hour) = (SystemTime::now(), Duration::from_secs(3600));
    let started = RunningQuery::new(&name).version(1).started_between(now - hour, now + hour);
    assert_eq!(workflows.running(started).unwrap().len(), 2);
    assert_eq!(workflows.running(api.name("nope").as_str()).unwrap(), Vec::<String>::new());
}

pub(crate) fn decide(api: &Api) {
    let name = api.register(&["a"]);
    let mut def = api.client.metadata().workflow(&name).unwrap();
    (def.timeout_seconds, def.timeout_policy) = (Some(1), Some(TimeoutPolicy::TimeOutWf));
    api.client.metadata().update_workflow(&def).unwrap();
    let (workflows, id) = (api.client.workflows(), api.start());
    workflows.decide(&id).unwrap();
    assert_eq!(workflows.status(&id).unwrap().status, WorkflowStatus::Running);
    pass(Duration::from_millis(1100));
    workflows.decide(&id).unwrap();
    assert_eq!(workflows.status(&id).unwrap().status, WorkflowStatus::TimedOut);
}

pub(crate) fn pause_and_resume(api: &Api) {
    let workflows = api.client.workflows();
    api.register(&["a"]);
    let id = api.start();
    workflows.pause(&id).unwrap();
    assert_eq!(workflows.status(&id).unwrap().status, WorkflowStatus::Paused);
    workflows.pause(&id).unwrap();
    workflows.resume(&id).unwrap();
    assert_eq!(workflows.status(&id).unwrap().status, WorkflowStatus::Running);
}

pub(crate) fn restart(api: &Api) {
    let workflows = api.client.workflows();
    api.register(&["a"]);
    let id = api.start();
    api.end(TaskResultStatus::Completed);
    workflows.restart(&id).unwrap();
    api.end(TaskResultStatus::Completed);
    api.register(&["a", "b"]);
    workflows.restart_with_latest_definition(&id).unwrap();
    api.end(TaskResultStatus::Completed);
    api.end(TaskResultStatus::Completed);
    assert_eq!(workflows.get(&id).unwrap().tasks.len(), 2);
}

pub(crate) fn retry(api: &Api) {
    let workflows = api.client.workflows();
    api.register(&["a"]);
    let id = api.start();
    api.end(TaskResultStatus::Failed);
    workflows.retry(&id).unwrap();
    api.end(TaskResultStatus::Failed);
    workflows.retry_within_sub_workflows(&id).unwrap();
    api.end(TaskResultStatus::Completed);
    let workflow = workflows.get(&id).unwrap();
    just_now(workflow.last_retried_at());
    assert_eq!((workflow.status, workflow.tasks.len()), (WorkflowStatus::Completed, 3));
}

pub(crate) fn rerun(api: &Api) {
    let workflows = api.client.workflows();
    api.register(&["a", "b"]);
    let id = api.start();
    api.end(TaskResultStatus::Completed);
    let second = api.end(TaskResultStatus::Completed);
    let from_b = RerunWorkflowRequest::new().from_task(&second.task_id).task_input(json!({"again": true}));
    assert_eq!(workflows.rerun(&id, &from_b).unwrap(), id);
    let again = api.end(TaskResultStatus::Completed);
    assert_eq!(again.reference_task_name, "b");
    holds(&again.input_data, &json!({"again": true}));
    let whole = RerunWorkflowRequest::new().workflow_input(json!({"n": 9})).correlation_id("c 9");
    assert_eq!(workflows.rerun(&id, &whole).unwrap(), id);
    let workflow = workflows.get(&id).unwrap();
    assert_eq!((workflow.status, workflow.tasks.len()), (WorkflowStatus::Running, 1));
    assert_eq!(workflow.correlation_id.as_deref(), Some("c 9"));
    holds(&workflow.input, &json!({"n": 9}));
}

pub(crate) fn reset_callbacks(api: &Api) {
    let workflows = api.client.workflows();
    api.register(&["a"]);
    let id = api.start();
    let task = api.take();
    let later = TaskResult::new(&id, &task.task_id, TaskResultStatus::InProgress);
    api.client.tasks().update(&later.callback_after(Duration::from_secs(600))).unwrap();
    workflows.reset_callbacks(&id).unwrap();
    assert_eq!(api.take().task_id, task.task_id);
}

pub(crate) fn skip_task(api: &Api) {
    let workflows = api.client.workflows();
    api.register(&["a", "b"]);
    let id = api.start();
    let skip = SkipTaskRequest::new().input("why not", "a, b & c").output("x.y", "1");
    workflows.skip_task(&id, "b", &skip).unwrap();
    api.end(TaskResultStatus::Completed);
    let workflow = workflows.wait(&id, Duration::from_secs(20)).unwrap();
    let skipped = workflow.task("b").unwrap();
    assert_eq!((&workflow.status, &skipped.status), (&WorkflowStatus::Completed, &TaskStatus::Skipped));
    holds(&skipped.input_data, &json!({"why not": "a, b & c"}));
    holds(&skipped.output_data, &json!({"x.y": "1"}));
}

pub(crate) fn terminate(api: &Api) {
    let workflows = api.client.workflows();
    api.register(&["a"]);
    let id = api.start();
    workflows.terminate(&id, Some("enough & more")).unwrap();
    assert_eq!(workflows.get(&id).unwrap().reason_for_incompletion.as_deref(), Some("enough & more"));
}

pub(crate) fn remove(api: &Api) {
    let workflows = api.client.workflows();
    api.register(&["a"]);
    let id = api.start();
    workflows.remove(&id, Removal::Delete).unwrap();
    missing(workflows.get(&id));
}

pub(crate) fn terminate_and_remove(api: &Api) {
    let workflows = api.client.workflows();
    api.register(&["a"]);
    for removal in [Removal::Archive, Removal::Delete] {
        let id = api.start();
        workflows.terminate_and_remove(&id, Some("enough"), removal).unwrap();
        missing(workflows.get(&id));
    }
}

/// Looks for the workflows of the row.
fn of_row(api: &Api) -> SearchRequest {
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    let query = SearchQuery::new()
        .is(SearchField::WorkflowType, api.name("w"))
        .is(SearchField::CorrelationId, "c 1")
        .any_of(SearchField::Status, ["RUNNING", "COMPLETED"])
        .after(SearchField::StartTime, hour_ago);
    SearchRequest::new().query(query).descending(SearchField::StartTime).page_size(2)
}

fn three_started(api: &Api) {
    api.register(&["a"]);
    for _ in 0..3 {
        api.start();
    }
}

pub(crate) fn search(api: &Api) {
    let workflows = api.client.workflows();
    assert_eq!(workflows.search(of_row(api)).into_iter().count(), 0);
    three_started(api);
    let all: Vec<_> = workflows.search(of_row(api).classifier("workflow").top_level_only()).into_iter().collect();
    assert_eq!(all.len(), 3);
    let first = all[0].as_ref().unwrap();
    assert_eq!((&first.workflow_type, first.input.as_str()), (&api.name("w"), "{n=1}"));
    assert!(first.took() < LONG, "{first:?}");
    let starts: Vec<_> = all.iter().map(|workflow| workflow.as_ref().unwrap().start_time.clone()).collect();
    assert!(starts.is_sorted_by(|a, b| a >= b), "{starts:?}");
    assert_eq!(workflows.search(of_row(api).free_text(api.name("w")).skip(2)).into_iter().count(), 1);
    let none = SearchQuery::new().is(SearchField::WorkflowType, api.name("w")).is(SearchField::Status, "FAILED");
    assert_eq!(workflows.search(none).first_page().unwrap().total_hits, 0);
}

pub(crate) fn search_workflows(api: &Api) {
    let workflows = api.client.workflows();
    three_started(api);
    let pages: Vec<_> = workflows.search_workflows(of_row(api)).pages().map(|page| page.unwrap().results).collect();
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
    holds(&pages[0][0].input, &json!({"n": 1}));
    // Archived workflows stay in the index: the pages have holes, but nothing behind them is missed.
    let newest: Vec<_> = pages[0].iter().map(|workflow| workflow.workflow_id.clone()).collect();
    for id in &newest {
        workflows.terminate_and_remove(id, None, Removal::Archive).unwrap();
    }
    let request = SearchRequest::new().query(SearchQuery::new().is(SearchField::WorkflowType, api.name("w")));
    let left: Vec<_> = workflows.search_workflows(request.newest_first().page_size(1)).into_iter().collect();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].as_ref().unwrap().workflow_id, pages[1][0].workflow_id);
}

fn by_task(api: &Api) -> SearchQuery {
    SearchQuery::new().is(SearchField::TaskType, api.name("t"))
}

pub(crate) fn search_by_tasks(api: &Api) {
    let workflows = api.client.workflows();
    api.register(&["a"]);
    let id = api.start();
    api.end(TaskResultStatus::Completed);
    let found: Vec<_> = workflows.search_by_tasks(by_task(api)).into_iter().collect();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].as_ref().unwrap().workflow_id, id);
}

pub(crate) fn search_workflows_by_tasks(api: &Api) {
    let workflows = api.client.workflows();
    api.register(&["a"]);
    let id = api.start();
    api.end(TaskResultStatus::Completed);
    let found = workflows.search_workflows_by_tasks(by_task(api)).first_page().unwrap().results;
    assert_eq!((found.len(), &found[0].workflow_id), (1, &id));
}

pub(crate) fn external_storage(api: &Api) {
    let ask =
        |path, operation| api.client.workflows().external_storage_location(path, operation, PayloadType::WorkflowInput);
    let place = ask("", PayloadOperation::Write).unwrap();
    assert!(place.uri.is_none() && !place.path.is_empty(), "{place:?}");
}

pub(crate) fn test(api: &Api) {
    let workflows = api.client.workflows();
    let node = |reference: &str| WorkflowTask::simple(api.name("t"), reference);
    let def = WorkflowDef::new(api.name("w")).task(node("a").input("x", "${workflow.input.x}")).task(node("b"));
    let start = StartWorkflowRequest::new(api.name("w")).definition(def).input(json!({"x": 5}));
    let test = WorkflowTestRequest::new(start)
        .mock("a", TaskMock::failed())
        .mock("a", TaskMock::completed(json!({"y": 6})).execution_time(Duration::from_secs(7)));
    let stopped = workflows.test(&test).unwrap();
    assert_eq!(stopped.status, WorkflowStatus::Running);
    let (first, second) = (&stopped.tasks[0], &stopped.tasks[1]);
    assert_eq!((&first.status, &second.status), (&TaskStatus::Failed, &TaskStatus::Completed));
    holds(&second.input_data, &json!({"x": 5}));
    holds(&second.output_data, &json!({"y": 6}));
    let done = workflows.test(&test.mock("b", TaskMock::completed(json!({"z": 7})))).unwrap();
    assert_eq!(done.status, WorkflowStatus::Completed);
    holds(&done.output, &json!({"z": 7}));
}

/// Takes what is said to a workflow, once it stands in the task that pulls messages.
pub(crate) fn send_message(api: &Api) {
    let mut node = WorkflowTask::simple("pull", "pull").input("batchSize", 1);
    node.task_type = Some("PULL_WORKFLOW_MESSAGES".to_owned());
    api.client.metadata().update_workflow(&WorkflowDef::new(api.name("w")).task(node)).unwrap();
    let id = api.start();
    let message: JsonMap = [("n".to_owned(), RawJson::from(1))].into();
    assert!(!api.client.workflows().send_message(&id, &message).unwrap().is_empty());
    let done = api.client.workflows().wait(&id, LONG).unwrap();
    let output = done.task("pull").unwrap().output_data.to_value().unwrap();
    assert_eq!(output["messages"][0]["payload"]["n"], 1, "{output}");
}

pub(crate) mod refused {
    use conductor_sync::ErrorKind;

    use super::{
        super::{MOST_BYTES, fails, long, lost, too_long},
        *,
    };

    fn unknown(api: &Api) -> StartWorkflowRequest {
        StartWorkflowRequest::new(api.name("nope"))
    }

    fn started(api: &Api) -> String {
        api.register(&["a"]);
        api.start()
    }

    fn completed(api: &Api) -> String {
        let id = started(api);
        api.end(TaskResultStatus::Completed);
        id
    }

    pub(crate) fn start(api: &Api) {
        missing(api.client.workflows().start(&unknown(api)));
        api.register(&["a"]);
        missing(api.client.workflows().start(&StartWorkflowRequest::new(api.name("w")).version(9)));
        let large = StartWorkflowRequest::new(api.name("w")).input(json!({"text": "x".repeat(MOST_BYTES)}));
        let error = fails(api.client.workflows().start(&large.correlation_id("large")), ErrorKind::Rejected);
        assert!(error.to_string().contains("The payload size: "), "{error}");
        let started = CorrelationQuery::new(api.name("w")).in_any_state();
        assert_eq!(api.client.workflows().correlated(started, "large").unwrap(), [], "nothing is left behind");
    }

    pub(crate) fn start_by_name(api: &Api) {
        missing(api.client.workflows().start_by_name(&unknown(api)));
        let by = api.client.workflows().start_by_name(&unknown(api).domain("*", "d"));
        assert!(fails(by, ErrorKind::Invalid).to_string().contains("task_to_domain"));
    }

    pub(crate) fn execute(api: &Api) {
        let workflows = api.client.workflows();
        missing(workflows.execute(&ExecuteWorkflowRequest::new(unknown(api))));
        api.register(&["a"]);
        let start = StartWorkflowRequest::new(api.name("w")).version(1);
        let slow = ExecuteWorkflowRequest::new(start).until_task("a").wait_for(Duration::from_millis(300));
        fails(workflows.execute(&slow.returns(ReturnStrategy::BlockingTask)), ErrorKind::Server);
    }

    pub(crate) fn get(api: &Api) {
        missing(api.client.workflows().get("nope"));
        missing(api.client.workflows().without_tasks("nope"));
    }

    pub(crate) fn status(api: &Api) {
        missing(api.client.workflows().status("nope"));
    }

    pub(crate) fn tasks(api: &Api) {
        missing(api.client.workflows().tasks("nope").first_page());
    }

    pub(crate) fn correlated(api: &Api) {
        fails(api.client.workflows().correlated("w", "a/b"), ErrorKind::Invalid);
        lost(api.elsewhere().workflows().correlated("w", "c"));
        // A byte takes three in a path.
        let long = "é".repeat(1_000);
        too_long(api.client.workflows().correlated(long.as_str(), &long), "correlationId");
    }

    pub(crate) fn correlated_by_each(api: &Api) {
        fails(api.client.workflows().correlated_by_each::<&str>("w", &[]), ErrorKind::Invalid);
        lost(api.elsewhere().workflows().correlated_by_each("w", &["c"]));
    }

    pub(crate) fn running(api: &Api) {
        let (now, hour) = (SystemTime::now(), Duration::from_secs(3600));
        let backwards = RunningQuery::new("w").started_between(now, now - hour);
        fails(api.client.workflows().running(backwards), ErrorKind::Invalid);
        lost(api.elsewhere().workflows().running("w"));
    }

    pub(crate) fn decide(api: &Api) {
        missing(api.client.workflows().decide("nope"));
    }

    pub(crate) fn pause_and_resume(api: &Api) {
        let workflows = api.client.workflows();
        let id = started(api);
        fails(workflows.resume(&id), ErrorKind::Conflict);
        workflows.terminate(&id, None).unwrap();
        fails(workflows.pause(&id), ErrorKind::Conflict);
        missing(workflows.pause("nope"));
        missing(workflows.resume("nope"));
    }

    pub(crate) fn restart(api: &Api) {
        let id = started(api);
        fails(api.client.workflows().restart(&id), ErrorKind::Conflict);
        fails(api.client.workflows().restart_with_latest_definition(&id), ErrorKind::Conflict);
        missing(api.client.workflows().restart("nope"));
    }

    pub(crate) fn retry(api: &Api) {
        let workflows = api.client.workflows();
        let id = started(api);
        fails(workflows.retry(&id), ErrorKind::Conflict);
        api.end(TaskResultStatus::Completed);
        fails(workflows.retry(&id), ErrorKind::Conflict);
        missing(workflows.retry("nope"));
        missing(workflows.retry_within_sub_workflows("nope"));
    }

    pub(crate) fn rerun(api: &Api) {
        let workflows = api.client.workflows();
        let id = started(api);
        fails(workflows.rerun(&id, &RerunWorkflowRequest::new()), ErrorKind::Conflict);
        missing(workflows.rerun("nope", &RerunWorkflowRequest::new()));
        api.end(TaskResultStatus::Completed);
        missing(workflows.rerun(&id, &RerunWorkflowRequest::new().from_task("nope")));
        fails(workflows.rerun(&id, &RerunWorkflowRequest::new().task_input(json!({}))), ErrorKind::Invalid);
    }

    pub(crate) fn reset_callbacks(api: &Api) {
        fails(api.client.workflows().reset_callbacks(&completed(api)), ErrorKind::Conflict);
        missing(api.client.workflows().reset_callbacks("nope"));
    }

    pub(crate) fn skip_task(api: &Api) {
        let skip = |id: &str, reference| {
            let workflows = api.client.workflows();
            workflows.skip_task(id, reference, &SkipTaskRequest::new())
        };
        let ended = completed(api);
        fails(skip(&ended, "a"), ErrorKind::Conflict);
        let id = api.start();
        fails(skip(&id, "a"), ErrorKind::Conflict);
        missing(skip(&id, "nope"));
        missing(skip("nope", "a"));
        let odd = SkipTaskRequest::new().input("a[0]", "");
        fails(api.client.workflows().skip_task(&id, "a", &odd), ErrorKind::Invalid);
    }

    pub(crate) fn terminate(api: &Api) {
        fails(api.client.workflows().terminate(&completed(api), None), ErrorKind::Conflict);
        missing(api.client.workflows().terminate("nope", None));
    }

    pub(crate) fn remove(api: &Api) {
        fails(api.client.workflows().remove(&started(api), Removal::Archive), ErrorKind::Rejected);
        missing(api.client.workflows().remove("nope", Removal::Delete));
    }

    pub(crate) fn terminate_and_remove(api: &Api) {
        for removal in [Removal::Archive, Removal::Delete] {
            missing(api.client.workflows().terminate_and_remove("nope", None, removal));
        }
    }

    pub(crate) fn search(api: &Api) {
        fails(api.client.workflows().search("nonsense").first_page(), ErrorKind::Rejected);
    }

    pub(crate) fn search_workflows(api: &Api) {
        fails(api.client.workflows().search_workflows("nonsense").first_page(), ErrorKind::Rejected);
    }

    pub(crate) fn search_by_tasks(api: &Api) {
        fails(api.client.workflows().search_by_tasks("nonsense").first_page(), ErrorKind::Rejected);
    }

    pub(crate) fn search_workflows_by_tasks(api: &Api) {
        fails(api.client.workflows().search_workflows_by_tasks("nonsense").first_page(), ErrorKind::Rejected);
    }

    pub(crate) fn external_storage(api: &Api) {
        let ask = |workflows: conductor_sync::WorkflowClient, path| {
            workflows.external_storage_location(path, PayloadOperation::Read, PayloadType::WorkflowInput)
        };
        fails(ask(api.client.workflows(), ""), ErrorKind::Invalid);
        lost(ask(api.elsewhere().workflows(), "p"));
        too_long(ask(api.client.workflows(), &long()), "path");
    }

    pub(crate) fn test(api: &Api) {
        missing(api.client.workflows().test(&WorkflowTestRequest::new(unknown(api))));
    }

    pub(crate) fn send_message(api: &Api) {
        let message: JsonMap = [("n".to_owned(), RawJson::from(1))].into();
        missing(api.client.workflows().send_message("nope", &message));
        fails(api.client.workflows().send_message(&completed(api), &message), ErrorKind::Conflict);
        fails(api.client.workflows().send_message("", &message), ErrorKind::Invalid);
    }
}
