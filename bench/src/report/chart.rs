//! How does the comparison look as a picture?

use crate::measures::Outcome;

use super::table::{servers_of, thousands};

const ROW: usize = 28;
const LEFT: usize = 580;
const WIDTH: usize = 480;

/// One bar for each server, the fastest first. Those that were not there have none.
pub fn throughput(outcomes: &[Outcome]) -> String {
    let servers = servers_of(outcomes).map(Vec::as_slice).unwrap_or_default();
    let rate = |server: &serde_json::Value| server["per_second"].as_f64();
    let mut bars: Vec<(&str, &str, f64)> = Vec::new();
    for server in servers {
        if let (Some(name), Some(what), Some(rate)) = (server["name"].as_str(), server["what"].as_str(), rate(server)) {
            bars.push((name, what, rate));
        }
    }
    bars.sort_by(|(_, _, left), (_, _, right)| right.total_cmp(left));
    let most = bars.first().map_or(1.0, |(_, _, rate)| *rate);
    let height = ROW * bars.len() + 16;
    let total = LEFT + WIDTH + 90;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {total} {height}\" width=\"{total}\" height=\"{height}\" \
         role=\"img\" aria-label=\"Requests per second of a hello program\">\n{STYLE}"
    );
    for (index, (name, what, rate)) in bars.iter().enumerate() {
        let (top, length) = (8 + index * ROW, (rate / most * WIDTH as f64).max(1.0));
        let kind = match *name {
            "hyper" => "limit",
            ours if ours.starts_with("wagi") => "wagi",
            _ => "other",
        };
        let (label, base) = (escape(what), top + 18);
        svg += &format!(
            "  <text x=\"{}\" y=\"{base}\" text-anchor=\"end\">{label}</text>\n  \
             <rect class=\"{kind}\" x=\"{LEFT}\" y=\"{}\" width=\"{length:.1}\" height=\"20\" rx=\"2\"/>\n  \
             <text x=\"{:.1}\" y=\"{base}\">{}</text>\n",
            LEFT - 10,
            top + 4,
            LEFT as f64 + length + 8.0,
            thousands(*rate)
        );
    }
    svg + "</svg>\n"
}

/// Legible on light pages and on dark ones.
const STYLE: &str = "  <style>
    text { font: 14px sans-serif; fill: #1f2328 }
    .limit { fill: #8c959f } .wagi { fill: #2da44e } .other { fill: #54aeff }
    @media (prefers-color-scheme: dark) { text { fill: #e6edf3 } }
  </style>
";

fn escape(text: &str) -> String {
    text.replace('`', "").replace('&', "&amp;").replace('<', "&lt;")
}
