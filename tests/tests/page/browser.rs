//! The page in a real browser: Chromium without a screen.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::page;

/// Under these names it is known.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// Nothing that asks for a network, a screen or a first look around.
const QUIET: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--enable-logging=stderr",
];

#[test]
#[ignore = "needs Chromium: .ci/install-browser"]
fn a_browser_shows_the_table_and_the_charts_without_complaint() {
    let dom = open(&page(), "good").expect("the browser has nothing to complain about");
    assert_shown(&dom).expect("all is there");
    // The browser has read the page as it was meant: nothing of the subject has become an element.
    assert!(dom.contains("&lt;script&gt;") && !dom.contains("<img"));
}

/// What would be said about a page that is wrong, one mistake at a time.
#[test]
#[ignore = "needs Chromium: .ci/install-browser"]
fn a_broken_page_is_noticed() {
    let style = page().replacen("body {", "body  {", 1);
    let complaint = open(&style, "style").expect_err("its style is not the one that its policy allows");
    assert!(complaint.contains("Content Security Policy"), "{complaint}");

    let script = page().replacen("<main>", "<main><script>no_such_function()</script>", 1);
    let complaint = open(&script, "script").expect_err("a script is not allowed");
    assert!(complaint.contains("Content Security Policy"), "{complaint}");

    let picture = page().replacen("<main>", "<main><img src=\"missing.png\">", 1);
    open(&picture, "picture").expect_err("a picture is not allowed");

    let table = page().replacen("<table>", "<template>", 1);
    let dom = open(&table, "table").expect("that is no mistake to a browser");
    assert_shown(&dom).expect_err("there is no table");

    let chart = page().replacen("<svg class=\"chart\"", "<svg class=\"chart\" hidden", 2);
    let dom = open(&chart, "chart").expect("that is no mistake to a browser");
    assert_shown(&dom).expect_err("there is no chart to be seen");
}

/// Opens a page, and yields what the browser made of it, or what it complained about.
fn open(page: &str, name: &str) -> Result<String, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("page-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let file = folder.join("report.html");
    fs::write(&file, page).map_err(|error| error.to_string())?;
    let output = browse(&folder, &[OsStr::new("--dump-dom"), file.as_os_str()]);
    fs::remove_dir_all(&folder).map_err(|error| error.to_string())?;
    let output = output?;
    let said = String::from_utf8_lossy(&output.stderr);
    let complaints: Vec<&str> = said.lines().filter(|line| line.contains("CONSOLE")).collect();
    if !output.status.success() {
        return Err(format!("{}: {said}", output.status));
    }
    if complaints.is_empty() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(complaints.join("\n"))
    }
}

fn browse(folder: &Path, arguments: &[&OsStr]) -> Result<Output, String> {
    let program = browser().ok_or("there is no Chromium: .ci/install-browser installs it")?;
    let mut profile = OsStr::new("--user-data-dir=").to_os_string();
    profile.push(folder.join("profile"));
    let mut command = Command::new(program);
    command.args(QUIET).arg(profile).args(arguments);
    command.output().map_err(|error| error.to_string())
}

fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    NAMES.iter().flat_map(|name| places.iter().map(move |place| place.join(name))).find(|file| file.is_file())
}

/// Whether a table with a row for each requirement, and a chart for each failure, are in the document.
fn assert_shown(dom: &str) -> Result<(), String> {
    for (what, mark, times) in [
        ("table", "<table>", 1),
        ("head of the table", "<thead>", 1),
        ("row", "<tr id=\"r-", 7),
        ("chart", "<svg class=\"chart\" role=\"img\"", 2),
        ("violation in a chart", "<g class=\"violation\">", 2),
        ("chart in words", "<ol class=\"story\">", 2),
    ] {
        let found = dom.matches(mark).count();
        if found != times {
            return Err(format!("{what}: {found} instead of {times}"));
        }
    }
    Ok(())
}
