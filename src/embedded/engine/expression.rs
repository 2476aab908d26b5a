//! `${…}` references in inputs and outputs: how they are found in a JSON value, and how a path picks from a JSON text.
//! Pure text work, used by the engine through [`Scope`]. A value that is one whole reference stays the very text that was
//! referred to, so that nothing in it is changed; a reference inside other text is written the way Java writes values.

use std::borrow::Cow;

use serde::de::{Deserializer as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::json::{JsonMap, RawJson};

/// What references can name.
pub(super) trait Scope {
    /// The value of `root.field`, such as `workflow.input` or `greet_ref.output`; `None` when there is none.
    fn field(&self, root: &str, field: &str) -> Option<Cow<'_, RawJson>>;

    /// The names of all fields of a root; `None` when there is no such root.
    fn fields(&self, root: &str) -> Option<&'static [&'static str]>;

    /// The id of the task whose input is computed, which `${CPEWF_TASK_ID}` names.
    fn task_id(&self) -> Option<&str>;
}

/// The parameters with all references replaced. The template fills what is missing, and once more, as it is written, what
/// comes out as null.
pub(super) fn resolve_map(parameters: &JsonMap, template: &JsonMap, scope: &impl Scope) -> JsonMap {
    let missing = template.iter().filter(|(name, _)| parameters.get(*name).is_none_or(RawJson::is_null));
    let resolved = parameters.iter().chain(missing).map(|(name, value)| (name.clone(), resolve(value.get(), scope)));
    let mut resolved: JsonMap = resolved.collect();
    for (name, default) in template {
        if let Some(value) = resolved.get_mut(name).filter(|value| value.is_null()) {
            *value = default.clone();
        }
    }
    resolved
}

/// Resolves every reference in the JSON text `json`.
fn resolve(json: &str, scope: &impl Scope) -> RawJson {
    if !json.contains("${") {
        return raw(json);
    }
    match json.as_bytes().first() {
        Some(b'"') => {
            let text: String = serde_json::from_str(json).unwrap_or_default();
            resolve_text(&text, scope).unwrap_or_else(null)
        }
        Some(b'{') => {
            let member = |(name, value): (String, &str)| format!("{}:{}", RawJson::from(&*name), resolve(value, scope));
            raw(&format!("{{{}}}", entries(json).into_iter().map(member).collect::<Vec<_>>().join(",")))
        }
        Some(b'[') => raw(&array(elements(json).iter().map(|value| resolve(value, scope).get().to_owned()))),
        _ => raw(json),
    }
}

/// The value of a text: what it refers to, when it is one whole reference, and otherwise a string.
fn resolve_text(text: &str, scope: &impl Scope) -> Option<RawJson> {
    if let [(0, end)] = references(text)[..] {
        if end == text.len() {
            return referred(&inside(text, 0, end, scope), scope);
        }
    }
    Some(RawJson::from(&*fill(text, scope)))
}

/// The text with each reference replaced by its value as text, and `$${` by `${`.
fn fill(text: &str, scope: &impl Scope) -> String {
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (start, end) in references(text) {
        out.push_str(&text[done..start]);
        let path = inside(text, start, end, scope);
        match referred(&path, scope) {
            Some(value) => write_as_java(&mut out, value.get()),
            // There are no secrets here, and one that is not there is nothing, unlike anything else.
            None if path.starts_with("workflow.secrets.") => {}
            None => out.push_str("null"),
        }
        done = end;
    }
    out.push_str(&text[done..]);
    out.replace("$${", "${")
}

/// The path between the braces, with the references inside it filled in.
fn inside(text: &str, start: usize, end: usize, scope: &impl Scope) -> String {
    fill(&text[start + 2..end - 1], scope)
}

/// What the path refers to.
fn referred(path: &str, scope: &impl Scope) -> Option<RawJson> {
    if path.trim().is_empty() {
        return Some(RawJson::from(""));
    }
    // Of the server's environment only this name is served.
    if path == "CPEWF_TASK_ID" {
        return scope.task_id().map(RawJson::from);
    }
    look_up(path, scope)
}

fn look_up(path: &str, scope: &impl Scope) -> Option<RawJson> {
    let mut steps = parse_path(path)?.into_iter();
    let Some(Step::Name(root)) = steps.next() else { return None };
    match steps.next() {
        Some(Step::Name(field)) => pick(scope.field(&root, &field)?.get(), &steps.collect::<Vec<_>>()),
        Some(_) => None,
        None => {
            let field = |name: &&str| scope.field(&root, name).map_or_else(null, Cow::into_owned);
            let fields = scope.fields(&root)?.iter().map(|name| ((*name).to_owned(), field(name)));
            RawJson::new(&fields.collect::<JsonMap>()).ok()
        }
    }
}

/// Where the outermost references of `text` begin and end. A text with more pairs of braces inside each other than anybody
/// writes has none.
fn references(text: &str) -> Vec<(usize, usize)> {
    const DEEPEST: usize = 100;
    // Each pair with how many are inside it at most; those that are open with the same of what they hold so far.
    let mut open: Vec<(usize, usize)> = Vec::new();
    let mut pairs = Vec::new();
    for (at, c) in text.char_indices() {
        match c {
            '{' => open.push((at, 0)),
            '}' => {
                let Some((from, depth)) = open.pop() else { continue };
                if depth >= DEEPEST {
                    return Vec::new();
                }
                if let Some((_, outer)) = open.last_mut() {
                    *outer = (*outer).max(depth + 1);
                }
                pairs.push((from, at));
            }
            _ => {}
        }
    }
    pairs.sort_unstable();
    let (mut found, mut end) = (Vec::new(), 0);
    for (from, to) in pairs {
        let before = &text[..from];
        if from > end && before.ends_with('$') && !before.ends_with("$$") {
            end = to + 1;
            found.push((from - 1, end));
        }
    }
    found
}

/// A step of a path.
#[derive(Debug, PartialEq)]
enum Step {
    Name(String),
    Index(i64),
    /// `[0,2]`
    Indexes(Vec<i64>),
    /// `[1:3]`
    Slice(Option<i64>, Option<i64>),
    /// `*`
    Every,
    /// `..name`
    Below(String),
    /// `length()`
    Length,
}

impl Step {
    /// Whether it may pick several values, so that the path yields a list.
    fn is_plural(&self) -> bool {
        matches!(self, Self::Indexes(_) | Self::Slice(..) | Self::Every | Self::Below(_))
    }
}

/// The steps of a path; `None` where it is not understood, filters among others.
fn parse_path(path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = path.strip_prefix("$.").unwrap_or(path);
    let mut is_below = false;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let end = inner.find(']')?;
            steps.push(parse_bracket(&inner[..end])?);
            rest = &inner[end + 1..];
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            steps.push(match &rest[..end] {
                "" => return None,
                "*" => Step::Every,
                "length()" => Step::Length,
                name if is_below => Step::Below(name.to_owned()),
                name => Step::Name(name.to_owned()),
            });
            rest = &rest[end..];
        }
        is_below = rest.starts_with("..");
        rest = rest.strip_prefix("..").or(rest.strip_prefix('.')).unwrap_or(rest);
    }
    Some(steps)
}

fn parse_bracket(inner: &str) -> Option<Step> {
    let inner = inner.trim();
    let quoted = |quote: char| inner.strip_prefix(quote)?.strip_suffix(quote);
    if let Some(name) = quoted('\'').or(quoted('"')) {
        return Some(Step::Name(name.to_owned()));
    }
    if inner == "*" {
        return Some(Step::Every);
    }
    if let Some((from, to)) = inner.split_once(':') {
        let end = |text: &str| if text.is_empty() { Some(None) } else { text.trim().parse().ok().map(Some) };
        return Some(Step::Slice(end(from)?, end(to)?));
    }
    if inner.contains(',') {
        return inner.split(',').map(|index| index.trim().parse().ok()).collect::<Option<_>>().map(Step::Indexes);
    }
    inner.parse().ok().map(Step::Index)
}

/// What the steps pick from `json`: one value, or a list where a step may pick several.
fn pick(json: &str, steps: &[Step]) -> Option<RawJson> {
    let is_plural = steps.iter().any(Step::is_plural);
    let mut picked = vec![json.to_owned()];
    for step in steps {
        picked = picked.iter().flat_map(|value| pick_step(value, step)).collect();
    }
    if is_plural { Some(raw(&array(picked.into_iter()))) } else { picked.first().map(|value| raw(value)) }
}

fn pick_step(json: &str, step: &Step) -> Vec<String> {
    let own = |values: Vec<&str>| values.into_iter().map(str::to_owned).collect();
    match step {
        Step::Name(name) => own(entries(json).into_iter().filter(|(key, _)| key == name).map(|(_, v)| v).collect()),
        Step::Index(index) => own(at_index(&elements(json), *index).into_iter().collect()),
        Step::Indexes(indexes) => {
            let elements = elements(json);
            own(indexes.iter().filter_map(|index| at_index(&elements, *index)).collect())
        }
        Step::Slice(from, to) => own(slice(elements(json), *from, *to)),
        Step::Every => own(children(json)),
        Step::Below(name) => below(json, name),
        Step::Length if json.starts_with('[') => vec![elements(json).len().to_string()],
        Step::Length if json.starts_with('{') => vec![entries(json).len().to_string()],
        Step::Length => vec!["null".to_owned()],
    }
}

fn at_index<'a>(elements: &[&'a str], index: i64) -> Option<&'a str> {
    let index = if index < 0 { index + i64::try_from(elements.len()).ok()? } else { index };
    elements.get(usize::try_from(index).ok()?).copied()
}

fn slice(elements: Vec<&str>, from: Option<i64>, to: Option<i64>) -> Vec<&str> {
    let length = i64::try_from(elements.len()).unwrap_or(i64::MAX);
    let place = |index: i64| if index < 0 { (index + length).max(0) } else { index.min(length) };
    let (from, to) = (place(from.unwrap_or(0)), place(to.unwrap_or(length)));
    let count = usize::try_from(to - from).unwrap_or_default();
    elements.into_iter().skip(usize::try_from(from).unwrap_or_default()).take(count).collect()
}

fn children(json: &str) -> Vec<&str> {
    if json.starts_with('[') { elements(json) } else { entries(json).into_iter().map(|(_, value)| value).collect() }
}

/// The values under `name` in `json` and everything below it.
fn below(json: &str, name: &str) -> Vec<String> {
    let mut found = pick_step(json, &Step::Name(name.to_owned()));
    found.extend(children(json).into_iter().flat_map(|child| below(child, name)));
    found
}

/// The entries of a JSON object in their order; none for anything else.
fn entries(json: &str) -> Vec<(String, &str)> {
    struct Entries;
    impl<'de> Visitor<'de> for Entries {
        type Value = Vec<(String, &'de str)>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut entries = Vec::new();
            while let Some((key, value)) = map.next_entry::<String, &'de RawValue>()? {
                entries.push((key, value.get()));
            }
            Ok(entries)
        }
    }
    serde_json::Deserializer::from_str(json).deserialize_map(Entries).unwrap_or_default()
}

/// The elements of a JSON array; none for anything else.
fn elements(json: &str) -> Vec<&str> {
    struct Elements;
    impl<'de> Visitor<'de> for Elements {
        type Value = Vec<&'de str>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an array")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut elements = Vec::new();
            while let Some(value) = seq.next_element::<&'de RawValue>()? {
                elements.push(value.get());
            }
            Ok(elements)
        }
    }
    serde_json::Deserializer::from_str(json).deserialize_seq(Elements).unwrap_or_default()
}

/// Appends a JSON value as Java's `toString` writes it: `{a=1, b=[x, null]}`.
fn write_as_java(out: &mut String, json: &str) {
    match json.as_bytes().first() {
        Some(b'"') => out.push_str(&serde_json::from_str::<String>(json).unwrap_or_default()),
        Some(b'{') => {
            out.push('{');
            for (n, (key, value)) in entries(json).into_iter().enumerate() {
                out.push_str(if n > 0 { ", " } else { "" });
                out.push_str(&key);
                out.push('=');
                write_as_java(out, value);
            }
            out.push('}');
        }
        Some(b'[') => {
            out.push('[');
            for (n, value) in elements(json).into_iter().enumerate() {
                out.push_str(if n > 0 { ", " } else { "" });
                write_as_java(out, value);
            }
            out.push(']');
        }
        _ if json.contains(['.', 'e', 'E']) && json.parse::<f64>().is_ok() => write_double(out, json),
        _ => out.push_str(json),
    }
}

/// Appends a number with a fraction or exponent as Java writes a `double`: `1.5`, `1.0E30`.
fn write_double(out: &mut String, json: &str) {
    let value: f64 = json.parse().unwrap_or_default();
    let text = if value == 0.0 || (1e-3..1e7).contains(&value.abs()) {
        format!("{value:?}")
    } else {
        let scientific = format!("{value:E}");
        let (digits, exponent) = scientific.split_once('E').unwrap_or((&scientific, "0"));
        let point = if digits.contains('.') { "" } else { ".0" };
        format!("{digits}{point}E{exponent}")
    };
    out.push_str(&text);
}

/// The text of a JSON array with these elements.
fn array(elements: impl Iterator<Item = String>) -> String {
    format!("[{}]", elements.collect::<Vec<_>>().join(","))
}

/// JSON from a text that is known to be JSON.
fn raw(json: &str) -> RawJson {
    json.parse().unwrap_or_else(|_| null())
}

fn null() -> RawJson {
    RawJson::from(serde_json::Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUT: &str = r#"{"n":12,"s":"str","obj":{"x":1,"y":"two","z":null,"l":[1,"a"],"m":{"q":true}},
        "arr":[{"k":"v1"},{"k":"v2"}],"key":"s","f":1.5,"f2":1e30,"big":123456789012345678901234567890,"t":true,
        "nulll":null,"arr2":[1,2,3],"uni":"ü😀","dotted.key":5,"sml":0.0001}"#;

    struct Fixed;

    impl Scope for Fixed {
        fn field(&self, root: &str, field: &str) -> Option<Cow<'_, RawJson>> {
            match (root, field) {
                ("workflow", "input") => Some(Cow::Owned(raw(INPUT))),
                ("workflow", "version") => Some(Cow::Owned(raw("1"))),
                ("workflow", "workflowType") => Some(Cow::Owned(RawJson::from("e_wf"))),
                _ => None,
            }
        }

        fn fields(&self, root: &str) -> Option<&'static [&'static str]> {
            (root == "workflow").then_some(&["version", "workflowType", "status"])
        }

        fn task_id(&self) -> Option<&str> {
            Some("the-task")
        }
    }

    /// What server 3.32.1 made of each text with this input.
    #[test]
    fn references_resolve_as_on_the_server() {
        for (text, expected) in [
            ("${workflow.input.n}", "12"),
            ("x ${workflow.input.n} y ${workflow.input.missing} z", r#""x 12 y null z""#),
            ("${workflow.input.obj}", r#"{"x":1,"y":"two","z":null,"l":[1,"a"],"m":{"q":true}}"#),
            ("in ${workflow.input.obj} text", r#""in {x=1, y=two, z=null, l=[1, a], m={q=true}} text""#),
            ("${workflow.input.arr[0]}", r#"{"k":"v1"}"#),
            ("${workflow.input.arr[-1]}", r#"{"k":"v2"}"#),
            ("${workflow.input.arr[*].k}", r#"["v1","v2"]"#),
            ("${workflow.input['s']}", r#""str""#),
            ("$${workflow.input.s}", r#""${workflow.input.s}""#),
            ("${workflow.input.${workflow.input.key}}", r#""str""#),
            ("${CPEWF_TASK_ID}", r#""the-task""#),
            (
                "${workflow.input.f} ${workflow.input.f2} ${workflow.input.big}",
                r#""1.5 1.0E30 123456789012345678901234567890""#,
            ),
            ("${workflow.input.t} ${workflow.input.nulll} ${workflow.input.arr2}", r#""true null [1, 2, 3]""#),
            ("${workflow.input.big}", "123456789012345678901234567890"),
            ("${workflow.input.arr.length()}", "2"),
            ("${workflow.input.s.length()}", "null"),
            ("${nope.output.x}", "null"),
            ("${workflow.input.arr[9]}", "null"),
            ("${workflow.input.arr[0,1]}", r#"[{"k":"v1"},{"k":"v2"}]"#),
            ("${workflow.input.arr2[0:2]}", "[1,2]"),
            ("${workflow.input..k}", r#"["v1","v2"]"#),
            ("${workflow.input.obj.*}", r#"[1,"two",null,[1,"a"],{"q":true}]"#),
            ("${workflow.input.s", r#""${workflow.input.s""#),
            ("plain } ${workflow.input.s} }", r#""plain } str }""#),
            ("a ${workflow.input.s}${workflow.input.n} b", r#""a str12 b""#),
            ("{${workflow.input.s}}", r#""{str}""#),
            ("${workflow.input.arr[0].k.zz}", "null"),
            ("$ {x} $x", r#""$ {x} $x""#),
            ("${workflow.version}/${workflow.workflowType}", r#""1/e_wf""#),
            ("x$${y}z", r#""x${y}z""#),
            ("${workflow.input.uni} é", r#""ü😀 é""#),
            ("${workflow.input.dotted.key}", "null"),
            ("${workflow.input['dotted.key']}", "5"),
            ("${workflow.secrets.foo}", "null"),
            ("x ${workflow.secrets.foo} y", r#""x  y""#),
            ("${}", r#""""#),
            ("small ${workflow.input.sml}", r#""small 1.0E-4""#),
            ("${workflow}", r#"{"status":null,"version":1,"workflowType":"e_wf"}"#),
            ("${nope}", "null"),
        ] {
            let json = RawJson::from(text);
            assert_eq!(resolve(json.get(), &Fixed).get(), expected, "{text}");
        }
    }

    #[test]
    fn references_are_found_at_any_depth() {
        let json = r#"["${workflow.input.s}",{"q":"${workflow.input.n}"},3,null,true]"#;
        assert_eq!(resolve(json, &Fixed).get(), r#"["str",{"q":12},3,null,true]"#);
    }

    #[test]
    fn texts_of_nothing_but_braces_are_texts() {
        let open = "${workflow.input.n".repeat(100_000);
        let nested = format!("{}{}", "${".repeat(100_000), "}".repeat(100_000));
        for text in [&*open, &*nested] {
            assert_eq!(fill(text, &Fixed), text);
        }
        let few = format!("{}workflow.input.n{}", "${".repeat(3), "}".repeat(3));
        assert_ne!(fill(&few, &Fixed), few);
    }

    #[test]
    fn a_filter_is_not_understood_and_yields_null() {
        assert_eq!(parse_path("workflow.input.arr2[?(@ > 1)]"), None);
    }

    #[test]
    fn the_template_fills_what_is_missing_or_null() {
        let map = |text: &str| serde_json::from_str::<JsonMap>(text).unwrap();
        let parameters = map(r#"{"a":1,"b":"${workflow.input.nulll}"}"#);
        let template = map(r#"{"a":9,"b":"eight","c":"${workflow.input.n}","d":"${workflow.input.no}"}"#);
        let expected = map(r#"{"a":1,"b":"eight","c":12,"d":"${workflow.input.no}"}"#);
        assert_eq!(resolve_map(&parameters, &template, &Fixed), expected);
    }
}
