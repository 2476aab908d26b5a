//! The pen for Mermaid. Labels are quoted, and every character that means something inside quotes, or would to the Markdown
//! that viewers make of a label, is written as an entity.

use super::{
    graph::{Edge, Graph, Line, Node, Shape, Tone},
    pen::{Page, Pen},
};

pub(super) struct Mermaid;

impl Pen for Mermaid {
    fn head(&self, page: &mut Page) {
        page.open("flowchart TD");
    }

    fn node(&self, id: usize, node: &Node, page: &mut Page) {
        let label = node.lines.iter().map(|line| escape(line)).collect::<Vec<_>>().join("<br/>");
        let (open, close) = match node.shape {
            Shape::Step => ("[", "]"),
            Shape::Terminal => ("([", "])"),
            Shape::Choice => ("{", "}"),
            Shape::Fork => ("{{", "}}"),
            Shape::Sub => ("[[", "]]"),
            Shape::Various => ("[/", "/]"),
        };
        let class = match node.tone {
            Tone::Plain => String::new(),
            tone => format!(":::{}", tone.name()),
        };
        page.line(format_args!("n{id}{open}\"{label}\"{close}{class}"));
    }

    fn open_group(&self, number: usize, title: &str, page: &mut Page) {
        page.open(format_args!("subgraph g{number}[\"{}\"]", escape(title)));
    }

    fn close_group(&self, page: &mut Page) {
        page.close("end");
    }

    fn edge(&self, edge: &Edge, page: &mut Page) {
        let arrow = if edge.line == Line::Solid { "-->" } else { "-.->" };
        let label = edge.label.as_ref().map(|label| format!("|\"{}\"|", escape(label))).unwrap_or_default();
        page.line(format_args!("n{} {arrow}{label} n{}", edge.from, edge.to));
    }

    /// The colours.
    fn foot(&self, graph: &Graph, page: &mut Page) {
        for tone in Tone::ALL.into_iter().filter(|tone| graph.nodes.iter().any(|node| node.tone == *tone)) {
            let (fill, border) = tone.colours();
            let dashes = if tone == Tone::Idle { ",stroke-dasharray:4 3" } else { "" };
            page.line(format_args!("classDef {} fill:{fill},stroke:{border},color:#000{dashes}", tone.name()));
        }
    }
}

/// A line of a label. Colons are escaped since Mermaid looks for `style …:` in the whole text, percent signs since it
/// looks for `%%{…}%%` there, the space behind `direction` since it takes any line with `direction LR` for that setting
/// (11.17.2).
fn escape(line: &str) -> String {
    let chars: Vec<char> = line.chars().collect();
    let n_digits = chars.iter().take_while(|c| c.is_ascii_digit()).count();
    let mut out = String::with_capacity(line.len());
    for (at, c) in chars.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| chars[before]);
        let is_special = match c {
            '"' | '#' | '&' | '<' | '>' | '`' | '*' | '~' | '[' | ']' | '\\' | '%' | ':' | ';' | '@' | '|' | '{'
            | '}' => true,
            '_' => {
                let is_word = |c: Option<&char>| c.is_some_and(|c| c.is_alphanumeric() || *c == '_');
                !is_word(before.as_ref()) || !is_word(chars.get(at + 1))
            }
            '$' => before == Some('$'),
            ' ' => "direction".chars().rev().eq(chars[..at].iter().rev().take(9).copied()),
            // A list, a line or a heading in Markdown.
            '-' | '+' | '=' => at == 0,
            '.' | ')' => at == n_digits && n_digits > 0 || chars[..at].ends_with(&['w', 'w', 'w']),
            _ => false,
        };
        match is_special {
            true => out.push_str(&format!("#{};", u32::from(*c))),
            false => out.push(*c),
        }
    }
    if out.trim().is_empty() { "(empty)".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn what_means_something_is_escaped() {
        for (text, expected) in [
            ("", "(empty)"),
            ("greet_ref", "greet_ref"),
            ("a \"b\" ]", "a #34;b#34; #93;"),
            ("_x_", "#95;x#95;"),
            ("%%{init}%%", "#37;#37;#123;init#125;#37;#37;"),
            ("1. first", "1#46; first"),
            ("$$x$$ $.a", "$#36;x$#36; $.a"),
            ("- a", "#45; a"),
            ("the direction LR", "the direction#32;LR"),
            ("<b>&amp;", "#60;b#62;#38;amp#59;"),
        ] {
            assert_eq!(escape(text), expected, "{text}");
        }
    }
}
