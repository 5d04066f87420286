//! How long does the server take to be there, when it has compiled everything before?

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;

use super::{Bound, Outcome};
use crate::load::median;
use crate::servers::{HELLO_WAT, wagi};
use crate::site::Site;

const MODULES: usize = 1_000;

/// Compiled code is written by a thread of its own, which may not be done when the server is.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long 1,000 distinct modules take from the start of the process until the port is open.
pub fn modules(site: &Site) -> Result<Vec<Outcome>> {
    let directory = site.scratch.join("modules");
    fs::create_dir_all(&directory)?;
    let hello = fs::read_to_string(site.root.join(HELLO_WAT))?;
    let mut manifest = String::new();
    for number in 0..MODULES {
        // Distinct in code too, or caches would find that all are one.
        let distinct =
            format!("(func (export \"number\") (result i32) (i32.const {number}))\n\n  (func (export \"_start\")");
        let module = format!("target/bench/modules/{number}.wat");
        fs::write(site.root.join(&module), hello.replace("(func (export \"_start\")", &distinct))?;
        manifest += &wagi::entry(&format!("/{number}"), &module);
    }
    let manifest = site.write("modules.toml", &manifest)?;
    let cold = Instant::now();
    let cache = Cache::fill(site, &manifest, MODULES)?;
    let cold = cold.elapsed();
    let times = repeat(site, || {
        let begin = Instant::now();
        let server = cache.start(site, &manifest)?;
        let time = begin.elapsed();
        drop(server);
        Ok(time)
    })?;
    let row = Outcome::new("modules", "1,000 distinct modules, warm start to ready", seconds(&times), "s");
    let row = row.held_against(Bound::AtMost(2.0), Some(Bound::AtMost(1.0)));
    Ok(vec![row.with(json!({ "seconds": times, "cold_and_kept_seconds": cold.as_secs_f64(), "cache": cache.what() }))])
}

/// How long hello takes from the start of the process until its answer is here.
pub fn first_answer(site: &Site) -> Result<Vec<Outcome>> {
    let manifest = site.write("hello.toml", &wagi::entry("/", HELLO_WAT))?;
    let cache = Cache::fill(site, &manifest, 1)?;
    let times = repeat(site, || {
        let begin = Instant::now();
        let server = cache.start(site, &manifest)?.says_hello("/")?;
        let time = begin.elapsed();
        drop(server);
        Ok(time)
    })?;
    let row = Outcome::new("start", "start to first answer, warm cache, whole process", seconds(&times) * 1e3, "ms");
    let row = row.held_against(Bound::AtMost(60.0), Some(Bound::AtMost(30.0)));
    Ok(vec![row.with(json!({ "seconds": times, "cache": cache.what() }))])
}

fn repeat(site: &Site, mut once: impl FnMut() -> Result<Duration>) -> Result<Vec<f64>> {
    let count = if site.is_quick { 3 } else { 11 };
    (0..count).map(|_| Ok(once()?.as_secs_f64())).collect()
}

fn seconds(times: &[f64]) -> f64 {
    median(times.iter().copied())
}

/// Where compiled code is kept.
enum Cache {
    /// Where the server keeps it by itself.
    Default,
    /// Where it is told to.
    Told(PathBuf),
}

impl Cache {
    /// Starts the server once, and waits until what it compiled is kept.
    fn fill(site: &Site, manifest: &Path, modules: usize) -> Result<Self> {
        let directory = site.scratch.join("cache");
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        drop(wagi::start(site, manifest)?);
        if files(&directory)? >= modules {
            return Ok(Self::Default);
        }
        let directory = site.scratch.join("told-cache");
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        let cache = Self::Told(site.write("cache.toml", &format!("[cache]\ndirectory = {directory:?}\n"))?);
        let server = cache.start(site, manifest)?;
        let begin = Instant::now();
        while files(&directory)? < modules {
            ensure!(begin.elapsed() < PATIENCE, "the compilation cache holds only {} files", files(&directory)?);
            thread::sleep(Duration::from_millis(20));
        }
        drop(server);
        Ok(cache)
    }

    fn start(&self, site: &Site, manifest: &Path) -> Result<crate::servers::Server> {
        match self {
            Self::Default => wagi::start(site, manifest),
            Self::Told(cache) => wagi::start_cached(site, manifest, cache),
        }
    }

    fn what(&self) -> &'static str {
        match self {
            Self::Default => "by default",
            Self::Told(_) => "cache.toml",
        }
    }
}

fn files(directory: &Path) -> Result<usize> {
    let mut count = 0;
    if directory.exists() {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            count += if path.is_dir() { files(&path)? } else { 1 };
        }
    }
    Ok(count)
}
