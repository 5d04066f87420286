//! How is the state of a program read while it waits in a call?
//!
//! With the engine's interface for debuggers, so only in an engine that compiles for debugging. No frame, global or memory has to be
//! exported.

use wasmtime::{Caller, FrameHandle, Instance, Val};

use crate::runtime::resume::cold_reason::ColdReason;
use crate::runtime::resume::stopped::{NumberValue, Stopped, StoppedFrame, numbers};

/// The most memory of a program: while its snapshot is made, there are several copies of it.
const MAX_MEMORY: usize = 256 << 20;

/// The program that has called the import of `caller`, with its memory in place of what `memory` changes of it.
pub(in crate::runtime) fn stopped<T: 'static>(
    caller: &mut Caller<'_, T>,
    imported_functions: u32,
) -> Result<Stopped, ColdReason> {
    let mut frames = Vec::new();
    let mut instance = None;
    let mut next = caller.debug_exit_frames().next();
    while let Some(handle) = next {
        if let Some((function, after_call)) = read(handle.wasm_function_index_and_pc(&mut *caller))? {
            instance.get_or_insert(read(handle.instance(&mut *caller))?);
            frames.push(StoppedFrame {
                function: imported_functions.saturating_add(function.as_u32()),
                after_call: after_call.raw() as usize,
                locals: numbers(&locals(&handle, caller)?)?,
                operands: numbers(&operands(&handle, caller)?)?,
            });
        }
        next = read(handle.parent(&mut *caller))?;
    }
    let instance = instance.ok_or(ColdReason::Stack("there is no frame"))?;
    let globals = globals(caller, &instance);
    let memory = instance.debug_memory(&mut *caller, 0).ok_or(ColdReason::Memories)?;
    if memory.data_size(&*caller) > MAX_MEMORY {
        return Err(ColdReason::MemorySize(memory.data_size(&*caller) >> 20));
    }
    Ok(Stopped { frames, globals, memory: memory.data(&*caller).to_vec() })
}

fn read<T>(result: wasmtime::Result<T>) -> Result<T, ColdReason> {
    result.map_err(|_| ColdReason::Stack("the engine cannot read it"))
}

fn locals<T: 'static>(frame: &FrameHandle, caller: &mut Caller<'_, T>) -> Result<Vec<Val>, ColdReason> {
    let count = read(frame.num_locals(&mut *caller))?;
    (0..count).map(|index| read(frame.local(&mut *caller, index))).collect()
}

fn operands<T: 'static>(frame: &FrameHandle, caller: &mut Caller<'_, T>) -> Result<Vec<Val>, ColdReason> {
    let count = read(frame.num_stacks(&mut *caller))?;
    (0..count).map(|index| read(frame.stack(&mut *caller, index))).collect()
}

fn globals<T: 'static>(caller: &mut Caller<'_, T>, instance: &Instance) -> Vec<Option<NumberValue>> {
    let globals = (0..).map_while(|index| {
        let global = instance.debug_global(&mut *caller, index)?;
        Some(NumberValue::new(&global.get(&mut *caller)))
    });
    globals.collect()
}
