//! Figures about tasks in the hands of a worker. Part of `figures`.

use std::{collections::BTreeMap, fs, panic, time::Duration};

use conductor_sync::{TaskContext, TaskError, TaskRunner, Worker, Workflow, WorkflowStatus, embedded::EmbeddedServer};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    Figure,
    site::{Outcome, Site, TASK, rest},
};

/// The largest number of tasks that a worker with one dedicated thread holds, while several wait.
pub(crate) fn dedicated() -> Outcome<Figure> {
    let site = Site::open()?;
    let name = site.define("figures_dedicated", |task| task)?;
    let ids = site.start(&name, 10)?;
    let worker = Worker::new(&name, block).dedicated_threads(1);
    let runner = TaskRunner::new(&site.client).worker(worker).start()?;
    let workflows = site.ended(&ids, Duration::from_secs(20))?;
    drop(runner);
    held(&workflows, 1)
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
    let workflows = site.ended(&ids, Duration::from_secs(20))?;
    drop(runner);
    held(&workflows, N_THREADS + N_TYPES)
}

/// Takes 200 ms and tells when it was done.
fn block(_: &TaskContext, _: Value) -> Result<Value, TaskError> {
    rest(Duration::from_millis(200));
    Ok(json!({"done": now_ms()?}))
}

fn held(workflows: &[Workflow], bar: usize) -> Outcome<Figure> {
    let tasks: Vec<_> = workflows.iter().filter_map(|workflow| workflow.task(TASK)).collect();
    let on_server: Vec<_> = tasks.iter().map(|task| (task.start_time, task.end_time)).collect();
    let most = most_at_once(on_server);
    println!(
        "{:?}",
        tasks.iter().map(|task| (task.start_time, task.output_data.get(), task.end_time)).collect::<Vec<_>>()
    );
    Ok(Figure { measured: most.to_string(), holds: most <= bar })
}

fn now_ms() -> Result<i64, TaskError> {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(i64::try_from(since_1970.as_millis())?)
}

/// The largest number of spans that have a moment in common; a span ends just before its end.
fn most_at_once(spans: Vec<(i64, i64)>) -> usize {
    let mut changes: Vec<(i64, i32)> = spans.iter().flat_map(|(begin, end)| [(*begin, 1), (*end, -1)]).collect();
    // At the same time, ends come before begins.
    changes.sort_unstable();
    let mut n = 0;
    let counts = changes.iter().map(|(_, change)| {
        n += change;
        n
    });
    counts.max().and_then(|most| usize::try_from(most).ok()).unwrap_or_default()
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
    let name =
        site.define("figures_panics", |task| task.retries(0, conductor_sync::RetryLogic::Fixed, Duration::ZERO))?;
    let ids = site.start(&name, N_TASKS)?;
    // They are looked for in the results, not on standard error.
    panic::set_hook(Box::new(|_| {}));
    let runner = TaskRunner::new(&site.client).threads(N_THREADS).worker(Worker::new(&name, handler)).start()?;
    let before = threads()?;
    let workflows = site.ended(&ids, Duration::from_secs(60));
    let after = threads()?;
    drop(panic::take_hook());
    drop(runner);
    let workflows = workflows?;
    let is_right = |(n, workflow): (usize, &Workflow)| match panics(n) {
        true => {
            let task = workflow.task(TASK);
            let reason = task.and_then(|task| task.reason_for_incompletion.as_deref()).unwrap_or_default();
            workflow.status == WorkflowStatus::Failed && reason.contains(&format!("number {n}"))
        }
        false => {
            workflow.status == WorkflowStatus::Completed
                && workflow.output.get() == json!({"result": {"n": n}}).to_string()
        }
    };
    let n_right = workflows.iter().enumerate().filter(|each| is_right(*each)).count();
    let holds = n_right == N_TASKS && before == after;
    Ok(Figure {
        measured: format!(
            "{n_right} as they should, {} threads before and {} after: {before:?} {after:?}",
            before.len(),
            after.len()
        ),
        holds,
    })
}

/// The threads of the runner by their numbers: those of the pool, and all others that do not come and go with the load.
fn threads() -> Outcome<BTreeMap<u32, String>> {
    let mut threads = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/task")? {
        let entry = entry?;
        let name = fs::read_to_string(entry.path().join("comm"))?.trim_end().to_owned();
        threads.insert(entry.file_name().to_string_lossy().parse()?, name);
    }
    Ok(threads)
}
