// How are numbers, times and reasons said?

/** A duration in seconds, or a dash. */
function duration(seconds) {
  if (typeof seconds !== "number") return "–";
  if (seconds < 0.001) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${Number((seconds * 1e3).toPrecision(3))} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`;
}

/** A number of bytes. */
function size(bytes) {
  if (typeof bytes !== "number" || bytes === 0) return "–";
  const mebibytes = bytes / 1048576;
  return mebibytes >= 1 ? `${mebibytes.toFixed(mebibytes < 10 ? 1 : 0)} MiB` : `${Math.ceil(bytes / 1024)} KiB`;
}

/** A time of the day here, with the date if it is another day. */
function clock(text) {
  const time = new Date(text);
  if (Number.isNaN(time.getTime())) return "at an unknown time";
  const day = time.toDateString() === new Date().toDateString() ? "" : `${time.toISOString().slice(0, 10)} `;
  return day + time.toTimeString().slice(0, 8);
}

/** What causes a failure most of the time, by the end of the log. */
const CAUSES = {
  exit: "The program ended itself with an exit code. What it printed on standard error mostly says why: an exception, a variable that is missing, a file that it may not open.",
  "bad-head": "The program has to print header fields, an empty line, and then the body. Often something was printed before the header fields, such as a debug line or a warning, or the empty line is missing.",
  "output-limit": "The program printed more than the limit `response_body` of its entry allows. A loop that never ends prints that much, too.",
  "not-answered": "The component ended before its response was complete: it returned without a response, or the body is shorter than its Content-Length.",
  "not-started": "There was no instance of the module: it needs more memory or tables than its limits allow, or its start function failed.",
  busy: "All permits were taken, and the queue was full or too slow. Either there are more requests than before, or each takes longer: look at the p99 and at the requests in flight. The limits are `concurrency`, `total_concurrency` and `queue`.",
  "bad-body": "The client did not send the rest of its request body, or sent it too slowly. Mostly its connection broke.",
  cancelled: "An operator has ended this request.",
  static: "The file could not be read: look at its rights, and at the disk.",
};

/** The same for traps and timeouts, by their reason. */
const CAUSES_BY_REASON = [
  [/out of bounds memory|memory access/, "The program read or wrote outside of its memory: a bad pointer, an index that is too large, or memory that was freed."],
  [/call stack exhausted/, "The program called itself too deeply: a recursion without an end, or data that are nested too deeply for `wasm_stack`."],
  [/divide by zero/, "The program divided by zero."],
  [/integer overflow|invalid conversion/, "A number did not fit into its type."],
  [/indirect call|uninitialized element|null/, "The program called a function that is not there, or that has another type: often a bad cast of a function pointer."],
  [/unreachable/, "The program gave up by itself: a panic in Rust, an `abort` or a failed assertion in C, an exception that nothing caught. Standard error mostly has the message."],
  [/used up its CPU time/, "The program computed for longer than `cpu_time` allows: a loop without an end, or more data than usual."],
  [/no complete head within/, "The program waited for too long before its header fields, mostly for another server or a database. The limit is `time_to_head`."],
  [/printed nothing for/, "The program printed a part of its response, and then nothing for longer than `time_between_outputs`."],
];

/** A sentence on what causes such a failure most of the time. */
function usualCause(failure) {
  if (failure.cause) return `${failure.cause}; ${failure.cure}`;
  const found = CAUSES_BY_REASON.find(([pattern]) => pattern.test(failure.reason));
  const fromReason = failure.end === "trap" || failure.end === "timeout" || failure.end === "not-started";
  if (fromReason && found) return found[1];
  return CAUSES[failure.end] || "The reason says what happened.";
}
