//! Tests of what is done to workflows from outside, and of the limits of what comes in.

use super::*;

#[test]
fn a_restart_forgets_what_was_done_and_may_take_the_latest_definition() {
    let mut bench = Bench::new();
    bench.register(vec![def("a")], same);
    let id = bench.start();
    let task = bench.poll("a").unwrap();
    bench.report(&task, TaskResultStatus::Failed);
    assert_eq!(bench.try_step(Command::Retry(id.clone())).map(|_| ()), Ok(()));
    let again = bench.poll("a").unwrap();
    assert_eq!((again.retry_count, again.retried_task_id.as_deref()), (1, Some(task.task_id.as_str())));
    bench.report(&again, TaskResultStatus::Completed);
    bench.register(vec![def("a"), def("b")], same);
    for (with_latest, n_tasks) in [(false, 1), (true, 2)] {
        bench.step(Command::Restart { workflow_id: id.clone(), with_latest });
        let first = bench.poll("a").unwrap();
        assert_eq!((bench.workflow(&id).tasks.len(), first.retry_count), (1, 0));
        bench.report(&first, TaskResultStatus::Completed);
        if with_latest {
            let second = bench.poll("b").unwrap();
            bench.report(&second, TaskResultStatus::Completed);
        }
        let workflow = bench.workflow(&id);
        assert_eq!((workflow.status, workflow.tasks.len()), (WorkflowStatus::Completed, n_tasks));
    }
    assert_eq!(bench.try_step(Command::Retry(id)).unwrap_err().kind, RefusalKind::Conflict);
}

#[test]
fn a_retry_from_outside_goes_on_behind_what_has_run() {
    let mut bench = Bench::new();
    bench.register(vec![def("a"), def("b")], |mut task| {
        task.permissive = Some(true);
        task
    });
    let id = bench.start();
    for (name, status) in [("a", TaskResultStatus::Failed), ("b", TaskResultStatus::Completed)] {
        let task = bench.poll(name).unwrap();
        bench.report(&task, status);
    }
    assert_eq!(bench.workflow(&id).status, WorkflowStatus::Failed);
    bench.step(Command::Retry(id.clone()));
    let task = bench.poll("a").unwrap();
    bench.report(&task, TaskResultStatus::Completed);
    let workflow = bench.workflow(&id);
    assert_eq!((workflow.status, workflow.tasks.len()), (WorkflowStatus::Completed, 3));
}

#[test]
fn a_removed_workflow_leaves_nothing_behind() {
    let mut bench = Bench::new();
    let mut limited = def("a");
    limited.concurrent_exec_limit = Some(1);
    bench.register(vec![limited], same);
    let (first, second) = (bench.start(), bench.start());
    let task = bench.poll("a").unwrap();
    assert!(bench.poll("a").is_none());
    let refusal = bench.try_step(Command::Remove { workflow_id: first.clone(), archive: true }).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::Invalid);
    bench.step(Command::Remove { workflow_id: first.clone(), archive: false });
    assert!(bench.engine.workflow(&first, true).is_none() && bench.engine.task(&task.task_id).is_none());
    assert_eq!(bench.poll("a").map(|task| task.workflow_instance_id), Some(second));
}

#[test]
fn a_failure_starts_the_failure_workflow_and_a_termination_does_not() {
    let mut bench = Bench::new();
    bench.step(Command::RegisterWorkflow {
        definition: WorkflowDef::new("cleanup").task(WorkflowTask::simple("c", "c_ref")),
        overwrite: false,
    });
    let mut definition = WorkflowDef::new("w").task(WorkflowTask::simple("a", "a_ref"));
    definition.failure_workflow = Some("cleanup".to_owned());
    bench.step(Command::RegisterWorkflow { definition, overwrite: false });
    let id = bench.start();
    bench.step(Command::Terminate { workflow_id: id, reason: None });
    assert!(bench.poll("c").is_none());
    let id = bench.start();
    let task = bench.poll("a").unwrap();
    bench.report(&task, TaskResultStatus::FailedWithTerminalError);
    let cleanup = bench.poll("c").unwrap().workflow_instance_id;
    assert_eq!(value(&bench.workflow(&id).output), json!({"conductor.failure_workflow": cleanup}));
    let input = value(&bench.workflow(&cleanup).input);
    assert_eq!((&input["workflowId"], &input["failureTaskId"]), (&json!(id), &json!(task.task_id)));
}

#[test]
fn an_output_over_the_limit_fails_the_task_for_good() {
    let mut bench = Bench::new();
    bench.register(vec![TaskDef::new("a")], same);
    let id = bench.start();
    let task = bench.poll("a").unwrap();
    let output = json!({"x": "x".repeat(10 << 20)});
    bench.send(result(&task, TaskResultStatus::Completed).output(output.clone()));
    let workflow = bench.workflow(&id);
    assert_eq!(workflow.status, WorkflowStatus::Failed);
    assert_eq!(workflow.tasks[0].status, TaskStatus::FailedWithTerminalError);
    let reason = workflow.tasks[0].reason_for_incompletion.as_deref().unwrap();
    assert!(reason.starts_with("The payload size: 10485768 of task: "), "{reason}");
    let refusal = bench.try_step(Command::Start(StartWorkflowRequest::new("w").input(output))).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::Failed);
}

#[test]
fn an_input_that_is_empty_gets_no_template() {
    let mut bench = Bench::new();
    let mut definition = WorkflowDef::new("w").task(WorkflowTask::simple("a", "a_ref"));
    definition.input_template.insert("t".to_owned(), RawJson::from("default"));
    bench.step(Command::RegisterWorkflow { definition, overwrite: false });
    for (input, expected) in [
        (json!({}), json!({})),
        (json!({"x": 1}), json!({"t": "default", "x": 1})),
        (json!({"t": 2}), json!({"t": 2})),
        (json!({"t": null}), json!({"t": "default"})),
    ] {
        let id = bench.start_with(StartWorkflowRequest::new("w").input(input));
        assert_eq!(value(&bench.workflow(&id).input), expected);
    }
}

#[test]
fn a_task_that_was_put_back_while_a_poll_held_it_is_handed_out_once() {
    let mut bench = Bench::new();
    bench.register(vec![def("a")], same);
    let id = bench.start();
    let Answer::Ids(taken) = bench.step(Command::Take { queue: "a".to_owned(), most: 1 }) else { panic!("no ids") };
    let task = bench.workflow(&id).tasks[0].clone();
    bench.report(&task, TaskResultStatus::InProgress);
    let poll = Poll { task_type: "a".to_owned(), ..Poll::default() };
    assert!(matches!(bench.step(Command::HandOut(poll, taken)), Answer::Tasks(tasks) if tasks.len() == 1));
    assert!(bench.poll("a").is_none());
}
