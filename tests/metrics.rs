//! The exporter over real sockets: what it answers, and what clients that misbehave can't do to it.

#![cfg(feature = "metrics")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests stand outside #[test] functions")]

use std::{
    env, fs,
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    process::{self, Command},
    sync::{Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use conductor_sync::{Client, Config, ErrorKind, Health, Metrics, MetricsServer};

/// No wait in these tests is longer.
const PATIENCE: Duration = Duration::from_secs(20);

const GET: &str = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";

fn serve() -> MetricsServer {
    Metrics::new().serve("127.0.0.1:0").unwrap()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = connect(address);
    stream.write_all(request.as_bytes()).unwrap();
    answer(&mut stream)
}

/// Reads until the server closes.
fn answer(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("the server answers and closes in time");
    text
}

fn status(answer: &str) -> &str {
    answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).unwrap_or(answer)
}

/// Metrics in which one request was counted that got no answer.
fn metrics_of_a_client_without_a_server() -> Metrics {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let metrics = Metrics::new();
    let client = Client::with_metrics(Config::new(&format!("http://{unused}/api")).unwrap(), metrics.clone()).unwrap();
    client.tasks().get("t1").unwrap_err();
    metrics
}

#[test]
fn a_scrape_gets_the_text_format_with_its_length() {
    let metrics = metrics_of_a_client_without_a_server();
    let server = metrics.serve("127.0.0.1:0").unwrap();
    let answer = exchange(server.address(), GET);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(status(head), "200");
    for field in ["Content-Type: text/plain; version=0.0.4; charset=utf-8", "Connection: close"] {
        assert!(head.lines().any(|line| line == field), "no {field} in {head}");
    }
    assert!(head.contains(&format!("\r\nContent-Length: {}", body.len())), "{head}");
    assert_eq!(body, metrics.render());
    assert!(body.contains("http_api_client_request_seconds_count{method=\"GET\",status=\"0\",uri=\"/tasks/"), "{body}");
}

#[test]
fn head_gets_the_header_of_get_and_no_body() {
    let server = metrics_of_a_client_without_a_server().serve("127.0.0.1:0").unwrap();
    let get = exchange(server.address(), GET);
    let head = exchange(server.address(), &GET.replace("GET", "HEAD"));
    let without_date = |answer: &str| -> Vec<String> {
        let (head, _) = answer.split_once("\r\n\r\n").unwrap();
        head.lines().filter(|line| !line.starts_with("Date:")).map(str::to_owned).collect()
    };
    assert_eq!(without_date(&head), without_date(&get));
    assert!(head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn what_is_not_a_plain_request_for_a_known_page_is_refused() {
    let server = serve();
    let long = format!("GET /metrics HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(20_000));
    for (request, expected) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "404"),
        ("GET /metrics/x HTTP/1.1\r\nHost: a\r\n\r\n", "404"),
        ("POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}", "405"),
        ("DELETE /health HTTP/1.1\r\nHost: a\r\n\r\n", "405"),
        ("GET /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}", "400"),
        ("GET /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
        ("GET /metrics\n\n", "400"),
        ("\u{16}\u{3}\u{1} a client that speaks TLS", "400"),
        (long.as_str(), "431"),
    ] {
        let answer = exchange(server.address(), request);
        assert_eq!(status(&answer), expected, "{:?}: {answer}", request.get(..60));
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    }
    assert!(exchange(server.address(), "PUT /ready HTTP/1.1\r\n\r\n").contains("\r\nAllow: GET, HEAD\r\n"));
}

#[test]
fn bytes_behind_a_request_are_not_a_second_one() {
    let server = serve();
    let answer = exchange(server.address(), &format!("{GET}{GET}"));
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
}

#[test]
fn a_request_may_arrive_in_pieces() {
    let server = serve();
    let mut stream = connect(server.address());
    stream.set_nodelay(true).unwrap();
    for byte in GET.as_bytes() {
        stream.write_all(&[*byte]).unwrap();
    }
    assert_eq!(status(&answer(&mut stream)), "200");
}

#[test]
fn health_is_up_while_the_process_lives_and_ready_is_what_the_callback_says() {
    let server =
        Metrics::new().serve_with_health("127.0.0.1:0", || Health::not_ready(["no \"poll\"", "no token"])).unwrap();
    let get = |path: &str| exchange(server.address(), &format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
    let health = get("/health");
    assert_eq!(status(&health), "200");
    assert!(health.ends_with("\r\n\r\n{\"status\":\"UP\"}\n"), "{health}");
    let ready = get("/ready");
    assert_eq!(status(&ready), "503");
    assert!(ready.contains("\r\nContent-Type: application/json\r\n"), "{ready}");
    let body: serde_json::Value = serde_json::from_str(ready.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(body, serde_json::json!({"status": "DOWN", "reasons": ["no \"poll\"", "no token"]}));
}

#[test]
fn ready_is_200_without_a_callback_and_503_when_it_panics() {
    let ready = "GET /ready HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = exchange(serve().address(), ready);
    assert!(status(&answer) == "200" && answer.ends_with("{\"status\":\"UP\"}\n"), "{answer}");
    let server = Metrics::new().serve_with_health("127.0.0.1:0", || panic!("a bug of the program")).unwrap();
    for _ in 0..5 {
        assert_eq!(status(&exchange(server.address(), ready)), "503");
    }
    assert_eq!(status(&exchange(server.address(), GET)), "200");
}

#[test]
fn a_port_that_is_taken_is_an_error_that_says_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = Metrics::new().serve(address).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Local);
    let text = error.to_string();
    assert!(text.contains(&format!("{address} is taken")) && text.contains("port 0"), "{text}");
}

#[test]
fn an_address_that_makes_no_sense_is_an_error_that_names_it() {
    let error = Metrics::new().serve("127.0.0.1").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().starts_with("metrics address: "), "{error}");
}

#[test]
fn two_servers_in_one_process_get_ports_of_their_own() {
    let metrics = Metrics::new();
    let (a, b) = (metrics.serve("127.0.0.1:0").unwrap(), metrics.serve("127.0.0.1:0").unwrap());
    assert_ne!(a.address().port(), 0);
    assert_ne!(a.address(), b.address());
    assert_eq!(status(&exchange(b.address(), GET)), "200");
}

#[test]
fn the_default_address_is_port_2112_of_this_machine_alone() {
    assert!(Metrics::DEFAULT_ADDRESS.ip().is_loopback());
    assert_eq!(Metrics::DEFAULT_ADDRESS.port(), 2112);
}

#[cfg(target_os = "linux")]
#[test]
fn the_kernel_listens_on_the_reported_address_and_on_no_other() {
    let server = Metrics::new().serve(SocketAddr::new(Metrics::DEFAULT_ADDRESS.ip(), 0)).unwrap();
    let port = format!(":{:04X}", server.address().port());
    let listens = |table: &str| -> Vec<String> {
        let text = fs::read_to_string(table).unwrap_or_default();
        let columns = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        // State 0A is LISTEN.
        columns.filter(|c| c.len() > 3 && c[1].ends_with(&port) && c[3] == "0A").map(|c| c[1].to_owned()).collect()
    };
    assert_eq!(listens("/proc/net/tcp"), [format!("0100007F{port}")]);
    assert_eq!(listens("/proc/net/tcp6"), [""; 0]);
}

#[test]
fn five_hundred_half_requests_do_not_lock_out_a_good_one() {
    let server = serve();
    let half = |_| {
        let mut stream = connect(server.address());
        // The server may have closed it again already, which is as good.
        drop(stream.write_all(b"GET /metrics HTT"));
        stream
    };
    let held: Vec<TcpStream> = (0..500).map(half).collect();
    let begun = Instant::now();
    assert_eq!(status(&exchange(server.address(), GET)), "200");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    drop(held);
}

#[test]
fn connections_that_say_nothing_do_not_lock_out_a_good_one() {
    let server = serve();
    let held: Vec<TcpStream> = (0..40).map(|_| connect(server.address())).collect();
    let begun = Instant::now();
    assert_eq!(status(&exchange(server.address(), GET)), "200");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    drop(held);
}

#[test]
fn a_request_that_drips_in_is_cut_off_at_the_deadline() {
    let server = serve();
    let mut stream = connect(server.address());
    // The wait for an answer that does not come paces the drops.
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nA: ").unwrap();
    let begun = Instant::now();
    let mut received = [0; 1024];
    let n_bytes = loop {
        assert!(begun.elapsed() < PATIENCE, "still not cut off");
        match stream.read(&mut received) {
            Ok(n_bytes) => break n_bytes,
            Err(_) => stream.write_all(b"x").unwrap(),
        }
    };
    let seconds = begun.elapsed().as_secs_f64();
    assert!((4.5..6.5).contains(&seconds), "after {seconds} s");
    assert_eq!(status(std::str::from_utf8(&received[..n_bytes]).unwrap()), "408");
}

#[test]
fn a_drop_closes_the_port_at_once_whatever_clients_do() {
    let server = serve();
    let address = server.address();
    let silent = connect(address);
    let mut half = connect(address);
    half.write_all(b"GET /me").unwrap();
    let done = connect(address);
    done.shutdown(Shutdown::Write).unwrap();
    let begun = Instant::now();
    drop(server);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    TcpStream::connect(address).unwrap_err();
    for stream in [silent, half, done] {
        // Closed or reset, and in either case no more than the reason for it comes.
        let mut rest = Vec::new();
        drop((&stream).read_to_end(&mut rest));
        assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"), "{rest:?}");
    }
}

#[test]
fn a_stuck_callback_holds_a_drop_up_for_five_seconds_only() {
    let (release, released) = mpsc::channel::<()>();
    let (enter, entered) = mpsc::channel();
    let released = Mutex::new(released);
    let stuck = move || {
        enter.send(()).unwrap();
        released.lock().unwrap().recv_timeout(PATIENCE).unwrap_err();
        Health::ready()
    };
    let server = Metrics::new().serve_with_health("127.0.0.1:0", stuck).unwrap();
    let mut stream = connect(server.address());
    stream.write_all(b"GET /ready HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    entered.recv_timeout(PATIENCE).expect("the callback is called");
    assert_eq!(status(&exchange(server.address(), GET)), "200", "the other thread goes on");
    let begun = Instant::now();
    drop(server);
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    drop(release);
}

#[test]
fn the_text_file_is_replaced_whole_and_nothing_stays_beside_it() {
    let folder = env::temp_dir().join(format!("conductor-sync-metrics-{}", process::id()));
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("worker.prom");
    fs::write(&file, "old").unwrap();
    let metrics = metrics_of_a_client_without_a_server();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| metrics.write_to(&file).unwrap());
        }
    });
    assert_eq!(fs::read_to_string(&file).unwrap(), metrics.render());
    let names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["worker.prom"]);
    fs::remove_dir_all(&folder).unwrap();
    let error = metrics.write_to(&file).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Local);
    assert!(error.to_string().contains("worker.prom"), "{error}");
}

/// Tests that need a process of their own: this binary runs itself for the one test, and the test sees by an argument which
/// of the two it is in.
#[cfg(target_os = "linux")]
mod alone {
    use std::{
        fs::File,
        sync::mpsc::{Receiver, Sender},
    };

    use super::*;

    const MARK: &str = "in-a-process-of-its-own";

    /// Whether this is the process of its own. If not, it is run to its end, with `most_descriptors` if it passes.
    fn is_alone(test: &str, most_descriptors: u32) -> bool {
        if env::args().any(|argument| argument == MARK) {
            return true;
        }
        let script = format!("ulimit -n {most_descriptors} && exec \"$0\" \"$@\"");
        let child = Command::new("sh")
            .args(["-c", &script])
            .arg(env::current_exe().unwrap())
            .args([test, MARK, "--exact", "--nocapture", "--test-threads=1"])
            .output()
            .unwrap();
        let output = String::from_utf8_lossy(&child.stdout);
        let log = String::from_utf8_lossy(&child.stderr);
        assert!(child.status.success() && output.contains("1 passed"), "{output}\n{log}");
        false
    }

    /// The names of this process's threads that belong to a metrics server.
    fn metrics_threads() -> Vec<String> {
        let threads = fs::read_dir("/proc/self/task").unwrap();
        let name = |folder: fs::DirEntry| fs::read_to_string(folder.path().join("comm")).unwrap_or_default();
        let mut names: Vec<String> = threads.map(|entry| name(entry.unwrap()).trim().to_owned()).collect();
        names.retain(|name| name.starts_with("metrics:"));
        names.sort();
        names
    }

    fn n_threads() -> usize {
        fs::read_dir("/proc/self/task").unwrap().count()
    }

    #[test]
    fn three_threads_serve_whatever_comes_and_are_gone_after_the_drop() {
        if !is_alone("alone::three_threads_serve_whatever_comes_and_are_gone_after_the_drop", 1_024) {
            return;
        }
        let n_before = n_threads();
        let server = serve();
        for _ in 0..1_000 {
            assert_eq!(status(&exchange(server.address(), GET)), "200");
        }
        let held: Vec<TcpStream> = (0..100).map(|_| connect(server.address())).collect();
        assert_eq!(status(&exchange(server.address(), GET)), "200");
        assert_eq!(metrics_threads(), ["metrics:0", "metrics:1", "metrics:accept"]);
        assert_eq!(n_threads(), n_before + 3);
        drop(server);
        // The kernel lists a thread for a moment after it was joined.
        let deadline = Instant::now() + PATIENCE;
        while n_threads() > n_before {
            assert!(Instant::now() < deadline, "left: {:?}", metrics_threads());
            thread::yield_now();
        }
        drop(held);
    }

    /// Passes on what the exporter logs.
    struct Listener(Sender<String>);

    impl log::Log for Listener {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }

        fn log(&self, record: &log::Record<'_>) {
            // The test ends while threads still log.
            drop(self.0.send(record.args().to_string()));
        }

        fn flush(&self) {}
    }

    fn wait_for(log: &Receiver<String>, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let line = log.recv_timeout(deadline - Instant::now()).expect("the line is logged");
            if line.contains(text) {
                return;
            }
        }
    }

    /// Takes all file descriptors that there are.
    fn take_all(held: &mut Vec<File>) {
        while let Ok(file) = File::open("/dev/null") {
            held.push(file);
        }
    }

    #[test]
    fn running_out_of_file_descriptors_pauses_it_and_no_more() {
        if !is_alone("alone::running_out_of_file_descriptors_pauses_it_and_no_more", 40) {
            return;
        }
        let (sender, log) = mpsc::channel();
        log::set_boxed_logger(Box::new(Listener(sender))).unwrap();
        log::set_max_level(log::LevelFilter::Info);
        let server = serve();
        let address = server.address();
        assert_eq!(status(&exchange(address, GET)), "200");
        let mut held = Vec::new();
        take_all(&mut held);
        // One descriptor for each client here. The accept that waits has reserved its own; the next one fails.
        held.pop();
        let first = connect(address);
        wait_for(&log, "can't accept connections for now");
        held.pop();
        let mut second = connect(address);
        second.write_all(GET.as_bytes()).unwrap();
        second.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        second.read(&mut [0]).expect_err("nobody can have accepted it");
        assert!(log.try_iter().all(|line| !line.contains("accept")), "it is logged once");
        held.truncate(held.len() - 5);
        second.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(status(&answer(&mut second)), "200");
        wait_for(&log, "accepted again");
        drop(first);
        take_all(&mut held);
        let begun = Instant::now();
        drop(server);
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
        drop(held);
        TcpStream::connect(address).expect_err("the port is closed");
    }
}
