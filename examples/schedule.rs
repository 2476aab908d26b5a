//! A workflow that starts by itself: define it, look when a cron expression is due, save the schedule, see it fire, pause it,
//! read the records of its runs, delete it.
//!
//! It needs a real server, since the embedded one has no scheduler:
//! `CONDUCTOR_SERVER_URL=http://localhost:8080/api cargo run --example schedule`

#![allow(clippy::print_stdout, reason = "it is what the example is for")]

use std::{
    error::Error,
    sync::mpsc,
    time::{Duration, Instant, SystemTime},
};

use conductor_sync::{
    Client, Config, ScheduleExecution, ScheduleSearch, StartWorkflowRequest, TaskDef, TaskRunner, TypedTask,
    WorkflowBuilder, WorkflowSchedule, workflow_input,
};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Report {
    city: String,
}

const REPORT: TypedTask<Report, String> = TypedTask::new("schedule_report");
const WORKFLOW: &str = "schedule_weather";
const SCHEDULE: &str = "schedule_every_two_seconds";
/// Second, minute, hour, day of month, month, day of week.
const CRON: &str = "*/2 * * * * ?";
/// A server may be slow to begin.
const PATIENCE: Duration = Duration::from_secs(40);

/// The runs that began after `since`; the server writes them down a little later than it starts the workflows.
fn runs(client: &Client, since: SystemTime, at_least: usize) -> Result<Vec<ScheduleExecution>, Box<dyn Error>> {
    let millis = since.duration_since(SystemTime::UNIX_EPOCH)?.as_millis();
    let query = format!("scheduleName IN ({SCHEDULE}) AND scheduledTime>{millis}");
    let search = ScheduleSearch::new().query(query);
    let (_never, pause) = mpsc::channel::<()>();
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let runs = client.schedules().search_executions(&search).into_iter().collect::<Result<Vec<_>, _>>()?;
        if runs.len() >= at_least || Instant::now() > deadline {
            return Ok(runs);
        }
        // Nothing is ever sent: this is the pause between two questions.
        let _passed = pause.recv_timeout(Duration::from_millis(200));
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    env_logger::init();
    let config = Config::from_env_if_set()?.ok_or("this example needs a real server: set CONDUCTOR_SERVER_URL")?;
    let client = Client::new(config)?;
    let schedules = client.schedules();

    // The workflow that is started, and its worker.
    let report = REPORT.node("report").input("city", workflow_input("city")).definition(TaskDef::new(REPORT.name()));
    let weather = WorkflowBuilder::new(WORKFLOW).inputs(["city"]).task(&report);
    weather.output("report", report.output("result")).register(&client.metadata())?;
    let (reported_in, reported) = mpsc::channel();
    let write = move |report: Report| {
        let text = format!("rain in {}", report.city);
        // Nobody listens any more when the program ends.
        let _heard = reported_in.send(text.clone());
        text
    };
    let runner = TaskRunner::new(&client).worker(REPORT.worker(move |_, report| Ok(write(report)))).start()?;

    // When would it be due? A schedule counts in its time zone, this preview in UTC.
    let began = SystemTime::now();
    for at in schedules.next_runs(CRON, 2)? {
        println!("due in {:.1} s", at.duration_since(began).unwrap_or_default().as_secs_f64());
    }
    let start = StartWorkflowRequest::new(WORKFLOW).input(serde_json::json!({"city": "Bergen"}));
    let schedule = WorkflowSchedule::new(SCHEDULE, CRON, start).zone("Europe/Oslo");
    schedules.save(&schedule.ends(began + Duration::from_secs(3600)))?;

    for nth in 1..=2 {
        println!("report {nth}: {}", reported.recv_timeout(PATIENCE)?);
    }
    schedules.pause(SCHEDULE, Some("seen enough"))?;
    let paused = schedules.get(SCHEDULE)?;
    println!("paused: {}, {}", paused.paused, paused.paused_reason.unwrap_or_default());

    let mut n_completed = 0;
    for run in runs(&client, began, 2)? {
        // A run whose workflow could not be started has no workflow, but a reason.
        let Some(id) = run.workflow_id else {
            println!("run {}: {}", run.state, run.reason.unwrap_or_default());
            continue;
        };
        let done = client.workflows().wait(&id, PATIENCE)?;
        println!("run {}: {id} is {} with {}", run.state, done.status, done.output);
        n_completed += 1;
    }
    println!("at least two runs: {}", n_completed >= 2);

    schedules.delete(SCHEDULE)?;
    let report = runner.stop(Duration::from_secs(10));
    println!("deleted, stopped, clean: {}", report.is_clean());
    Ok(())
}
