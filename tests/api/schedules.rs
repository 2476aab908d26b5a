//! The operations under `/scheduler`, and what schedules do.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use conductor_sync::{
    CronSchedule, ErrorKind, NextRunsQuery, ScheduleClient, ScheduleExecution, ScheduleExecutionState, ScheduleSearch,
    StartWorkflowRequest, WorkflowDef, WorkflowSchedule, WorkflowStatus, WorkflowTask,
};
use serde_json::json;

use super::{Api, LONG, eventually, fails, just_now, pass};

const DAY: Duration = Duration::from_secs(86_400);

/// At three in the morning, Berlin time.
fn nightly(api: &Api) -> WorkflowSchedule {
    WorkflowSchedule::new(api.name("s"), "0 0 3 * * ?", StartWorkflowRequest::new(api.name("w"))).zone("Europe/Berlin")
}

fn saved(api: &Api) -> ScheduleClient {
    api.client.schedules().save(&nightly(api)).unwrap();
    api.client.schedules()
}

/// A schedule of a workflow that ends at once.
fn of_short(api: &Api, cron: &str) -> WorkflowSchedule {
    let mut node = WorkflowTask::simple("set", "set").input("x", 1);
    node.task_type = Some("SET_VARIABLE".to_owned());
    api.client.metadata().update_workflow(&WorkflowDef::new(api.name("w")).task(node)).unwrap();
    let start = StartWorkflowRequest::new(api.name("w")).input(json!({"n": 1}));
    WorkflowSchedule::new(api.name("s"), cron, start)
}

/// Saves a schedule that fires each second.
fn every_second(api: &Api) -> ScheduleClient {
    api.client.schedules().save(&of_short(api, "* * * * * ?")).unwrap();
    api.client.schedules()
}

/// The runs of the row's schedule that are told so far.
fn runs(api: &Api) -> Vec<ScheduleExecution> {
    let search = ScheduleSearch::new().query(format!("scheduleName IN ({})", api.name("s")));
    api.client.schedules().search_executions(&search).into_iter().map(Result::unwrap).collect()
}

/// Waits until more runs of the row's schedule are told than `n`.
fn wait_for_more_than(api: &Api, n: usize) {
    eventually("a schedule starts something", || (runs(api).len() > n).then_some(()));
}

/// Those that are not told yet come within this; it is the time to see that nothing more comes, too.
const STILL: Duration = Duration::from_secs(3);

/// Nothing more is started.
fn stands_still(api: &Api) {
    pass(STILL);
    let before = runs(api).len();
    pass(STILL);
    assert_eq!(runs(api).len(), before, "it goes on");
}

pub(crate) fn save(api: &Api) {
    let schedules = api.client.schedules();
    assert_eq!(schedules.save(&nightly(api)).unwrap().name, api.name("s"));
    let stored = schedules.get(&api.name("s")).unwrap();
    assert_eq!(stored.zone_id.as_deref(), Some("Europe/Berlin"));
    let (begin, end) = (UNIX_EPOCH + 30_000 * DAY, UNIX_EPOCH + 30_001 * DAY);
    schedules.save(&nightly(api).zone("UTC").paused().begins(begin).ends(end)).unwrap();
    let stored = schedules.get(&api.name("s")).unwrap();
    just_now(stored.updated_at());
    assert_eq!((stored.begins_at(), stored.ends_at()), (Some(begin), Some(end)));
    assert_eq!((stored.zone_id.as_deref(), stored.paused), (Some("UTC"), true), "it is replaced");
    schedules.delete(&api.name("s")).unwrap();
}

pub(crate) fn list(api: &Api) {
    let schedules = saved(api);
    assert!(schedules.list().unwrap().iter().any(|known| known.name == api.name("s")));
    assert_eq!(schedules.list_of(&api.name("w")).unwrap().len(), 1);
    assert_eq!(schedules.list_of("no_such_workflow").unwrap(), []);
    schedules.delete(&api.name("s")).unwrap();
}

pub(crate) fn search(api: &Api) {
    let schedules = saved(api);
    let of_row = || ScheduleSearch::new().workflow(api.name("w")).page_size(1);
    let found: Vec<_> = schedules.search(&of_row()).into_iter().map(|found| found.unwrap().name).collect();
    assert_eq!(found, [api.name("s")]);
    assert_eq!(schedules.search(&of_row().only_active()).into_iter().count(), 1);
    assert_eq!(schedules.search(&of_row().only_paused()).into_iter().count(), 0);
    schedules.delete(&api.name("s")).unwrap();
}

pub(crate) fn get(api: &Api) {
    let schedules = saved(api);
    let stored = schedules.get(&api.name("s")).unwrap();
    assert_eq!(stored.start_workflow_request.unwrap().name, api.name("w"));
    schedules.delete(&api.name("s")).unwrap();
}

pub(crate) fn delete(api: &Api) {
    let schedules = saved(api);
    schedules.delete(&api.name("s")).unwrap();
    assert!(schedules.get(&api.name("s")).unwrap_err().is_not_found());
    schedules.delete(&api.name("s")).expect("the server does not tell that there is none");
}

/// A schedule that is paused starts nothing, and goes on when it is resumed.
pub(crate) fn pause_and_resume(api: &Api) {
    let schedules = every_second(api);
    wait_for_more_than(api, 0);
    schedules.pause(&api.name("s"), Some("holidays & more")).unwrap();
    let stored = schedules.get(&api.name("s")).unwrap();
    assert_eq!((stored.paused, stored.paused_reason.as_deref()), (true, Some("holidays & more")));
    stands_still(api);
    let before = runs(api).len();
    schedules.resume(&api.name("s")).unwrap();
    assert!(!schedules.get(&api.name("s")).unwrap().paused);
    wait_for_more_than(api, before);
    schedules.delete(&api.name("s")).unwrap();
}

pub(crate) fn pause_and_resume_several(api: &Api) {
    let schedules = saved(api);
    let name = api.name("s");
    let names = [name.as_str(), "no_such_schedule"];
    for (outcome, paused) in [(schedules.pause_all_of(&names), true), (schedules.resume_all_of(&names), false)] {
        let outcome = outcome.unwrap();
        assert_eq!(outcome.successes, [name.as_str()]);
        assert!(outcome.errors.contains_key("no_such_schedule"), "{outcome:?}");
        // Both calls are over: the second one is what counts.
        assert!(paused || !schedules.get(&name).unwrap().paused);
    }
    assert!(schedules.pause_all_of(&[&name]).unwrap().is_complete());
    assert!(schedules.get(&name).unwrap().paused);
    schedules.delete(&name).unwrap();
}

/// Whole hours after midnight, UTC.
fn hour(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap().as_secs() % DAY.as_secs() / 3600
}

/// The next runs keep to a beginning and an end.
pub(crate) fn next_runs(api: &Api) {
    let schedules = api.client.schedules();
    let (now, cron) = (SystemTime::now(), "0 0 3 * * ?");
    let plain = schedules.next_runs(cron, 3).unwrap();
    assert_eq!(plain.len(), 3);
    assert!(plain.iter().all(|at| hour(*at) == 3 && *at > now) && plain[0] < now + 2 * DAY);
    assert!(plain.is_sorted_by(|earlier, later| *later == *earlier + DAY), "{plain:?}");
    let later = schedules.next_runs_between(&NextRunsQuery::new(cron).begins(now + 30 * DAY).limit(2)).unwrap();
    assert!(later.len() == 2 && later[0] >= now + 30 * DAY && later[0] < now + 31 * DAY, "{later:?}");
    let few = schedules.next_runs_between(&NextRunsQuery::new(cron).ends(now + 2 * DAY)).unwrap();
    assert!(few.len() == 2 && few.iter().all(|at| *at <= now + 2 * DAY), "{few:?}");
    // The server would tell the run after the end.
    let begin = plain[0] + 30 * DAY + Duration::from_secs(3600);
    let none = schedules
        .next_runs_between(&NextRunsQuery::new(cron).begins(begin).ends(begin + Duration::from_secs(60)))
        .unwrap();
    assert_eq!(none, []);
}

/// A schedule fires by the clock of its time zone: here in the hour that it is in Tokyo, where no clock is ever changed.
pub(crate) fn keeps_to_its_zone(api: &Api) {
    let (schedules, in_utc) = (api.client.schedules(), Api::beside(api));
    let now = hour(SystemTime::now()) + 9;
    let cron = format!("* * {},{} * * ?", now % 24, (now + 1) % 24);
    schedules.save(&of_short(&in_utc, &cron).zone("UTC")).unwrap();
    schedules.save(&of_short(api, &cron).zone("Asia/Tokyo")).unwrap();
    wait_for_more_than(api, 1);
    assert_eq!(runs(api)[0].zone_id.as_deref(), Some("UTC"), "the record does not tell");
    assert_eq!(runs(&in_utc), []);
    for row in [api, &in_utc] {
        schedules.delete(&row.name("s")).unwrap();
    }
}

/// A schedule is seen to fire: there is a record of the run, and the workflow of the record has run.
pub(crate) fn search_executions(api: &Api) {
    let schedules = every_second(api);
    let run = eventually("the schedule fires", || runs(api).pop());
    assert_eq!((&run.state, run.workflow_name), (&ScheduleExecutionState::Executed, Some(api.name("w"))));
    let due = run.scheduled_time.unwrap();
    assert!(due % 1000 == 0 && run.execution_time.unwrap() >= due - 1000, "{due} {:?}", run.execution_time);
    let done = api.client.workflows().wait(&run.workflow_id.unwrap(), LONG).unwrap();
    assert_eq!((&done.status, &done.workflow_name), (&WorkflowStatus::Completed, &api.name("w")));
    assert_eq!(done.input.to_value().unwrap()["n"], 1);
    schedules.delete(&api.name("s")).unwrap();
}

/// What can't be started is told in the record of the run.
pub(crate) fn fails_to_start(api: &Api) {
    let schedules = api.client.schedules();
    let start = StartWorkflowRequest::new(api.name("nope"));
    schedules.save(&WorkflowSchedule::new(api.name("s"), "* * * * * ?", start)).unwrap();
    let run = eventually("the schedule fires", || runs(api).pop());
    assert_eq!((run.state, run.workflow_id), (ScheduleExecutionState::Failed, None));
    assert!(run.reason.as_deref().unwrap().contains(&api.name("nope")), "{:?}", run.reason);
    schedules.delete(&api.name("s")).unwrap();
}

pub(crate) fn requeue_executions(api: &Api) {
    let told = api.client.schedules().requeue_executions().unwrap();
    assert!(told["recordIds.size"].to_value().unwrap().is_u64(), "{told:?}");
    assert!(told["sampleIds"].to_value().unwrap().is_array(), "{told:?}");
}

/// Only one row at a time stops the scheduler.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    // It guards nothing that could be broken.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Resumes the scheduler also when the row fails.
struct Resume(ScheduleClient);

impl Drop for Resume {
    fn drop(&mut self) {
        self.0.resume_scheduler().unwrap();
    }
}

/// While the scheduler is paused nothing is started, although the schedule is not marked; then it goes on.
pub(crate) fn whole_scheduler(api: &Api) {
    let _alone = alone();
    let schedules = every_second(api);
    wait_for_more_than(api, 0);
    schedules.pause_scheduler().unwrap();
    let resume = Resume(schedules.clone());
    stands_still(api);
    assert!(!schedules.get(&api.name("s")).unwrap().paused);
    let before = runs(api).len();
    drop(resume);
    wait_for_more_than(api, before);
    schedules.delete(&api.name("s")).unwrap();
}

pub(crate) mod refused {
    use super::super::{long, lost, missing, refused, too_long};
    use super::*;

    pub(crate) fn save(api: &Api) {
        let schedules = api.client.schedules();
        let mut bad = nightly(api);
        bad.cron_expression = Some("bad".to_owned());
        let error = fails(schedules.save(&bad), ErrorKind::Server).to_string();
        let advice = ", which needs six fields, the first for seconds";
        let said = format!("cron_expression `bad`{advice}: server said 500: Invalid cron expression");
        assert_eq!(error, format!("save schedule {}: {said}", api.name("s")));
        let mut second = nightly(api);
        for cron in ["0 0 3 * * ?", "0 0 25 * * ?"] {
            let mut several = CronSchedule::default();
            several.cron_expression = cron.to_owned();
            second.cron_schedules.push(several);
        }
        let error = fails(schedules.save(&second), ErrorKind::Server).to_string();
        assert!(error.contains("cron_expression `0 0 25 * * ?`: "), "{error}");
        let error = fails(schedules.save(&nightly(api).zone("Mars/Base")), ErrorKind::Server).to_string();
        assert_eq!(error, format!("save schedule {}: server said 500: Unknown time-zone ID: Mars/Base", api.name("s")));
        missing(schedules.get(&api.name("s")));
    }

    pub(crate) fn list(api: &Api) {
        lost(api.elsewhere().schedules().list());
        lost(api.elsewhere().schedules().list_of("w"));
        fails(api.client.schedules().list_of(" "), ErrorKind::Invalid);
        too_long(api.client.schedules().list_of(&long()), "workflowName");
    }

    pub(crate) fn search(api: &Api) {
        lost(api.elsewhere().schedules().search(&ScheduleSearch::new()).first_page());
        too_long(api.client.schedules().search(&ScheduleSearch::new().free_text(long())).first_page(), "freeText");
    }

    pub(crate) fn get(api: &Api) {
        missing(api.client.schedules().get(&api.name("nope")));
    }

    pub(crate) fn delete(api: &Api) {
        lost(api.elsewhere().schedules().delete("s"));
    }

    pub(crate) fn pause_and_resume(api: &Api) {
        missing(api.client.schedules().pause(&api.name("nope"), None));
        missing(api.client.schedules().resume(&api.name("nope")));
    }

    pub(crate) fn pause_and_resume_several(api: &Api) {
        let schedules = api.client.schedules();
        for outcome in [schedules.pause_all_of(&["no_such_schedule"]), schedules.resume_all_of(&["no_such_schedule"])] {
            let outcome = outcome.unwrap();
            assert!(!outcome.is_complete() && outcome.errors["no_such_schedule"].contains("not found"), "{outcome:?}");
            refused();
        }
        lost(api.elsewhere().schedules().pause_all_of(&["s"]));
        lost(api.elsewhere().schedules().resume_all_of(&["s"]));
    }

    pub(crate) fn next_runs(api: &Api) {
        let schedules = api.client.schedules();
        fails(schedules.next_runs("bad", 1), ErrorKind::Server);
        let now = SystemTime::now();
        fails(
            schedules.next_runs_between(&NextRunsQuery::new("0 0 3 * * ?").begins(now).ends(now - DAY)),
            ErrorKind::Invalid,
        );
    }

    pub(crate) fn search_executions(api: &Api) {
        let search = ScheduleSearch::new().query("scheduledTime>soon");
        let error = fails(api.client.schedules().search_executions(&search).first_page(), ErrorKind::Server);
        assert!(error.to_string().contains("soon"), "{error}");
    }

    pub(crate) fn requeue_executions(api: &Api) {
        lost(api.elsewhere().schedules().requeue_executions());
    }

    pub(crate) fn whole_scheduler(api: &Api) {
        lost(api.elsewhere().schedules().pause_scheduler());
        lost(api.elsewhere().schedules().resume_scheduler());
    }
}
