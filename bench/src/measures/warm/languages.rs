//! Which interpreters are measured, and how does each find its script, here and on this machine?

/// An interpreter, as it is published for WASI and as it is installed on this machine.
pub struct Language {
    /// Its name in results.
    pub name: &'static str,
    /// The compiled guest.
    pub module: &'static str,
    /// What the names of its scripts end with.
    pub extension: &'static str,
    /// What an entry needs besides its scripts. `GUESTS` stands for the directory of compiled guests.
    pub keys: &'static str,
    /// What begins a request warm.
    pub warm_start: &'static str,
    /// The program of the system.
    pub native: &'static str,
    /// How much less CPU time a warm request must take than a cold one, as a factor.
    pub must_save: f64,
    /// What a warm request must be, as a factor, against native CGI.
    pub must_beat_native: f64,
}

/// All of them.
pub const LANGUAGES: [Language; 3] = [
    Language {
        name: "php-cgi",
        module: "php-cgi.wasm",
        extension: "php",
        keys: "",
        warm_start: "true",
        native: "php-cgi",
        must_save: 2.0,
        must_beat_native: 1.0,
    },
    Language {
        name: "CPython",
        module: "python.wasm",
        extension: "py",
        keys: "argv = ['python', '${SCRIPT_FILENAME}']\n\
               environment = { PYTHONHOME = '/usr/local', PYTHONDONTWRITEBYTECODE = '1' }\n\
               volumes = { '/usr' = { path = 'GUESTS/python-usr', read_only = true } }\n",
        warm_start: "{ shared_random = true }",
        native: "python3",
        must_save: 12.0,
        must_beat_native: 1.0 / 1.5,
    },
    Language {
        name: "CRuby",
        module: "ruby.wasm",
        extension: "rb",
        keys: "argv = ['ruby', '${SCRIPT_FILENAME}']\n",
        warm_start: "{ shared_random = true }",
        native: "ruby",
        must_save: 40.0,
        must_beat_native: 1.0,
    },
];

/// The scripts of each: one that prints a line, and one that computes for about 5 ms natively.
pub const PAGES: [&str; 2] = ["hello", "page"];
