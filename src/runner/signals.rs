//! SIGTERM and SIGINT as a channel, from before the first poll until the last result.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, bounded};
use signal_hook::{
    SigId,
    consts::{SIGINT, SIGTERM},
    flag,
    iterator::{Handle, Signals},
    low_level,
};

use crate::{
    error::{Error, ErrorKind, Result},
    runner::crew::Alarm,
};

/// Once caught, signals do nothing for ever; the actions give them their usual effect back while nobody listens.
static USE: Mutex<Use> = Mutex::new(Use { n_listeners: 0, default_actions: Vec::new() });

/// Who signals a program and then its group, as `timeout` and some supervisors do, has one wish, not two.
const ONE_WISH: Duration = Duration::from_millis(500);

struct Use {
    n_listeners: usize,
    default_actions: Vec<SigId>,
}

impl Use {
    fn begin(&mut self) {
        self.n_listeners += 1;
        for id in self.default_actions.drain(..) {
            low_level::unregister(id);
        }
    }

    fn end(&mut self) {
        self.n_listeners -= 1;
        if self.n_listeners > 0 {
            return;
        }
        let always = Arc::new(AtomicBool::new(true));
        for signal in [SIGTERM, SIGINT] {
            match flag::register_conditional_default(signal, Arc::clone(&always)) {
                Ok(id) => self.default_actions.push(id),
                Err(e) => log::warn!("signal {signal} has no effect any more: {e}"),
            }
        }
    }
}

/// The signals that stop a program, caught while this lives.
pub(super) struct StopSignals {
    /// Written once for each signal; does not close.
    pub(super) heard: Receiver<i32>,
    /// Keeps it open: that the listener panicked is told by the alarm, and is no signal.
    _open: Sender<i32>,
    closer: Handle,
    listener: Option<JoinHandle<()>>,
}

impl StopSignals {
    /// # Errors
    /// When the system does not let them be caught, or no thread can be started.
    pub(super) fn catch(alarm: &Arc<Alarm>) -> Result<Self> {
        let failed = |e: io::Error| Error::new(ErrorKind::Local, "catch signals", e.to_string()).with_source(e);
        let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(failed)?;
        let closer = signals.handle();
        let (open, heard) = bounded(8);
        let (heard_in, alarm) = (open.clone(), Arc::clone(alarm));
        let listen = move || {
            let mut first: Option<Instant> = None;
            for signal in signals.forever() {
                let now = Instant::now();
                if first.is_some_and(|first| now.duration_since(first) < ONE_WISH) {
                    continue;
                }
                first.get_or_insert(now);
                // An eighth signal and more say nothing new.
                let _full = heard_in.try_send(signal);
            }
        };
        let listener = thread::Builder::new().name("signals".to_owned()).spawn(move || alarm.guard("signals", listen));
        let listener = Some(listener.map_err(failed)?);
        USE.lock().unwrap_or_else(PoisonError::into_inner).begin();
        Ok(Self { heard, _open: open, closer, listener })
    }
}

impl Drop for StopSignals {
    /// From here on a signal ends the program again, unless another runner listens.
    fn drop(&mut self) {
        USE.lock().unwrap_or_else(PoisonError::into_inner).end();
        self.closer.close();
        if let Some(listener) = self.listener.take() {
            // Its panic has gone to the alarm.
            let _guarded = listener.join();
        }
    }
}
