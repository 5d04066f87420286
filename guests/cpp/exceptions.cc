// How exceptions are thrown and caught. Zig carries the C++ library built without them, and with its sources: what is
// missing is compiled from these. Some functions of the same file are in the library, in a form that does nothing; they
// keep their names, and those compiled here get others.
#define __getExceptionClass wagi_get_exception_class
#define __setExceptionClass wagi_set_exception_class
#define __isOurExceptionClass wagi_is_our_exception_class
#define __cxa_current_primary_exception wagi_current_primary_exception
#define __cxa_decrement_exception_refcount wagi_decrement_exception_refcount
#define __cxa_increment_exception_refcount wagi_increment_exception_refcount
#define __cxa_rethrow_primary_exception wagi_rethrow_primary_exception
#define __cxa_uncaught_exception wagi_uncaught_exception
#define __cxa_uncaught_exceptions wagi_uncaught_exceptions

#include "cxa_exception.cpp"
#include "cxa_personality.cpp"
