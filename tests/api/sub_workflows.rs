//! What calls about a workflow do to its sub-workflows.

use std::time::Duration;

use conductor_sync::{
    ErrorKind, RerunWorkflowRequest, ReturnStrategy, SignalRequest, StartWorkflowRequest, SubWorkflowParams, Task,
    TaskMock, TaskResultStatus, TaskStatus, WorkflowDef, WorkflowStatus, WorkflowTask, WorkflowTestRequest,
};
use serde_json::json;

use super::{Api, LONG, eventually, fails, holds, missing};

/// Registers the workflow `outer`, whose first task `sub` runs the workflow `w`; further tasks are of type `t`.
fn register_outer(api: &Api, further: &[&str]) {
    let mut sub = WorkflowTask::simple("sub", "sub").input("n", "${workflow.input.n}");
    sub.task_type = Some("SUB_WORKFLOW".to_owned());
    let mut params = SubWorkflowParams::default();
    params.name = Some(api.name("w"));
    params.version = Some(1);
    sub.sub_workflow_param = Some(params);
    let further = further.iter().map(|reference| WorkflowTask::simple(api.name("t"), *reference));
    let def = further.fold(WorkflowDef::new(api.name("outer")).task(sub), WorkflowDef::task);
    api.client.metadata().update_workflow(&def).unwrap();
}

fn start_outer(api: &Api) -> String {
    api.client.workflows().start(&StartWorkflowRequest::new(api.name("outer")).input(json!({"n": 1}))).unwrap()
}

/// The last attempt of the task `sub`, once its workflow has begun with a task.
fn sub(api: &Api, outer: &str) -> Task {
    let workflows = api.client.workflows();
    eventually("the sub-workflow has begun", || {
        let sub = workflows.get(outer).unwrap().task("sub").cloned()?;
        let inner = sub.sub_workflow_id.clone()?;
        (!workflows.get(&inner).unwrap().tasks.is_empty()).then_some(sub)
    })
}

/// The attempts of a task in a workflow, by state.
fn attempts(api: &Api, workflow_id: &str, reference: &str) -> Vec<TaskStatus> {
    let tasks = api.client.workflows().get(workflow_id).unwrap().tasks;
    tasks.into_iter().filter(|task| task.reference_task_name == reference).map(|task| task.status).collect()
}

#[track_caller]
fn ends(api: &Api, id: &str, status: &WorkflowStatus) {
    assert_eq!(api.client.workflows().wait(id, LONG).unwrap().status, *status);
}

/// A retry starts a failed sub-workflow anew; one within sub-workflows lets it go on from its failed task.
pub(crate) fn retry(api: &Api) {
    let workflows = api.client.workflows();
    api.register(&["a", "b"]);
    register_outer(api, &[]);
    let outer = start_outer(api);
    api.end(TaskResultStatus::Completed);
    let failed = api.end(TaskResultStatus::Failed);
    let inner = failed.workflow_instance_id;
    ends(api, &outer, &WorkflowStatus::Failed);

    workflows.retry_within_sub_workflows(&outer).unwrap();
    assert_eq!(attempts(api, &inner, "b"), [TaskStatus::Failed, TaskStatus::Scheduled]);
    let again = api.end(TaskResultStatus::Failed);
    assert_eq!((&again.workflow_instance_id, again.reference_task_name.as_str()), (&inner, "b"));
    ends(api, &outer, &WorkflowStatus::Failed);
    assert_eq!(attempts(api, &outer, "sub"), [TaskStatus::Failed], "it is the same attempt");

    workflows.retry(&outer).unwrap();
    let first = api.end(TaskResultStatus::Completed);
    assert_eq!(first.reference_task_name, "a");
    assert_ne!(first.workflow_instance_id, inner);
    assert_eq!(workflows.get(&first.workflow_instance_id).unwrap().parent_workflow_id.as_deref(), Some(outer.as_str()));
    api.end(TaskResultStatus::Completed);
    ends(api, &outer, &WorkflowStatus::Completed);
    assert_eq!(attempts(api, &outer, "sub"), [TaskStatus::Failed, TaskStatus::Completed]);
    workflows.retry_within_sub_workflows(&outer).expect("the server does not tell that there is nothing to retry");
    assert_eq!(workflows.status(&outer).unwrap().status, WorkflowStatus::Completed);
    fails(workflows.retry(&outer), ErrorKind::Conflict);
}

/// A rerun of the outer workflow may begin with a task of the inner one, and both run again.
pub(crate) fn rerun(api: &Api) {
    let workflows = api.client.workflows();
    api.register(&["a", "b"]);
    register_outer(api, &[]);
    let outer = start_outer(api);
    api.end(TaskResultStatus::Completed);
    let second = api.end(TaskResultStatus::Completed);
    ends(api, &outer, &WorkflowStatus::Completed);

    let from_b = RerunWorkflowRequest::new().from_task(&second.task_id).task_input(json!({"again": true}));
    assert_eq!(workflows.rerun(&outer, &from_b).unwrap(), outer);
    assert_eq!(workflows.status(&outer).unwrap().status, WorkflowStatus::Running);
    let again = api.end(TaskResultStatus::Completed);
    assert_eq!(
        (&again.workflow_instance_id, &again.reference_task_name),
        (&second.workflow_instance_id, &"b".to_owned())
    );
    holds(&again.input_data, &json!({"again": true}));
    ends(api, &outer, &WorkflowStatus::Completed);
    assert_eq!(attempts(api, &second.workflow_instance_id, "a"), [TaskStatus::Completed], "it did not run again");

    // As well by the inner workflow's own id: the outer one takes part.
    assert_eq!(
        workflows.rerun(&second.workflow_instance_id, &RerunWorkflowRequest::new()).unwrap(),
        second.workflow_instance_id
    );
    assert_eq!(workflows.status(&outer).unwrap().status, WorkflowStatus::Running);
    api.end(TaskResultStatus::Completed);
    api.end(TaskResultStatus::Completed);
    ends(api, &outer, &WorkflowStatus::Completed);
    let nowhere = RerunWorkflowRequest::new().from_task("nope");
    missing(workflows.rerun(&outer, &nowhere));
}

/// A signal to the outer workflow reaches the WAIT task in which the inner one stands.
pub(crate) fn signal(api: &Api) {
    api.register_wait();
    register_outer(api, &[]);
    let signal = |id: &str| SignalRequest::new(id, TaskResultStatus::Completed).output(json!({"z": 1}));

    let outer = start_outer(api);
    let inner = sub(api, &outer).sub_workflow_id.unwrap();
    api.client.tasks().signal(&signal(&outer)).unwrap();
    ends(api, &outer, &WorkflowStatus::Completed);
    let done = api.client.workflows().get(&inner).unwrap();
    assert_eq!(done.status, WorkflowStatus::Completed);
    holds(&done.task("w1").unwrap().output_data, &json!({"z": 1}));

    let outer = start_outer(api);
    sub(api, &outer);
    let answer = api.client.tasks().signal_sync(&signal(&outer).returns(ReturnStrategy::TargetWorkflow)).unwrap();
    assert_eq!(
        (answer.target_workflow_id(), answer.target_workflow_status()),
        (outer.as_str(), &WorkflowStatus::Completed)
    );
    let run = answer.workflow().expect("a workflow was asked for");
    assert_eq!(run.output.to_value().unwrap()["z"], 1);
    missing(api.client.tasks().signal_sync(&signal(&outer)));
}

/// Mocks for the tasks of a sub-workflow count while a mock of the outer workflow is left.
pub(crate) fn test(api: &Api) {
    let workflows = api.client.workflows();
    api.register(&["a", "b"]);
    register_outer(api, &["after"]);
    let of =
        |name: &str| WorkflowTestRequest::new(StartWorkflowRequest::new(api.name(name)).version(1).input(json!({})));
    let inner = of("w")
        .mock("a", TaskMock::completed(json!({"x": 1})))
        .mock("b", TaskMock::completed(json!({"y": 2})).execution_time(Duration::from_secs(3)));
    let whole = of("outer").sub_workflow("sub", inner.clone()).mock("after", TaskMock::completed(json!({"z": 3})));
    let done = workflows.test(&whole).unwrap();
    assert_eq!(done.status, WorkflowStatus::Completed, "{done:?}");
    holds(&done.output, &json!({"z": 3}));
    let sub = done.task("sub").unwrap();
    assert_eq!(sub.output_data.to_value().unwrap()["y"], 2);
    let ran = workflows.get(sub.sub_workflow_id.as_deref().unwrap()).unwrap();
    assert_eq!(ran.status, WorkflowStatus::Completed);
    holds(&ran.task("a").unwrap().output_data, &json!({"x": 1}));

    let early = workflows.test(&of("outer").sub_workflow("sub", inner)).unwrap();
    assert_eq!(early.status, WorkflowStatus::Running, "without a mock of the outer workflow nobody waits");
    workflows.terminate(&early.workflow_id, None).unwrap();
    fails(
        workflows.test(&of("outer").sub_workflow("sub", of("w").mock("a", TaskMock::failed().output(1)))),
        ErrorKind::Invalid,
    );
}
