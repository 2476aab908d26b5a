//! The keeper: watches over the held tasks and has heartbeats and looks at them sent when they are due.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, TrySendError, select};

use crate::{
    client::Client,
    runner::{
        calls::{extend_lease, look},
        register::{Held, Register},
        verdict::{Verdict, is_gone, verdict},
    },
};

/// The keeper's ends of the channels to its helpers, which close when it ends. Looks at tasks have helpers of their own, so
/// that slow ones hold no heartbeat up.
pub(crate) struct Errands {
    pub(crate) beats: Sender<Arc<Held>>,
    pub(crate) checks: Sender<Arc<Held>>,
}

/// Hands out heartbeats and looks when they are due, until `stop` closes.
pub(crate) fn keep(register: &Register, nudge: &Receiver<()>, stop: &Receiver<()>, errands: &Errands) {
    /// What could not be handed out is tried again after this, and no task is looked at more often.
    const AGAIN: Duration = Duration::from_millis(10);
    loop {
        let now = Instant::now();
        for held in register.due(now) {
            hand_out(register, held, now, errands);
        }
        let wake = register.plan().map(|due| due.max(now + AGAIN));
        let timer = wake.map_or_else(crossbeam_channel::never, crossbeam_channel::at);
        select! {
            recv(stop) -> _ => return,
            recv(nudge) -> _ => {}
            recv(timer) -> _ => {}
        }
    }
}

/// Hands out what is due for one task. What finds the helpers all busy stays due.
fn hand_out(register: &Register, held: Arc<Held>, now: Instant, errands: &Errands) {
    let due = held.take_due(now, register.check_every);
    if due.overrun {
        register.tell_overrun(&held);
    }
    if due.check {
        // Full means that it is not asked about this time.
        let _full = errands.checks.try_send(Arc::clone(&held));
    }
    if due.beat {
        if let Err(TrySendError::Full(held)) = errands.beats.try_send(held) {
            held.beat_stays_due(now);
        }
    }
}

/// Sends one heartbeat, unless a report is on its way.
pub(crate) fn beat(client: &Client, register: &Register, held: &Held) {
    let begun = Instant::now();
    if let Some(limit) = held.begin_beat(begun) {
        let outcome = extend_lease(client, held, limit);
        match (verdict(&outcome), outcome) {
            (Verdict::Settled, _) => {
                held.metrics.heartbeat();
                register.note_beat(held, None);
                held.known();
                held.end_beat(begun);
            }
            (verdict, outcome) => {
                held.metrics.heartbeat_failed();
                let error = outcome.err();
                if verdict == Verdict::Gone {
                    held.gone(Instant::now());
                } else {
                    register.note_beat(held, error.as_ref());
                }
                let asked_to_wait = error.as_ref().and_then(|e| e.retry_after());
                held.fail_beat(asked_to_wait, error.is_some_and(|e| e.may_have_been_done()));
            }
        }
    }
    register.look_again(held);
}

/// Looks whether the server still wants the task.
pub(crate) fn check(client: &Client, register: &Register, held: &Held) {
    match look(client, held) {
        Ok(task) if task.status.is_terminal() => held.end(),
        Ok(_) => held.known(),
        Err(error) if is_gone(&error) => held.gone(Instant::now()),
        Err(error) => log::debug!("{error} {held}"),
    }
    register.look_again(held);
}
