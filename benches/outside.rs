//! Figures of a worker process, seen from outside. Part of `figures`.

use std::time::{Duration, Instant};

use conductor_sync::{
    TaskStatus,
    embedded::{EmbeddedServer, SeenRequest},
};

use crate::{
    Figure,
    child::WorkerProcess,
    ended_inside,
    proxy::Proxy,
    site::{Outcome, Site, TASK, rest},
    start_inside,
};

/// SIGTERM while 20 tasks of 2 s run and 20 more wait.
pub(crate) fn sigterm() -> Outcome<Figure> {
    const N_THREADS: usize = 20;
    let site = Site::open()?;
    let name = site.define("figures_sigterm", |task| task)?;
    let ids = site.start(&name, 2 * N_THREADS)?;
    let mut worker = WorkerProcess::start(site.client.server_url(), N_THREADS, Duration::from_secs(2), &[name])?;
    let count = |wanted: TaskStatus| -> Outcome<usize> {
        let mut n = 0;
        for id in &ids {
            n += usize::from(site.client.workflows().get(id)?.task(TASK).is_some_and(|task| task.status == wanted));
        }
        Ok(n)
    };
    let end = Instant::now() + Duration::from_secs(10);
    while count(TaskStatus::InProgress)? < N_THREADS {
        if Instant::now() > end {
            return Err("the worker process did not take the tasks".into());
        }
    }
    let status = worker.terminate(Duration::from_secs(25))?;
    let (n_completed, n_left) = (count(TaskStatus::Completed)?, count(TaskStatus::InProgress)?);
    for id in &ids {
        if !site.client.workflows().status(id)?.status.is_terminal() {
            site.client.workflows().terminate(id, Some("the measurement is over"))?;
        }
    }
    let holds = n_left == 0 && n_completed >= N_THREADS && status.success();
    Ok(Figure { measured: format!("{n_left} left, {n_completed} completed"), holds })
}

/// The connections that a worker process opens for some thousand tasks. The embedded server closes none; the real one closes
/// each on its 100th request (3.32.1).
pub(crate) fn connections() -> Outcome<Figure> {
    const N_TASKS: usize = 4000;
    const N_THREADS: usize = 20;
    const BAR: usize = N_THREADS + 1 + 2;
    let server = EmbeddedServer::start()?;
    let site = Site::at(&server.url())?;
    let name = site.define("figures_connections", |task| task)?;
    let url = site.client.server_url().to_owned();
    let address = url.trim_start_matches("http://").trim_end_matches("/api").parse()?;
    let proxy = Proxy::start(address)?;
    let ids = start_inside(&server, &name, N_TASKS)?;
    let through_proxy = format!("http://{}/api", proxy.address);
    let mut worker = WorkerProcess::start(&through_proxy, N_THREADS, Duration::from_millis(1), &[name])?;
    let workflows = ended_inside(&server, &ids, Duration::from_secs(60))?;
    let status = worker.terminate(Duration::from_secs(25))?;
    let n_opened = proxy.n_opened();
    let holds = n_opened <= BAR && status.success() && workflows.len() == N_TASKS;
    Ok(Figure { measured: format!("{n_opened} opened in all"), holds })
}

/// What a worker process with 20 task types costs while there is nothing to do.
pub(crate) fn idle() -> Outcome<Figure> {
    const N_TYPES: usize = 20;
    const WINDOW: Duration = Duration::from_secs(12);
    let server = EmbeddedServer::start()?;
    let site = Site::at(&server.url())?;
    let names: Result<Vec<String>, _> = (0..N_TYPES).map(|_| site.define("figures_idle", |task| task)).collect();
    let worker = WorkerProcess::start(site.client.server_url(), N_TYPES, Duration::ZERO, &names?)?;
    server.wait_until("20 polls that are held for 2 s", Duration::from_secs(30), |view| {
        let held = |r: &&SeenRequest| r.path.contains("timeout=2000");
        view.requests().iter().rev().take(N_TYPES).filter(held).count() == N_TYPES
    })?;
    let n_before = server.requests().len();
    let (used_before, begun) = (worker.processor_time()?, Instant::now());
    rest(WINDOW);
    let n_requests = u32::try_from(server.requests().len() - n_before)?;
    let used = worker.processor_time()?.saturating_sub(used_before);
    let took = begun.elapsed().as_secs_f64();
    let per_second = f64::from(n_requests) / took;
    let percent = 100.0 * used.as_secs_f64() / took;
    let holds = per_second <= 12.0 && percent <= 0.5;
    Ok(Figure { measured: format!("{per_second:.1} requests/s, {percent:.2} %"), holds })
}
