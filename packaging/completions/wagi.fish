# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_wagi_global_optspecs
    string join \n c/config= b/bindle= bindle-path= bindle-url= bindle-http-user= bindle-http-password= k/bindle-insecure cache= l/listen= admin= idle-exit= hostname= module-cache= pull= plain-http= registry-ca= locked log-dir= log-format= access-log= tls-cert= tls-key= e/env= env-file= outbound-ca= watch check strict h/help V/version
end

function __fish_wagi_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_wagi_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_wagi_using_subcommand
    set -l cmd (__fish_wagi_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c wagi -n "__fish_wagi_needs_command" -s c -l config -d 'The modules.toml with the modules to serve' -r -F
complete -c wagi -n "__fish_wagi_needs_command" -s b -l bindle -d 'The bindle to serve, NAME/VERSION; needs --bindle-path or --bindle-url' -r
complete -c wagi -n "__fish_wagi_needs_command" -l bindle-path -d 'A directory of standalone bindles' -r -f -a "(__fish_complete_directories)"
complete -c wagi -n "__fish_wagi_needs_command" -l bindle-url -d 'The base URL of a bindle server, including the API version [env: BINDLE_URL]' -r
complete -c wagi -n "__fish_wagi_needs_command" -l bindle-http-user -d 'The user name for the bindle server [env: BINDLE_HTTP_USER]' -r
complete -c wagi -n "__fish_wagi_needs_command" -l bindle-http-password -d 'The password for the bindle server [env: BINDLE_HTTP_PASSWORD]' -r
complete -c wagi -n "__fish_wagi_needs_command" -l cache -d 'The configuration of the code cache [default: cache.toml, if it exists]' -r -F
complete -c wagi -n "__fish_wagi_needs_command" -s l -l listen -d 'An address to listen on: IP:PORT, http:IP:PORT, unix:PATH, systemd [default: 127.0.0.1:3000]' -r
complete -c wagi -n "__fish_wagi_needs_command" -l admin -d 'The address of the admin listener: IP:PORT, unix:PATH [default: no admin listener]' -r
complete -c wagi -n "__fish_wagi_needs_command" -l idle-exit -d 'End with exit code 0 after so long without a connection, for socket activation, for example 5m' -r
complete -c wagi -n "__fish_wagi_needs_command" -l hostname -d 'The server\'s own name, for requests without a Host field [default: localhost:3000]' -r
complete -c wagi -n "__fish_wagi_needs_command" -l module-cache -d 'The directory for modules from registries and bindles [default: wagi/modules in the user\'s cache directory]' -r -F
complete -c wagi -n "__fish_wagi_needs_command" -l pull -d 'When to ask registries for a module' -r -f -a "always\t'Ask at each start which module a tag names now'
if-not-present\t'Ask only for modules that the cache does not have'
never\t'Do not ask: use only the cache'"
complete -c wagi -n "__fish_wagi_needs_command" -l plain-http -d 'Use plain HTTP with this registry, may be repeated; always used with registries on this machine' -r
complete -c wagi -n "__fish_wagi_needs_command" -l registry-ca -d 'PEM certificates to trust for registries, besides those of the system' -r -F
complete -c wagi -n "__fish_wagi_needs_command" -l log-dir -d 'The directory for files with the standard error of modules [env: WAGI_LOG_DIR]' -r -F
complete -c wagi -n "__fish_wagi_needs_command" -l log-format -d 'The format of the log on standard error' -r -f -a "text\t'Text for people'
json\t'One JSON object per line'"
complete -c wagi -n "__fish_wagi_needs_command" -l access-log -d 'Where the lines of requests go: on is standard error' -r
complete -c wagi -n "__fish_wagi_needs_command" -l tls-cert -d 'The PEM certificate chain for TLS; needs --tls-key [env: WAGI_TLS_CERT]' -r -F
complete -c wagi -n "__fish_wagi_needs_command" -l tls-key -d 'The PEM private key for TLS; needs --tls-cert [env: WAGI_TLS_KEY]' -r -F
complete -c wagi -n "__fish_wagi_needs_command" -s e -l env -d 'Variables for every module; they take precedence over --env-file' -r
complete -c wagi -n "__fish_wagi_needs_command" -l env-file -d 'Files with variables for every module, one NAME=VALUE per line' -r -F
complete -c wagi -n "__fish_wagi_needs_command" -l outbound-ca -d 'PEM certificates to trust when modules call other servers, besides those of the system' -r -F
complete -c wagi -n "__fish_wagi_needs_command" -s k -l bindle-insecure -d 'Do not verify the certificate of the bindle server (insecure)'
complete -c wagi -n "__fish_wagi_needs_command" -l locked -d 'Serve only the modules in wagi.lock; any difference is an error'
complete -c wagi -n "__fish_wagi_needs_command" -l watch -d 'Reload when a file that was read changes'
complete -c wagi -n "__fish_wagi_needs_command" -l check -d 'Check everything, print the table of routes, and do not serve'
complete -c wagi -n "__fish_wagi_needs_command" -l strict -d 'Treat unknown keys in configuration files as errors'
complete -c wagi -n "__fish_wagi_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c wagi -n "__fish_wagi_needs_command" -s V -l version -d 'Print version'
complete -c wagi -n "__fish_wagi_needs_command" -a "serve" -d 'Serve modules and components: what wagi does without a command'
complete -c wagi -n "__fish_wagi_needs_command" -a "new" -d 'Begin a project: a program, its modules.toml and a test'
complete -c wagi -n "__fish_wagi_needs_command" -a "pull" -d 'Pull modules from registries into the module cache'
complete -c wagi -n "__fish_wagi_needs_command" -a "push" -d 'Publish a module or component in a registry'
complete -c wagi -n "__fish_wagi_needs_command" -a "inspect" -d 'Show the kind, the imports and the exports of a module, and whether wagi can serve it'
complete -c wagi -n "__fish_wagi_needs_command" -a "login" -d 'Save the name and password for a registry, where Docker saves them'
complete -c wagi -n "__fish_wagi_needs_command" -a "logout" -d 'Remove the saved name and password for a registry'
complete -c wagi -n "__fish_wagi_needs_command" -a "lock" -d 'Write wagi.lock: the digests of the modules that the references of a modules.toml name now'
complete -c wagi -n "__fish_wagi_needs_command" -a "import" -d 'Write a modules.toml from the manifest of a Spin application, and say what could not be taken along'
complete -c wagi -n "__fish_wagi_needs_command" -a "compile" -d 'Compile a module ahead of time, for `precompiled = true`'
complete -c wagi -n "__fish_wagi_needs_command" -a "preinit" -d 'Run the initializer of a module, and write the module as it is after that'
complete -c wagi -n "__fish_wagi_needs_command" -a "dev" -d 'Serve while you write: build, reload and show what is wrong when something changes'
complete -c wagi -n "__fish_wagi_needs_command" -a "run" -d 'Send one request to a program, without a server, and print the response'
complete -c wagi -n "__fish_wagi_needs_command" -a "cgi" -d 'Run a module as a CGI program of another web server'
complete -c wagi -n "__fish_wagi_needs_command" -a "cache" -d 'List and prune the caches'
complete -c wagi -n "__fish_wagi_needs_command" -a "health" -d 'Ask a running server whether it is ready: exit code 0 if it is, 1 if not'
complete -c wagi -n "__fish_wagi_needs_command" -a "admin" -d 'Ask a running server what it does, and let it reload or end a request'
complete -c wagi -n "__fish_wagi_needs_command" -a "check" -d 'Check a configuration or a module as a start does, and serve nothing'
complete -c wagi -n "__fish_wagi_needs_command" -a "routes" -d 'Show the routes of a configuration in their order, with what each leads to and what hides it'
complete -c wagi -n "__fish_wagi_needs_command" -a "doctor" -d 'Look for what is missing on this machine, or stands in the way of a server'
complete -c wagi -n "__fish_wagi_needs_command" -a "completions" -d 'Print the script that completes command lines of wagi in a shell'
complete -c wagi -n "__fish_wagi_needs_command" -a "version" -d 'Print the version, that of the engine, and for which system wagi was built'
complete -c wagi -n "__fish_wagi_using_subcommand serve" -s c -l config -d 'The modules.toml with the modules to serve' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand serve" -s b -l bindle -d 'The bindle to serve, NAME/VERSION; needs --bindle-path or --bindle-url' -r
complete -c wagi -n "__fish_wagi_using_subcommand serve" -l bindle-path -d 'A directory of standalone bindles' -r -f -a "(__fish_complete_directories)"
complete -c wagi -n "__fish_wagi_using_subcommand serve" -l bindle-url -d 'The base URL of a bindle server, including the API version [env: BINDLE_URL]' -r
complete -c wagi -n "__fish_wagi_using_subcommand serve" -l bindle-http-user -d 'The user name for the bindle server [env: BINDLE_HTTP_USER]' -r
complete -c wagi -n "__fish_wagi_using_subcommand serve" -l bindle-http-password -d 'The password for the bindle server [env: BINDLE_HTTP_PASSWORD]' -r
complete -c wagi -n "__fish_wagi_using_subcommand serve" -l cache -d 'The configuration of the code cache [default: cache.toml, if it exists]' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand serve" -s l -l listen -d 'An address to listen on: IP:PORT, http:IP:PORT, unix:PATH, systemd [default: 127.0.0.1:3000]' -r
complete -c wagi -n "__fish_wagi_using_subcommand serve" -l admin -d 'The address of the admin listener: IP:PORT, unix:PATH [default: no admin listener]' -r
complete -c wagi -n "__fish_wagi_using_subcommand serve" -l idle-exit -d 'End with exit code 0 after so long without a connection, for socket activation, for example 5m' -r
complete -c wagi -n "__fish_wagi_using_subcommand serve" -l hostname -d 'The server\'s own name, for requests without a Host field [default: localhost:3000]' -r
complete -c wagi -n "__fish_wagi_using_subcommand serve" -l module-cache -d 'The directory for modules from registries and bindles [default: wagi/modules in the user\'s cache directory]' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand serve" -l pull -d 'When to ask registries for a module' -r -f -a "always\t'Ask at each start which module a tag names now'
if-not-present\t'Ask only for modules that the cache does not have'
never\t'Do not ask: use only the cache'"
complete -c wagi -n "__fish_wagi_using_subcommand serve" -l plain-http -d 'Use plain HTTP with this registry, may be repeated; always used with registries on this machine' -r
complete -c wagi -n "__fish_wagi_using_subcommand serve" -l registry-ca -d 'PEM certificates to trust for registries, besides those of the system' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand serve" -l log-dir -d 'The directory for files with the standard error of modules [env: WAGI_LOG_DIR]' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand serve" -l log-format -d 'The format of the log on standard error' -r -f -a "text\t'Text for people'
json\t'One JSON object per line'"
complete -c wagi -n "__fish_wagi_using_subcommand serve" -l access-log -d 'Where the lines of requests go: on is standard error' -r
complete -c wagi -n "__fish_wagi_using_subcommand serve" -l tls-cert -d 'The PEM certificate chain for TLS; needs --tls-key [env: WAGI_TLS_CERT]' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand serve" -l tls-key -d 'The PEM private key for TLS; needs --tls-cert [env: WAGI_TLS_KEY]' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand serve" -s e -l env -d 'Variables for every module; they take precedence over --env-file' -r
complete -c wagi -n "__fish_wagi_using_subcommand serve" -l env-file -d 'Files with variables for every module, one NAME=VALUE per line' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand serve" -l outbound-ca -d 'PEM certificates to trust when modules call other servers, besides those of the system' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand serve" -s k -l bindle-insecure -d 'Do not verify the certificate of the bindle server (insecure)'
complete -c wagi -n "__fish_wagi_using_subcommand serve" -l locked -d 'Serve only the modules in wagi.lock; any difference is an error'
complete -c wagi -n "__fish_wagi_using_subcommand serve" -l watch -d 'Reload when a file that was read changes'
complete -c wagi -n "__fish_wagi_using_subcommand serve" -l check -d 'Check everything, print the table of routes, and do not serve'
complete -c wagi -n "__fish_wagi_using_subcommand serve" -l strict -d 'Treat unknown keys in configuration files as errors'
complete -c wagi -n "__fish_wagi_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c wagi -n "__fish_wagi_using_subcommand new" -s t -l template -d 'What the project begins with' -r -f -a "rust\t''
rust-component\t''
c\t''
cpp\t''
zig\t''
go\t''
assemblyscript\t''
python-component\t''
javascript-component\t''
php\t''
python\t''
static\t''
wat\t''"
complete -c wagi -n "__fish_wagi_using_subcommand new" -l list -d 'List the templates, and what each needs'
complete -c wagi -n "__fish_wagi_using_subcommand new" -s h -l help -d 'Print help'
complete -c wagi -n "__fish_wagi_using_subcommand pull" -l module-cache -d 'The directory for modules from registries and bindles [default: wagi/modules in the user\'s cache directory]' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand pull" -l pull -d 'When to ask registries for a module' -r -f -a "always\t'Ask at each start which module a tag names now'
if-not-present\t'Ask only for modules that the cache does not have'
never\t'Do not ask: use only the cache'"
complete -c wagi -n "__fish_wagi_using_subcommand pull" -l plain-http -d 'Use plain HTTP with this registry, may be repeated; always used with registries on this machine' -r
complete -c wagi -n "__fish_wagi_using_subcommand pull" -l registry-ca -d 'PEM certificates to trust for registries, besides those of the system' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand pull" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c wagi -n "__fish_wagi_using_subcommand push" -l layout -d 'The layout of the artifact' -r -f -a "cncf\t'The layout of the CNCF\'s Wasm working group, with the media type application/wasm'
legacy\t'The layout of wasm-to-oci, for old hosts'"
complete -c wagi -n "__fish_wagi_using_subcommand push" -l sign-key -d 'Sign it with the private key in this file, and attach the signature' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand push" -l plain-http -d 'Use plain HTTP with this registry, may be repeated; always used with registries on this machine' -r
complete -c wagi -n "__fish_wagi_using_subcommand push" -l registry-ca -d 'PEM certificates to trust for registries, besides those of the system' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand push" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c wagi -n "__fish_wagi_using_subcommand inspect" -l verify-key -d 'Verify that the owner of this public key has signed it; of several, one is enough' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand inspect" -l verify-identity -d 'Verify that someone with this identity has signed it; a * in it stands for any part' -r
complete -c wagi -n "__fish_wagi_using_subcommand inspect" -l verify-issuer -d 'Who has to have told the authority who it is' -r
complete -c wagi -n "__fish_wagi_using_subcommand inspect" -l trusted-root -d 'The trusted root of Sigstore: authorities, logs and clocks' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand inspect" -s c -l config -d 'Verify what this modules.toml wants of it' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand inspect" -l module-cache -d 'The directory for modules from registries and bindles [default: wagi/modules in the user\'s cache directory]' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand inspect" -l pull -d 'When to ask registries for a module' -r -f -a "always\t'Ask at each start which module a tag names now'
if-not-present\t'Ask only for modules that the cache does not have'
never\t'Do not ask: use only the cache'"
complete -c wagi -n "__fish_wagi_using_subcommand inspect" -l plain-http -d 'Use plain HTTP with this registry, may be repeated; always used with registries on this machine' -r
complete -c wagi -n "__fish_wagi_using_subcommand inspect" -l registry-ca -d 'PEM certificates to trust for registries, besides those of the system' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand inspect" -l json -d 'Print one JSON object'
complete -c wagi -n "__fish_wagi_using_subcommand inspect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c wagi -n "__fish_wagi_using_subcommand login" -s u -l username -d 'The user name [default: wagi asks for it]' -r
complete -c wagi -n "__fish_wagi_using_subcommand login" -l plain-http -d 'Use plain HTTP with this registry, may be repeated; always used with registries on this machine' -r
complete -c wagi -n "__fish_wagi_using_subcommand login" -l registry-ca -d 'PEM certificates to trust for registries, besides those of the system' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand login" -l password-stdin -d 'Read the password from standard input'
complete -c wagi -n "__fish_wagi_using_subcommand login" -s h -l help -d 'Print help'
complete -c wagi -n "__fish_wagi_using_subcommand logout" -s h -l help -d 'Print help'
complete -c wagi -n "__fish_wagi_using_subcommand lock" -s c -l config -d 'The modules.toml' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand lock" -l module-cache -d 'The directory for modules from registries and bindles [default: wagi/modules in the user\'s cache directory]' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand lock" -l pull -d 'When to ask registries for a module' -r -f -a "always\t'Ask at each start which module a tag names now'
if-not-present\t'Ask only for modules that the cache does not have'
never\t'Do not ask: use only the cache'"
complete -c wagi -n "__fish_wagi_using_subcommand lock" -l plain-http -d 'Use plain HTTP with this registry, may be repeated; always used with registries on this machine' -r
complete -c wagi -n "__fish_wagi_using_subcommand lock" -l registry-ca -d 'PEM certificates to trust for registries, besides those of the system' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand lock" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c wagi -n "__fish_wagi_using_subcommand import" -s o -l output -d 'The file to write, `-` for standard output [default: modules.toml beside the manifest]' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand import" -l force -d 'Replace the file if it is there'
complete -c wagi -n "__fish_wagi_using_subcommand import" -s h -l help -d 'Print help'
complete -c wagi -n "__fish_wagi_using_subcommand compile" -s o -l output -d 'The file to write [default: FILE with the extension .cwasm]' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand compile" -l optimize -d 'Optimize the module with `wasm-opt -O3` first, if it is on the PATH'
complete -c wagi -n "__fish_wagi_using_subcommand compile" -s h -l help -d 'Print help'
complete -c wagi -n "__fish_wagi_using_subcommand preinit" -s o -l output -d 'The file to write' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand preinit" -s h -l help -d 'Print help'
complete -c wagi -n "__fish_wagi_using_subcommand dev" -s l -l listen -d 'An address to listen on; if its port is busy, the next one that is free [default: 127.0.0.1:3000]' -r
complete -c wagi -n "__fish_wagi_using_subcommand dev" -s e -l env -d 'A variable for the guests; may be repeated' -r
complete -c wagi -n "__fish_wagi_using_subcommand dev" -l env-file -d 'A file with variables for the guests; may be repeated' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand dev" -l module-cache -d 'The directory for modules from registries and bindles [default: wagi/modules in the user\'s cache directory]' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand dev" -l pull -d 'When to ask registries for a module' -r -f -a "always\t'Ask at each start which module a tag names now'
if-not-present\t'Ask only for modules that the cache does not have'
never\t'Do not ask: use only the cache'"
complete -c wagi -n "__fish_wagi_using_subcommand dev" -l plain-http -d 'Use plain HTTP with this registry, may be repeated; always used with registries on this machine' -r
complete -c wagi -n "__fish_wagi_using_subcommand dev" -l registry-ca -d 'PEM certificates to trust for registries, besides those of the system' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand dev" -l live -d 'Let browsers load a page again when something has changed'
complete -c wagi -n "__fish_wagi_using_subcommand dev" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c wagi -n "__fish_wagi_using_subcommand run" -s X -l method -d 'The method [default: GET, with a body POST]' -r
complete -c wagi -n "__fish_wagi_using_subcommand run" -s H -l header -d 'A header field; may be repeated' -r
complete -c wagi -n "__fish_wagi_using_subcommand run" -s d -l data -d 'The request body: a text, or @FILE' -r
complete -c wagi -n "__fish_wagi_using_subcommand run" -s e -l env -d 'A variable for the guests; may be repeated' -r
complete -c wagi -n "__fish_wagi_using_subcommand run" -l env-file -d 'A file with variables for the guests; may be repeated' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand run" -l repeat -d 'Send the request that many times, and print a table of times' -r
complete -c wagi -n "__fish_wagi_using_subcommand run" -l format -d 'The form of the output' -r -f -a "text\t'Text for people'
json\t'One JSON document'"
complete -c wagi -n "__fish_wagi_using_subcommand run" -l module-cache -d 'The directory for modules from registries and bindles [default: wagi/modules in the user\'s cache directory]' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand run" -l pull -d 'When to ask registries for a module' -r -f -a "always\t'Ask at each start which module a tag names now'
if-not-present\t'Ask only for modules that the cache does not have'
never\t'Do not ask: use only the cache'"
complete -c wagi -n "__fish_wagi_using_subcommand run" -l plain-http -d 'Use plain HTTP with this registry, may be repeated; always used with registries on this machine' -r
complete -c wagi -n "__fish_wagi_using_subcommand run" -l registry-ca -d 'PEM certificates to trust for registries, besides those of the system' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand run" -l stdin -d 'Standard input is the request body'
complete -c wagi -n "__fish_wagi_using_subcommand run" -s i -l include -d 'Print status and header fields before the body'
complete -c wagi -n "__fish_wagi_using_subcommand run" -l raw -d 'Print what the guest has printed, byte for byte, and not what a client gets'
complete -c wagi -n "__fish_wagi_using_subcommand run" -l show-env -d 'Print the arguments and variables that the guest gets, and not the response'
complete -c wagi -n "__fish_wagi_using_subcommand run" -l trace -d 'Print phases and the calls of a module to its host, each with its time, on standard error'
complete -c wagi -n "__fish_wagi_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c wagi -n "__fish_wagi_using_subcommand cgi" -l cache -d 'The directory for compiled code, or a configuration of the code cache [default: .wagi-cache beside FILE]' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand cgi" -l access-log -d 'Whether a line about the request goes to standard error' -r
complete -c wagi -n "__fish_wagi_using_subcommand cgi" -s e -l env -d 'A variable for the module' -r
complete -c wagi -n "__fish_wagi_using_subcommand cgi" -l env-file -d 'A file with variables for the module' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand cgi" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c wagi -n "__fish_wagi_using_subcommand cache; and not __fish_seen_subcommand_from list prune" -s h -l help -d 'Print help'
complete -c wagi -n "__fish_wagi_using_subcommand cache; and not __fish_seen_subcommand_from list prune" -f -a "list" -d 'List the entries of the caches, with sizes and ages'
complete -c wagi -n "__fish_wagi_using_subcommand cache; and not __fish_seen_subcommand_from list prune" -f -a "prune" -d 'Remove entries that were not used for a time'
complete -c wagi -n "__fish_wagi_using_subcommand cache; and __fish_seen_subcommand_from list" -l module-cache -d 'The directory of the module cache [default: wagi/modules in the user\'s cache directory]' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand cache; and __fish_seen_subcommand_from list" -l cache -d 'The configuration of the code cache [default: cache.toml, if it exists]' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand cache; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c wagi -n "__fish_wagi_using_subcommand cache; and __fish_seen_subcommand_from prune" -l unused-for -d 'The time since the last use, such as 30d; 0s removes all entries' -r
complete -c wagi -n "__fish_wagi_using_subcommand cache; and __fish_seen_subcommand_from prune" -l module-cache -d 'The directory of the module cache [default: wagi/modules in the user\'s cache directory]' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand cache; and __fish_seen_subcommand_from prune" -l cache -d 'The configuration of the code cache [default: cache.toml, if it exists]' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand cache; and __fish_seen_subcommand_from prune" -s h -l help -d 'Print help'
complete -c wagi -n "__fish_wagi_using_subcommand health" -l admin -d 'The address of its admin listener: IP:PORT, unix:PATH' -r
complete -c wagi -n "__fish_wagi_using_subcommand health" -s h -l help -d 'Print help'
complete -c wagi -n "__fish_wagi_using_subcommand admin; and not __fish_seen_subcommand_from status requests reload cancel" -s h -l help -d 'Print help'
complete -c wagi -n "__fish_wagi_using_subcommand admin; and not __fish_seen_subcommand_from status requests reload cancel" -f -a "status" -d 'Show the state of the server, and its routes with their numbers'
complete -c wagi -n "__fish_wagi_using_subcommand admin; and not __fish_seen_subcommand_from status requests reload cancel" -f -a "requests" -d 'List the requests in flight, and the last that have failed'
complete -c wagi -n "__fish_wagi_using_subcommand admin; and not __fish_seen_subcommand_from status requests reload cancel" -f -a "reload" -d 'Reload the configuration, and say what came of it'
complete -c wagi -n "__fish_wagi_using_subcommand admin; and not __fish_seen_subcommand_from status requests reload cancel" -f -a "cancel" -d 'End a request'
complete -c wagi -n "__fish_wagi_using_subcommand admin; and __fish_seen_subcommand_from status" -l admin -d 'The address of the admin listener: IP:PORT, unix:PATH' -r
complete -c wagi -n "__fish_wagi_using_subcommand admin; and __fish_seen_subcommand_from status" -l token-file -d 'The file with the token that the admin listener needs' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand admin; and __fish_seen_subcommand_from status" -l format -d 'The form of the output [default: table on a terminal, else json]' -r -f -a "table\t'A table for people'
json\t'One line of JSON'"
complete -c wagi -n "__fish_wagi_using_subcommand admin; and __fish_seen_subcommand_from status" -l watch -d 'Show it anew each second'
complete -c wagi -n "__fish_wagi_using_subcommand admin; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c wagi -n "__fish_wagi_using_subcommand admin; and __fish_seen_subcommand_from requests" -l admin -d 'The address of the admin listener: IP:PORT, unix:PATH' -r
complete -c wagi -n "__fish_wagi_using_subcommand admin; and __fish_seen_subcommand_from requests" -l token-file -d 'The file with the token that the admin listener needs' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand admin; and __fish_seen_subcommand_from requests" -l format -d 'The form of the output [default: table on a terminal, else json]' -r -f -a "table\t'A table for people'
json\t'One line of JSON'"
complete -c wagi -n "__fish_wagi_using_subcommand admin; and __fish_seen_subcommand_from requests" -l watch -d 'Show them anew each second'
complete -c wagi -n "__fish_wagi_using_subcommand admin; and __fish_seen_subcommand_from requests" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c wagi -n "__fish_wagi_using_subcommand admin; and __fish_seen_subcommand_from reload" -l admin -d 'The address of the admin listener: IP:PORT, unix:PATH' -r
complete -c wagi -n "__fish_wagi_using_subcommand admin; and __fish_seen_subcommand_from reload" -l token-file -d 'The file with the token that the admin listener needs' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand admin; and __fish_seen_subcommand_from reload" -l format -d 'The form of the output [default: table on a terminal, else json]' -r -f -a "table\t'A table for people'
json\t'One line of JSON'"
complete -c wagi -n "__fish_wagi_using_subcommand admin; and __fish_seen_subcommand_from reload" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c wagi -n "__fish_wagi_using_subcommand admin; and __fish_seen_subcommand_from cancel" -l admin -d 'The address of the admin listener: IP:PORT, unix:PATH' -r
complete -c wagi -n "__fish_wagi_using_subcommand admin; and __fish_seen_subcommand_from cancel" -l token-file -d 'The file with the token that the admin listener needs' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand admin; and __fish_seen_subcommand_from cancel" -l format -d 'The form of the output [default: table on a terminal, else json]' -r -f -a "table\t'A table for people'
json\t'One line of JSON'"
complete -c wagi -n "__fish_wagi_using_subcommand admin; and __fish_seen_subcommand_from cancel" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c wagi -n "__fish_wagi_using_subcommand check" -s c -l config -d 'The modules.toml with the modules to serve' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand check" -s b -l bindle -d 'The bindle to serve, NAME/VERSION; needs --bindle-path or --bindle-url' -r
complete -c wagi -n "__fish_wagi_using_subcommand check" -l bindle-path -d 'A directory of standalone bindles' -r -f -a "(__fish_complete_directories)"
complete -c wagi -n "__fish_wagi_using_subcommand check" -l bindle-url -d 'The base URL of a bindle server, including the API version [env: BINDLE_URL]' -r
complete -c wagi -n "__fish_wagi_using_subcommand check" -l bindle-http-user -d 'The user name for the bindle server [env: BINDLE_HTTP_USER]' -r
complete -c wagi -n "__fish_wagi_using_subcommand check" -l bindle-http-password -d 'The password for the bindle server [env: BINDLE_HTTP_PASSWORD]' -r
complete -c wagi -n "__fish_wagi_using_subcommand check" -l cache -d 'The configuration of the code cache [default: cache.toml, if it exists]' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand check" -s l -l listen -d 'An address to listen on: IP:PORT, http:IP:PORT, unix:PATH, systemd [default: 127.0.0.1:3000]' -r
complete -c wagi -n "__fish_wagi_using_subcommand check" -l admin -d 'The address of the admin listener: IP:PORT, unix:PATH [default: no admin listener]' -r
complete -c wagi -n "__fish_wagi_using_subcommand check" -l idle-exit -d 'End with exit code 0 after so long without a connection, for socket activation, for example 5m' -r
complete -c wagi -n "__fish_wagi_using_subcommand check" -l hostname -d 'The server\'s own name, for requests without a Host field [default: localhost:3000]' -r
complete -c wagi -n "__fish_wagi_using_subcommand check" -l module-cache -d 'The directory for modules from registries and bindles [default: wagi/modules in the user\'s cache directory]' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand check" -l pull -d 'When to ask registries for a module' -r -f -a "always\t'Ask at each start which module a tag names now'
if-not-present\t'Ask only for modules that the cache does not have'
never\t'Do not ask: use only the cache'"
complete -c wagi -n "__fish_wagi_using_subcommand check" -l plain-http -d 'Use plain HTTP with this registry, may be repeated; always used with registries on this machine' -r
complete -c wagi -n "__fish_wagi_using_subcommand check" -l registry-ca -d 'PEM certificates to trust for registries, besides those of the system' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand check" -l log-dir -d 'The directory for files with the standard error of modules [env: WAGI_LOG_DIR]' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand check" -l log-format -d 'The format of the log on standard error' -r -f -a "text\t'Text for people'
json\t'One JSON object per line'"
complete -c wagi -n "__fish_wagi_using_subcommand check" -l access-log -d 'Where the lines of requests go: on is standard error' -r
complete -c wagi -n "__fish_wagi_using_subcommand check" -l tls-cert -d 'The PEM certificate chain for TLS; needs --tls-key [env: WAGI_TLS_CERT]' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand check" -l tls-key -d 'The PEM private key for TLS; needs --tls-cert [env: WAGI_TLS_KEY]' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand check" -s e -l env -d 'Variables for every module; they take precedence over --env-file' -r
complete -c wagi -n "__fish_wagi_using_subcommand check" -l env-file -d 'Files with variables for every module, one NAME=VALUE per line' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand check" -l outbound-ca -d 'PEM certificates to trust when modules call other servers, besides those of the system' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand check" -l warm -d 'Answer N requests cold and warm at each route with `warm_start`, and fail if one begins cold or differs' -r
complete -c wagi -n "__fish_wagi_using_subcommand check" -l format -d 'The form of the output' -r -f -a "text\t'Text for people'
json\t'One JSON document'"
complete -c wagi -n "__fish_wagi_using_subcommand check" -s k -l bindle-insecure -d 'Do not verify the certificate of the bindle server (insecure)'
complete -c wagi -n "__fish_wagi_using_subcommand check" -l locked -d 'Serve only the modules in wagi.lock; any difference is an error'
complete -c wagi -n "__fish_wagi_using_subcommand check" -l watch -d 'Reload when a file that was read changes'
complete -c wagi -n "__fish_wagi_using_subcommand check" -l check -d 'Check everything, print the table of routes, and do not serve'
complete -c wagi -n "__fish_wagi_using_subcommand check" -l strict -d 'Treat unknown keys in configuration files as errors'
complete -c wagi -n "__fish_wagi_using_subcommand check" -l explain -d 'Show each value, and where it comes from: a place in a file, an option, a variable, a default'
complete -c wagi -n "__fish_wagi_using_subcommand check" -l deny-warnings -d 'Fail if there is a warning'
complete -c wagi -n "__fish_wagi_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c wagi -n "__fish_wagi_using_subcommand routes" -s c -l config -d 'The modules.toml with the modules to serve' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand routes" -s b -l bindle -d 'The bindle to serve, NAME/VERSION; needs --bindle-path or --bindle-url' -r
complete -c wagi -n "__fish_wagi_using_subcommand routes" -l bindle-path -d 'A directory of standalone bindles' -r -f -a "(__fish_complete_directories)"
complete -c wagi -n "__fish_wagi_using_subcommand routes" -l bindle-url -d 'The base URL of a bindle server, including the API version [env: BINDLE_URL]' -r
complete -c wagi -n "__fish_wagi_using_subcommand routes" -l bindle-http-user -d 'The user name for the bindle server [env: BINDLE_HTTP_USER]' -r
complete -c wagi -n "__fish_wagi_using_subcommand routes" -l bindle-http-password -d 'The password for the bindle server [env: BINDLE_HTTP_PASSWORD]' -r
complete -c wagi -n "__fish_wagi_using_subcommand routes" -l cache -d 'The configuration of the code cache [default: cache.toml, if it exists]' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand routes" -s l -l listen -d 'An address to listen on: IP:PORT, http:IP:PORT, unix:PATH, systemd [default: 127.0.0.1:3000]' -r
complete -c wagi -n "__fish_wagi_using_subcommand routes" -l admin -d 'The address of the admin listener: IP:PORT, unix:PATH [default: no admin listener]' -r
complete -c wagi -n "__fish_wagi_using_subcommand routes" -l idle-exit -d 'End with exit code 0 after so long without a connection, for socket activation, for example 5m' -r
complete -c wagi -n "__fish_wagi_using_subcommand routes" -l hostname -d 'The server\'s own name, for requests without a Host field [default: localhost:3000]' -r
complete -c wagi -n "__fish_wagi_using_subcommand routes" -l module-cache -d 'The directory for modules from registries and bindles [default: wagi/modules in the user\'s cache directory]' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand routes" -l pull -d 'When to ask registries for a module' -r -f -a "always\t'Ask at each start which module a tag names now'
if-not-present\t'Ask only for modules that the cache does not have'
never\t'Do not ask: use only the cache'"
complete -c wagi -n "__fish_wagi_using_subcommand routes" -l plain-http -d 'Use plain HTTP with this registry, may be repeated; always used with registries on this machine' -r
complete -c wagi -n "__fish_wagi_using_subcommand routes" -l registry-ca -d 'PEM certificates to trust for registries, besides those of the system' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand routes" -l log-dir -d 'The directory for files with the standard error of modules [env: WAGI_LOG_DIR]' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand routes" -l log-format -d 'The format of the log on standard error' -r -f -a "text\t'Text for people'
json\t'One JSON object per line'"
complete -c wagi -n "__fish_wagi_using_subcommand routes" -l access-log -d 'Where the lines of requests go: on is standard error' -r
complete -c wagi -n "__fish_wagi_using_subcommand routes" -l tls-cert -d 'The PEM certificate chain for TLS; needs --tls-key [env: WAGI_TLS_CERT]' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand routes" -l tls-key -d 'The PEM private key for TLS; needs --tls-cert [env: WAGI_TLS_KEY]' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand routes" -s e -l env -d 'Variables for every module; they take precedence over --env-file' -r
complete -c wagi -n "__fish_wagi_using_subcommand routes" -l env-file -d 'Files with variables for every module, one NAME=VALUE per line' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand routes" -l outbound-ca -d 'PEM certificates to trust when modules call other servers, besides those of the system' -r -F
complete -c wagi -n "__fish_wagi_using_subcommand routes" -l format -d 'The form of the output' -r -f -a "text\t'Text for people'
json\t'One JSON document'"
complete -c wagi -n "__fish_wagi_using_subcommand routes" -s k -l bindle-insecure -d 'Do not verify the certificate of the bindle server (insecure)'
complete -c wagi -n "__fish_wagi_using_subcommand routes" -l locked -d 'Serve only the modules in wagi.lock; any difference is an error'
complete -c wagi -n "__fish_wagi_using_subcommand routes" -l watch -d 'Reload when a file that was read changes'
complete -c wagi -n "__fish_wagi_using_subcommand routes" -l check -d 'Check everything, print the table of routes, and do not serve'
complete -c wagi -n "__fish_wagi_using_subcommand routes" -l strict -d 'Treat unknown keys in configuration files as errors'
complete -c wagi -n "__fish_wagi_using_subcommand routes" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c wagi -n "__fish_wagi_using_subcommand doctor" -s l -l listen -d 'An address that a server would listen on; may be repeated [default: 127.0.0.1:3000]' -r
complete -c wagi -n "__fish_wagi_using_subcommand doctor" -l format -d 'The form of the output' -r -f -a "text\t'Text for people'
json\t'One JSON document'"
complete -c wagi -n "__fish_wagi_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c wagi -n "__fish_wagi_using_subcommand completions" -s h -l help -d 'Print help'
complete -c wagi -n "__fish_wagi_using_subcommand version" -l format -d 'The form of the output' -r -f -a "text\t'Text for people'
json\t'One JSON document'"
complete -c wagi -n "__fish_wagi_using_subcommand version" -s h -l help -d 'Print help (see more with \'--help\')'
