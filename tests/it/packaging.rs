//! The Debian package in an empty root, the units, and what the page about the service says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::links::{links, resolved};
use crate::support::process::command;
use crate::support::registry::Done;
use crate::support::site::Site;
use crate::support::tree::{root, text};

/// Runs a script of bash, with the program first in PATH.
fn bash(directory: &Path, script: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_wagi")).parent().expect("it is in a directory");
    let path = format!("{}:/usr/sbin:/sbin:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("bash");
    shell.current_dir(directory).env("PATH", path).env("HOME", directory).env("SOURCES", root());
    Done::from(shell.args(["-euo", "pipefail", "-c", script]).output()).well()
}

/// The files and links below a directory, as from there.
fn files(directory: &Path) -> BTreeSet<PathBuf> {
    let (mut found, mut open) = (BTreeSet::new(), vec![directory.to_owned()]);
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).expect("a directory").map(|entry| entry.expect("an entry")) {
            match entry.file_type().expect("a type").is_dir() {
                true => open.push(entry.path()),
                false => drop(found.insert(entry.path().strip_prefix(directory).expect("below").to_owned())),
            }
        }
    }
    found
}

/// Where the package puts which files, as from the root.
fn assets() -> BTreeMap<PathBuf, PathBuf> {
    let manifest: toml::Table = text("Cargo.toml").parse().expect("TOML");
    let assets = manifest["package"]["metadata"]["deb"]["assets"].as_array().expect("a list").iter();
    let placed = assets.flat_map(|asset| {
        let part = |index: usize| asset[index].as_str().expect("text");
        let place = |source: PathBuf| match part(1).ends_with('/') {
            true => (Path::new(part(1)).join(source.file_name().expect("a file")), source),
            false => (part(1).into(), source),
        };
        sources(part(0)).into_iter().map(place).collect::<Vec<_>>()
    });
    placed.collect()
}

/// The files that a pattern stands for.
fn sources(pattern: &str) -> Vec<PathBuf> {
    let Some((directory, ending)) = pattern.split_once('*') else { return vec![pattern.into()] };
    let entries = fs::read_dir(root().join(directory)).expect("a directory").map(|entry| entry.expect("an entry"));
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.ends_with(ending)).map(|name| Path::new(directory).join(name)).collect()
}

/// The images to which an installed page links, and that are not installed where the link leads.
fn missing_images(page: &Path, text: &str, is_installed: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let is_image = |link: &String| [".png", ".svg", ".jpg", ".gif"].iter().any(|kind| link.ends_with(kind));
    let images = links(text).into_iter().filter(is_image).map(|link| resolved(page, &link));
    images.filter(|image| !is_installed(image)).collect()
}

/// Those that the package has put there, or its program.
fn ours(directory: &Path) -> Vec<String> {
    let names = files(directory).into_iter().map(|path| path.display().to_string());
    names.filter(|name| name.contains("wagi") && !name.starts_with("var/lib/dpkg/")).collect()
}

/// A folder for packages, and an empty root to install them in.
struct Machine(TempDir);

/// In place of apt, which brings what the package depends on.
const DPKG: &str =
    "dpkg --root=\"$PWD/root\" --force-script-chrootless --force-depends --force-confold --log=/dev/null";

impl Machine {
    /// Builds the package of the program that is tested, and another version of it with a file less.
    fn new() -> Self {
        let machine = Self(TempDir::new().expect("a directory"));
        machine.run(
            "mkdir -p target/release root/etc root/var/lib/dpkg/info root/var/lib/dpkg/updates
            touch root/var/lib/dpkg/status root/etc/shadow root/etc/gshadow
            echo 'root:x:0:0:root:/root:/bin/sh' > root/etc/passwd
            echo 'root:x:0:' > root/etc/group
            cp \"$(command -v wagi)\" target/release/wagi
            export CARGO_TARGET_DIR=$PWD/target
            cargo deb --manifest-path \"$SOURCES/Cargo.toml\" --no-build --strip --no-dbgsym --fast --locked --output $PWD/first.deb
            rm -r target
            dpkg-deb --raw-extract first.deb second
            sed -i 's/^Version: .*/Version: 999.0-1/' second/DEBIAN/control
            rm second/usr/share/man/man1/wagi-pull.1.gz
            dpkg-deb --build -Znone second second.deb
            rm -r second",
        );
        machine
    }

    fn run(&self, script: &str) -> String {
        bash(self.0.path(), script)
    }

    fn root(&self) -> PathBuf {
        self.0.path().join("root")
    }
}

#[test]
#[ignore = "needs cargo-deb, systemd and root"]
fn the_package_is_installed_upgraded_removed_and_purged_and_leaves_nothing() {
    let machine = Machine::new();
    machine.run(&format!("{DPKG} -i first.deb"));
    // The libraries that the package depends on.
    machine.run(
        "for library in $(ldd root/usr/bin/wagi | grep -o '/[^ ]*'); do
            mkdir -p root$(dirname $library) && cp $library root$library
        done",
    );
    let version = machine.run("chroot root /usr/bin/wagi --version");
    assert_eq!(version, format!("WAGI Server {}\n", env!("CARGO_PKG_VERSION")));
    let routes = machine.run("XDG_CACHE_HOME=/var/cache chroot root /usr/bin/wagi --check -c /etc/wagi/modules.toml");
    assert!(routes.contains("/\t/usr/share/wagi/hello.wat\n"), "{routes}");
    assert!(text_in(&machine, "etc/passwd").contains("wagi:x:"));
    check_images(&machine);

    // Units name others, which a machine with systemd has.
    machine.run(
        "mkdir -p verified root/bin && cp -r root/usr verified/ && cp -r root/etc verified/
        mkdir -p verified/bin && cp /bin/kill verified/bin/ && cp /lib/systemd/system/*.target verified/usr/lib/systemd/system/
        cp verified/usr/share/doc/wagi/examples/wagi@.service verified/usr/lib/systemd/system/
        systemd-analyze verify --man=no --root=$PWD/verified wagi.service wagi.socket wagi@shop.service
        rm -r verified",
    );

    machine.run("echo line > root/var/log/wagi/access.log; echo code > root/var/cache/wagi/code; echo '# mine' >> root/etc/wagi/modules.toml");
    machine.run(&format!("{DPKG} -i second.deb"));
    assert!(text_in(&machine, "etc/wagi/modules.toml").ends_with("# mine\n"));
    let installed = ours(&machine.root());
    assert!(!installed.iter().any(|name| name.contains("wagi-pull")) && installed.len() > 20, "{installed:?}");

    machine.run(&format!("{DPKG} -r wagi"));
    let left = ours(&machine.root());
    let is_kept = |name: &&String| !name.starts_with("etc/") && !name.starts_with("var/lib/systemd/");
    let left: Vec<_> = left.iter().filter(is_kept).collect();
    assert_eq!(left, ["var/log/wagi/access.log"]);
    assert!(machine.root().join("etc/wagi/modules.toml").exists());

    machine.run(&format!("{DPKG} -P wagi"));
    assert_eq!(ours(&machine.root()), [""; 0]);
    for directory in ["etc/wagi", "var/lib/wagi", "var/cache/wagi", "var/log/wagi"] {
        assert!(!machine.root().join(directory).exists(), "{directory}");
    }
}

/// Each page that is installed has its images.
#[track_caller]
fn check_images(machine: &Machine) {
    let pages = files(&machine.root()).into_iter().filter(|path| path.starts_with("usr/share/doc/wagi"));
    let pages: Vec<_> = pages.filter(|path| path.extension().is_some_and(|kind| kind == "md")).collect();
    let is_installed = |image: &Path| machine.root().join(image).is_file();
    let text = |page: &PathBuf| text_in(machine, page.to_str().expect("a plain name"));
    let missing: Vec<_> = pages.iter().flat_map(|page| missing_images(page, &text(page), is_installed)).collect();
    assert!(pages.len() > 20 && missing.is_empty(), "{missing:?}");
}

#[test]
fn the_images_of_the_pages_in_the_package_are_where_their_links_lead() {
    let assets = assets();
    let page = |(place, source): (&PathBuf, &PathBuf)| {
        let is_page = place.starts_with("usr/share/doc") && place.extension().is_some_and(|kind| kind == "md");
        is_page.then(|| (place.clone(), text(source.to_str().expect("a plain name"))))
    };
    let pages: Vec<_> = assets.iter().filter_map(page).collect();
    assert!(pages.iter().any(|(_, text)| text.contains("](images/")), "a page has images");
    let missing = pages.iter().flat_map(|(page, text)| missing_images(page, text, |image| assets.contains_key(image)));
    let missing: Vec<_> = missing.collect();
    assert!(missing.is_empty(), "{missing:?}");
}

fn text_in(machine: &Machine, path: &str) -> String {
    fs::read_to_string(machine.root().join(path)).expect("text")
}

#[test]
#[ignore = "needs systemd"]
fn the_services_are_exposed_by_at_most_two() {
    for unit in ["wagi.service", "wagi@.service"] {
        let service = root().join("packaging/systemd").join(unit);
        let script =
            format!("systemd-analyze security --offline=true --threshold=20 --no-pager '{}'", service.display());
        let report = bash(root(), &script);
        assert!(report.contains("Overall exposure level"), "{report}");
    }
}

/// But for the directories, sockets and the name of each.
#[test]
fn the_service_for_many_configurations_is_that_for_one() {
    let one = text("packaging/systemd/wagi.service");
    let many = text("packaging/systemd/wagi@.service")
        .replace("wagi@%i", "wagi")
        .replace("/%i", "")
        .replace("wagi-%i", "wagi");
    let keys = |unit: &str| {
        let lines = unit.lines().filter(|line| !line.starts_with('#') && !line.starts_with("Description="));
        lines.map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let only_one: Vec<_> = keys(&one).difference(&keys(&many)).cloned().collect();
    assert_eq!(only_one, ["RuntimeDirectoryPreserve=yes"]);
    // The package brings the options of the one in a file.
    let only_many: Vec<_> = keys(&many).difference(&keys(&one)).cloned().collect();
    assert_eq!(only_many, ["Environment=\"WAGI_OPTIONS=--access-log /var/log/wagi/access.log\""]);
    assert!(text("packaging/wagi.default").contains("\nWAGI_OPTIONS=\"--access-log /var/log/wagi/access.log\"\n"));
}

#[test]
fn the_service_reloads_by_signal_and_by_the_protocol_of_systemd_253() {
    let service = text("packaging/systemd/wagi.service");
    for line in ["Type=notify", "ExecReload=/bin/kill -HUP $MAINPID", "WatchdogSec=30"] {
        assert!(service.lines().any(|found| found == line), "{line}");
    }
    let newer = text("packaging/systemd/notify-reload.conf");
    assert!(newer.ends_with("[Service]\nType=notify-reload\nExecReload=\n"), "{newer}");
}

/// What is in the fenced blocks of a kind, in the part of a page below a heading.
fn blocks(page: &str, heading: &str, kind: &str) -> String {
    let page = text(page);
    let (_, below) = page.split_once(&format!("\n## {heading}\n")).expect(heading);
    let section = below.split_once("\n## ").map_or(below, |(section, _)| section);
    let blocks = section.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix(kind));
    blocks.collect()
}

#[test]
fn the_file_of_the_page_about_the_service_serves_with_tls() {
    let toml = blocks("docs/service.md", "TLS", "toml\n");
    let site = Site::probe("").top(&toml);
    for (name, fixture) in [("cert.pem", "ec.cert.pem"), ("key.pem", "ec.pkcs8.pem")] {
        fs::copy(root().join("tests/fixtures").join(fixture), site.path().join(name)).expect("a fixture");
    }
    site.write();
    let checked = command(site.path()).args(["--check", "--config", "modules.toml"]).output();
    Done::from(checked).well();
}

#[test]
fn the_commands_of_the_page_about_completions_write_scripts_that_shells_read() {
    let site = Site::new();
    let script = blocks("docs/command-line.md", "Completions and manual pages", "sh\n");
    bash(site.path(), &script);
    let offered = bash(
        site.path(),
        "source .local/share/bash-completion/completions/wagi
        COMP_WORDS=(wagi comp) COMP_CWORD=1; _wagi wagi comp wagi; echo ${COMPREPLY[*]}",
    );
    assert_eq!(offered, "compile completions\n");
    for file in [".config/fish/completions/wagi.fish", ".zfunc/_wagi"] {
        assert!(fs::read_to_string(site.path().join(file)).is_ok_and(|script| script.contains("inspect")), "{file}");
    }
}

#[test]
#[ignore = "needs logrotate"]
fn logrotate_reads_the_rule_of_the_package() {
    let site = Site::new();
    // The user is there on a machine with the package only.
    let rule = text("packaging/wagi.logrotate").replace("su wagi wagi", "").replace(" wagi wagi", "");
    let log = site.path().join("log");
    let logs = ["log", "log/shop"].map(|directory| site.path().join(directory));
    for directory in &logs {
        fs::create_dir(directory).expect("a directory can be made");
        fs::write(directory.join("access.log"), "a line\n").expect("writable");
    }
    site.file("rule", rule.replace("/var/log/wagi", &log.display().to_string()));
    bash(site.path(), "chmod 644 rule; chmod 755 log log/shop; logrotate --force --state state rule");
    for directory in logs {
        assert_eq!(fs::read_to_string(directory.join("access.log.1")).expect("it was moved"), "a line\n");
        assert_eq!(fs::read_to_string(directory.join("access.log")).expect("there is a new one"), "");
    }
}
