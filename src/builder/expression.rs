//! Finds the `${…}` in values and the `$.name` in scripts, as the server does.

use serde_json::Value;

use crate::json::RawJson;

/// What stands between `${` and `}`, from the outermost to those inside. `$${` is an escape and no reference.
pub(super) fn references(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    // The braces that are open, with where the reference begins if it is one.
    let mut open = Vec::new();
    for (at, c) in text.char_indices() {
        match c {
            '{' => open.push(Some(at + 1).filter(|_| text[..at].ends_with('$') && !text[..at].ends_with("$$"))),
            '}' => found.extend(open.pop().flatten().map(|from| (from, at))),
            _ => {}
        }
    }
    found.sort_unstable();
    found.into_iter().map(|(from, to)| &text[from..to]).collect()
}

/// Whether a text is one reference and nothing else, so that it may stand for what is no text.
pub(super) fn is_reference(text: &str) -> bool {
    let inside = text.strip_prefix("${").and_then(|text| text.strip_suffix('}'));
    inside.is_some_and(|inside| references(text).first() == Some(&inside))
}

/// How deep a JSON text is.
pub(super) fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_text, mut is_escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The texts of a value, each with its path inside.
pub(super) fn texts(value: &RawJson) -> Vec<(String, String)> {
    let mut found = Vec::new();
    // What no `Value` can hold has no texts to look at.
    if value.get().contains('$') {
        if let Ok(value) = value.to_value() {
            collect(&value, &mut String::new(), &mut found);
        }
    }
    found
}

fn collect(value: &Value, path: &mut String, found: &mut Vec<(String, String)>) {
    let len = path.len();
    match value {
        Value::String(text) => found.push((path.clone(), text.clone())),
        Value::Array(values) => {
            for (at, value) in values.iter().enumerate() {
                path.push_str(&format!("[{at}]"));
                collect(value, path, found);
                path.truncate(len);
            }
        }
        Value::Object(values) => {
            for (name, value) in values {
                path.push_str(&format!(".{name}"));
                collect(value, path, found);
                path.truncate(len);
            }
        }
        _ => {}
    }
}

/// The parts of a path: what it begins with as it is, then names and indices without quotes.
pub(super) fn parts(path: &str) -> Vec<String> {
    let end = path.find(['.', '[']).unwrap_or(path.len());
    let mut parts = vec![path[..end].to_owned()];
    let mut rest = &path[end..];
    while !rest.is_empty() {
        let part;
        (part, rest) = quoted(rest).unwrap_or_else(|| {
            let bare = rest.strip_prefix(['.', '[', ']']).unwrap_or(rest);
            let (part, rest) = bare.split_at(bare.find(['.', '[', ']']).unwrap_or(bare.len()));
            (part.trim_matches(['\'', '"']).to_owned(), rest)
        });
        parts.push(part);
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// The name in `['name']` or `["name"]`, which may hold dots and brackets, and what follows. Several names are any: `*`.
fn quoted(path: &str) -> Option<(String, &str)> {
    let inside = path.strip_prefix('[')?.trim_start();
    let quote = inside.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let mut name = String::new();
    let mut chars = inside.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == quote {
            let rest = inside[at + 1..].trim_start();
            if let Some(rest) = rest.strip_prefix(']') {
                return Some((name, rest));
            }
            if rest.starts_with(',') {
                return Some(("*".to_owned(), rest.split_once(']')?.1));
            }
        }
        name.push(if c == '\\' { chars.next()?.1 } else { c });
    }
    None
}

/// Whether the server can't read this as a path.
pub(super) fn is_broken(path: &str) -> bool {
    // What is made of another reference may look like anything.
    if path.contains("${") {
        return false;
    }
    if path.contains('{') {
        return true;
    }
    let below = &path[path.find(['.', '[']).unwrap_or(path.len())..];
    // The first name is looked up as that of a task, and only what follows is a path.
    if below.starts_with('[') || path.starts_with('$') {
        return true;
    }
    // So may what is inside quotes, which must be closed.
    if below.contains(['\'', '"']) {
        return below.rfind("['").max(below.rfind("[\"")).is_some_and(|at| !below[at + 2..].contains(']'));
    }
    let n_of = |c| below.matches(c).count();
    path.ends_with('.') || n_of('[') != n_of(']') || path.contains("[(") || has_blanks(path)
}

/// Whether there are blanks outside of brackets; at the end they do no harm.
fn has_blanks(path: &str) -> bool {
    let mut is_inside = false;
    path.trim_end().chars().any(|c| {
        is_inside = c == '[' || is_inside && c != ']';
        c == ' ' && !is_inside
    })
}

/// The names that a script relies on in `$`, as `$.name`, `$['name']` or `$["name"]`, outside of texts and comments: without
/// those it sets itself or asks for, and without what it calls (`$` is a map of Java, with its methods).
pub(super) fn script_names(script: &str) -> Vec<String> {
    let code = without_comments(script);
    let (mut names, mut set) = (Vec::new(), Vec::new());
    if has_own_root(&code) {
        return names;
    }
    let mut quote = None;
    let (mut before, mut sign) = (' ', '(');
    for (at, c) in code.char_indices() {
        match quote {
            Some(open) if c == open && before != '\\' => quote = None,
            Some('/') if c == '\n' => quote = None,
            Some(_) => {}
            None if matches!(c, '\'' | '"' | '`') => quote = Some(c),
            // Where a value is expected a slash begins a pattern.
            None if c == '/' && "(,=:[!&|?{};+".contains(sign) => quote = Some(c),
            None if c == '$' && !is_of_a_name(before) => {
                if let Some((name, rest)) = name_after(&code[at + 1..]) {
                    let rest = rest.trim_start();
                    let is_set = rest.strip_prefix('=').is_some_and(|rest| !rest.starts_with('='));
                    let is_known = is_set || rest.starts_with('(') || is_asked_for(&code[..at], rest);
                    if is_known { set.push(name) } else { names.push(name) }
                }
            }
            None => {}
        }
        before = if before == '\\' && c == '\\' { ' ' } else { c };
        sign = if c.is_whitespace() { sign } else { c };
    }
    names.retain(|name| !set.contains(name));
    names
}

/// Whether `$` may be something of the script's own.
fn has_own_root(code: &str) -> bool {
    let code: String = code.split_whitespace().collect();
    ["($)", "($,", ",$)", "$=>", "var$", "let$", "const$"].iter().any(|own| code.contains(own))
}

/// Whether a name between these is only asked for, so that it may be missing.
fn is_asked_for(before: &str, rest: &str) -> bool {
    let before = before.trim_end();
    let is_condition = ["typeof", "!", "if(", "if (", "while(", "while ("].iter().any(|word| before.ends_with(word));
    let comparison = rest.trim_start_matches(['=', '!']);
    let is_compared = comparison.len() + 2 <= rest.len()
        && ["null", "undefined"].iter().any(|nothing| comparison.trim_start().starts_with(nothing));
    is_condition || is_compared || ["||", "&&", "?"].iter().any(|sign| rest.starts_with(sign))
}

/// The name behind a `$`, and what follows it.
fn name_after(rest: &str) -> Option<(String, &str)> {
    if let Some(rest) = rest.strip_prefix('.') {
        let end = rest.find(|c| !is_of_a_name(c)).unwrap_or(rest.len());
        return (end > 0).then(|| (rest[..end].to_owned(), &rest[end..]));
    }
    let rest = rest.strip_prefix('[')?;
    let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let end = rest[1..].find(quote)?;
    let behind = rest[end + 2..].strip_prefix(']')?;
    Some((rest[1..=end].to_owned(), behind))
}

fn is_of_a_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$')
}

fn without_comments(script: &str) -> String {
    let mut code = String::new();
    let mut rest = script;
    while let Some(at) = rest.find("/*") {
        code.push_str(&rest[..at]);
        rest = rest[at..].find("*/").map_or("", |end| &rest[at + end + 2..]);
    }
    code.push_str(rest);
    let without_tail = |line: &str| match line.find("//") {
        // As in an address.
        Some(at) if !line[..at].ends_with(':') => line[..at].to_owned(),
        _ => line.to_owned(),
    };
    code.lines().map(without_tail).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_also_inside_each_other_and_not_when_escaped() {
        for (text, expected) in [
            ("${a.output.x}", vec!["a.output.x"]),
            ("to ${a.output} and ${b.input}!", vec!["a.output", "b.input"]),
            ("${a.output.${workflow.input.k}}", vec!["a.output.${workflow.input.k}", "workflow.input.k"]),
            ("$${a.output} $x {y} ${open", vec![]),
            ("{${a.output}} ${${ ${b.input}", vec!["a.output", "b.input"]),
        ] {
            assert_eq!(references(text), expected, "{text}");
        }
    }

    #[test]
    fn a_path_is_taken_apart() {
        for (path, expected) in [
            ("a.output.b[0].c", vec!["a", "output", "b", "0", "c"]),
            ("a]'b.output['c d']", vec!["a]'b", "output", "c d"]),
            ("a.output['c.d'][\"e[0]'].f\"].g[1]", vec!["a", "output", "c.d", "e[0]'].f", "g", "1"]),
            ("a.output['it\\'s']['\\\\'].x", vec!["a", "output", "it's", "\\", "x"]),
            ("a.output['b']é.c", vec!["a", "output", "b", "é", "c"]),
            ("a.output['b','c.d'].e", vec!["a", "output", "*", "e"]),
            ("a.output[ 'b' ][\"c\" ].d", vec!["a", "output", "b", "c", "d"]),
            ("a.output['b.c", vec!["a", "output", "b", "c"]),
            ("a", vec!["a"]),
            ("", vec![]),
        ] {
            assert_eq!(parts(path), expected, "{path}");
        }
    }

    #[test]
    fn any_text_is_taken_apart() {
        const SIGNS: [&str; 12] = [".", "[", "]", "'", "\"", "\\", ",", " ", "a", "é", "$", "{"];
        for _ in 0..20_000 {
            let text: String = (0..fastrand::usize(..16)).map(|_| SIGNS[fastrand::usize(..SIGNS.len())]).collect();
            let len: usize = parts(&text).iter().map(String::len).sum();
            assert!(len <= text.len(), "{text}");
            is_broken(&text);
        }
    }

    #[test]
    fn what_is_no_path_is_told_from_odd_names() {
        for path in ["a.output['x", "a.output.", "a.output[", "a.output.x y", "a.output.x{y}", " a", "a.output.x .y"] {
            assert!(is_broken(path), "{path}");
        }
        for path in ["a['output'].x", "a[0]", "$a.output", "a.output.x[(@.length-1)]"] {
            assert!(is_broken(path), "{path}");
        }
        for path in ["a.output.x ", "a.output.x[ 0 ]", "a.output.x[?(@.y == 2)].z", "a.output['x','y z']", "a$b.output"]
        {
            assert!(!is_broken(path), "{path}");
        }
        for path in ["a.output['x y']", "a]b.output.x", "a.output[0].b", "a.output['it\\'s']", "a.output.${b.output}["]
        {
            assert!(!is_broken(path), "{path}");
        }
    }

    #[test]
    fn a_script_tells_what_it_reads() {
        for (script, expected) in [
            ("$.a + $.b.c", vec!["a", "b"]),
            ("$['x y']['z'] < 3 && $[\"q\"]", vec!["x y", "q"]),
            ("'$.a' + \"$.b\" + a$.c // $.d\n/* $.e */ + $.f", vec!["f"]),
            ("$", vec![]),
            ("$.t = $.a; $.t == $.b", vec!["a", "b"]),
            ("$.get('a') + $.size() + $.b", vec!["b"]),
            ("$.q == null ? $.a : $.q", vec!["a"]),
            ("typeof $.q + ($.r || 1) + ($.s ? 1 : 2) + !$.t + ($.u !== undefined)", vec![]),
            ("if ($.q) { $.a }", vec!["a"]),
            ("$.a == 1 && $.b >= 2", vec!["a", "b"]),
            ("(function ($) { return $.b })({b: 1})", vec![]),
            ("$.a.replace(/'/g, '') + '$.b' + 6 / $.c", vec!["a", "c"]),
        ] {
            assert_eq!(script_names(script), expected, "{script}");
        }
    }
}
