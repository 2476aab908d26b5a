//! Threads of one kind that start when there is work and end when there is none; and the alarm that ends the runner when
//! a thread of ours panics.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::metrics::Metrics;

/// Tells every thread of a runner to stop, once: its receivers see the channel close.
#[derive(Debug)]
pub(crate) struct Alarm {
    /// The only sender of the stop channel; nothing is ever sent.
    stop: Mutex<Option<Sender<()>>>,
    /// What a thread of ours panicked with, to be raised again where the runner is stopped.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    metrics: Metrics,
}

impl Alarm {
    pub(crate) fn new(metrics: Metrics) -> (Arc<Self>, Receiver<()>) {
        let (sender, receiver) = bounded(0);
        (Arc::new(Self { stop: Mutex::new(Some(sender)), panic: Mutex::new(None), metrics }), receiver)
    }

    pub(crate) fn stop(&self) {
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

/// Up to a number of threads that all do the same work.
pub(crate) struct Crew {
    name: &'static str,
    most: usize,
    n_threads: AtomicUsize,
    n_started: AtomicUsize,
    work: Box<Work>,
    alarm: Arc<Alarm>,
    /// Closes when the last thread and the runner have let the crew go.
    _alive: Sender<()>,
}

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
            n_threads: AtomicUsize::new(0),
            n_started: AtomicUsize::new(0),
            work: Box::new(work),
            alarm,
            _alive: alive,
        };
        (Arc::new(crew), ended)
    }

    /// Starts another thread, unless there are enough.
    pub(crate) fn call(self: &Arc<Self>) {
        let more = |n: usize| (n < self.most).then_some(n + 1);
        if self.n_threads.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_err() {
            return;
        }
        let name = format!("{}:{}", self.name, self.n_started.fetch_add(1, Ordering::Relaxed));
        let crew = Arc::clone(self);
        let started = thread::Builder::new().name(name.clone()).spawn(move || {
            crew.alarm.guard(&name, || (crew.work)(&crew));
        });
        if let Err(e) = started {
            self.n_threads.fetch_sub(1, Ordering::AcqRel);
            log::warn!("no further thread for {}: {e}", self.name);
        }
    }

    /// Whether the calling thread may end; the last one stays.
    pub(crate) fn leave(&self) -> bool {
        let fewer = |n: usize| (n > 1).then(|| n - 1);
        self.n_threads.fetch_update(Ordering::AcqRel, Ordering::Acquire, fewer).is_ok()
    }

    pub(crate) fn n_threads(&self) -> usize {
        self.n_threads.load(Ordering::Acquire)
    }
}
