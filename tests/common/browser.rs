//! A real browser that looks at a page.

use std::path::{Path, PathBuf};
use std::process::Command;

/// How the reader's system is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Dark = 0,
    Light = 1,
}

/// Chromium without a window, with a new profile each time.
pub struct Browser {
    folder: tempfile::TempDir,
}

impl Browser {
    /// `None` where there is none.
    pub fn find() -> Option<Self> {
        Command::new("chromium").arg("--version").output().ok()?;
        Some(Browser { folder: tempfile::tempdir().unwrap() })
    }

    /// Shows `html` in a frame of `width`, has `probe` look at it, an expression over `page` (its
    /// document) and `view` (its window), and returns that as JSON.
    pub fn probe(&self, html: &str, width: u32, scheme: Scheme, probe: &str) -> serde_json::Value {
        let page = self.frame(html, width, probe);
        let dom = self.run(scheme, width, 2000, &["--dump-dom"], &page);
        let found =
            dom.split("<pre id=\"found\">").nth(1).and_then(|rest| rest.split("</pre>").next());
        let found = found.unwrap_or_else(|| panic!("nothing was found in {dom}"));
        let text = found.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        serde_json::from_str(&text).unwrap()
    }

    /// A picture of the same frame, `height` of it.
    pub fn screenshot(&self, html: &str, width: u32, height: u32, scheme: Scheme, to: &Path) {
        let page = self.frame(html, width, "null");
        let to = format!("--screenshot={}", to.display());
        self.run(scheme, width, height, &["--hide-scrollbars", &to], &page);
    }

    /// The frame can be narrower than any window.
    fn frame(&self, html: &str, width: u32, probe: &str) -> PathBuf {
        let html = html.replace('&', "&amp;").replace('"', "&quot;");
        let path = self.folder.path().join("page.html");
        let page = format!(
            "<!doctype html><meta charset=\"utf-8\"><style>:root {{ color-scheme: light dark }} \
             body {{ margin: 0 }} iframe {{ border: 0; display: block }}</style>\
             <iframe id=\"frame\" width=\"{width}\" height=\"6000\" srcdoc=\"{html}\"></iframe><script>\
             frame.onload = () => {{ const view = frame.contentWindow, page = view.document; \
             const found = {probe}; if (found === null) return; \
             const pre = document.createElement('pre'); pre.id = 'found'; \
             pre.textContent = JSON.stringify(found); document.body.append(pre) }}</script>"
        );
        std::fs::write(&path, page).unwrap();
        path
    }

    fn run(&self, scheme: Scheme, width: u32, height: u32, flags: &[&str], page: &Path) -> String {
        let profile = tempfile::tempdir_in(self.folder.path()).unwrap();
        let output = Command::new("timeout")
            .args(["60", "chromium", "--headless", "--no-sandbox", "--disable-gpu"])
            .args(["--disable-quic", "--no-first-run", "--disable-background-networking"])
            .args(["--disable-component-update", "--disable-sync", "--virtual-time-budget=3000"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(format!("--blink-settings=preferredColorScheme={}", scheme as u8))
            .arg(format!("--window-size={},{height}", width.max(500)))
            .args(flags)
            .arg(format!("file://{}", page.display()))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}
