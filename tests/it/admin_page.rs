//! The page of the admin listener, in Chromium.
//!
//! `WAGI_BLESS=1 cargo test pictures -- --ignored` takes the pictures of docs/admin.md anew.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::admin_requests::{TRAP, site};
use crate::support::admin::Administered;
use crate::support::browser::Browser;
use crate::support::guest::probe;
use crate::support::site::Site;

#[test]
fn the_page_is_one_file_that_runs_nothing_but_its_own_script() {
    let server = Administered::start(site(), &[]);
    let page = server.ask("GET", "/");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.header("content-security-policy").expect("a policy");
    for part in ["default-src 'none'", "script-src 'sha256-", "style-src 'sha256-", "frame-ancestors 'none'"] {
        assert!(policy.contains(part), "{part}: {policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    let head = server.ask("OPTIONS", "/");
    assert_eq!((head.status, head.header("allow")), (405, Some("GET, HEAD")));
}

/// Opens the page, and waits until it shows what the server says.
fn open(server: &Administered) -> Browser {
    let browser = Browser::open();
    browser.go(&server.url());
    browser.shown("#state", "serving");
    browser
}

/// The console says nothing, and no other server was asked.
fn check_quiet(browser: &Browser, server: &Administered) {
    let (said, requested) = (browser.console(), browser.requested());
    assert!(said.is_empty(), "{said:#?}");
    let is_own = |url: &&String| url.starts_with(&server.url()) || url.starts_with("data:");
    let foreign: Vec<_> = requested.iter().filter(|url| !is_own(url)).collect();
    assert!(!requested.is_empty() && foreign.is_empty(), "{foreign:#?}");
}

#[test]
#[ignore = "needs chromium-driver"]
fn a_request_shows_in_the_table_and_in_the_plot() {
    let server = Administered::start(site(), &[]);
    let browser = open(&server);
    browser.shown("#route-rows", "/p/...");
    for _ in 0..3 {
        assert_eq!(server.begin("/p/args").answer().status, 200);
    }
    let row = "[...document.querySelectorAll('#route-rows tr')].find(row => row.innerText.includes('/p/...'))";
    let plotted = format!("return {row}.querySelector('path.requests').getAttribute('d').includes('v-')");
    crate::support::eventually(|| (browser.script(&plotted) == json!(true)).then_some(()));
    browser.shown("#facts", "requests");
    check_quiet(&browser, &server);
}

#[test]
#[ignore = "needs chromium-driver"]
fn a_trap_shows_its_reason_its_cause_and_the_words_of_its_guest_as_text() {
    let server = Administered::start(site(), &[]);
    let browser = open(&server);
    assert_eq!(server.begin("/trap?%3Cscript%3E'&amp;'").answer().status, 500);
    browser.shown("#failures summary", "trap");
    browser.script("document.querySelector('#failures details summary').focus()");
    // The keyboard opens it.
    browser.press("\u{e007}");
    let shown = browser.shown("#failures details", "<script>document.title = 'taken'</script>");
    for part in ["unreachable", "gave up by itself", "give_up", "/trap?%3Cscript%3E'&amp;'"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    browser.shown("#route-rows tr.failing", "/trap");
    assert_eq!(browser.script("return document.querySelectorAll('#main script').length"), 0);
    assert_eq!(browser.script("return document.title"), "wagi");
    // It stays open when the page looks again.
    server.begin("/trap").answer();
    let both = "return document.querySelectorAll('#failures details').length === 2 && document.querySelectorAll('#failures details[open]').length === 1";
    crate::support::eventually(|| (browser.script(both) == json!(true)).then_some(()));
    check_quiet(&browser, &server);
}

#[test]
#[ignore = "needs chromium-driver"]
fn a_request_that_is_stuck_is_ended_by_its_button() {
    let server = Administered::start(site(), &[]);
    let browser = open(&server);
    let mut stuck = server.begin("/p/spin?&lt;b&gt;'stuck'");
    browser.shown("#flight-rows", "/p/spin?&lt;b&gt;'stuck'");
    browser.click("#flight-rows button");
    assert_eq!(stuck.answer().status, 504);
    server.wagi.logged(&["/p/spin", "end=cancelled"]);
    browser.shown("#flight-note", "There are none.");
    browser.shown("#failures", "cancelled");
    check_quiet(&browser, &server);
}

#[test]
#[ignore = "needs chromium-driver"]
fn the_page_fits_a_telephone_and_follows_the_colours_of_the_system() {
    let server = Administered::start(site(), &[]);
    let browser = Browser::open();
    let metrics = json!({ "width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": true });
    browser.command("Emulation.setDeviceMetricsOverride", &metrics);
    let _stuck = server.begin(&format!("/p/spin?{}", "long".repeat(100)));
    server.begin("/trap").answer();
    browser.go(&server.url());
    browser.shown("#flight-rows", "longlong");
    browser.shown("#failures", "trap");
    let width = browser.script("return document.documentElement.scrollWidth");
    assert!(width.as_u64().is_some_and(|width| width <= 360), "{width}");
    let mut colours = Vec::new();
    for scheme in ["light", "dark"] {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        browser.command("Emulation.setEmulatedMedia", &features);
        colours.push(browser.script("return getComputedStyle(document.body).backgroundColor"));
    }
    assert_ne!(colours[0], colours[1]);
    // Tables are tables for screen readers, although they are shown as lists.
    let roles = "return [...document.querySelectorAll('table, thead, tbody, tr, th, td')].every(part => part.hasAttribute('role'))";
    assert_eq!(browser.script(roles), true);
}

/// What the page of the pictures shows: programs with names that mean something.
fn shop() -> Site {
    let site = Site::new();
    site.file("shop.wasm", std::fs::read(probe()).expect("a module"));
    let report = TRAP
        .replace("<script>document.title = 'taken'</script> \\ff\\00", "no report for 2026: the table sales is empty");
    site.file("report.wat", report);
    let limits = "limits = { cpu_time = '60s', time_to_head = '60s' }";
    site.module("/report", Path::new("report.wat"), "").module("/shop/...", Path::new("shop.wasm"), limits)
}

/// Takes a picture of what a window shows. It is kept if that is asked for.
fn take_picture(browser: &Browser, name: &str, (width, height): (u32, u32), scheme: &str) {
    let is_phone = width < 600;
    let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone });
    browser.command("Emulation.setDeviceMetricsOverride", &metrics);
    let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
    browser.command("Emulation.setEmulatedMedia", &features);
    // Colours change little by little.
    let changing = || browser.script("return document.getAnimations().length");
    crate::support::eventually(|| (changing() == 0).then_some(()));
    let taken = browser.command("Page.captureScreenshot", &json!({ "format": "png" }));
    let bytes = STANDARD.decode(taken["data"].as_str().expect("a picture")).expect("base64");
    assert!(bytes.starts_with(b"\x89PNG"), "{name}");
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/images").join(name);
    if std::env::var_os("WAGI_BLESS").is_some() {
        std::fs::create_dir_all(kept.parent().expect("a directory")).expect("a directory can be made");
        std::fs::write(&kept, bytes).expect("a file can be written");
    }
    let length = std::fs::metadata(&kept).expect("WAGI_BLESS=1 takes it").len();
    assert!(length < 60 << 10, "{name} has {length} bytes");
}

#[test]
#[ignore = "needs chromium-driver"]
fn the_pictures_show_a_route_that_fails_a_telephone_and_a_request_that_is_stuck() {
    let server = Administered::start(shop(), &[]);
    let browser = Browser::open_with(&["--hide-scrollbars", "--disable-lcd-text"]);
    browser.go(&server.url());
    browser.shown("#state", "serving");
    let row = "[...document.querySelectorAll('#route-rows tr')].find(row => row.innerText.includes('/shop/...'))";
    let plotted = format!("return {row}.querySelector('path.requests').getAttribute('d').split('v-').length");
    for round in 2..=6 {
        for _ in 0..round {
            assert_eq!(server.begin("/shop/args").answer().status, 200);
        }
        crate::support::eventually(|| (browser.script(&plotted).as_u64()? >= round).then_some(()));
    }
    assert_eq!(server.begin("/report?year=2026").answer().status, 500);
    browser.shown("#failures summary", "trap");
    browser.shown("#route-rows tr.failing", "/report");
    take_picture(&browser, "admin-light.png", (1000, 540), "light");
    take_picture(&browser, "admin-dark.png", (1000, 540), "dark");
    take_picture(&browser, "admin-360.png", (360, 740), "light");
    let _stuck = server.begin("/shop/spin?order=17");
    browser.shown("#flight-rows", "/shop/spin?order=17");
    browser.script("document.querySelector('#failures details summary').click()");
    browser.script("document.querySelector('#flight').scrollIntoView()");
    take_picture(&browser, "admin-stuck.png", (1000, 420), "light");
    check_quiet(&browser, &server);
}

#[test]
#[ignore = "needs chromium-driver"]
fn the_page_asks_for_the_token_and_keeps_it_for_its_tab() {
    let site = Site::new().text_module("/trap", TRAP, "").top("[admin]\ntoken_file = 'admin.token'");
    let token = "0123456789abcdef0123456789abcdef";
    site.file("admin.token", token);
    let server = Administered::start(site, &[]);
    let browser = Browser::open();
    browser.go(&server.url());
    browser.shown("#login", "Token");
    assert_eq!(browser.text("#main"), "");
    browser.press("wrong\u{e007}");
    browser.shown("#problem", "not the right one");
    browser.press(&format!("{token}\u{e007}"));
    browser.shown("#state", "serving");
    browser.go(&server.url());
    browser.shown("#route-rows", "/trap");
    assert!(!browser.requested().iter().any(|url| url.contains(token)));
}

#[test]
#[ignore = "needs chromium-driver"]
fn a_page_that_is_not_seen_asks_for_nothing() {
    let server = Administered::start(site(), &[]);
    let browser = open(&server);
    let hide = "Object.defineProperty(document, 'hidden', { value: true, configurable: true }); document.dispatchEvent(new Event('visibilitychange'))";
    browser.script(hide);
    // What was asked for before may still come in.
    crate::support::eventually(|| browser.requested().is_empty().then_some(()));
    let counted = "return performance.getEntriesByType('resource').length";
    let before = browser.script(counted);
    server.begin("/trap").answer();
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(browser.script(counted), before);
    browser.script(&hide.replace("value: true", "value: false"));
    browser.shown("#failures", "trap");
}
