//! Figures about tasks in the hands of a worker. Part of `figures`.

use std::{
    collections::BTreeMap,
    fs, panic,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use conductor_sync::{
    RetryLogic, Task, TaskContext, TaskError, TaskRunner, Worker, Workflow, WorkflowStatus, embedded::EmbeddedServer,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    Figure, ended, ended_inside,
    site::{Outcome, Site, TASK, rest},
    start_inside,
};

/// How many tasks a worker with one dedicated thread holds, while several wait.
pub(crate) fn dedicated() -> Outcome<Figure> {
    let site = Site::open()?;
    let name = site.define("figures_dedicated", |task| task)?;
    let ids = site.start(&name, 10)?;
    let worker = Worker::new(&name, block).dedicated_threads(1);
    let runner = TaskRunner::new(&site.client).worker(worker).start()?;
    let mut spans = spans(&ended(&site, &ids, Duration::from_secs(20))?)?;
    drop(runner);
    spans.sort_unstable_by_key(|span| span.begin);
    let most = most_at_once(&spans);
    let overlap = spans.windows(2).map(|pair| pair[0].end - pair[1].begin).max().unwrap_or_default().max(0);
    Ok(Figure {
        measured: format!("{most}, and for up to {overlap} ms the one whose result is on its way"),
        holds: most == 1,
    })
}

/// The same for a pool of 4 threads that 3 task types share: one of each type may wait for a thread.
pub(crate) fn shared() -> Outcome<Figure> {
    const N_THREADS: usize = 4;
    const N_TYPES: usize = 3;
    let site = Site::open()?;
    let mut ids = Vec::new();
    let mut runner = TaskRunner::new(&site.client).threads(N_THREADS);
    for _ in 0..N_TYPES {
        let name = site.define("figures_shared", |task| task)?;
        ids.extend(site.start(&name, 10)?);
        runner = runner.worker(Worker::new(&name, block));
    }
    let runner = runner.start()?;
    let most = most_at_once(&spans(&ended(&site, &ids, Duration::from_secs(20))?)?);
    drop(runner);
    Ok(Figure { measured: most.to_string(), holds: most <= N_THREADS + N_TYPES })
}

/// When a task was in progress on the server, and a moment when its handler ran; in ms.
#[derive(Deserialize)]
struct Span {
    #[serde(default)]
    begin: i64,
    #[serde(default)]
    end: i64,
    middle: i64,
}

/// Takes 200 ms and tells what the time was after 100 ms.
fn block(_: &TaskContext, _: Value) -> Result<Value, TaskError> {
    rest(Duration::from_millis(100));
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH)?;
    rest(Duration::from_millis(100));
    Ok(json!({"middle": u64::try_from(since_1970.as_millis())?}))
}

fn spans(workflows: &[Workflow]) -> Outcome<Vec<Span>> {
    let tasks = workflows.iter().filter_map(|workflow| workflow.task(TASK));
    let span = |task: &Task| -> Outcome<Span> {
        let Span { middle, .. } = task.output_data.decode()?;
        Ok(Span { begin: task.start_time, end: task.end_time, middle })
    };
    tasks.map(span).collect()
}

/// The largest number of tasks that were in progress at once. It is looked for while handlers run and not between them,
/// when the next task may be here before the last result is there.
fn most_at_once(spans: &[Span]) -> usize {
    let at = |moment: i64| spans.iter().filter(|span| span.begin <= moment && moment < span.end).count();
    spans.iter().map(|span| at(span.middle)).max().unwrap_or_default()
}

/// 10,000 tasks, of which every third panics: all end as they should, and the pool keeps its threads.
pub(crate) fn panics() -> Outcome<Figure> {
    const N_TASKS: usize = 10_000;
    const N_THREADS: usize = 8;
    #[derive(Deserialize)]
    struct Input {
        n: usize,
    }
    let panics = |n: usize| n % 3 == 2;
    let handler = move |_: &TaskContext, input: Input| -> Result<Value, TaskError> {
        assert!(!panics(input.n), "number {}", input.n);
        Ok(json!({"n": input.n}))
    };
    let server = EmbeddedServer::start()?;
    let site = Site::at(&server.url())?;
    let name = site.define("figures_panics", |task| task.retries(0, RetryLogic::Fixed, Duration::ZERO))?;
    let ids = start_inside(&server, &name, N_TASKS)?;
    // They are looked for in the results, not on standard error.
    panic::set_hook(Box::new(|_| {}));
    let runner = TaskRunner::new(&site.client).threads(N_THREADS).worker(Worker::new(&name, handler)).start()?;
    let before = started(N_THREADS + 3)?;
    let workflows = ended_inside(&server, &ids, Duration::from_secs(60));
    let after = threads()?;
    drop(panic::take_hook());
    drop(runner);
    let workflows = workflows?;
    let is_right = |(n, workflow): (usize, &Workflow)| {
        let reason = workflow.task(TASK).and_then(|task| task.reason_for_incompletion.as_deref()).unwrap_or_default();
        match panics(n) {
            true => workflow.status == WorkflowStatus::Failed && reason.ends_with(&format!("number {n}")),
            false => {
                let output = workflow.output.to_value();
                workflow.status == WorkflowStatus::Completed && output.is_ok_and(|o| o == json!({"result": {"n": n}}))
            }
        }
    };
    let n_right = workflows.iter().enumerate().filter(|each| is_right(*each)).count();
    let n_threads = format!("{} threads before, {} after", before.len(), after.len());
    let same = if before == after { "the same" } else { "**others**" };
    let holds = n_right == N_TASKS && before == after;
    Ok(Figure { measured: format!("{n_right} as they should, {n_threads}, {same}"), holds })
}

/// The threads of the runner that do not come and go with the load, once there are `n_threads`: those of the pool, the
/// poller, the keeper, and the one that holds retries.
fn started(n_threads: usize) -> Outcome<BTreeMap<u32, String>> {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let threads = threads()?;
        // A thread gives itself its name, at its first turn.
        if threads.len() == n_threads {
            return Ok(threads);
        }
        if Instant::now() > end {
            return Err(format!("expected {n_threads} threads: {threads:?}").into());
        }
        rest(Duration::from_millis(1));
    }
}

/// These threads by their numbers, with their names.
fn threads() -> Outcome<BTreeMap<u32, String>> {
    let mut threads = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/task")? {
        let entry = entry?;
        // One that comes and goes may end in this moment.
        let Ok(name) = fs::read_to_string(entry.path().join("comm")) else { continue };
        if ["work", "poll:", "keep", "retries"].iter().any(|kind| name.starts_with(kind)) {
            threads.insert(entry.file_name().to_string_lossy().parse()?, name);
        }
    }
    Ok(threads)
}
