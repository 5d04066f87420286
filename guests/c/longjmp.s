# The exception by which longjmp leaves functions. The C library of this compiler names it, and does not have it.
	.tagtype	__c_longjmp i32
	.globl	__c_longjmp
__c_longjmp:
