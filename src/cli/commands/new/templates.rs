//! Which templates there are. Their files lie in `templates/` at the root of the repository, and are part of the program.

/// A project to begin with.
pub struct Template {
    pub name: &'static str,
    /// Other names, as people may type them.
    pub aliases: &'static [&'static str],
    /// What it is, in a few words.
    pub title: &'static str,
    /// What it takes to build it; nothing, if wagi does.
    pub needs: &'static str,
    pub files: &'static [TemplateFile],
    /// The definitions of interfaces that its compiler reads.
    pub definitions: &'static [TemplateFile],
}

/// A file of a template.
pub struct TemplateFile {
    pub path: &'static str,
    pub text: &'static str,
}

/// The files of a folder in `templates/`.
macro_rules! files {
    ($folder:literal: $($path:literal)*) => {
        &[$(TemplateFile {
            path: $path,
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/", $folder, "/", $path)),
        }),*]
    };
}

/// The interfaces of `wasi:http`, for compilers that read them.
const INTERFACES: &[TemplateFile] = files!(".":
    "wit/http.wit"
    "wit/deps/wasi-cli/package.wit"
    "wit/deps/wasi-clocks/package.wit"
    "wit/deps/wasi-filesystem/package.wit"
    "wit/deps/wasi-http/package.wit"
    "wit/deps/wasi-io/package.wit"
    "wit/deps/wasi-random/package.wit"
    "wit/deps/wasi-sockets/package.wit"
);

/// All templates, in the order in which they are listed.
pub static TEMPLATES: [Template; 13] = [
    Template {
        name: "rust",
        aliases: &["rs"],
        title: "a program in Rust",
        needs: "Rust with its target wasm32-wasip1",
        files: files!("rust": "Cargo.toml.in" "src/main.rs" "modules.toml" "test.sh" "README.md" "gitignore"),
        definitions: &[],
    },
    Template {
        name: "rust-component",
        aliases: &["component"],
        title: "a `wasi:http` component in Rust",
        needs: "Rust with its target wasm32-wasip2",
        files: files!("rust-component": "Cargo.toml.in" "src/lib.rs" "modules.toml" "test.sh" "README.md" "gitignore"),
        definitions: &[],
    },
    Template {
        name: "c",
        aliases: &[],
        title: "a program in C",
        needs: "clang for WASI",
        files: files!("c": "app.c" "modules.toml" "test.sh" "README.md" "gitignore"),
        definitions: &[],
    },
    Template {
        name: "cpp",
        aliases: &["c++"],
        title: "a program in C++",
        needs: "clang and libc++ for WASI",
        files: files!("cpp": "app.cc" "modules.toml" "test.sh" "README.md" "gitignore"),
        definitions: &[],
    },
    Template {
        name: "zig",
        aliases: &[],
        title: "a program in Zig",
        needs: "Zig 0.17",
        files: files!("zig": "app.zig" "modules.toml" "test.sh" "README.md" "gitignore"),
        definitions: &[],
    },
    Template {
        name: "go",
        aliases: &["golang"],
        title: "a program in Go",
        needs: "Go 1.21 or later",
        files: files!("go": "go.mod.in" "main.go" "modules.toml" "test.sh" "README.md" "gitignore"),
        definitions: &[],
    },
    Template {
        name: "assemblyscript",
        aliases: &["as"],
        title: "a program in AssemblyScript",
        needs: "Node.js with npm",
        files: files!("assemblyscript": "app.ts" "package.json" "modules.toml" "test.sh" "README.md" "gitignore"),
        definitions: &[],
    },
    Template {
        name: "python-component",
        aliases: &["py-component"],
        title: "a `wasi:http` component in Python",
        needs: "componentize-py 0.25",
        files: files!("python-component": "app.py" "modules.toml" "test.sh" "README.md" "gitignore"),
        definitions: INTERFACES,
    },
    Template {
        name: "javascript-component",
        aliases: &["js-component"],
        title: "a `wasi:http` component in JavaScript",
        needs: "Node.js 24 with npm",
        files: files!("javascript-component": "app.js" "package.json" "modules.toml" "test.sh" "README.md" "gitignore"),
        definitions: INTERFACES,
    },
    Template {
        name: "php",
        aliases: &[],
        title: "scripts in PHP",
        needs: "npm, which has PHP as WebAssembly",
        files: files!("php": "www/index.php" "fetch.sh" "modules.toml" "test.sh" "README.md" "gitignore"),
        definitions: &[],
    },
    Template {
        name: "python",
        aliases: &["py"],
        title: "scripts in Python",
        needs: "npm, which has CPython as WebAssembly",
        files: files!("python": "www/index.py" "fetch.sh" "usr/gitkeep" "modules.toml" "test.sh" "README.md" "gitignore"),
        definitions: &[],
    },
    Template {
        name: "static",
        aliases: &["site"],
        title: "a static site with an API",
        needs: "",
        files: files!("static": "public/index.html" "public/app.js" "public/style.css" "api.wat" "modules.toml" "test.sh" "README.md" "gitignore"),
        definitions: &[],
    },
    Template {
        name: "wat",
        aliases: &["text"],
        title: "a program in WebAssembly's text format",
        needs: "",
        files: files!("wat": "app.wat" "modules.toml" "test.sh" "README.md" "gitignore"),
        definitions: &[],
    },
];

/// The template of that name.
pub fn template(name: &str) -> Option<&'static Template> {
    TEMPLATES.iter().find(|template| template.name == name || template.aliases.contains(&name))
}
