# The exception as which those of C++ and panics of Rust leave functions. No library at hand has it.
	.tagtype	__cpp_exception i32
	.globl	__cpp_exception
__cpp_exception:
