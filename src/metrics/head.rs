//! The head of a request to the exporter, judged before anything acts on it. Pure: bytes in, verdict out. It takes what a
//! scraper or a health check sends and refuses the rest, so that no request can be read in two ways.

/// A head longer than this is refused. Scrapers send 200 to 500 bytes.
pub(super) const MOST_HEAD_BYTES: usize = 8 * 1024;

/// A request worth an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) page: Page,
    pub(super) wants_body: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Metrics,
    Health,
    Ready,
}

/// Why a request gets no page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Malformed(&'static str),
    UnknownPath,
    OtherMethod,
    TooSlow,
    TooLarge,
    TooMany,
}

impl Refusal {
    pub(super) fn status(self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::UnknownPath => 404,
            Self::OtherMethod => 405,
            Self::TooSlow => 408,
            Self::TooLarge => 431,
            Self::TooMany => 503,
        }
    }

    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Malformed(why) => why,
            Self::UnknownPath => "there are /metrics, /health and /ready",
            Self::OtherMethod => "only GET and HEAD are answered",
            Self::TooSlow => "the request did not arrive in time",
            Self::TooLarge => "the head of the request is longer than 8192 bytes",
            Self::TooMany => "too many connections are waiting",
        }
    }
}

/// The length of the head that `bytes` begin with, once its empty line is there. `seen` bytes were looked at before.
pub(super) fn head_len(bytes: &[u8], seen: usize) -> Option<usize> {
    // An empty line that ends in a bare LF ends the head as well: it is malformed, and there is nothing to wait for.
    let ends_here = |at: &usize| bytes[..=*at].ends_with(b"\n\r\n") || bytes[..=*at].ends_with(b"\n\n");
    (seen..bytes.len()).find(ends_here).map(|at| at + 1)
}

/// Judges a whole head, its empty line included.
pub(super) fn parse(head: &[u8]) -> Result<Request, Refusal> {
    let malformed = |why| Err(Refusal::Malformed(why));
    let Some(head) = head.strip_suffix(b"\r\n\r\n") else {
        return malformed("lines must end in CRLF");
    };
    let Ok(head) = std::str::from_utf8(head) else {
        return malformed("the head is not text");
    };
    let mut lines = head.split("\r\n");
    let request_line = lines.next().unwrap_or_default();
    if head.split("\r\n").any(|line| line.contains(|c: char| c.is_control() && c != '\t')) {
        return malformed("the head holds control characters");
    }
    let [method, target, version] = request_line.split(' ').collect::<Vec<_>>()[..] else {
        return malformed("the request line must be: method, path, version");
    };
    if method.is_empty() || !method.bytes().all(|c| c.is_ascii_alphabetic()) {
        return malformed("the method is not a word");
    }
    if !matches!(version, "HTTP/1.0" | "HTTP/1.1") {
        return malformed("the version must be HTTP/1.0 or HTTP/1.1");
    }
    if !target.starts_with('/') {
        return malformed("the path must begin with a slash");
    }
    let has_body = check_fields(lines)?;
    let page = match target.split_once('?').map_or(target, |(path, _)| path) {
        "/metrics" => Page::Metrics,
        "/health" => Page::Health,
        "/ready" => Page::Ready,
        _ => return Err(Refusal::UnknownPath),
    };
    let wants_body = match method {
        "GET" => true,
        "HEAD" => false,
        _ => return Err(Refusal::OtherMethod),
    };
    if has_body {
        return malformed("a body is not accepted");
    }
    Ok(Request { page, wants_body })
}

/// Checks the header fields and says whether they announce a body.
fn check_fields<'a>(lines: impl Iterator<Item = &'a str>) -> Result<bool, Refusal> {
    let is_token = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
    let mut has_body = false;
    for line in lines {
        let (name, value) = line.split_once(':').unwrap_or(("", ""));
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(Refusal::Malformed("each header must be: name, colon, value"));
        }
        has_body |= name.eq_ignore_ascii_case("transfer-encoding");
        has_body |= name.eq_ignore_ascii_case("content-length") && value.trim() != "0";
    }
    Ok(has_body)
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: Request = Request { page: Page::Metrics, wants_body: true };

    #[test]
    fn what_scrapers_and_health_checks_send_is_understood() {
        for (head, expected) in [
            ("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", METRICS),
            ("GET /metrics HTTP/1.0\r\n\r\n", METRICS),
            ("GET /metrics?name[]=task_poll_total&x=%20 HTTP/1.1\r\nHost: a\r\n\r\n", METRICS),
            ("GET /metrics HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\nX:\r\nY: a:b\t\u{e9}\r\n\r\n", METRICS),
            ("HEAD /health HTTP/1.1\r\nHost: a\r\n\r\n", Request { page: Page::Health, wants_body: false }),
            ("GET /ready HTTP/1.1\r\nHost: a\r\n\r\n", Request { page: Page::Ready, wants_body: true }),
        ] {
            assert_eq!(parse(head.as_bytes()), Ok(expected), "{head:?}");
        }
    }

    #[test]
    fn what_is_odd_or_can_be_read_in_two_ways_is_refused() {
        for (head, status) in [
            ("GET / HTTP/1.1\r\n\r\n", 404),
            ("GET /metrics/ HTTP/1.1\r\n\r\n", 404),
            ("GET /../metrics HTTP/1.1\r\n\r\n", 404),
            ("GET /%6detrics HTTP/1.1\r\n\r\n", 404),
            ("POST /nowhere HTTP/1.1\r\nContent-Length: 5\r\n\r\n", 404),
            ("POST /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\n", 405),
            ("get /metrics HTTP/1.1\r\n\r\n", 405),
            ("OPTIONS /metrics HTTP/1.1\r\n\r\n", 405),
            ("GET /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\n", 400),
            ("GET /metrics HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n", 400),
            ("GET /metrics HTTP/1.1\r\nContent-Length: +0\r\n\r\n", 400),
            ("GET /metrics HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\n", 400),
            ("GET /metrics HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n", 400),
            ("GET /metrics HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400),
            ("GET /metrics HTTP/1.1\r\nno colon\r\n\r\n", 400),
            ("GET /metrics HTTP/1.1\r\n: no name\r\n\r\n", 400),
            ("GET /metrics HTTP/1.1\r\nA: b\rC: d\r\n\r\n", 400),
            ("GET /metrics HTTP/1.1\r\nA: b\nC: d\r\n\r\n", 400),
            ("GET /metrics HTTP/1.1\r\nA: \0\r\n\r\n", 400),
            ("GET /metrics HTTP/1.1\n\n", 400),
            ("GET /metrics HTTP/2.0\r\n\r\n", 400),
            ("GET /metrics\r\n\r\n", 400),
            ("GET  /metrics HTTP/1.1\r\n\r\n", 400),
            ("GET /metrics HTTP/1.1 \r\n\r\n", 400),
            ("GET http://a/metrics HTTP/1.1\r\n\r\n", 400),
            (" /metrics HTTP/1.1\r\n\r\n", 400),
            ("\r\n\r\n", 400),
            ("", 400),
        ] {
            assert_eq!(parse(head.as_bytes()).map_err(Refusal::status), Err(status), "{head:?}");
        }
        assert_eq!(parse(b"GET /metrics HTTP/1.1\r\nA: \xff\r\n\r\n").map_err(Refusal::status), Err(400));
    }

    #[test]
    fn a_head_ends_at_its_empty_line_wherever_reads_cut_it() {
        let bytes = b"GET / HTTP/1.1\r\nA: b\r\n\r\nrest\r\n\r\n";
        let end = bytes.len() - "rest\r\n\r\n".len();
        for cut in 0..bytes.len() {
            let early = head_len(&bytes[..cut], 0);
            assert_eq!(early, (cut >= end).then_some(end), "cut at {cut}");
            assert_eq!(early.or_else(|| head_len(bytes, cut)), Some(end), "cut at {cut}");
        }
        assert_eq!(head_len(b"GET / HTTP/1.1\n\nrest", 0), Some(16));
        assert_eq!(head_len(b"\r\n", 0), None);
    }
}
