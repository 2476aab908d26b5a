//! Tests of the engine: commands and time go in, the state is looked at.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    json::RawJson,
    metadata::{RetryLogic, TimeoutPolicy, WorkflowTask},
    task::{TaskResultStatus, TaskStatus},
    workflow::WorkflowStatus,
};

use super::*;

mod outside;

/// An engine with its clock.
struct Bench {
    engine: Engine,
    now: Millis,
}

const SECOND: Millis = 1000;

impl Bench {
    fn new() -> Self {
        Self { engine: Engine::new(7), now: 1_000_000 }
    }

    fn try_step(&mut self, command: Command) -> Result<Answer, Refusal> {
        let answer = self.engine.step(command, self.now);
        // What is due has been done, else the clock would spin.
        assert!(self.engine.next_event().is_none_or(|at| at > self.now), "{:?}", self.engine.next_event());
        answer
    }

    fn step(&mut self, command: Command) -> Answer {
        self.try_step(command).unwrap()
    }

    /// Lets time pass, with all that is due on the way.
    fn pass(&mut self, time: Millis) {
        let end = self.now + time;
        while let Some(next) = self.engine.next_event().filter(|next| *next <= end) {
            self.now = next;
            self.step(Command::Tick);
        }
        self.now = end;
        self.step(Command::Tick);
    }

    /// Registers a workflow `w` with one task for each definition, whose reference name is its name with `_ref`.
    fn register(&mut self, defs: Vec<TaskDef>, change: impl Fn(WorkflowTask) -> WorkflowTask) {
        let tasks = defs.iter().map(|def| change(WorkflowTask::simple(&def.name, format!("{}_ref", def.name))));
        let definition = tasks.fold(WorkflowDef::new("w"), WorkflowDef::task);
        self.step(Command::RegisterTasks(defs));
        self.step(Command::RegisterWorkflow { definition, overwrite: true });
    }

    fn start_with(&mut self, request: StartWorkflowRequest) -> String {
        match self.step(Command::Start(request)) {
            Answer::Id(Some(id)) => id,
            other => panic!("{other:?}"),
        }
    }

    fn start(&mut self) -> String {
        self.start_with(StartWorkflowRequest::new("w"))
    }

    fn poll_from(&mut self, task_type: &str, domain: Option<&str>) -> Option<Task> {
        let queue = queue_name(task_type, domain);
        let Answer::Ids(task_ids) = self.step(Command::Take { queue, most: 1 }) else { panic!("no ids") };
        let poll = Poll {
            task_type: task_type.to_owned(),
            domain: domain.map(str::to_owned),
            worker_id: Some("worker".to_owned()),
        };
        match self.step(Command::HandOut(poll, task_ids)) {
            Answer::Tasks(tasks) => tasks.into_iter().next(),
            other => panic!("{other:?}"),
        }
    }

    fn poll(&mut self, task_type: &str) -> Option<Task> {
        self.poll_from(task_type, None)
    }

    fn report(&mut self, task: &Task, status: TaskResultStatus) {
        self.send(result(task, status));
    }

    fn send(&mut self, result: TaskResult) {
        let id = result.task_id.clone();
        assert!(matches!(self.step(Command::Update(result)), Answer::Id(Some(updated)) if updated == id));
    }

    fn workflow(&self, id: &str) -> Workflow {
        self.engine.workflow(id, true).unwrap()
    }

    fn task(&self, id: &str) -> Task {
        self.engine.task(id).unwrap()
    }
}

fn result(task: &Task, status: TaskResultStatus) -> TaskResult {
    TaskResult::new(&task.workflow_instance_id, &task.task_id, status)
}

fn def(name: &str) -> TaskDef {
    TaskDef::new(name).retries(0, RetryLogic::Fixed, Duration::ZERO)
}

fn same(task: WorkflowTask) -> WorkflowTask {
    task
}

fn value(json: &RawJson) -> Value {
    json.to_value().unwrap()
}

#[test]
fn a_workflow_hands_values_on_and_ends_with_the_output_of_its_last_task() {
    let mut bench = Bench::new();
    let first = WorkflowTask::simple("a", "a_ref").input("x", "${workflow.input.x}");
    let second = WorkflowTask::simple("b", "b_ref").input("y", "${a_ref.output.list[1]}");
    let definition = WorkflowDef::new("w").task(first).task(second);
    bench.step(Command::RegisterWorkflow { definition, overwrite: false });
    let id = bench.start_with(StartWorkflowRequest::new("w").input(json!({"x": 1.5})).correlation_id("c"));
    let a = bench.poll("a").unwrap();
    assert_eq!((value(&a.input_data), a.correlation_id.as_deref()), (json!({"x": 1.5}), Some("c")));
    assert!(bench.poll("b").is_none());
    bench.send(result(&a, TaskResultStatus::Completed).output(json!({"list": [1, {"deep": null}]})));
    let b = bench.poll("b").unwrap();
    assert_eq!((value(&b.input_data), b.seq), (json!({"y": {"deep": null}}), 2));
    bench.send(result(&b, TaskResultStatus::Completed).output(json!({"done": true})));
    let workflow = bench.workflow(&id);
    assert_eq!(workflow.status, WorkflowStatus::Completed);
    assert_eq!(value(&workflow.output), json!({"done": true}));
    assert_eq!(bench.engine.next_event(), None);
    assert!(bench.engine.all_running().is_empty());
}

#[test]
fn a_hand_out_is_accounted_for() {
    let mut bench = Bench::new();
    bench.register(vec![def("a")], same);
    bench.start();
    bench.pass(3 * SECOND);
    let task = bench.poll("a").unwrap();
    assert_eq!(task.status, TaskStatus::InProgress);
    assert_eq!((task.poll_count, task.worker_id.as_deref(), task.queue_wait_time), (1, Some("worker"), 3 * SECOND));
    assert_eq!((task.start_time, task.update_time, task.end_time), (bench.now, bench.now, 0));
    assert!(bench.poll("a").is_none(), "it left the queue before it was answered");
    let data = bench.engine.poll_data(Some("a"));
    assert_eq!((data.len(), data[0].last_poll_time), (1, bench.now));
}

#[test]
fn what_a_report_does_to_task_and_workflow() {
    use TaskResultStatus as Sent;
    for (sent, task_status, workflow_status) in [
        (Sent::Completed, TaskStatus::Completed, WorkflowStatus::Completed),
        (Sent::Failed, TaskStatus::Failed, WorkflowStatus::Failed),
        (Sent::FailedWithTerminalError, TaskStatus::FailedWithTerminalError, WorkflowStatus::Failed),
        (Sent::Canceled, TaskStatus::Canceled, WorkflowStatus::Terminated),
        (Sent::InProgress, TaskStatus::Scheduled, WorkflowStatus::Running),
    ] {
        let mut bench = Bench::new();
        bench.register(vec![def("a")], same);
        let id = bench.start();
        let task = bench.poll("a").unwrap();
        bench.send(result(&task, sent.clone()).reason("why").output(json!({"n": 1})));
        let (task, workflow) = (bench.task(&task.task_id), bench.workflow(&id));
        assert_eq!((&task.status, &workflow.status), (&task_status, &workflow_status), "{sent}");
        assert_eq!(task.worker_id, None, "a report without a worker id wipes it");
        let ended_badly = !matches!(workflow_status, WorkflowStatus::Completed | WorkflowStatus::Running);
        let reason = format!("Task {} failed with status: {workflow_status} and reason: 'why'", task.task_id);
        assert_eq!(workflow.reason_for_incompletion, ended_badly.then_some(reason), "{sent}");
        let failed: &[&str] = if workflow_status == WorkflowStatus::Failed { &["a_ref"] } else { &[] };
        assert_eq!(workflow.failed_reference_task_names, failed, "{sent}");
        assert_eq!(workflow.end_time > 0, workflow_status.is_terminal(), "{sent}");
    }
}

#[test]
fn a_failed_task_is_retried_after_the_delay_of_its_definition() {
    for (logic, delays) in [
        (RetryLogic::Fixed, [2, 2, 2]),
        (RetryLogic::LinearBackoff, [2, 4, 6]),
        (RetryLogic::ExponentialBackoff, [2, 4, 8]),
    ] {
        let mut bench = Bench::new();
        bench.register(vec![TaskDef::new("a").retries(3, logic.clone(), Duration::from_secs(2))], same);
        let id = bench.start();
        for (attempt, delay) in (0..).zip(delays) {
            let task = bench.poll("a").unwrap();
            assert_eq!(task.retry_count, attempt);
            bench.send(result(&task, TaskResultStatus::Failed).reason("no").output(json!({"n": attempt})));
            bench.pass(delay * SECOND - 1);
            assert!(bench.poll("a").is_none(), "{logic} {attempt}");
            let next = bench.workflow(&id).tasks.pop().unwrap();
            assert_eq!((next.retried_task_id, next.poll_count), (Some(task.task_id.clone()), 0));
            assert_eq!((Millis::from(next.start_delay_in_seconds), next.callback_after_seconds), (delay, delay));
            assert_eq!((next.reason_for_incompletion.as_deref(), next.worker_id), (Some("no"), None));
            assert_eq!(value(&next.output_data), json!({}));
            assert!(bench.task(&task.task_id).retried);
            bench.pass(1);
        }
        let last = bench.poll("a").unwrap();
        bench.report(&last, TaskResultStatus::Failed);
        assert_eq!(bench.workflow(&id).status, WorkflowStatus::Failed, "{logic}");
        assert_eq!(bench.workflow(&id).tasks.len(), 4);
    }
}

#[test]
fn the_retries_of_the_node_win_over_those_of_the_definition() {
    let mut bench = Bench::new();
    let with = |mut task: WorkflowTask| {
        task.retry_count = Some(0);
        task
    };
    bench.register(vec![TaskDef::new("a").retries(9, RetryLogic::Fixed, Duration::ZERO)], with);
    let id = bench.start();
    let task = bench.poll("a").unwrap();
    bench.report(&task, TaskResultStatus::Failed);
    assert_eq!(bench.workflow(&id).status, WorkflowStatus::Failed);
}

/// A definition whose limits come soon, and whether the task is polled.
struct Limit {
    change: fn(&mut TaskDef),
    policy: TimeoutPolicy,
    polled: bool,
    after: Millis,
    task: TaskStatus,
    workflow: WorkflowStatus,
    reason: &'static str,
}

fn limits() -> Vec<Limit> {
    use TaskStatus::{Canceled, TimedOut};
    use TimeoutPolicy::{AlertOnly, Retry, TimeOutWf};
    use WorkflowStatus as W;
    fn response(def: &mut TaskDef) {
        def.response_timeout_seconds = Some(2);
    }
    fn attempt(def: &mut TaskDef) {
        (def.timeout_seconds, def.response_timeout_seconds) = (Some(3), Some(3));
    }
    fn poll(def: &mut TaskDef) {
        def.poll_timeout_seconds = Some(4);
    }
    fn total(def: &mut TaskDef) {
        def.total_timeout_seconds = Some(5);
    }
    let limit = |change, policy, polled, after, task, workflow, reason| Limit {
        change,
        policy,
        polled,
        after,
        task,
        workflow,
        reason,
    };
    vec![
        limit(response, Retry, true, 2, TimedOut, W::Running, "responseTimeout: 2 exceeded for the taskId: "),
        limit(response, AlertOnly, true, 2, TimedOut, W::Running, "responseTimeout: 2 exceeded for the taskId: "),
        limit(response, TimeOutWf, true, 2, TimedOut, W::Running, "responseTimeout: 2 exceeded for the taskId: "),
        limit(attempt, Retry, true, 3, TimedOut, W::Running, "Task timed out after 3 seconds. Timeout configured as 3"),
        limit(attempt, TimeOutWf, true, 3, TimedOut, W::TimedOut, "Task timed out after 3 seconds."),
        limit(poll, Retry, false, 4, TimedOut, W::Running, "Task poll timed out after 4 seconds. Poll timeout"),
        limit(poll, TimeOutWf, false, 4, TimedOut, W::TimedOut, "Task poll timed out after 4 seconds."),
        limit(total, TimeOutWf, false, 5, TimedOut, W::TimedOut, "Task a/"),
        // The task is timed out, but gets no other attempt.
        limit(total, Retry, true, 5, TimedOut, W::TimedOut, "Task a/"),
        limit(attempt, AlertOnly, true, 3, TimedOut, W::Running, "responseTimeout: 3 exceeded"),
        limit(poll, AlertOnly, false, 100, Canceled, W::Running, ""),
        limit(total, AlertOnly, false, 100, Canceled, W::Running, ""),
    ]
}

#[test]
fn each_limit_fires_at_its_time_with_its_policy() {
    for (n, limit) in limits().into_iter().enumerate() {
        let mut bench = Bench::new();
        let mut def = TaskDef::new("a").retries(1, RetryLogic::Fixed, Duration::ZERO);
        (limit.change)(&mut def);
        def.timeout_policy = Some(limit.policy);
        bench.register(vec![def], same);
        let id = bench.start();
        if limit.polled {
            bench.poll("a").unwrap();
        }
        bench.pass(limit.after * SECOND - 1);
        let before = bench.workflow(&id);
        assert_eq!((before.tasks.len(), &before.status), (1, &WorkflowStatus::Running), "{n}: fired early");
        bench.pass(1);
        let after = bench.workflow(&id);
        assert_eq!(after.status, limit.workflow, "{n}");
        let task = &after.tasks[0];
        if limit.reason.is_empty() {
            assert!(!task.status.is_terminal(), "{n}");
            continue;
        }
        assert_eq!(task.status, limit.task, "{n}");
        let reason = task.reason_for_incompletion.as_deref().unwrap();
        assert!(reason.starts_with(limit.reason), "{n}: {reason}");
        assert_eq!(after.tasks.len(), if limit.workflow == WorkflowStatus::Running { 2 } else { 1 }, "{n}");
    }
}

#[test]
fn repeated_response_timeouts_are_all_prompt_and_use_up_the_retries() {
    let mut bench = Bench::new();
    let def = TaskDef::new("a").retries(2, RetryLogic::Fixed, Duration::ZERO).response_timeout(Duration::from_secs(2));
    bench.register(vec![def], same);
    let id = bench.start();
    for _ in 0..3 {
        bench.poll("a").unwrap();
        bench.pass(2 * SECOND);
    }
    assert_eq!(bench.workflow(&id).status, WorkflowStatus::TimedOut);
}

#[test]
fn a_lease_extension_moves_the_response_timeout_and_nothing_else() {
    let mut bench = Bench::new();
    let def = def("a").response_timeout(Duration::from_secs(2));
    bench.register(vec![def], same);
    let id = bench.start();
    let task = bench.poll("a").unwrap();
    for _ in 0..3 {
        bench.pass(SECOND + 900);
        let mut lease = TaskResult::new("any workflow", &task.task_id, TaskResultStatus::Completed);
        lease.extend_lease = true;
        bench.send(lease.output(json!({"n": 1})).worker_id("other"));
    }
    let extended = bench.task(&task.task_id);
    assert_eq!(extended.status, TaskStatus::InProgress);
    assert_eq!((extended.update_time, extended.worker_id), (bench.now, task.worker_id));
    bench.pass(2 * SECOND);
    assert_eq!(bench.workflow(&id).status, WorkflowStatus::TimedOut);
    let mut unknown = TaskResult::new("w", "nope", TaskResultStatus::InProgress);
    unknown.extend_lease = true;
    assert_eq!(bench.try_step(Command::Update(unknown)).unwrap_err().message, "No such task found by id: nope");
}

#[test]
fn a_workflow_times_out_by_its_own_limit() {
    let mut bench = Bench::new();
    let definition = WorkflowDef::new("w")
        .task(WorkflowTask::simple("a", "a_ref"))
        .timeout(Duration::from_secs(5), TimeoutPolicy::TimeOutWf);
    bench.step(Command::RegisterWorkflow { definition, overwrite: false });
    let id = bench.start();
    bench.pass(5 * SECOND - 1);
    assert_eq!(bench.workflow(&id).status, WorkflowStatus::Running);
    bench.pass(1);
    let workflow = bench.workflow(&id);
    assert_eq!((workflow.status, &workflow.tasks[0].status), (WorkflowStatus::TimedOut, &TaskStatus::Canceled));
    assert_eq!(bench.engine.queue_size("a"), 0);
}

#[test]
fn a_paused_workflow_times_out_only_when_it_is_looked_at() {
    let mut bench = Bench::new();
    let definition = WorkflowDef::new("w")
        .task(WorkflowTask::simple("a", "a_ref"))
        .timeout(Duration::from_secs(5), TimeoutPolicy::TimeOutWf);
    bench.step(Command::RegisterWorkflow { definition, overwrite: false });
    let id = bench.start();
    bench.step(Command::Pause(id.clone()));
    bench.pass(6 * SECOND);
    assert_eq!((bench.workflow(&id).status, bench.engine.next_event()), (WorkflowStatus::Paused, None));
    bench.step(Command::Decide(id.clone()));
    assert_eq!(bench.workflow(&id).status, WorkflowStatus::TimedOut);
}

#[test]
fn an_unfinished_task_comes_again_after_its_callback_time() {
    let mut bench = Bench::new();
    bench.register(vec![def("a").response_timeout(Duration::from_secs(1))], same);
    bench.start();
    let first = bench.poll("a").unwrap();
    let later = result(&first, TaskResultStatus::InProgress).callback_after(Duration::from_secs(7));
    bench.send(later.output(json!({"at": 1})));
    assert_eq!((bench.task(&first.task_id).callback_after_seconds, bench.engine.queue_size("a")), (7, 1));
    bench.pass(7 * SECOND - 1);
    assert!(bench.poll("a").is_none());
    bench.pass(1);
    let again = bench.poll("a").unwrap();
    assert_eq!((&again.task_id, again.poll_count, again.start_time), (&first.task_id, 2, first.start_time));
    assert_eq!((again.callback_after_seconds, value(&again.output_data)), (0, json!({"at": 1})));
    bench.send(result(&again, TaskResultStatus::InProgress));
    let third = bench.poll("a").unwrap();
    assert_eq!(value(&third.output_data), json!({}), "an output that is left out wipes the one before");
    let mut stranded = result(&third, TaskResultStatus::InProgress);
    stranded.callback_after_seconds = -1;
    bench.send(stranded);
    bench.pass(1000 * SECOND);
    assert!(bench.poll("a").is_none() && bench.engine.queue_size("a") == 1);
    bench.send(result(&third, TaskResultStatus::InProgress));
    assert!(bench.poll("a").is_some());
}

#[test]
fn duplicates_and_late_reports_are_accepted_without_effect() {
    let mut bench = Bench::new();
    bench.register(vec![TaskDef::new("a").retries(1, RetryLogic::Fixed, Duration::ZERO)], same);
    let id = bench.start();
    let first = bench.poll("a").unwrap();
    bench.send(result(&first, TaskResultStatus::Failed).reason("no"));
    bench.send(result(&first, TaskResultStatus::Completed).output(json!({"late": true})));
    assert_eq!(bench.task(&first.task_id).status, TaskStatus::Failed);
    assert_eq!(bench.workflow(&id).status, WorkflowStatus::Running);
    let second = bench.poll("a").unwrap();
    bench.step(Command::Terminate { workflow_id: id.clone(), reason: Some("enough".to_owned()) });
    bench.report(&second, TaskResultStatus::Completed);
    let workflow = bench.workflow(&id);
    assert_eq!(workflow.status, WorkflowStatus::Terminated);
    assert_eq!(workflow.reason_for_incompletion.as_deref(), Some("enough"));
    assert_eq!(bench.task(&second.task_id).status, TaskStatus::Canceled);
}

#[test]
fn what_is_not_there_is_named() {
    let mut bench = Bench::new();
    bench.register(vec![def("a")], same);
    let id = bench.start();
    let done = |workflow: &str, task: &str| TaskResult::new(workflow, task, TaskResultStatus::Completed);
    for (command, message) in [
        (Command::Update(done("nope", "nope")), "No such workflow found by id: nope"),
        (Command::Update(done(&id, "nope")), "No such task found by id: nope"),
        (Command::Start(StartWorkflowRequest::new("v")), "No such workflow defined. name=v, version=null"),
        (Command::Start(StartWorkflowRequest::new("w").version(2)), "No such workflow defined. name=w, version=2"),
        (Command::Pause("nope".to_owned()), "No such workflow found by id: nope"),
        (Command::UpdateTask(TaskDef::new("nope")), "No such task by name nope"),
    ] {
        let refusal = bench.try_step(command).unwrap_err();
        assert_eq!((refusal.kind, refusal.message.as_str()), (RefusalKind::NotFound, message));
    }
}

#[test]
fn a_report_without_a_status_is_refused_and_changes_nothing() {
    let mut bench = Bench::new();
    bench.register(vec![def("a")], same);
    bench.start();
    let task = bench.poll("a").unwrap();
    let refusal = bench.try_step(Command::Update(result(&task, TaskResultStatus::default()))).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::Failed);
    assert_eq!(bench.task(&task.task_id), task);
}

#[test]
fn an_optional_task_may_fail() {
    let mut bench = Bench::new();
    bench.register(vec![def("a"), def("b")], WorkflowTask::optional);
    let id = bench.start();
    let a = bench.poll("a").unwrap();
    bench.report(&a, TaskResultStatus::FailedWithTerminalError);
    assert_eq!(bench.task(&a.task_id).status, TaskStatus::CompletedWithErrors);
    let b = bench.poll("b").unwrap();
    bench.report(&b, TaskResultStatus::Failed);
    assert_eq!(bench.task(&b.task_id).status, TaskStatus::Failed, "the last one keeps its status");
    assert_eq!(bench.workflow(&id).status, WorkflowStatus::Completed);
}

#[test]
fn a_permissive_task_lets_the_others_run_and_fails_the_workflow_at_the_end() {
    let mut bench = Bench::new();
    let permissive = |mut task: WorkflowTask| {
        task.permissive = Some(true);
        task
    };
    bench.register(vec![def("a"), def("b")], permissive);
    let id = bench.start();
    let a = bench.poll("a").unwrap();
    bench.send(result(&a, TaskResultStatus::Failed).reason("no"));
    let b = bench.poll("b").unwrap();
    bench.report(&b, TaskResultStatus::Completed);
    let workflow = bench.workflow(&id);
    assert_eq!(workflow.status, WorkflowStatus::Failed);
    let reason = format!("Task {} failed with status: FAILED and reason: 'no'", a.task_id);
    assert_eq!(workflow.reason_for_incompletion, Some(reason));
}

#[test]
fn no_more_tasks_are_in_progress_than_the_limit_and_the_next_comes_when_one_ends() {
    let mut bench = Bench::new();
    bench.register(vec![def("a").concurrent_exec_limit(1).response_timeout(Duration::from_secs(5))], same);
    for _ in 0..3 {
        bench.start();
    }
    let first = bench.poll("a").unwrap();
    assert!(bench.poll("a").is_none());
    assert_eq!(bench.engine.queue_size("a"), 2);
    bench.report(&first, TaskResultStatus::Completed);
    bench.poll("a").unwrap();
    assert!(bench.poll("a").is_none());
    bench.pass(5 * SECOND);
    assert!(bench.poll("a").is_some(), "a timeout frees the place too");
}

#[test]
fn tasks_go_to_the_first_domain_that_was_polled_lately_else_to_the_last() {
    let mut bench = Bench::new();
    bench.register(vec![def("a")], same);
    bench.poll_from("a", Some("two"));
    for (domains, expected) in [
        ("one,two,three", Some("two")),
        ("one,three", Some("three")),
        ("one, two", Some("two")),
        ("one,NO_DOMAIN", None),
    ] {
        for key in ["a", "*"] {
            let id = bench.start_with(StartWorkflowRequest::new("w").domain(key, domains));
            let task = &bench.workflow(&id).tasks[0];
            assert_eq!(task.domain.as_deref(), expected, "{domains}");
            assert_eq!(bench.poll_from("a", expected).unwrap().task_id, task.task_id);
        }
    }
    bench.pass(10 * SECOND);
    let id = bench.start_with(StartWorkflowRequest::new("w").domain("a", "two,three"));
    assert_eq!(bench.workflow(&id).tasks[0].domain.as_deref(), Some("three"));
    bench.start();
    assert!(bench.poll_from("a", Some("")).is_none(), "the empty domain has a queue of its own");
    assert!(bench.poll("a").is_some());
}

#[test]
fn a_paused_workflow_hands_out_what_is_queued_and_goes_on_when_resumed() {
    let mut bench = Bench::new();
    bench.register(vec![def("a"), def("b")], same);
    let id = bench.start();
    bench.step(Command::Pause(id.clone()));
    bench.step(Command::Pause(id.clone()));
    let a = bench.poll("a").unwrap();
    bench.report(&a, TaskResultStatus::Completed);
    assert!(bench.poll("b").is_none());
    bench.step(Command::Resume(id.clone()));
    assert!(bench.poll("b").is_some());
    let refusal = bench.try_step(Command::Resume(id.clone())).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::Failed);
    assert_eq!(bench.workflow(&id).last_retried_time, bench.now);
}

#[test]
fn an_update_by_reference_name_merges_the_output() {
    let mut bench = Bench::new();
    bench.register(vec![def("a")], same);
    let id = bench.start();
    let task = bench.poll("a").unwrap();
    bench.send(result(&task, TaskResultStatus::InProgress).output(json!({"a": 1, "b": 1})).worker_id("w1"));
    let update = |status: TaskResultStatus| {
        let result = TaskResult::new("", "", status).output(json!({"b": 2}));
        let (workflow_id, reference) = (id.clone(), "a_ref".to_owned());
        Command::UpdateByReference(ByReference { workflow_id, reference, result, wipes_worker: false })
    };
    let answer = bench.step(update(TaskResultStatus::Completed));
    assert!(matches!(answer, Answer::Id(Some(id)) if id == task.task_id));
    let done = bench.task(&task.task_id);
    assert_eq!((value(&done.output_data), done.worker_id.as_deref()), (json!({"a": 1, "b": 2}), Some("w1")));
    assert!(matches!(bench.step(update(TaskResultStatus::Completed)), Answer::Id(None)));
}

#[test]
fn long_reasons_and_many_log_lines_are_cut() {
    let mut bench = Bench::new();
    bench.register(vec![def("a")], same);
    bench.start();
    let task = bench.poll("a").unwrap();
    let logged = (0..12).fold(result(&task, TaskResultStatus::InProgress), |result, n| result.log(format!("{n}")));
    bench.send(logged.reason("é".repeat(600)));
    assert_eq!(bench.task(&task.task_id).reason_for_incompletion.unwrap().chars().count(), 500);
    let logs = bench.engine.logs(&task.task_id);
    assert_eq!((logs.len(), logs[9].log.as_str()), (10, "9"));
    assert_eq!(logs[0].task_id.as_ref(), Some(&task.task_id));
}

#[test]
fn the_highest_priority_comes_first_and_equals_in_order() {
    let mut bench = Bench::new();
    bench.register(vec![def("a")], same);
    for priority in [0, 5, 99, 5, 0] {
        bench.start_with(StartWorkflowRequest::new("w").priority(priority));
    }
    let polled: Vec<Task> = (0..5).map(|_| bench.poll("a").unwrap()).collect();
    assert_eq!(polled.iter().map(|task| task.workflow_priority).collect::<Vec<_>>(), [99, 5, 5, 0, 0]);
    assert!(polled.windows(2).all(|pair| {
        pair[0].workflow_priority != pair[1].workflow_priority
            || bench.engine.workflows[&pair[0].workflow_instance_id].number
                < bench.engine.workflows[&pair[1].workflow_instance_id].number
    }));
}

#[test]
fn a_start_delay_hides_the_task() {
    let mut bench = Bench::new();
    let delayed = |mut task: WorkflowTask| {
        task.start_delay = Some(3);
        task
    };
    bench.register(vec![def("a")], delayed);
    bench.start();
    bench.pass(3 * SECOND - 1);
    assert!(bench.poll("a").is_none());
    bench.pass(1);
    assert_eq!(bench.poll("a").unwrap().start_delay_in_seconds, 3);
}

#[test]
fn workflows_with_other_kinds_of_tasks_can_be_registered_but_not_started() {
    let mut bench = Bench::new();
    let mut task = WorkflowTask::simple("s", "pick");
    task.task_type = Some("SWITCH".to_owned());
    let definition = WorkflowDef::new("w").task(WorkflowTask::simple("a", "a_ref")).task(task);
    bench.step(Command::RegisterWorkflow { definition, overwrite: false });
    let refusal = bench.try_step(Command::Start(StartWorkflowRequest::new("w"))).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::NotServed);
    let says =
        "the embedded server executes SIMPLE tasks only; workflow w has pick (SWITCH); a real Conductor server does";
    assert!(refusal.message.starts_with(says), "{}", refusal.message);
}

#[test]
fn a_task_without_a_definition_runs_with_the_default_one() {
    let mut bench = Bench::new();
    let definition = WorkflowDef::new("w").task(WorkflowTask::simple("a", "a_ref"));
    bench.step(Command::RegisterWorkflow { definition, overwrite: false });
    bench.start();
    let task = bench.poll("a").unwrap();
    let rules = task.task_definition().unwrap().unwrap();
    assert_eq!((rules.retry_count, rules.retry_delay_seconds, rules.create_time), (Some(3), Some(60), Some(0)));
    assert_eq!(task.response_timeout_seconds, 3600);
    assert_eq!(task.workflow_task().unwrap().unwrap().task_definition, Some(rules));
}

#[test]
fn ids_look_like_random_uuids_and_follow_the_seed() {
    let mut engine = Engine::new(1);
    let id = engine.new_id();
    let lengths: Vec<usize> = id.split('-').map(str::len).collect();
    assert_eq!((lengths, id.as_bytes()[14]), (vec![8, 4, 4, 4, 12], b'4'));
    assert_ne!(engine.new_id(), id);
    assert_eq!(Engine::new(1).new_id(), id);
}
