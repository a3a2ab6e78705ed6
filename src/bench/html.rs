//! Results as one page that needs nothing else: no script, no font, no picture from elsewhere.

use std::fmt::Write;

use super::chart;
use super::claims::{self, percent};
use super::results::Results;
use super::table::Table;
use crate::report::svg::escaped;

const STYLE: &str = "\
:root{color-scheme:light dark;--page:#fcfcfb;--ink:#1b1b1a;--soft:#5f5e5a;--rule:#e3e2dd;\
--s1:#2a6fbb;--s2:#b3591a;--s3:#8a4a9e;--s4:#9a988f}\
@media(prefers-color-scheme:dark){:root{--page:#191918;--ink:#f1f0ec;--soft:#b0aea6;--rule:#3a3936;\
--s1:#6ba6e8;--s2:#e39a5c;--s3:#c493d6;--s4:#85837b}}\
body{background:var(--page);color:var(--ink);font:16px/1.5 system-ui,sans-serif;max-width:46rem;\
margin:2rem auto;padding:0 1rem}\
h1{font-size:1.5rem;margin-bottom:.25rem}h2{font-size:1.1rem;margin-top:2.5rem}\
p.facts{color:var(--soft);margin-top:0}\
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}\
th,td{text-align:right;padding:.3rem .5rem;border-bottom:1px solid var(--rule)}\
th{font-weight:600;color:var(--soft)}th:first-child,td:first-child,td.text{text-align:left}\
figure{margin:0}svg{width:100%;height:auto;font:12px system-ui,sans-serif;overflow:visible}\
svg text{fill:var(--soft)}svg text.label{fill:var(--ink)}svg .grid{stroke:var(--rule)}\
.s1{fill:var(--s1)}.s2{fill:var(--s2)}.s3{fill:var(--s3)}.s4{fill:var(--s4)}\
.line{fill:none;stroke-width:2}.line.s1{stroke:var(--s1)}.line.s2{stroke:var(--s2)}\
.line.s3{stroke:var(--s3)}.line.s4{stroke:var(--s4);stroke-dasharray:4 4}\
pre{overflow-x:auto;font-size:12px;border:1px solid var(--rule);padding:.75rem}";

/// The page.
pub fn page(results: &Results) -> String {
    let mut html =
        String::from("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    let _ = write!(
        html,
        "<meta name=\"viewport\" content=\"width=device-width\"><title>ocp-rollup bench</title>\
         <style>{STYLE}</style></head><body>\n<h1>What each way of saving saves</h1>\n\
         <p class=\"facts\">{}<br>{}, {} threads; ocp-rollup {}{}</p>\n",
        escaped(&results.input),
        escaped(&results.machine.processor),
        results.machine.threads,
        env!("CARGO_PKG_VERSION"),
        if results.same_bytes == Some(true) { "; all variants wrote the same bytes" } else { "" },
    );
    html.push_str(
        "<h2>Claimed and measured</h2>\n<table><thead><tr><th>saved by</th><th>claimed</th>\
         <th>memory, others on</th><th>memory, others off</th><th>CPU, others on</th></tr></thead><tbody>\n",
    );
    for checked in claims::check(results) {
        let _ = writeln!(
            html,
            "<tr><td>{}</td><td class=\"text\">{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            checked.claim.name,
            checked.claim.claimed,
            percent(checked.among_others.memory),
            percent(checked.alone.memory),
            percent(checked.among_others.cpu),
        );
    }
    html.push_str("</tbody></table>\n");
    for chart in chart::all(results) {
        let _ = writeln!(html, "<h2>{}</h2>\n<figure>{}</figure>", escaped(chart.title), chart.svg);
    }
    let table = Table(results).to_string();
    let table: Vec<_> = table.lines().map(escaped).collect();
    let table = table.join("\n");
    let _ = write!(html, "<h2>All numbers</h2>\n<pre>{table}</pre>\n</body></html>\n");
    html
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::results;
    use super::*;

    #[test]
    fn the_page_stands_alone_and_holds_all() {
        let html = page(&results());
        assert_eq!(html.matches("<svg ").count(), 8);
        assert_eq!(html.matches("<svg ").count(), html.matches("</svg>").count());
        assert!(html.contains("a &lt;processor&gt;") && !html.contains("a <processor>"));
        assert!(html.contains("prefers-color-scheme:dark"));
        for elsewhere in ["<script", "src=", "href=", "url(", "@import"] {
            assert!(!html.contains(elsewhere), "{elsewhere}");
        }
    }
}
