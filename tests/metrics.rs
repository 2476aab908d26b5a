//! The metrics as a program sees them: the text, the file, and the listener over real sockets.

#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

use std::net::{Ipv4Addr, SocketAddr};

use conductor_sync::Metrics;

fn loopback() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

#[cfg(not(feature = "metrics"))]
#[test]
fn without_the_feature_nothing_is_counted_and_the_listener_says_what_to_turn_on() {
    let metrics = Metrics::new();
    assert_eq!(metrics.render(), "");
    assert_eq!(metrics.summary(), "");
    let path = std::env::temp_dir().join(format!("conductor-sync-no-metrics-{}.prom", std::process::id()));
    metrics.write_to(&path).unwrap();
    assert!(!path.exists());
    let error = metrics.serve(loopback()).unwrap_err();
    assert!(error.to_string().contains("turn on the feature `metrics`"), "{error}");
}

#[cfg(feature = "metrics")]
mod with_the_feature {
    use std::{
        env, fs,
        io::{self, Read, Write},
        net::{Shutdown, TcpListener, TcpStream},
        time::{Duration, Instant},
    };

    use conductor_sync::{Client, Config, ErrorKind, MetricSet, MetricsServer};

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(20);

    fn serve() -> (Metrics, MetricsServer) {
        let metrics = Metrics::new();
        let server = metrics.serve(loopback()).unwrap();
        (metrics, server)
    }

    fn try_ask(address: SocketAddr, request: &[u8]) -> io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, DEADLINE)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        stream.write_all(request)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    fn ask(address: SocketAddr, request: impl AsRef<[u8]>) -> String {
        try_ask(address, request.as_ref()).unwrap()
    }

    /// One HTTP call that fails at once, which is something to count.
    fn fail_a_call(metrics: &Metrics) {
        let client = Client::with_metrics(Config::new("http://127.0.0.1:1/api").unwrap(), metrics.clone()).unwrap();
        client.tasks().get("no-such-task").unwrap_err();
    }

    /// Looks until `is_so`, with a pause in between, and fails with `what` at the deadline.
    fn wait_until(what: &str, deadline: Duration, mut is_so: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < deadline, "{what}: not within {deadline:?}");
            pause();
        }
    }

    fn pause() {
        crossbeam_channel::never::<()>().recv_timeout(Duration::from_millis(20)).unwrap_err();
    }

    #[test]
    fn an_http_call_without_an_answer_is_counted_with_the_status_0_and_its_route() {
        let metrics = Metrics::new();
        fail_a_call(&metrics);
        let text = metrics.render();
        let line = "http_api_client_request_seconds_count{method=\"GET\",status=\"0\",uri=\"/tasks/{taskId}\"} 1";
        assert!(text.lines().any(|found| found == line), "{text}");
        let metrics = Metrics::with_set(MetricSet::Guide);
        fail_a_call(&metrics);
        assert_eq!(metrics.render(), "", "no name of the guide");
    }

    #[test]
    fn the_text_file_is_whole_and_nothing_stays_beside_it() {
        let metrics = Metrics::new();
        fail_a_call(&metrics);
        let folder = env::temp_dir().join(format!("conductor-sync-text-file-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let path = folder.join("worker.prom");
        for _ in 0..2 {
            metrics.write_to(&path).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), metrics.render());
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);

        let error = metrics.write_to(&folder).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Local, "a folder is in the way");
        assert!(error.to_string().contains(folder.to_str().unwrap()), "{error}");
        assert_eq!(metrics.write_to(folder.join("..")).unwrap_err().kind(), ErrorKind::Invalid);
        fs::remove_dir_all(&folder).unwrap();
        assert!(!env::temp_dir().read_dir().unwrap().any(|entry| {
            let name = entry.unwrap().file_name();
            name.to_string_lossy().starts_with(folder.file_name().unwrap().to_str().unwrap())
        }));
    }

    #[test]
    fn a_scrape_gets_what_render_gives() {
        let (metrics, server) = serve();
        fail_a_call(&metrics);
        let answer = ask(server.address(), "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        for header in
            ["Content-Type: text/plain; version=0.0.4", &format!("Content-Length: {}", body.len()), "Connection: close"]
        {
            assert_eq!(head.lines().filter(|line| *line == header).count(), 1, "{header}: {head}");
        }
        assert_eq!(body, metrics.render());
        assert!(!body.is_empty());
    }

    #[test]
    fn head_gets_the_head_alone() {
        let (metrics, server) = serve();
        fail_a_call(&metrics);
        let answer = ask(server.address(), "HEAD /metrics HTTP/1.1\r\n\r\n");
        assert!(answer.contains(&format!("Content-Length: {}\r\n", metrics.render().len())), "{answer}");
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
        let lost = ask(server.address(), "HEAD /nowhere HTTP/1.1\r\n\r\n");
        assert!(lost.starts_with("HTTP/1.1 404 ") && lost.ends_with("\r\n\r\n"), "{lost}");
    }

    #[test]
    fn health_and_ready_are_up() {
        let (_, server) = serve();
        for path in ["/health", "/ready"] {
            let answer = ask(server.address(), format!("GET {path} HTTP/1.0\n\n"));
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
            assert!(answer.contains("Content-Type: application/json\r\n"), "{answer}");
            assert!(answer.ends_with("\r\n\r\n{\"status\":\"UP\"}"), "{answer}");
        }
    }

    #[test]
    fn what_is_not_a_known_question_is_told_so() {
        let (_, server) = serve();
        let long = format!("GET /metrics HTTP/1.1\r\nCookie: {}\r\n\r\n", "a".repeat(9_000));
        let endless = "a".repeat(100_000);
        let body = format!("POST /metrics HTTP/1.1\r\nContent-Length: 50000\r\n\r\n{}", "a".repeat(50_000));
        for (request, expected) in [
            ("GET / HTTP/1.1\r\n\r\n", "404 Not Found"),
            ("GET /metrics/../health HTTP/1.1\r\n\r\n", "404 Not Found"),
            ("DELETE /metrics HTTP/1.1\r\n\r\n", "405 Method Not Allowed"),
            (body.as_str(), "405 Method Not Allowed"),
            ("GET /metrics HTTP/1.1\r\nContent-Length: 1\r\n\r\na", "400 Bad Request"),
            ("\0\u{1}\u{2} hello\r\n\r\n", "400 Bad Request"),
            ("SSH-2.0-OpenSSH_9.6\r\n\r\n", "400 Bad Request"),
            (long.as_str(), "431 Request Header Fields Too Large"),
            (endless.as_str(), "431 Request Header Fields Too Large"),
        ] {
            let answer = ask(server.address(), request);
            let start = &request[..request.len().min(40)];
            assert!(answer.starts_with(&format!("HTTP/1.1 {expected}\r\n")), "{start:?}: {answer}");
            assert!(answer.contains("\r\nConnection: close\r\n"), "{start:?}: {answer}");
            assert_eq!(answer.contains("\r\nAllow: GET, HEAD\r\n"), expected.starts_with("405"), "{start:?}: {answer}");
        }
        assert!(ask(server.address(), "GET /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200 "));
    }

    #[test]
    fn a_head_that_comes_in_pieces_is_understood() {
        let (_, server) = serve();
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        for byte in b"GET /health HTTP/1.1\r\na: b\r\n\r\n" {
            stream.write_all(&[*byte]).unwrap();
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }

    #[test]
    fn a_client_that_stops_sending_gets_400_or_nothing() {
        let (_, server) = serve();
        for (request, expected) in [("", ""), ("GET /metrics HTTP/1.1\r\n", "HTTP/1.1 400 ")] {
            let mut stream = TcpStream::connect(server.address()).unwrap();
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with(expected) && answer.is_empty() == expected.is_empty(), "{request:?}: {answer}");
        }
    }

    #[test]
    fn five_hundred_half_open_requests_do_not_keep_a_good_one_out() {
        let (_, server) = serve();
        let half_open: Vec<TcpStream> = (0..500)
            .map(|_| {
                let mut stream = TcpStream::connect_timeout(&server.address(), DEADLINE).unwrap();
                // Those beyond the queue are closed already.
                drop(stream.write_all(b"GET /metrics HTTP/1.1\r\nHost"));
                stream
            })
            .collect();
        let good = b"GET /metrics HTTP/1.1\r\n\r\n";
        // It may be turned away as well, and comes again, like a scraper.
        wait_until("a good request", Duration::from_secs(10), || {
            try_ask(server.address(), good).is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 "))
        });
        drop(half_open);
    }

    #[test]
    fn a_taken_port_is_an_error_that_says_what_to_do() {
        let holder = TcpListener::bind(loopback()).unwrap();
        let address = holder.local_addr().unwrap();
        let error = Metrics::new().serve(address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Local);
        let expected =
            format!("serve metrics on {address}: the port is taken: choose another one, or 0 for any that is free");
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn an_address_of_another_machine_is_an_error_that_says_what_to_do() {
        // From the range for documentation, which no machine has.
        let error = Metrics::new().serve("192.0.2.1:0".parse().unwrap()).unwrap_err();
        assert!(error.to_string().ends_with("choose an address of this machine"), "{error}");
    }

    #[test]
    fn port_0_gives_each_listener_a_port_which_its_drop_gives_back() {
        let (metrics, first) = serve();
        let second = metrics.serve(loopback()).unwrap();
        assert_ne!(first.address().port(), 0);
        assert_ne!(first.address(), second.address());
        let address = first.address();
        drop(first);
        assert_eq!(metrics.serve(address).unwrap().address(), address);
        assert!(ask(second.address(), "GET /health HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200 "));
    }

    #[test]
    fn a_listener_on_all_addresses_ends_as_well() {
        for address in ["0.0.0.0:0", "[::]:0"] {
            let Ok(server) = Metrics::new().serve(address.parse().unwrap()) else {
                assert!(address.starts_with('['), "only IPv6 may be missing");
                continue;
            };
            let port = server.address().port();
            assert!(
                ask((Ipv4Addr::LOCALHOST, port).into(), "GET /health HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200 ")
            );
            let begun = Instant::now();
            drop(server);
            assert!(begun.elapsed() < Duration::from_secs(2), "took {:?}", begun.elapsed());
        }
    }

    /// What needs a process of its own: its threads, its descriptors, its environment.
    #[cfg(target_os = "linux")]
    mod alone {
        use std::{fs::File, process::Command};

        use super::*;

        const MARK: &str = "CONDUCTOR_SYNC_TEST_ALONE";

        /// Whether this is the process of the test `name` alone; if it isn't, runs such a process after `limits` and
        /// reports what it says.
        #[expect(clippy::disallowed_methods, reason = "tells the child from its parent")]
        fn is_alone(name: &str, limits: &str, temporary_folder: Option<&str>) -> bool {
            if env::var_os(MARK).is_some() {
                return true;
            }
            let mut command = Command::new("sh");
            command.arg("-c").arg(format!("{limits} exec \"$0\" --exact \"$1\" --nocapture --test-threads=1"));
            command.arg(env::current_exe().unwrap()).arg(format!("with_the_feature::alone::{name}")).env(MARK, "1");
            if let Some(folder) = temporary_folder {
                command.env("TMPDIR", folder);
            }
            let output = command.output().unwrap();
            let said =
                format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success() && said.contains("1 passed"), "{said}");
            false
        }

        fn thread_names() -> Vec<String> {
            let tasks = fs::read_dir("/proc/self/task").unwrap();
            // A thread may end between the listing and the reading.
            tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok()).collect()
        }

        fn has_our_threads() -> bool {
            thread_names().iter().any(|name| name.starts_with("metrics:"))
        }

        #[test]
        fn all_threads_end_with_the_server_whoever_it_talks_to() {
            if !is_alone("all_threads_end_with_the_server_whoever_it_talks_to", "", None) {
                return;
            }
            let n_before = thread_names().len();
            let (_, server) = serve();
            ask(server.address(), "GET /metrics HTTP/1.1\r\n\r\n");
            let mut names: Vec<String> =
                thread_names().into_iter().filter(|name| name.starts_with("metrics:")).collect();
            names.sort();
            assert_eq!(names, ["metrics:accept\n", "metrics:answer\n", "metrics:serve:0\n", "metrics:serve:1\n"]);
            let _half_open: Vec<TcpStream> = (0..10)
                .map(|_| {
                    let mut stream = TcpStream::connect(server.address()).unwrap();
                    stream.write_all(b"GET /metr").unwrap();
                    stream
                })
                .collect();
            let begun = Instant::now();
            drop(server);
            assert!(begun.elapsed() < Duration::from_secs(2), "took {:?}", begun.elapsed());
            // The kernel lists a joined thread for a moment longer.
            wait_until("our threads end", Duration::from_secs(1), || !has_our_threads());
            // The idle threads of tiny_http look for work for five seconds.
            wait_until("all threads end", DEADLINE, || thread_names().len() == n_before);
        }

        #[test]
        fn an_idle_listener_takes_no_time_of_the_processor() {
            if !is_alone("an_idle_listener_takes_no_time_of_the_processor", "", None) {
                return;
            }
            let (_, server) = serve();
            ask(server.address(), "GET /metrics HTTP/1.1\r\n\r\n");
            let wake_ups = || -> u64 {
                let tasks = fs::read_dir("/proc/self/task").unwrap();
                let ours = tasks.map(|task| task.unwrap().path());
                let ours = ours.filter(|path| fs::read_to_string(path.join("comm")).unwrap().starts_with("metrics:"));
                let status = ours.map(|path| fs::read_to_string(path.join("status")).unwrap());
                status
                    .map(|text| {
                        let line = text.lines().find(|line| line.starts_with("voluntary_ctxt_switches:")).unwrap();
                        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
                    })
                    .sum()
            };
            let mut before = wake_ups();
            // The threads settle after the request first.
            wait_until("a second without a wake-up", DEADLINE, || {
                crossbeam_channel::never::<()>().recv_timeout(Duration::from_secs(1)).unwrap_err();
                let now = wake_ups();
                std::mem::replace(&mut before, now) == now
            });
        }

        #[test]
        fn the_folder_for_the_socket_goes_with_the_server() {
            let folder = env::temp_dir().join(format!("conductor-sync-test-{}", std::process::id()));
            let name = "the_folder_for_the_socket_goes_with_the_server";
            fs::create_dir(&folder).unwrap();
            if is_alone(name, "", folder.to_str()) {
                fs::remove_dir(&folder).unwrap();
                let (_, server) = serve();
                assert_eq!(fs::read_dir(env::temp_dir()).unwrap().count(), 1);
                drop(server);
                assert_eq!(fs::read_dir(env::temp_dir()).unwrap().count(), 0);
                return;
            }
            fs::remove_dir(&folder).unwrap();
        }

        #[test]
        fn without_a_place_for_a_socket_it_serves_all_the_same() {
            let name = "without_a_place_for_a_socket_it_serves_all_the_same";
            if !is_alone(name, "", Some("/proc/no/such/folder")) {
                return;
            }
            let (_, server) = serve();
            for _ in 0..3 {
                assert!(ask(server.address(), "GET /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200 "));
            }
            drop(server);
            wait_until("our threads end", Duration::from_secs(1), || !has_our_threads());
        }

        /// Takes all descriptors there are.
        fn take_all(held: &mut Vec<File>) {
            while let Ok(file) = File::open("/dev/null") {
                held.push(file);
            }
        }

        #[test]
        fn a_time_without_descriptors_is_survived_and_does_not_keep_the_drop() {
            let name = "a_time_without_descriptors_is_survived_and_does_not_keep_the_drop";
            if !is_alone(name, "ulimit -n 60;", None) {
                return;
            }
            let (_, server) = serve();
            let mut held = Vec::new();
            // An accept that waits already has its descriptor, so the first clients may still be served.
            let mut starved = None;
            wait_until("a client that is not served", DEADLINE, || {
                take_all(&mut held);
                held.pop();
                let mut stream = TcpStream::connect(server.address()).unwrap();
                take_all(&mut held);
                stream.write_all(b"GET /health HTTP/1.1\r\n\r\n").unwrap();
                stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
                let timed_out = stream.read(&mut [0; 16]).is_err();
                starved = timed_out.then_some(stream);
                timed_out
            });
            let mut starved = starved.unwrap();

            held.clear();
            starved.set_read_timeout(Some(DEADLINE)).unwrap();
            let mut answer = String::new();
            starved.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
            assert!(ask(server.address(), "GET /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200 "));

            take_all(&mut held);
            let begun = Instant::now();
            drop(server);
            assert!(begun.elapsed() < Duration::from_secs(2), "took {:?}", begun.elapsed());
        }
    }
}
