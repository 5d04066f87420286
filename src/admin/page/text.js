// How are numbers, times and reasons said?

/** A number with what is counted. */
const counted = (number, one, several) => `${number} ${number === 1 ? one : several}`;

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

/** What causes a failure of which the server knows no cause, by the end of the log. */
const CAUSES = {
  cancelled: "An operator has ended this request.",
  static: "The file could not be read: look at its rights, and at the disk.",
};

/** A sentence on what causes such a failure most of the time. */
function usualCause(failure) {
  if (failure.cause) return `${failure.cause}; ${failure.cure}`;
  return CAUSES[failure.end] || "The reason says what happened.";
}
