//! Threads of one kind that start when there is work and end when there is none; and the alarm that ends the runner when
//! a thread of ours panics.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::{
    metrics::Metrics,
    runner::{readiness::Readiness, retry::Trouble},
};

/// Tells every thread of a runner to stop, once: its receivers see the channel close.
#[derive(Debug)]
pub(crate) struct Alarm {
    /// The only sender of the stop channel; nothing is ever sent.
    stop: Mutex<Option<Sender<()>>>,
    /// What a thread of ours panicked with, to be raised again where the runner is stopped.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    metrics: Metrics,
    readiness: Arc<Readiness>,
}

impl Alarm {
    pub(crate) fn new(metrics: Metrics, readiness: Arc<Readiness>) -> (Arc<Self>, Receiver<()>) {
        let (sender, receiver) = bounded(0);
        (Arc::new(Self { stop: Mutex::new(Some(sender)), panic: Mutex::new(None), metrics, readiness }), receiver)
    }

    pub(crate) fn stop(&self) {
        self.readiness.stop();
        drop(self.stop.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    pub(crate) fn take_panic(&self) -> Option<Box<dyn Any + Send>> {
        self.panic.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Runs a thread's work; a panic in it stops the runner.
    pub(crate) fn guard(&self, name: &str, work: impl FnOnce()) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
            self.metrics.uncaught("RunnerPanic");
            log::error!("thread {name} of the runner panicked: the runner stops");
            self.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
            self.stop();
        }
    }
}

/// What each thread of a crew does.
type Work = dyn Fn(&Arc<Crew>) + Send + Sync;

/// Up to a number of threads that all do the same work. While there may be more of them, one is idle: work that comes
/// does not wait for a request that hangs.
pub(crate) struct Crew {
    name: &'static str,
    most: usize,
    n_started: AtomicUsize,
    /// Never held over anything that takes time.
    counts: Mutex<Counts>,
    work: Box<Work>,
    alarm: Arc<Alarm>,
    /// Closes when the last thread and the runner have let the crew go.
    _alive: Sender<()>,
}

#[derive(Debug, Default)]
struct Counts {
    n_threads: usize,
    n_idle: usize,
    /// The system had no thread for us; none is asked for before this.
    ask_again: Option<Instant>,
    trouble: Trouble,
}

/// How long a system that had no thread is not asked for another.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

impl Crew {
    pub(crate) fn new(
        name: &'static str,
        most: usize,
        alarm: Arc<Alarm>,
        work: impl Fn(&Arc<Crew>) + Send + Sync + 'static,
    ) -> (Arc<Self>, Receiver<()>) {
        let (alive, ended) = bounded(0);
        let crew = Self {
            name,
            most,
            n_started: AtomicUsize::new(0),
            counts: Mutex::default(),
            work: Box::new(work),
            alarm,
            _alive: alive,
        };
        (Arc::new(crew), ended)
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // Plain numbers and times, so poisoning means nothing.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a thread where none is idle, unless there are enough. Says whether there is a thread.
    pub(crate) fn call(self: &Arc<Self>) -> bool {
        {
            let mut counts = self.counts();
            if counts.n_idle > 0 || counts.n_threads >= self.most {
                return true;
            }
            if counts.n_threads > 0 && counts.ask_again.is_some_and(|at| Instant::now() < at) {
                return true;
            }
            counts.n_threads += 1;
            counts.n_idle += 1;
        }
        let name = format!("{}:{}", self.name, self.n_started.fetch_add(1, Ordering::Relaxed));
        let crew = Arc::clone(self);
        let started = thread::Builder::new().name(name.clone()).spawn(move || {
            crew.alarm.guard(&name, || (crew.work)(&crew));
        });
        let (now, mut counts) = (Instant::now(), self.counts());
        let Err(e) = started else {
            counts.ask_again = None;
            counts.trouble.worked(now);
            return true;
        };
        counts.n_threads -= 1;
        counts.n_idle -= 1;
        counts.ask_again = Some(now + ASK_AGAIN_AFTER);
        match counts.trouble.failed(now) {
            None => log::debug!("no further thread for {}: {e}", self.name),
            Some(_) => log::warn!("no further thread for {}, so requests wait for each other: {e}", self.name),
        }
        counts.n_threads > 0
    }

    /// Does what may take a while on the calling thread, which is one of the crew's; another one waits for work meanwhile.
    pub(crate) fn busy<T>(self: &Arc<Self>, work: impl FnOnce() -> T) -> T {
        self.counts().n_idle -= 1;
        self.call();
        let outcome = work();
        self.counts().n_idle += 1;
        outcome
    }

    /// Whether the calling thread may end; the last idle one stays.
    pub(crate) fn leave(&self) -> bool {
        let mut counts = self.counts();
        let may = counts.n_idle > 1;
        if may {
            counts.n_idle -= 1;
            counts.n_threads -= 1;
        }
        may
    }
}
