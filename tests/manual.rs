//! The manual says what is so: its table of operations is the one that the tests of the operations walk through, and the
//! embedded server serves what the table says.

#![cfg(feature = "embedded")]
#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    io::{Read, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
};

use conductor_sync::{Client, Config, embedded::EmbeddedServer};

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn file(path: &str) -> String {
    fs::read_to_string(package().join(path)).unwrap()
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    // A folder that is not there holds no files.
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => rust_files(&path, found),
            false if path.extension().is_some_and(|extension| extension == "rs") => found.push(path),
            false => {}
        }
    }
}

/// The operations that the reference server refuses whatever the input.
fn refused() -> BTreeSet<String> {
    let table = file("tests/api/table.rs");
    let rows = table.lines().filter(|line| line.contains(", not NO_"));
    rows.filter_map(|row| row.split('"').nth(1)).map(shape).collect()
}

/// The rows `row!("GET /path", ["Client::method"]` of the table of tests: each operation with its methods.
fn tested() -> BTreeMap<String, BTreeSet<String>> {
    let table = file("tests/api/table.rs");
    let rows = table.lines().filter_map(|line| line.trim_start().strip_prefix("row!("));
    rows.map(|row| {
        let mut quoted = row.split('"').skip(1).step_by(2);
        let operation = quoted.next().filter(|text| is_operation(text)).unwrap();
        (shape(operation), quoted.filter(|text| text.contains("Client::")).map(str::to_owned).collect())
    })
    .collect()
}

fn is_operation(text: &str) -> bool {
    ["GET /", "POST /", "PUT /", "DELETE /"].iter().any(|verb| text.starts_with(verb))
}

/// The public methods of the clients of resources, each with the operations that its description names.
fn methods() -> BTreeMap<String, BTreeSet<String>> {
    let mut files = Vec::new();
    rust_files(&package().join("src"), &mut files);
    let mut methods = BTreeMap::new();
    for text in files.iter().map(|file| fs::read_to_string(file).unwrap()) {
        let (mut client, mut description) = (None, String::new());
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("impl ").and_then(|rest| rest.strip_suffix(" {")) {
                client = (name.ends_with("Client") && name != "Client").then_some(name);
            } else if line == "}" {
                client = None;
            } else if let Some(text) = line.trim_start().strip_prefix("///") {
                description.push_str(text);
            } else if let Some(signature) = line.strip_prefix("    pub fn ") {
                let name = signature.split(['(', '<']).next().unwrap();
                let known = client.map(|client| (format!("{client}::{name}"), named(&description)));
                methods.extend(known);
                description.clear();
            } else {
                description.clear();
            }
        }
    }
    methods
}

/// The operations in a description.
fn named(description: &str) -> BTreeSet<String> {
    let quotes = description.split('`').skip(1).step_by(2);
    quotes.filter(|text| is_operation(text)).map(|text| text.split('?').next().unwrap().to_owned()).collect()
}

/// `GET /workflow/{id}?version` as `GET /workflow/{}`.
fn shape(operation: &str) -> String {
    let path = operation.split('?').next().unwrap();
    let parts = path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

/// Whether the embedded server serves an operation, by what it answers to one with made-up parameters.
fn is_embedded(server: &EmbeddedServer, operation: &str) -> bool {
    let client = Client::new(Config::new(&server.url()).unwrap()).unwrap();
    let (address, base) = client.server_url().strip_prefix("http://").unwrap().split_once('/').unwrap();
    let (verb, path) = operation.split_once(' ').unwrap();
    let path: Vec<&str> = path.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect();
    let mut connection = TcpStream::connect(address).unwrap();
    let head = format!("{verb} /{base}{} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n", path.join("/"));
    let body = "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    connection.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    // It takes `bulk` for an id where it knows no such route.
    let no = [" 501 ", "No static resource", "found by id: bulk"];
    assert!(answer.starts_with("HTTP/1.1 "), "{operation}: {answer}");
    !no.iter().any(|sign| answer.contains(sign))
}

/// The operations with their methods, as the descriptions of the methods name them.
fn described() -> BTreeMap<String, BTreeSet<String>> {
    let mut operations: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (method, named) in methods() {
        for operation in named {
            operations.entry(operation).or_default().insert(method.clone());
        }
    }
    operations
}

/// The table as it has to be, by path.
fn table() -> String {
    let (server, refused) = (EmbeddedServer::start().unwrap(), refused());
    let mut operations: Vec<_> = described().into_iter().collect();
    operations.sort_by_key(|(operation, _)| operation.split(' ').rev().map(str::to_owned).collect::<Vec<_>>());
    let mut table = "| operation | methods | tested on |\n|---|---|---|\n".to_owned();
    for (operation, methods) in operations {
        let links: Vec<String> = methods.iter().map(|method| format!("[`{method}`]")).collect();
        let tested_on = match (refused.contains(&shape(&operation)), is_embedded(&server, &operation)) {
            (true, _) => "script; 3.32.1 refuses",
            (false, true) => "3.32.1, embedded",
            (false, false) => "3.32.1",
        };
        writeln!(table, "| `{operation}` | {} | {tested_on} |", links.join(", ")).unwrap();
    }
    table
}

const BEGIN: &str = "<!-- table -->\n";
const END: &str = "<!-- end of the table -->\n";

#[test]
fn the_table_of_operations_is_what_the_methods_say_and_the_embedded_server_does() {
    let text = file("src/manual/operations.md");
    let (_, rest) = text.split_once(BEGIN).unwrap();
    let (written, _) = rest.split_once(END).unwrap();
    let table = table();
    assert!(table.lines().count() > 100, "{table}");
    let right = Path::new(env!("CARGO_TARGET_TMPDIR")).join("operations.md");
    fs::write(&right, &table).unwrap();
    assert!(written == format!("\n{table}\n"), "put {} into src/manual/operations.md", right.display());
}

#[test]
fn every_tested_operation_stands_in_the_table_with_its_methods() {
    let described: BTreeMap<String, BTreeSet<String>> =
        described().into_iter().map(|(operation, methods)| (shape(&operation), methods)).collect();
    let tested = tested();
    assert!(tested.len() > 80 && refused().len() == 5, "{tested:?}");
    let known: BTreeSet<String> = methods().into_keys().collect();
    for (operation, methods) in &tested {
        let there = described.get(operation).unwrap_or_else(|| panic!("{operation} is described at no method"));
        // Rows of several operations name methods of each.
        assert!(methods.iter().any(|method| there.contains(method)), "{operation}: {methods:?}, but {there:?}");
        assert!(methods.is_subset(&known), "{operation}: one of {methods:?} is no method");
    }
    let named: BTreeSet<&String> = tested.values().flatten().collect();
    let is_tested = |(shape, methods): &(&String, &BTreeSet<String>)| {
        tested.contains_key(*shape) || methods.iter().any(|method| named.contains(method))
    };
    let untested = described.iter().filter(|row| !is_tested(row));
    let untested: Vec<_> = untested.map(|(shape, _)| shape).collect();
    assert!(untested.is_empty(), "no test of operations names {untested:?}");
}

#[test]
fn every_method_of_a_client_stands_in_the_manual() {
    let text = file("src/manual/operations.md");
    let missing: Vec<_> = methods().into_keys().filter(|name| !text.contains(&format!("[`{name}`]"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
