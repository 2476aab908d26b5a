//! How long the address of a request may be, and which parameter is to blame where it is longer. [`super::Http`] looks before
//! it sends anything: the server answers with a page that names no parameter.

use percent_encoding::percent_decode_str;

use super::{Request, operation};
use crate::error::{Error, Result, excerpt};

/// The server takes 8 KB of address and headers, and closes the connection over more (3.32.1). Those that are on every request
/// take up to 300 bytes; some are left for a proxy on the way.
const MAX_ADDRESS_BYTES: usize = 7_600;

impl Request<'_> {
    /// Whether the server would read so long an address.
    ///
    /// # Errors
    /// With the name of the parameter that makes it so long.
    pub(super) fn check_length(&self, base: &str) -> Result<()> {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        let n_bytes = base.len() + self.path.len() + headers;
        if n_bytes <= MAX_ADDRESS_BYTES {
            return Ok(());
        }
        let name = longest(self.route, &self.path);
        let message = format!(
            "{} is too long: the address has {n_bytes} bytes with it, of which the server takes {MAX_ADDRESS_BYTES}",
            excerpt(&name)
        );
        Err(Error::invalid(operation(self.about), message))
    }
}

/// The parameter with most bytes, all its values together. Names in `{…}` stand in the place of a segment.
fn longest(route: &str, path: &str) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let segments = route.split('/').zip(path.split('/'));
    let mut sizes: Vec<(&str, usize)> =
        segments.filter_map(|(name, value)| Some((name.strip_prefix('{')?.strip_suffix('}')?, value.len()))).collect();
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        match sizes.iter_mut().find(|(known, _)| *known == name) {
            Some((_, size)) => *size += value.len(),
            None => sizes.push((name, value.len())),
        }
    }
    let longest = sizes.into_iter().max_by_key(|(_, size)| *size);
    longest.map_or_else(|| "it".to_owned(), |(name, _)| percent_decode_str(name).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{error::ErrorKind, http::Method};

    fn problem(request: &Request<'_>) -> String {
        let error = request.check_length("http://h/api").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        error.to_string()
    }

    #[test]
    fn the_parameter_that_makes_an_address_too_long_is_named() {
        let (long, short) = ("x".repeat(8_000), "é".repeat(900));
        let new = |values: &[&str]| Request::new(Method::Get, "/w/{id}/of/{other}", values, ("do", "it")).unwrap();
        assert!(new(&["1", &short]).query("q", "1").check_length("http://h/api").is_ok());
        let said = problem(&new(&["1", &short]).query("reason", &long));
        assert!(said.starts_with("do it: reason is too long: the address has 13"), "{said}");
        let said = problem(&new(&[&short, &short]).query("q", "1"));
        assert!(said.contains("other is too long"), "{said}");
        let several = (0..2_000).fold(new(&["1", &short]), |request, _| request.query("task[a]", "1234"));
        assert!(problem(&several).contains("task[a] is too long"));
    }
}
