/*
 * Preloaded into user-mode Linux by uml.sh: `ptrace` that sets the FP registers of a guest process on any CPU.
 *
 * User-mode Linux 6.1 keeps 2696 bytes of them. The kernel below takes only its whole XSAVE area (PTRACE_SETREGSET, NT_X86_XSTATE; shorter:
 * EFAULT), which is bigger where the CPU has more, such as AMX: the guest then panics at its first process. Here the rest of the area comes from
 * the process itself. Everything else goes to the kernel as it is.
 */
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Only one thread of user-mode Linux traces, and its stack is small. AMX: 11008 bytes. */
static char whole_area[65536];
static int short_is_refused;

static long set_xstate(pid_t pid, void *type, struct iovec *given) {
  if (!short_is_refused) {
    long result = syscall(SYS_ptrace, PTRACE_SETREGSET, pid, type, given);
    if (result == 0 || errno != EFAULT) return result;
    short_is_refused = 1;
  }
  struct iovec whole = {whole_area, sizeof whole_area};
  long result = syscall(SYS_ptrace, PTRACE_GETREGSET, pid, type, &whole);
  if (result != 0) return result;
  memcpy(whole_area, given->iov_base, given->iov_len < whole.iov_len ? given->iov_len : whole.iov_len);
  return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, type, &whole);
}

long ptrace(enum __ptrace_request request, ...) {
  va_list arguments;
  va_start(arguments, request);
  pid_t pid = va_arg(arguments, pid_t);
  void *address = va_arg(arguments, void *);
  void *data = va_arg(arguments, void *);
  va_end(arguments);
  if (request == PTRACE_SETREGSET && address == (void *)NT_X86_XSTATE) return set_xstate(pid, address, data);
  /* As in the C library: what the system call writes is the result. */
  if (request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA || request == PTRACE_PEEKUSER) {
    long word;
    if (syscall(SYS_ptrace, request, pid, address, &word) != 0) return -1;
    errno = 0;
    return word;
  }
  return syscall(SYS_ptrace, request, pid, address, data);
}
