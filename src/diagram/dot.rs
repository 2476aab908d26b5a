//! The pen for DOT. Labels are quoted; backslashes and quotes are escaped, and ampersands too, since Graphviz reads HTML
//! entities in any label.

use super::{
    graph::{Edge, Graph, Line, Node, Shape, Tone},
    pen::{Page, Pen},
    text,
};

pub(super) struct Dot<'a> {
    /// Of the picture.
    pub(super) name: &'a str,
}

impl Pen for Dot<'_> {
    fn head(&self, page: &mut Page) {
        page.open(format_args!("digraph \"{}\" {{", escape(&text::line(self.name))));
        page.line("charset=\"UTF-8\";");
        page.line("node [fontname=\"Helvetica\", style=\"filled\", fillcolor=\"#ffffff\"];");
        page.line("edge [fontname=\"Helvetica\"];");
    }

    fn node(&self, id: usize, node: &Node, page: &mut Page) {
        let label = node.lines.iter().map(|line| escape(line)).collect::<Vec<_>>().join("\\n");
        let (shape, rounded) = match node.shape {
            Shape::Step => ("box", ",rounded"),
            Shape::Terminal => ("oval", ""),
            Shape::Choice => ("diamond", ""),
            Shape::Fork => ("hexagon", ""),
            Shape::Sub => ("component", ""),
            Shape::Various => ("box3d", ""),
        };
        let tone = match node.tone {
            Tone::Plain if rounded.is_empty() => String::new(),
            tone => {
                let (fill, border) = tone.colours();
                let dashed = if tone == Tone::Idle { ",dashed" } else { "" };
                format!(", style=\"filled{rounded}{dashed}\", fillcolor=\"{fill}\", color=\"{border}\"")
            }
        };
        page.line(format_args!("n{id} [label=\"{label}\", shape={shape}{tone}];"));
    }

    fn open_group(&self, number: usize, title: &str, page: &mut Page) {
        page.open(format_args!("subgraph cluster_{number} {{"));
        page.line(format_args!("label=\"{}\";", escape(title)));
        page.line("fontname=\"Helvetica\";");
    }

    fn close_group(&self, page: &mut Page) {
        page.close("}");
    }

    fn edge(&self, edge: &Edge, page: &mut Page) {
        let label = edge.label.as_ref().map(|label| format!("label=\"{}\"", escape(label)));
        let style = match edge.line {
            Line::Solid => None,
            Line::Dashed => Some("style=dashed".to_owned()),
            Line::Back => Some("style=dashed, constraint=false".to_owned()),
        };
        let attributes: Vec<String> = label.into_iter().chain(style).collect();
        match attributes.is_empty() {
            true => page.line(format_args!("n{} -> n{};", edge.from, edge.to)),
            false => page.line(format_args!("n{} -> n{} [{}];", edge.from, edge.to, attributes.join(", "))),
        }
    }

    fn foot(&self, _: &Graph, page: &mut Page) {
        page.close("}");
    }
}

fn escape(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for c in line.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '&' => out.push_str("&amp;"),
            c => out.push(c),
        }
    }
    if out.trim().is_empty() { "(empty)".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn what_means_something_is_escaped() {
        for (text, expected) in
            [("", "(empty)"), ("a \"b\" ]", "a \\\"b\\\" ]"), ("\\N\\", "\\\\N\\\\"), ("&lt;", "&amp;lt;")]
        {
            assert_eq!(escape(text), expected, "{text}");
        }
    }
}
