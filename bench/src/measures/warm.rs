//! What does it save that an interpreter begins at its checkpoint?
//!
//! A page of php-cgi, cold and warm, in one server. The snapshot is made before, by a check that fills the cache.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use super::{Bound, Outcome};
use crate::client::Connection;
use crate::load::{median, wrk};
use crate::process::free_address;
use crate::servers::wagi;
use crate::site::Site;

const PAGE: &str = "<?php\nheader('Content-Type: text/plain');\necho 'hello ', $_GET['name'] ?? 'world', \"\\n\";\n";

/// How long a snapshot of the cache may take to be loaded.
const PATIENCE: Duration = Duration::from_secs(30);

/// Takes the measure: CPU time and requests a second, in turn.
pub fn take(site: &Site) -> Result<Vec<Outcome>> {
    let (module, pages, admin) = (site.guest("php-cgi.wasm")?, site.scratch.join("php"), free_address()?);
    fs::create_dir_all(&pages)?;
    fs::write(pages.join("index.php"), PAGE)?;
    let scripts = format!("scripts = {{ directory = \"{}\", extensions = [\"php\"] }}\n", pages.display());
    let entries = ["cold", "warm"].map(|route| wagi::entry(&format!("/{route}/..."), &module) + &scripts);
    let manifest = format!("[admin]\nlisten = \"{admin}\"\n\n{}\n{}warm_start = true\n", entries[0], entries[1]);
    let file = site.write("warm.toml", &manifest)?;
    let checked = wagi::check(site, &file).args(["--warm", "5"]).output()?;
    ensure!(checked.status.success(), "php-cgi does not begin warm: {}", String::from_utf8_lossy(&checked.stdout));
    let server = wagi::start(site, &file)?;
    let begun = Instant::now();
    while !Connection::open(admin)?.ask("/status")?.contains("\"state\":\"warm\"") {
        if begun.elapsed() > PATIENCE {
            bail!("its snapshot is not loaded from the cache");
        }
        thread::sleep(Duration::from_millis(10));
    }
    let loaded = begun.elapsed();
    let (mut ratios, mut times, mut of_cold, mut of_warm) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..site.rounds.min(5) {
        let cpu = |path: &str| -> Result<f64> {
            let before = server.cpu()?;
            let load = wrk::load(site, &server.url(path), 2, site.turn)?;
            Ok(1000.0 * (server.cpu()? - before).as_secs_f64() / load.requests)
        };
        let (cold, warm) = (cpu("/cold/index.php")?, cpu("/warm/index.php")?);
        ratios.push(cold / warm);
        of_cold.push(cold);
        of_warm.push(warm);
        times.push(json!({ "cold_cpu_ms": cold, "warm_cpu_ms": warm }));
    }
    let status = Connection::open(admin)?.ask("/status")?;
    let compiled = site.scratch.join("cache/wagi/compiled");
    let snapshot = snapshot_size(&compiled).context("there is no snapshot in the cache")?;
    let detail = json!({ "rounds": times, "loaded_ms": loaded.as_secs_f64() * 1000.0, "snapshot_bytes": snapshot });
    ensure!(status.contains("\"state\":\"warm\""), "it did not stay warm");
    Ok(vec![
        Outcome::new("warm", "php-cgi: CPU time of a request cold, against warm", median(ratios), "")
            .held_against(Bound::AtLeast(2.0), None)
            .with(detail),
        Outcome::new("warm", "php-cgi: CPU time of a cold request", median(of_cold), "ms"),
        Outcome::new("warm", "php-cgi: CPU time of a warm request", median(of_warm), "ms"),
    ])
}

/// The size of the largest snapshot in a cache.
fn snapshot_size(compiled: &std::path::Path) -> Option<u64> {
    let files = fs::read_dir(compiled).ok()?.filter_map(Result::ok);
    let snapshots = files.filter(|file| file.file_name().to_string_lossy().starts_with("snapshot-"));
    snapshots.filter_map(|file| Some(file.metadata().ok()?.len())).max()
}
