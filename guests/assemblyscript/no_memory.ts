// Which code does a program get that exports no memory?
//
// Without memory it cannot print, but it can say the number by how it exits. The query string, as its second argument, would
// be out of its sight as well: it makes one call and ends.

import { bodyRead } from "./wasi_experimental_http";

// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "proc_exit")
declare function exit(code: u32): void;

export function _start(): void {
  exit(10 + bodyRead(0, 0, 0, 0));
}
