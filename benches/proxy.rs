//! A forwarding TCP proxy that counts connections. Part of `figures`.

use std::{
    io,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{Builder, JoinHandle},
};

/// Passes on what comes to its port. It stops taking connections when it is dropped.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    n_opened: Arc<AtomicUsize>,
    stopping: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Proxy {
    pub(crate) fn start(to: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let (n_opened, stopping) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let (count, stop) = (Arc::clone(&n_opened), Arc::clone(&stopping));
        let accept = move || {
            for client in listener.incoming() {
                if stop.load(Ordering::Acquire) {
                    return;
                }
                count.fetch_add(1, Ordering::Relaxed);
                // A connection that can't be passed on is seen as closed by its client.
                drop(client.and_then(|client| pass_on(client, to)));
            }
        };
        let accepting = Builder::new().name("proxy:accept".to_owned()).spawn(accept)?;
        Ok(Self { address, n_opened, stopping, accepting: Some(accepting) })
    }

    /// How many connections were opened so far.
    pub(crate) fn n_opened(&self) -> usize {
        self.n_opened.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        // Wakes the thread, which waits for a connection.
        let woken = TcpStream::connect(self.address);
        if let (Ok(_), Some(accepting)) = (woken, self.accepting.take()) {
            drop(accepting.join());
        }
    }
}

/// Starts two threads that pass on what comes, one for each direction; they end when both sides have closed.
fn pass_on(client: TcpStream, to: SocketAddr) -> io::Result<()> {
    let server = TcpStream::connect(to)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let copies = [(client.try_clone()?, server.try_clone()?), (server, client)];
    for (mut from, mut to) in copies {
        let copy = move || {
            // However one direction ends, the other side is told so.
            drop(io::copy(&mut from, &mut to));
            drop(to.shutdown(Shutdown::Write));
        };
        Builder::new().name("proxy:copy".to_owned()).spawn(copy)?;
    }
    Ok(())
}
