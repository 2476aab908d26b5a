//! Slots: the right to hold one task, as a value. A slot travels with its task and goes back when it is dropped, so no
//! counter can go wrong. Used by the pollers (who take) and the pools (who give back by dropping).

use crossbeam_channel::{Receiver, Sender, bounded};

/// A number of places, each taken by a [`Token`].
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// Taken by pollers and updaters; holds one unit for each free place and never closes, since each clone keeps `give`.
    free: Receiver<()>,
    /// Written by dropped tokens; has room for all places.
    give: Sender<()>,
}

impl Places {
    pub(crate) fn new(n_places: usize) -> Self {
        let (give, free) = bounded(n_places);
        let places = Self { free, give };
        (0..n_places).for_each(|_| drop(places.token()));
        places
    }

    /// The channel to wait on; whoever receives a unit must call [`Places::token`] at once.
    pub(crate) fn free(&self) -> &Receiver<()> {
        &self.free
    }

    /// The token for a unit that was received.
    pub(crate) fn token(&self) -> Token {
        Token(self.give.clone())
    }

    /// A token, where a place is free.
    pub(crate) fn take(&self) -> Option<Token> {
        self.free.try_recv().ok().map(|()| self.token())
    }

    #[cfg(test)]
    pub(crate) fn n_free(&self) -> usize {
        self.free.len()
    }
}

/// One taken place; dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Token(Sender<()>);

impl Drop for Token {
    fn drop(&mut self) {
        // There is room for every place, so this neither waits nor fails.
        let _given = self.0.try_send(());
    }
}

/// The right to hold one task: a place in the pool and, where the worker is limited, one of its own.
#[derive(Debug)]
pub(crate) struct Slot {
    _pool: Token,
    _own: Option<Token>,
}

impl Slot {
    pub(crate) fn new(pool: Token, own: Option<Token>) -> Self {
        Self { _pool: pool, _own: own }
    }
}

/// The places one worker draws its slots from.
#[derive(Clone, Debug)]
pub(crate) struct SlotSource {
    pub(crate) pool: Places,
    pub(crate) own: Option<Places>,
}

impl SlotSource {
    /// A slot, where one is free.
    pub(crate) fn take(&self) -> Option<Slot> {
        let own = match &self.own {
            Some(own) => Some(own.take()?),
            None => None,
        };
        Some(Slot::new(self.pool.take()?, own))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_slot_is_free_again() {
        let source = SlotSource { pool: Places::new(2), own: Some(Places::new(1)) };
        let slot = source.take().unwrap();
        assert!(source.take().is_none(), "the worker's own limit is reached");
        assert_eq!(source.pool.n_free(), 1);
        drop(slot);
        assert_eq!(source.pool.n_free(), 2);
        assert!(source.take().is_some());
    }

    #[test]
    fn a_worker_without_room_takes_nothing_from_the_pool() {
        let source = SlotSource { pool: Places::new(1), own: None };
        let _held = source.take().unwrap();
        assert!(source.take().is_none());
    }
}
