//! Code of the user that threads of ours share. Whoever has it last drops what it captures; a panic of that ends here, as one
//! of a call ends where it is called.

use std::{
    any::Any,
    ops::Deref,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// A closure of the user.
pub(crate) struct Callback<F: ?Sized>(Option<Box<F>>);

impl<F: ?Sized> Callback<F> {
    pub(crate) fn new(closure: Box<F>) -> Self {
        Self(Some(closure))
    }
}

impl<F: ?Sized> Deref for Callback<F> {
    type Target = F;

    #[expect(clippy::expect_used, reason = "it is there until it is dropped")]
    fn deref(&self) -> &F {
        self.0.as_deref().expect("a closure")
    }
}

impl<F: ?Sized> Drop for Callback<F> {
    fn drop(&mut self) {
        let closure = self.0.take();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(closure))) {
            log::warn!("what a handler or a callback captured panicked when it was dropped");
            discard(panic);
        }
    }
}

/// Drops the payload of a user's panic. That may panic too, and then it is left alone.
pub(crate) fn discard(panic: Box<dyn Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        #[expect(clippy::mem_forget, reason = "its drop may panic as well, and nothing would be won")]
        std::mem::forget(second);
    }
}
