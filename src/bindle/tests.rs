//! Bindles from directories: what is served of them, and what happens to bindles that are not what they say.

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::{BindleConfig, BindleLocation, Diagnostic};

use crate::bindle::{BindleModule, FetchedBindle, fetch};
use crate::format::sha256_hex;

const ID: &str = "example.com/site/1.0.0";

/// A directory with one bindle, and a cache next to it.
struct Site {
    root: tempfile::TempDir,
    invoice: String,
}

impl Site {
    fn new() -> Self {
        let site = Self {
            root: tempfile::tempdir().expect("a temporary directory"),
            invoice: "bindleVersion = '1.0.0'\nbindle = { name = 'example.com/site', version = '1.0.0' }\n".to_owned(),
        };
        fs::create_dir_all(site.bindle().join("parcels")).expect("writable");
        site.write_invoice();
        site
    }

    fn with(mut self, name: &str, contents: &str, wagi: &str, conditions: &str) -> Self {
        let (sha256, size) = (sha256_hex(contents.as_bytes()), contents.len());
        self.invoice += &format!(
            "[[parcel]]\nlabel = {{ name = '{name}', mediaType = 'application/wasm', size = {size}, sha256 = '{sha256}', \
            feature.wagi = {{ {wagi} }} }}\nconditions = {{ {conditions} }}\n"
        );
        fs::write(self.parcel(contents), contents).expect("writable");
        self.write_invoice();
        self
    }

    fn script(self, name: &str, route: &str, conditions: &str) -> Self {
        self.with(name, name, &format!("route = '{route}'"), conditions)
    }

    fn asset(self, name: &str, contents: &str, group: &str) -> Self {
        self.with(name, contents, "file = 'true'", &format!("memberOf = ['{group}']"))
    }

    fn write_invoice(&self) {
        fs::write(self.bindle().join("invoice.toml"), &self.invoice).expect("writable");
    }

    fn bindle(&self) -> PathBuf {
        self.root.path().join("bindles").join(sha256_hex(ID.as_bytes()))
    }

    fn parcel(&self, contents: &str) -> PathBuf {
        self.bindle().join("parcels").join(sha256_hex(contents.as_bytes()) + ".dat")
    }

    fn cache(&self) -> PathBuf {
        self.root.path().join("cache")
    }

    fn cached(&self, contents: &str) -> PathBuf {
        self.cache().join(sha256_hex(contents.as_bytes()))
    }

    fn asked(&self) -> BindleConfig {
        BindleConfig {
            id: ID.parse().expect("an id"),
            location: BindleLocation::Directory(self.root.path().join("bindles")),
            environment: Vec::new(),
            strict: false,
        }
    }

    fn fetch(&self) -> FetchedBindle {
        fetch(&self.asked(), Some(&self.cache()))
    }

    fn entries(&self) -> Vec<BindleModule> {
        let fetched = self.fetch();
        assert_eq!(fetched.problems, []);
        fetched.entries
    }

    /// What is said about a bindle that is not served.
    fn refusal(&self) -> String {
        let fetched = self.fetch();
        assert!(fetched.entries.is_empty());
        assert!(fetched.problems.iter().any(Diagnostic::is_error));
        fetched.problems.iter().map(|problem| problem.render(false)).collect()
    }
}

fn program(served: &BindleModule) -> String {
    fs::read_to_string(&served.module.path).expect("a program")
}

/// What guests see: the paths and contents below their `/`.
fn view(served: &BindleModule) -> Vec<(String, String)> {
    let volumes = &served.entry.volumes;
    let Some(root) = volumes.first() else { return Vec::new() };
    assert!(root.read_only && root.guest_path == "/" && volumes.len() == 1);
    tree(&root.host_path)
}

fn tree(root: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(path).expect("a directory").map(|entry| entry.expect("an entry").path()));
        } else {
            let name = path.strip_prefix(root).expect("below").display().to_string();
            found.push((name, fs::read_to_string(path).expect("a text")));
        }
    }
    found.sort();
    found
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn all_files(directory: &Path) -> usize {
    tree(directory).len()
}

#[test]
fn a_script_with_files_sees_them_below_its_root() {
    let site = Site::new()
        .script("server.wasm", "/static/...", "requires = ['files']")
        .script("other.wasm", "/other", "")
        .asset("images/raw-toast.jpeg", "toast", "files")
        .asset("index.html", "hello", "files")
        .asset("unseen.html", "unseen", "unknown");
    let entries = site.entries();
    let programs: Vec<_> = entries.iter().map(|served| (served.entry.route.to_string(), program(served))).collect();
    assert_eq!(programs, pairs(&[("/static/...", "server.wasm"), ("/other", "other.wasm")]));
    let views: Vec<_> = entries.iter().map(view).collect();
    let files = pairs(&[("images/raw-toast.jpeg", "toast"), ("index.html", "hello")]);
    assert_eq!(views, [files.clone(), Vec::new()]);
    // Where WAGI 0.8 has put them.
    assert!(site.cached("server.wasm").is_file());
    assert_eq!(tree(&site.cache().join("_ASSETS").join(sha256_hex(ID.as_bytes()))), files);
    let invoice = site.cache().join("_INVOICES").join(sha256_hex(ID.as_bytes()));
    assert_eq!(fs::read_to_string(invoice).expect("an invoice"), site.invoice);
}

#[test]
fn scripts_of_two_groups_do_not_see_each_other_s_files() {
    let site = Site::new()
        .script("one.wasm", "/one", "requires = ['one']")
        .script("two.wasm", "/two", "requires = ['two']")
        .script("both.wasm", "/both", "requires = ['shared', 'one']")
        .asset("index.html", "of one", "one")
        .asset("index.html", "of two", "two")
        .asset("shared.css", "shared", "shared");
    let views: Vec<_> = site.entries().iter().map(view).collect();
    let [one, two] = ["of one", "of two"].map(|text| pairs(&[("index.html", text)]));
    assert_eq!(views, [one, two, pairs(&[("index.html", "of one"), ("shared.css", "shared")])]);
}

#[test]
fn one_file_serves_several_routes_and_names() {
    let site = Site::new()
        .with("x.wasm", "same", "route = '/a'", "requires = ['g']")
        .with("y.wasm", "same", "route = '/b'", "")
        .asset("x.txt", "same", "g")
        .asset("y.txt", "same", "g");
    let entries = site.entries();
    assert_eq!(entries.iter().map(program).collect::<Vec<_>>(), ["same", "same"]);
    assert_eq!(entries.iter().map(view).next(), Some(pairs(&[("x.txt", "same"), ("y.txt", "same")])));
}

#[test]
fn a_parcel_that_was_tampered_with_is_refused_with_both_digests() {
    let site = Site::new().script("x.wasm", "/x", "requires = ['g']").asset("a.txt", "asset", "g");
    for (contents, tampered, expected) in [
        ("asset", "aSset", sha256_hex(b"aSset")),
        ("asset", "asse", sha256_hex(b"asse")),
        ("asset", "asset+", "more than the 5 bytes".to_owned()),
        ("x.wasm", "y.wasm", sha256_hex(b"y.wasm")),
    ] {
        fs::write(site.parcel(contents), tampered).expect("writable");
        let _ = fs::remove_dir_all(site.cache());
        let refusal = site.refusal();
        assert!(refusal.contains("is not what the invoice says") && refusal.contains(&expected), "{refusal}");
        assert!(refusal.contains(&sha256_hex(contents.as_bytes())) && refusal.contains("invoice.toml:"), "{refusal}");
        assert!(!site.cached(contents).exists() && all_files(&site.cache().join("_PARTIAL")) == 0);
        fs::write(site.parcel(contents), contents).expect("writable");
    }
    fs::remove_dir_all(site.cache()).expect("removable");
    let wrong_size = Site { invoice: site.invoice.replace("size = 5", "size = 6"), ..site };
    wrong_size.write_invoice();
    assert!(wrong_size.refusal().contains("it has 5 bytes, but 6 are expected"));
}

#[test]
fn damage_in_the_cache_is_repaired() {
    let site = Site::new().script("x.wasm", "/x", "requires = ['g']").asset("a.txt", "asset", "g");
    let before = site.entries();
    for contents in ["x.wasm", "asset"] {
        for damage in ["", "damage", "longer than it should be"] {
            // Written in place, so that all names of the file are damaged.
            fs::write(site.cached(contents), damage).expect("writable");
            let entries = site.entries();
            assert_eq!(entries.iter().map(program).collect::<Vec<_>>(), ["x.wasm"]);
            assert_eq!(entries.iter().map(view).collect::<Vec<_>>(), [pairs(&[("a.txt", "asset")])]);
            assert_eq!(
                entries.iter().map(|served| &served.entry.volumes).collect::<Vec<_>>(),
                [&before[0].entry.volumes]
            );
        }
    }
    // With a whole cache the parcels are not needed, with a damaged one they are.
    fs::remove_file(site.parcel("asset")).expect("removable");
    assert_eq!(site.entries().len(), 1);
    fs::write(site.cached("asset"), "aSset").expect("writable");
    assert!(site.refusal().contains("parcel `a.txt` is not in the bindle, but needed"));
}

#[cfg(unix)]
#[test]
fn a_link_in_the_cache_is_replaced_by_a_file() {
    let site = Site::new().script("x.wasm", "/x", "");
    fs::create_dir_all(site.cache()).expect("writable");
    std::os::unix::fs::symlink(site.parcel("x.wasm"), site.cached("x.wasm")).expect("a link");
    assert_eq!(site.entries().len(), 1);
    assert!(fs::symlink_metadata(site.cached("x.wasm")).is_ok_and(|found| found.is_file()));
    assert!(fs::symlink_metadata(site.parcel("x.wasm")).is_ok_and(|found| found.is_file()));
}

#[test]
fn the_invoice_of_the_directory_beats_that_of_the_cache() {
    let site = Site::new().script("x.wasm", "/x", "");
    fs::write(site.bindle().join("invoice.toml"), "broken =").expect("writable");
    assert!(site.refusal().contains("not valid TOML"));
    site.write_invoice();
    assert_eq!(site.entries().len(), 1);
    let cached = site.cache().join("_INVOICES").join(sha256_hex(ID.as_bytes()));
    fs::write(&cached, "broken =").expect("writable");
    assert_eq!(site.entries().len(), 1);
    assert_eq!(fs::read_to_string(cached).expect("an invoice"), site.invoice);
}

#[test]
fn only_parcels_that_are_needed_have_to_be_there() {
    let site =
        Site::new().script("x.wasm", "/x", "").asset("a.txt", "asset", "unknown").with("y.wasm", "no route", "", "");
    fs::remove_file(site.parcel("asset")).expect("removable");
    fs::remove_file(site.parcel("no route")).expect("removable");
    assert_eq!(site.entries().len(), 1);
    fs::remove_dir_all(site.cache()).expect("removable");
    fs::remove_file(site.parcel("x.wasm")).expect("removable");
    let refusal = site.refusal();
    assert!(refusal.contains("parcel `x.wasm` is not in the bindle, but needed"), "{refusal}");
    assert!(refusal.contains(&format!("{}.dat`", sha256_hex(b"x.wasm"))), "{refusal}");
    fs::create_dir(site.parcel("x.wasm")).expect("writable");
    assert!(site.refusal().contains("is not a regular file"));
}

#[test]
fn a_refused_bindle_leaves_nothing_behind() {
    for site in [
        Site::new().script("x", "/x", "requires = ['g']").asset("../../climbs", "out", "g"),
        Site::new().script("x", "/x", "requires = ['a']").with("y", "y", "", "memberOf = ['a'], requires = ['a']"),
    ] {
        site.refusal();
        assert!(!site.cache().exists() && !site.root.path().join("climbs").exists());
    }
}

#[test]
fn files_with_clashing_names_are_shown_to_their_scripts_all_the_same() {
    let site = Site::new()
        .script("one.wasm", "/one", "requires = ['one']")
        .script("two.wasm", "/two", "requires = ['two']")
        .asset("a", "a file", "one")
        .asset("a/b", "in a directory", "two");
    let fetched = site.fetch();
    assert!(
        fetched.problems.len() == 1 && !fetched.problems.iter().any(Diagnostic::is_error),
        "{:?}",
        fetched.problems
    );
    let views: Vec<_> = fetched.entries.iter().map(view).collect();
    assert_eq!(views, [pairs(&[("a", "a file")]), pairs(&[("a/b", "in a directory")])]);
}

#[test]
fn without_a_cache_the_files_are_there_as_long_as_the_store() {
    let site = Site::new().script("x.wasm", "/x", "requires = ['g']").asset("a.txt", "asset", "g");
    let fetched = fetch(&site.asked(), None);
    let served = fetched.entries.first().expect("an entry");
    assert_eq!((program(served), view(served)), ("x.wasm".to_owned(), pairs(&[("a.txt", "asset")])));
    let path = served.module.path.clone();
    drop(fetched.store);
    assert!(!path.exists() && path.parent().is_some_and(|directory| !directory.exists()));
}

#[cfg(unix)]
#[test]
fn what_is_in_the_cache_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let site = Site::new().script("x.wasm", "/x", "requires = ['g']").asset("d/a.txt", "asset", "g");
    site.entries();
    let mut open = vec![site.cache()];
    while let Some(path) = open.pop() {
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", path.display());
        if path.is_dir() {
            open.extend(fs::read_dir(path).expect("a directory").map(|entry| entry.expect("an entry").path()));
        }
    }
}

#[test]
fn several_servers_fill_one_cache_at_once() {
    let mut site = Site::new().script("x.wasm", "/x", "requires = ['g']");
    for index in 0..20 {
        site = site.asset(&format!("d{index}/a.txt"), &format!("asset {index}"), "g");
    }
    std::thread::scope(|scope| {
        let servers: Vec<_> = (0..6).map(|_| scope.spawn(|| site.entries())).collect();
        for server in servers {
            let entries = server.join().expect("a server");
            assert_eq!(entries.iter().map(|served| view(served).len()).collect::<Vec<_>>(), [20]);
        }
    });
    assert_eq!(all_files(&site.cache().join("_PARTIAL")), 0);
}

#[test]
fn a_cache_that_cannot_be_used_is_named() {
    let site = Site::new().script("x.wasm", "/x", "");
    fs::write(site.cache(), "a file").expect("writable");
    assert!(site.refusal().contains(&format!("cannot use the module cache `{}`", site.cache().display())));
}
