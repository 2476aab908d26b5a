//! The listening socket: requests as they come in, and answers as bytes.

use std::{io::Write, net::SocketAddr};

use percent_encoding::percent_decode_str;

use crate::error::{Error, ErrorKind, Result};

use super::routes::{Call, Reply};

/// The socket on a free loopback port.
pub(super) struct Listener {
    server: tiny_http::Server,
    address: SocketAddr,
}

/// A request with its body, still to be answered.
pub(super) struct Incoming {
    request: tiny_http::Request,
    body: Vec<u8>,
}

impl Listener {
    pub(super) fn bind() -> Result<Self> {
        let failed = |message: &str| Error::new(ErrorKind::Local, "start the embedded server", message);
        let server =
            tiny_http::Server::http("127.0.0.1:0").map_err(|e| failed("no loopback port to be had").with_source(e))?;
        let address = server.server_addr().to_ip().ok_or_else(|| failed("the socket has no IP address"))?;
        Ok(Self { server, address })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next request; `None` once the server stops, which [`Listener::wake`] makes heard.
    pub(super) fn next(&self, is_stopping: impl Fn() -> bool) -> Option<Incoming> {
        loop {
            let received = self.server.recv();
            if is_stopping() {
                if let Ok(request) = received {
                    Incoming { request, body: Vec::new() }.refuse();
                }
                return None;
            }
            // An error is that of one connection that could not be accepted.
            let Ok(mut request) = received else { continue };
            let mut body = Vec::new();
            match request.as_reader().read_to_end(&mut body) {
                Ok(_) => return Some(Incoming { request, body }),
                // The client has gone before it sent all: there is nobody to answer.
                Err(_) => continue,
            }
        }
    }

    /// Lets `n` waiting threads look whether the server stops: one wake-up reaches one of them.
    pub(super) fn wake(&self, n: usize) {
        (0..n).for_each(|_| self.server.unblock());
    }

    /// Answers what came in after the threads ended.
    pub(super) fn refuse_the_rest(&self) {
        while let Ok(Some(request)) = self.server.try_recv() {
            Incoming { request, body: Vec::new() }.refuse();
        }
    }
}

impl Incoming {
    /// The path with the query, as it came.
    pub(super) fn path(&self) -> &str {
        self.request.url()
    }

    pub(super) fn call(&self) -> Call {
        let (path, query) = self.path().split_once('?').unwrap_or((self.path(), ""));
        let content_type = self.request.headers().iter().find(|header| header.field.equiv("Content-Type"));
        Call {
            method: self.request.method().as_str().to_owned(),
            path: path.trim_start_matches('/').split('/').map(decoded).collect(),
            query: query.split('&').filter(|part| !part.is_empty()).map(parameter).collect(),
            content_type: content_type.map(|header| header.value.as_str().to_owned()),
            body: self.body.clone(),
        }
    }

    /// Writes the answer in one piece: in two, the second would wait for the client to acknowledge the first.
    pub(super) fn answer(self, reply: &Reply) {
        self.write(reply, "keep-alive");
    }

    fn refuse(self) {
        self.write(&Reply::empty(503), "close");
    }

    fn write(self, reply: &Reply, connection: &str) {
        let status = tiny_http::StatusCode(reply.status);
        let mut head = format!("HTTP/1.1 {} {}\r\n", reply.status, status.default_reason_phrase());
        if let Some(content_type) = reply.content_type {
            head = head + "Content-Type: " + content_type + "\r\n";
        }
        // A 204 has no body and may not say how long it is.
        if reply.status != 204 {
            head += &format!("Content-Length: {}\r\n", reply.body.len());
        }
        head += &format!("Connection: {connection}\r\n\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend(&reply.body);
        let mut writer = self.request.into_writer();
        // A client that has gone does not want its answer.
        drop(writer.write_all(&bytes).and_then(|()| writer.flush()));
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn parameter(text: &str) -> (String, String) {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    let decoded = |part: &str| decoded(&part.replace('+', " "));
    (decoded(name), decoded(value))
}
