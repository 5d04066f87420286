//! What does it save that an interpreter begins at its checkpoint?
//!
//! The same scripts cold and warm in one server, as native CGI programs under lighttpd, and for PHP in PHP-FPM under nginx. The
//! snapshots are made before, by a check that fills the cache.

mod languages;
pub mod making;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use self::languages::{LANGUAGES, Language, PAGES};
use super::{Bound, Outcome};
use crate::client::Connection;
use crate::load::median;
use crate::process::free_address;
use crate::servers::{Server, native, wagi};
use crate::site::Site;

/// How long the snapshots of the cache may take to be loaded.
const PATIENCE: Duration = Duration::from_secs(60);

const ROUNDS: usize = 5;

/// Takes the measure: CPU time of a request, in turn.
pub fn take(site: &Site) -> Result<Vec<Outcome>> {
    let root = site.scratch.join("warm");
    write_pages(site, &root)?;
    let own = WarmServer::start(site, &root)?;
    let cgi = native::lighttpd_scripts(site, &root, &LANGUAGES.map(|language| (language.extension, language.native)))?;
    let fpm = native::php_fpm(site, &root)?;
    let mut outcomes = Vec::new();
    for language in &LANGUAGES {
        for page in PAGES {
            let script = format!("{}/{page}/index.{}", language.extension, language.extension);
            let mut turns = vec![
                Turn::new("cold", &own.server, format!("/cold/{script}")),
                Turn::new("warm", &own.server, format!("/warm/{script}")),
                Turn::new("native CGI", &cgi, format!("/{script}")),
            ];
            if language.extension == "php" {
                turns.push(Turn::new("PHP-FPM", &fpm, format!("/{script}")));
            }
            outcomes.extend(compare(site, language, page, turns)?);
        }
    }
    ensure!(warm_routes(own.admin)? == own.routes, "not every route stayed warm");
    outcomes.push(Outcome::new("warm", "all snapshots loaded from the cache after", own.loaded.as_secs_f64(), "s"));
    Ok(outcomes)
}

/// A directory for each script, since a check makes its requests for the script that stands for a directory.
fn write_pages(site: &Site, root: &Path) -> Result<()> {
    for Language { extension, .. } in &LANGUAGES {
        for page in PAGES {
            let directory = root.join(extension).join(page);
            fs::create_dir_all(&directory)?;
            let source = site.root.join(format!("bench/guests/warm/{page}.{extension}"));
            fs::copy(&source, directory.join(format!("index.{extension}")))
                .with_context(|| format!("cannot copy `{}`", source.display()))?;
        }
    }
    Ok(())
}

/// The gateway with each script twice: cold and warm.
struct WarmServer {
    server: Server,
    admin: SocketAddr,
    /// How many are to be warm.
    routes: usize,
    loaded: Duration,
}

impl WarmServer {
    fn start(site: &Site, root: &Path) -> Result<Self> {
        let admin = free_address()?;
        let mut manifest = format!("[admin]\nlisten = \"{admin}\"\n\n");
        for language in &LANGUAGES {
            for page in PAGES {
                manifest += &entries(site, root, language, page)?;
            }
        }
        let file = site.write("warm.toml", &manifest)?;
        let checked = wagi::check(site, &file).args(["--warm", "5"]).output()?;
        ensure!(checked.status.success(), "not all are warm: {}", String::from_utf8_lossy(&checked.stdout));
        let (server, begun) = (wagi::start(site, &file)?, Instant::now());
        let mut own = Self { server, admin, routes: LANGUAGES.len() * PAGES.len(), loaded: Duration::ZERO };
        while warm_routes(admin)? < own.routes {
            if begun.elapsed() > PATIENCE {
                bail!("the snapshots are not loaded from the cache");
            }
            thread::sleep(Duration::from_millis(10));
        }
        own.loaded = begun.elapsed();
        Ok(own)
    }
}

/// How many routes of a server are warm, as its admin listener says.
fn warm_routes(admin: SocketAddr) -> Result<usize> {
    Ok(Connection::open(admin)?.ask("/status")?.matches("\"state\":\"warm\"").count())
}

fn entries(site: &Site, root: &Path, language: &Language, page: &str) -> Result<String> {
    let Language { extension, warm_start, .. } = language;
    let directory = root.join(extension).join(page);
    let entry = |state: &str| entry(site, language, &format!("/{state}/{extension}/{page}/..."), &directory);
    Ok(entry("cold")? + &entry("warm")? + &format!("warm_start = {warm_start}\n"))
}

/// An entry for the scripts in a directory, without `warm_start`.
fn entry(site: &Site, language: &Language, route: &str, directory: &Path) -> Result<String> {
    let Language { extension, keys, module, .. } = language;
    let keys = keys.replace("GUESTS", &site.root.join("target/guests").to_string_lossy());
    let scripts = format!("scripts = {{ directory = '{}', extensions = ['{extension}'] }}\n", directory.display());
    Ok(wagi::entry(route, &site.guest(module)?) + &scripts + &keys)
}

/// A server that has its turn.
struct Turn<'a> {
    name: &'static str,
    server: &'a Server,
    path: String,
    /// CPU time of a request in each round, in milliseconds.
    cpu: Vec<f64>,
}

impl<'a> Turn<'a> {
    fn new(name: &'static str, server: &'a Server, path: String) -> Self {
        Self { name, server, path, cpu: Vec::new() }
    }

    /// Sends one request after the other: those that are not answered yet at the end of a load would be counted otherwise.
    fn take(&mut self, time: Duration) -> Result<()> {
        let (before, begun, mut requests) = (self.server.cpu()?, Instant::now(), 0.0);
        let mut connection = Connection::open(self.server.address)?;
        while begun.elapsed() < time {
            connection.ask(&self.path).with_context(|| format!("{}: {}", self.name, self.path))?;
            requests += 1.0;
        }
        self.cpu.push(1000.0 * (self.server.cpu()? - before).as_secs_f64() / requests);
        Ok(())
    }
}

fn compare(site: &Site, language: &Language, page: &str, mut turns: Vec<Turn<'_>>) -> Result<Vec<Outcome>> {
    for _ in 0..site.rounds.min(ROUNDS) {
        for turn in &mut turns {
            turn.take(site.turn)?;
        }
    }
    let what = |what: &str| format!("{page} in {}: {what}", language.name);
    let mut outcomes: Vec<Outcome> = turns
        .iter()
        .map(|turn| {
            let name = what(&format!("CPU time of a request, {}", turn.name));
            Outcome::new("warm", name, median(turn.cpu.iter().copied()), "ms").with(json!({ "rounds_ms": turn.cpu }))
        })
        .collect();
    let [cold, warm, native, ..] = &turns[..] else { bail!("too few turns") };
    let ratio = |of: &Turn<'_>| median(of.cpu.iter().zip(&warm.cpu).map(|(of, warm)| of / warm));
    let mut saved = Outcome::new("warm", what("cold against warm"), ratio(cold), "");
    let mut beaten = Outcome::new("warm", what("native CGI against warm"), ratio(native), "");
    if page == "hello" {
        saved = saved.held_against(Bound::AtLeast(language.must_save), None);
        beaten = beaten.held_against(Bound::AtLeast(language.must_beat_native), None);
    }
    outcomes.extend([saved, beaten]);
    Ok(outcomes)
}
