//! `${…}` references in inputs and outputs. Values travel as JSON text, so that what a reference names arrives exactly as
//! it was sent.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::value::RawValue;

use crate::json::{JsonMap, RawJson};

/// What references can name.
pub(super) trait Scope {
    /// The value of `root.field`, such as `workflow.input` or `greet_ref.output`; `None` when there is none.
    fn field(&self, root: &str, field: &str) -> Option<Cow<'_, RawJson>>;

    /// The id of the task whose input is computed, which `${CPEWF_TASK_ID}` names.
    fn task_id(&self) -> Option<&str>;
}

/// The parameters with all references replaced. Where one is missing or comes out as null, the template counts.
pub(super) fn resolve_map(parameters: &JsonMap, template: &JsonMap, scope: &impl Scope) -> JsonMap {
    let mut resolved: JsonMap =
        parameters.iter().map(|(name, value)| (name.clone(), resolve(value.get(), scope))).collect();
    for (name, default) in template {
        if resolved.get(name).is_none_or(RawJson::is_null) {
            let value = if parameters.contains_key(name) { default.clone() } else { resolve(default.get(), scope) };
            resolved.insert(name.clone(), value);
        }
    }
    resolved
}

fn resolve(text: &str, scope: &impl Scope) -> RawJson {
    if text.contains("${") || text.contains("\\u0024") {
        match text.as_bytes().first() {
            Some(b'"') => return resolve_text(&decoded::<String>(text), scope),
            Some(b'{') => {
                let members: BTreeMap<String, &RawValue> = decoded(text);
                let resolved: JsonMap =
                    members.into_iter().map(|(name, value)| (name, resolve(value.get(), scope))).collect();
                return written(&resolved);
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = decoded(text);
                let resolved: Vec<RawJson> = items.into_iter().map(|item| resolve(item.get(), scope)).collect();
                return written(&resolved);
            }
            _ => {}
        }
    }
    text.parse().unwrap_or_default()
}

/// What is known to be JSON of this kind.
fn decoded<'a, T: serde::Deserialize<'a> + Default>(text: &'a str) -> T {
    serde_json::from_str(text).unwrap_or_default()
}

fn written(value: &impl serde::Serialize) -> RawJson {
    RawJson::new(value).unwrap_or_default()
}

/// The value of a text: as it is when the whole text is one reference, else the text with all references replaced.
fn resolve_text(text: &str, scope: &impl Scope) -> RawJson {
    match next_reference(text, 0) {
        Some((0, end)) if end == text.len() => {
            let inner = replace_all(&text[2..end - 1], scope);
            read(&inner, scope).unwrap_or_else(|| RawJson::from(serde_json::Value::Null))
        }
        _ => RawJson::from(replace_all(text, scope).as_str()),
    }
}

fn replace_all(text: &str, scope: &impl Scope) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some((start, end)) = next_reference(text, at) {
        out.push_str(&text[at..start]);
        let path = replace_all(&text[start + 2..end - 1], scope);
        if !path.trim().is_empty() {
            out.push_str(&read(&path, scope).map_or_else(|| "null".to_owned(), |value| plain_text(value.get())));
        }
        at = end;
    }
    out.push_str(&text[at..]);
    // `$${` stands for a `${` that is no reference.
    out.replace("$${", "${")
}

/// Where the next reference from `from` on begins and ends, braces within counted.
fn next_reference(text: &str, from: usize) -> Option<(usize, usize)> {
    let mut from = from;
    loop {
        let start = from + text[from..].find("${")?;
        if text[..start].ends_with('$') {
            from = start + 2;
            continue;
        }
        let mut depth = 0;
        for (at, c) in text[start..].char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 1 => return Some((start, start + at + 1)),
                '}' => depth -= 1,
                _ => {}
            }
        }
        return None;
    }
}

/// The value a path names: `root.field`, then members and items. `None` where there is none.
fn read(path: &str, scope: &impl Scope) -> Option<RawJson> {
    let path = path.trim();
    if path == "CPEWF_TASK_ID" {
        return scope.task_id().map(RawJson::from);
    }
    if path.is_empty() {
        return Some(RawJson::from(""));
    }
    let (root, rest) = path.split_once('.')?;
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    let value = scope.field(root, &rest[..end])?;
    let found = walk(value.get(), &rest[end..])?;
    found.parse().ok()
}

/// Follows `.name`, `['name']` and `[n]` steps into JSON text. `.length()` counts the items of a list.
fn walk<'a>(json: &'a str, path: &str) -> Option<Cow<'a, str>> {
    let Some(first) = path.chars().next() else { return Some(Cow::Borrowed(json)) };
    if first == '.' {
        let end = path[1..].find(['.', '[']).map_or(path.len(), |at| at + 1);
        if &path[1..end] == "length()" {
            let items: Vec<&RawValue> = serde_json::from_str(json).ok()?;
            return Some(Cow::Owned(items.len().to_string()));
        }
        return walk(member(json, &path[1..end])?, &path[end..]);
    }
    let close = path.find(']')?;
    let (inside, rest) = (path.get(1..close)?, &path[close + 1..]);
    if let Some(name) = quoted(inside) {
        return walk(member(json, name)?, rest);
    }
    let items: Vec<&RawValue> = serde_json::from_str(json).ok()?;
    let index: isize = inside.trim().parse().ok()?;
    let index = if index < 0 { items.len().checked_add_signed(index)? } else { index.unsigned_abs() };
    walk(items.get(index)?.get(), rest)
}

fn quoted(text: &str) -> Option<&str> {
    ['\'', '"'].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote))
}

fn member<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    let mut members: BTreeMap<String, &RawValue> = serde_json::from_str(json).ok()?;
    members.remove(name).map(RawValue::get)
}

/// A value inside a text, written as the server writes it: strings without quotes, objects as `{a=1}`.
fn plain_text(json: &str) -> String {
    let joined = |parts: Vec<String>| parts.join(", ");
    match json.as_bytes().first() {
        Some(b'"') => decoded(json),
        Some(b'{') => {
            let members: BTreeMap<String, &RawValue> = decoded(json);
            let parts = members.into_iter().map(|(name, value)| format!("{name}={}", plain_text(value.get())));
            format!("{{{}}}", joined(parts.collect()))
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = decoded(json);
            format!("[{}]", joined(items.into_iter().map(|item| plain_text(item.get())).collect()))
        }
        _ => json.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Known;

    impl Scope for Known {
        fn field(&self, root: &str, field: &str) -> Option<Cow<'_, RawJson>> {
            let text = match (root, field) {
                ("workflow", "input") => {
                    r#"{"x":1,"name":"Ada","key":"b","big":123456789012345678901234567890,"n":null}"#
                }
                ("workflow", "workflowId") => r#""w-1""#,
                ("t", "output") => r#"{"a":{"b":[10,{"c":[true]}]},"e e":"sp","f":1.50}"#,
                _ => return None,
            };
            Some(Cow::Owned(text.parse().unwrap()))
        }

        fn task_id(&self) -> Option<&str> {
            Some("task-1")
        }
    }

    #[test]
    fn references_become_what_they_name() {
        for (template, expected) in [
            (r#""${workflow.input.x}""#, "1"),
            (r#""${workflow.input.big}""#, "123456789012345678901234567890"),
            (r#""${workflow.input.n}""#, "null"),
            (r#""${workflow.input.missing.deep}""#, "null"),
            (r#""${nobody.output.x}""#, "null"),
            (r#""${t.output.a.b[0]}""#, "10"),
            (r#""${t.output.a.b[-1].c[0]}""#, "true"),
            (r#""${t.output.a.b[9]}""#, "null"),
            (r#""${t.output['e e']}""#, r#""sp""#),
            (r#""${t.output.a.b.length()}""#, "2"),
            (r#""${t.output}""#, r#"{"a":{"b":[10,{"c":[true]}]},"e e":"sp","f":1.50}"#),
            (r#""id ${workflow.workflowId}: ${workflow.input.name}!""#, r#""id w-1: Ada!""#),
            (r#""${workflow.input.missing}.""#, r#""null.""#),
            (r#""see ${t.output.a}""#, r#""see {b=[10, {c=[true]}]}""#),
            (r#""${t.output.a.${workflow.input.key}[0]}""#, "10"),
            (r#""$${not.one}""#, r#""${not.one}""#),
            (r#""${open""#, r#""${open""#),
            (r#""${}""#, r#""""#),
            (r#""${CPEWF_TASK_ID}""#, r#""task-1""#),
            (r#"[1,"${workflow.input.x}",{"k":["${t.output.f}"]}]"#, r#"[1,1,{"k":[1.50]}]"#),
            ("12345678901234567890123", "12345678901234567890123"),
        ] {
            assert_eq!(resolve(template, &Known).get(), expected, "{template}");
        }
    }

    #[test]
    fn the_template_fills_what_is_missing_or_null() {
        let map = |text: &str| serde_json::from_str::<JsonMap>(text).unwrap();
        let parameters = map(r#"{"a":1,"b":"${workflow.input.n}"}"#);
        let template = map(r#"{"a":9,"b":"eight","c":"${workflow.input.x}"}"#);
        assert_eq!(resolve_map(&parameters, &template, &Known), map(r#"{"a":1,"b":"eight","c":1}"#));
    }
}
