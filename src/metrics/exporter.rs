//! The listener behind `Metrics::serve`.

use std::net::SocketAddr;

use super::{Metrics, Readiness};
use crate::error::{Error, ErrorKind, Result};

#[derive(Debug)]
pub(super) struct Exporter {
    address: SocketAddr,
}

impl Exporter {
    pub(super) fn start(_: Metrics, address: SocketAddr, _: Readiness) -> Result<Self> {
        Err(Error::new(ErrorKind::Local, format!("serve metrics on {address}"), "there is no listener"))
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}
