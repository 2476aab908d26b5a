//! Whether each worker polls: what `wait_until_polling` waits for and `/ready` tells. Written by the pollers.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    error::{Error, ErrorKind, Result},
    task::FAR,
};

/// The state of every worker's polling.
#[derive(Debug)]
pub(crate) struct Readiness {
    workers: Mutex<BTreeMap<String, Polling>>,
    changed: Condvar,
    /// Set before `changed` is told.
    stopped: AtomicBool,
}

#[derive(Debug)]
struct Polling {
    polls: Polls,
    is_paused: bool,
}

#[derive(Debug)]
enum Polls {
    NotYet,
    Work,
    Fail(Arc<Error>),
}

impl Polling {
    fn is_trouble(&self) -> bool {
        !self.is_paused && !matches!(self.polls, Polls::Work)
    }
}

impl Readiness {
    pub(crate) fn new<'a>(workers: impl Iterator<Item = (&'a str, Option<&'a str>)>) -> Self {
        let workers = workers
            .map(|(task_type, domain)| (name(task_type, domain), Polling { polls: Polls::NotYet, is_paused: false }))
            .collect();
        Self { workers: Mutex::new(workers), changed: Condvar::new(), stopped: AtomicBool::new(false) }
    }

    fn workers(&self) -> MutexGuard<'_, BTreeMap<String, Polling>> {
        // Each change is a single assignment, so poisoning means nothing.
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn polled(&self, task_type: &str, domain: Option<&str>) {
        self.set(task_type, domain, Polls::Work);
    }

    /// A worker that is paused is no trouble, whatever became of its last poll.
    pub(crate) fn set_paused(&self, task_type: &str, domain: Option<&str>, is_paused: bool) {
        if let Some(known) = self.workers().get_mut(&name(task_type, domain)).filter(|w| w.is_paused != is_paused) {
            *known = Polling { polls: Polls::NotYet, is_paused };
            self.changed.notify_all();
        }
    }

    pub(crate) fn failed(&self, task_type: &str, domain: Option<&str>, error: &Arc<Error>) {
        self.set(task_type, domain, Polls::Fail(Arc::clone(error)));
    }

    fn set(&self, task_type: &str, domain: Option<&str>, polls: Polls) {
        let mut workers = self.workers();
        if let Some(known) = workers
            .get_mut(&name(task_type, domain))
            .filter(|known| !matches!((&known.polls, &polls), (Polls::Work, Polls::Work)))
        {
            known.polls = polls;
            self.changed.notify_all();
        }
    }

    /// How many workers had a poll fail last.
    pub(crate) fn n_failing(&self) -> usize {
        self.workers().values().filter(|known| matches!(known.polls, Polls::Fail(_))).count()
    }

    /// The runner has stopped, so nothing will poll any more.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        // Whoever waits has seen the flag, or is told.
        drop(self.workers());
        self.changed.notify_all();
    }

    /// Whether a worker that shall poll does not, while nobody stops the runner.
    pub(crate) fn is_in_trouble(&self) -> bool {
        !self.stopped.load(Ordering::Acquire) && self.workers().values().any(Polling::is_trouble)
    }

    /// What keeps the runner from being ready; empty when nothing does.
    pub(crate) fn problems(&self) -> Vec<String> {
        if self.stopped.load(Ordering::Acquire) {
            return vec!["the runner is stopping, or has stopped".to_owned()];
        }
        let tell = |(name, known): (&String, &Polling)| match &known.polls {
            _ if known.is_paused => None,
            Polls::Work => None,
            Polls::NotYet => Some(format!("{name}: no poll has been answered yet")),
            Polls::Fail(error) => Some(format!("{name}: {error}")),
        };
        self.workers().iter().filter_map(tell).collect()
    }

    /// Waits until the last poll of every worker that is not paused was answered.
    pub(crate) fn wait(&self, limit: Duration) -> Result<()> {
        let end = Instant::now() + limit.min(FAR);
        let mut workers = self.workers();
        while self.stopped.load(Ordering::Acquire) || workers.values().any(Polling::is_trouble) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || self.stopped.load(Ordering::Acquire) {
                let cause = workers.values().find_map(|known| match &known.polls {
                    Polls::Fail(error) => Some(Arc::clone(error)),
                    _ => None,
                });
                drop(workers);
                let message = format!("not within {} ms: {}", limit.as_millis(), self.problems().join("; "));
                let error = Error::new(ErrorKind::Deadline, "wait until polling", message);
                return Err(match cause {
                    Some(cause) => error.with_source(cause),
                    None => error,
                });
            }
            workers = self.changed.wait_timeout(workers, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }
}

fn name(task_type: &str, domain: Option<&str>) -> String {
    domain.map_or_else(|| task_type.to_owned(), |domain| format!("{task_type} in domain {domain}"))
}
